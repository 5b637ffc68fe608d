"""Functions of one number keep float32's digits everywhere: near 0, near the ends of what they take, and far out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import pellucid as pl
from pellucid import ops
from pellucid.executors import available_executors, compile

EXECUTORS = [name for name, missing in available_executors().items() if not missing]
NEAR = [10.0**-k for k in (30, 20, 10, 7, 6, 5, 4, 3, 2, 1)]
INSIDE = [*NEAR, 0.3, 0.5, 0.9, 0.99, 0.9999, 1 - 1e-7, 1.0]
OUTSIDE = [1 + 1e-6, 1.001, 1.5, 2.0, 3.0, 5.0, 10.0, 15.0, 30.0, 50.0, 80.0]
FAR = [100.0, 1e3, 1e4, 1e6, 1e10, 1e15]
ALL = [*INSIDE, *OUTSIDE, *FAR]
TWO_SIDED = [0.0, *ALL, *(-x for x in ALL)]

FUNCTIONS: dict[str, tuple[Callable[[torch.Tensor], torch.Tensor], list[float]]] = {
    "asin": (torch.asin, [*INSIDE, *(-x for x in INSIDE)]),
    "acos": (torch.acos, [*INSIDE, *(-x for x in INSIDE)]),
    "atan": (torch.atan, TWO_SIDED),
    "sinh": (torch.sinh, [x for x in TWO_SIDED if abs(x) < 88]),
    "cosh": (torch.cosh, [x for x in TWO_SIDED if abs(x) < 88]),
    "tanh": (torch.tanh, TWO_SIDED),
    "asinh": (torch.asinh, TWO_SIDED),
    "acosh": (torch.acosh, [1.0, *OUTSIDE, *FAR]),
    "atanh": (torch.atanh, [*INSIDE, *(-x for x in INSIDE)]),
    "expm1": (torch.expm1, [x for x in TWO_SIDED if x < 88]),
    "log1p": (torch.log1p, [*ALL, *(-x for x in INSIDE)]),
    "sigmoid": (torch.sigmoid, [x for x in TWO_SIDED if x > -88]),
    "softplus": (lambda x: torch.logaddexp(x, x * 0), [x for x in TWO_SIDED if x > -88]),
    "mish": (F.mish, [x for x in TWO_SIDED if x > -30]),
    "erf": (torch.erf, TWO_SIDED),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_values_and_slopes_keep_their_digits(name: str) -> None:
    function, places = FUNCTIONS[name]
    array = np.array(places, np.float32)
    exact = torch.tensor(array.astype(np.float64), requires_grad=True)
    right = function(exact)
    right.sum().backward()
    x = pl.input(array.shape, name="x")
    y = getattr(ops, name)(x)
    for executor in EXECUTORS:
        value, slope = compile([y, *pl.gradients(y.sum(), [x])], [x], executor=executor)({x: array})
        np.testing.assert_allclose(value, right.detach().numpy().astype(np.float32), 2e-6, 1e-37, err_msg=executor)
        wanted = exact.grad.numpy().astype(np.float32)
        finite = np.isfinite(wanted)
        np.testing.assert_array_equal(slope[~finite], wanted[~finite], executor)
        # 1 - tanh^2 and the like lose what is far below the largest slope, as PyTorch's do
        np.testing.assert_allclose(slope[finite], wanted[finite], 1e-5, 1e-6, err_msg=executor)


def test_sure_predictions_keep_the_digits_of_their_loss() -> None:
    """A probability near 1 has a small loss, which no larger number of the scores' size may round."""
    scores = np.array([[30, 18, 21], [1000, 990, 994], [-500, -512, -511], [0.5, 0.25, -9]], np.float32)
    labels = np.zeros(4, np.int64)
    exact = torch.tensor(scores.astype(np.float64))
    logs = torch.log_softmax(exact, 1).numpy()
    losses = F.cross_entropy(exact, torch.tensor(labels), reduction="none").numpy()
    x, y = pl.input(scores.shape, name="x"), pl.input(labels.shape, "int64", "y")
    outputs = [ops.log_softmax(x), ops.cross_entropy(x, y, reduction="none")]
    for executor in EXECUTORS:
        found = compile(outputs, [x, y], executor=executor)({x: scores, y: labels})
        np.testing.assert_allclose(found[0], logs, 1e-5, 1.2e-7, err_msg=executor)  # float32 is 6e-8 apart below 1
        np.testing.assert_allclose(found[1], losses, 1e-5, 1.2e-7, err_msg=executor)
