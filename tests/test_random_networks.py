"""Two hundred random small networks: gradients against central differences, PyTorch's autograd, and between executors."""

from __future__ import annotations

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn
from pellucid.executors import TOLERANCE, available_executors, compile, run
from pellucid.graph import Parameter, Tensor, topological
from precisions import needs_bfloat16

torch = pytest.importorskip("torch")

SMOOTH = ("sigmoid", "tanh", "softplus", "silu", "gelu", "mish")


def network(
    seed: int, dtype: str = "float64", widths: tuple[int, ...] = (1, 2, 3, 4), activations: tuple[str, ...] = SMOOTH
) -> tuple[Tensor, list[Parameter], dict[Tensor, np.ndarray]]:
    """A random image network with a scalar loss; its values are the same float32 numbers in every element type."""
    random = np.random.default_rng(seed)
    n, c, size = int(random.integers(1, 4)), int(random.choice(widths[:3])), int(random.integers(5, 9))
    image = pl.input((n, c, size, size), dtype, "image")
    parameters: list[Parameter] = []

    def weight(*shape: int) -> Parameter:
        value = random.standard_normal(shape) / np.sqrt(max(1, np.prod(shape[1:])))
        parameters.append(Parameter.of(value.astype(np.float32).astype(dtype), f"w{len(parameters)}"))
        return parameters[-1]

    x: Tensor = image
    for _ in range(int(random.integers(1, 5))):
        channels = x.shape[1]
        kind = str(
            random.choice(["conv", "conv", "depthwise", "average", "max", "norm", "group", "residual", "concat", "lrn"])
        )
        if kind == "conv" and min(x.shape[2:]) >= 3:
            x = pl.conv2d(
                x, weight(int(random.choice(widths)), channels, 3, 3), stride=int(random.integers(1, 3)), padding=1
            )
        elif kind == "depthwise":
            x = pl.conv2d(x, weight(channels, 1, 2, 2), padding=1, dilation=2, groups=channels)
        elif kind == "average" and min(x.shape[2:]) >= 2:
            x = pl.average_pool2d(x, 2)
        elif kind == "max" and min(x.shape[2:]) >= 2:
            x = pl.max_pool2d(x, 2, 1)
        elif kind == "norm" and x.size > channels:
            x, _, _ = pl.batch_norm_training(x, weight(channels), weight(channels))
        elif kind == "group":
            x = pl.group_norm(x, 1, weight(channels), weight(channels), epsilon=1e-2)
        elif kind == "residual":
            x = x + pl.conv2d(x, weight(channels, channels, 1, 1))
        elif kind == "concat":
            x = pl.concat([x, pl.tanh(x)], axis=1)
        elif kind == "lrn":
            x = pl.local_response_norm(x, 3, alpha=0.1)
        x = getattr(pl, str(random.choice(activations)))(x)
    features = pl.flatten(x)
    logits = pl.linear(features, weight(3, features.shape[1]), weight(3))
    loss = pl.cross_entropy(logits, random.integers(0, 3, n))
    return loss, parameters, {image: random.standard_normal(image.shape).astype(np.float32).astype(dtype)}


@pytest.mark.parametrize("seed", range(200))
def test_random_network(seed: int) -> None:
    loss, parameters, feeds = network(seed)
    slopes = run(pl.gradients(loss, parameters), feeds)

    random = np.random.default_rng(1000 + seed)
    program = compile([loss])
    step = 1e-6
    for parameter, slope in zip(parameters, slopes, strict=True):
        direction = random.standard_normal(parameter.shape)
        direction /= np.linalg.norm(direction)
        start = parameter.value.copy()
        values = []
        for side in (step, -step):
            parameter.value = start + side * direction
            values.append(float(program(feeds)[0]))
        parameter.value = start
        measured = (values[0] - values[1]) / (2 * step)
        assert measured == pytest.approx(float((slope * direction).sum()), rel=1e-5, abs=1e-7)

    for mine, theirs in zip(slopes, autograd(loss, parameters, feeds), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-8, atol=1e-10)
    for mine, theirs in zip(slopes, run(pl.gradients(loss, parameters), feeds, "torch"), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-8, atol=1e-10)


def errors(seed: int, precision: str) -> list[float]:
    """Of loss and gradients on the native executor, against the reference in float64 on the same float32 numbers.

    Channels fill blocks, or do not.
    """
    results = []
    for dtype in ("float32", "float64"):
        loss, parameters, feeds = network(seed, dtype, (3, 16, 20, 32), (*SMOOTH, "relu", "relu", "leaky_relu"))
        outputs = [loss, *pl.gradients(loss, parameters)]
        native = {"executor": "native", "precision": precision} if dtype == "float32" else {"executor": "reference"}
        results.append(compile(outputs, **native)(feeds))
    pairs = zip(*results, strict=True)
    return [float(np.abs(mine - exact).max() / max(1.0, np.abs(exact).max())) for mine, exact in pairs]


native = pytest.mark.skipif(bool(available_executors()["native"]), reason="the native executor is not built here")


@native
@pytest.mark.parametrize("seed", range(200))
def test_random_network_on_native(seed: int) -> None:
    """Within the float32 tolerance, every network."""
    assert max(errors(seed, "float32")) <= TOLERANCE["float32"]


@native
@needs_bfloat16
def test_random_networks_in_bfloat16() -> None:
    """Within the stated tolerance, every network, and within 1 % of the largest element, the middle one."""
    worst = [max(errors(seed, "bfloat16")) for seed in range(100)]
    assert max(worst) <= TOLERANCE["bfloat16"]
    assert np.median(worst) <= 0.01


def autograd(loss: Tensor, parameters: list[Parameter], feeds: dict[Tensor, np.ndarray]) -> list[np.ndarray]:
    """PyTorch's gradients of the same forward pass."""
    values = {t: torch.tensor(a) for t, a in feeds.items()}
    values.update({p: torch.tensor(p.value, requires_grad=True) for p in parameters})
    for node in topological([loss]):
        if node not in values:
            values[node] = node.op.torch(torch, *(values[i] for i in node.inputs))
    values[loss].backward()
    return [values[p].grad.numpy() if values[p].grad is not None else np.zeros(p.shape) for p in parameters]


def test_layers_used_twice_share_their_weights() -> None:
    layer = nn.Linear(3, 3, dtype="float64")
    x = pl.input((2, 3), "float64")
    loss = layer(layer(x)).sum()
    feeds = {x: np.array([[1.0, 2.0, 3.0], [0.5, -1.0, 2.0]])}
    (slope,) = run(pl.gradients(loss, [layer.weight]), feeds)
    weight = torch.tensor(layer.weight.value, requires_grad=True)
    bias = torch.tensor(layer.bias.value)
    twice = torch.nn.functional.linear(torch.nn.functional.linear(torch.tensor(feeds[x]), weight, bias), weight, bias)
    twice.sum().backward()
    np.testing.assert_allclose(slope, weight.grad.numpy(), rtol=1e-12)
