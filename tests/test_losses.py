"""Losses at their ends, on every executor: labels that are no class, scores that are infinite."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pellucid as pl
from pellucid import ops
from pellucid.data import ArrayDataset, DataError, Splits
from pellucid.errors import OutOfRangeError
from pellucid.executors import available_executors, compile, run
from pellucid.graph import Tensor
from pellucid.train.evaluation import evaluate

torch = pytest.importorskip("torch")
functional = torch.nn.functional

EXECUTORS = [name for name, missing in available_executors().items() if not missing]
INF, NAN = np.inf, np.nan
SCORES = np.array([[2, -INF, 0.5], [0, 1, -INF]], np.float32)


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("label", [3, -1, -100, 2**62])
@pytest.mark.parametrize(
    "use",
    [
        lambda x, t: ops.cross_entropy(x, t),
        lambda x, t: ops.cross_entropy(x, t, 0.1, "none"),
        lambda x, t: ops.cross_entropy(x, t, ignore_index=255),
        lambda x, t: pl.gradients(ops.cross_entropy(x, t), [x])[0],
        lambda x, t: ops.cross_entropy(x, t * 1),
        lambda x, t: ops.cross_entropy(x, ops.reshape(ops.reshape(t, (1, 2)), (2,))),
        lambda x, t: ops.hinge(x, t),
        lambda x, t: ops.one_hot(t, 3),
        lambda x, t: ops.gather(x, t, 1),
        lambda x, t: ops.gather(x, t * 1, 1),
        lambda x, t: pl.gradients(ops.gather(x, t, 1), [x])[0],
    ],
)
def test_labels_and_indices_out_of_range(use: Callable[..., Tensor], label: int, executor: str) -> None:
    scores, labels = pl.input((2, 3), name="scores"), pl.input((2,), "int64", "labels")
    program = compile([use(scores, labels)], [scores, labels], executor=executor)
    feeds = {i.name: SCORES if i.name == "scores" else np.array([1, label]) for i in program.graph.inputs}
    with pytest.raises(OutOfRangeError, match=rf"{label} at \[1\] of '\w+'.*there are 3 (classes|elements)") as raised:
        program(feeds)
    assert str(raised.value).split(":")[0] in program.graph.names.values()
    program({**feeds, "labels": np.array([1, 2])})


@pytest.mark.parametrize(
    "build",
    [
        lambda: ops.cross_entropy(pl.constant(SCORES), [0, 3]),
        lambda: ops.hinge(pl.constant(SCORES), [-1, 0]),
        lambda: ops.one_hot([0, 3], 3),
        lambda: ops.gather(pl.constant(SCORES), [2]),
        lambda: ops.gather(pl.constant(SCORES), -1),
        lambda: pl.constant(SCORES)[[0, -3]],
    ],
)
def test_known_labels_are_looked_at_at_once(build: Callable[[], Tensor]) -> None:
    with pytest.raises(OutOfRangeError, match="is out of range: there are"):
        build()


@pytest.mark.parametrize("executor", EXECUTORS)
def test_negative_indices_in_brackets_count_from_the_end(executor: str) -> None:
    x, at = pl.input((2, 3), name="x"), pl.input((2,), "int64", "at")
    known, fed = run([x[[-1, 0]], x[at]], {x: SCORES, at: np.array([-1, -2])}, executor)
    np.testing.assert_array_equal(known, SCORES[[-1, 0]])
    np.testing.assert_array_equal(fed, SCORES[[-1, -2]])


@pytest.mark.parametrize("executor", EXECUTORS)
def test_an_error_changes_no_parameter(executor: str) -> None:
    weight = pl.Parameter.of([1, 1, 1])
    labels = pl.input((1,), "int64", "labels")
    loss = ops.cross_entropy(ops.reshape(weight, (1, 3)), labels)
    program = compile([loss], [labels], {weight: weight - pl.gradients(loss, [weight])[0]}, executor)
    with pytest.raises(OutOfRangeError):
        program({labels: [3]})
    np.testing.assert_array_equal(weight.value, 1)


ROWS = [[-INF, -INF], [INF, 0], [INF, -INF], [INF, INF], [-INF, 0], [NAN, 0], [1, 2]]
ENDS: dict[str, tuple[Callable[..., Any], Callable[..., Any], list[Any]]] = {
    "impossible": (ops.cross_entropy, functional.cross_entropy, [SCORES, [0, 1]]),
    "true-and-impossible": (ops.cross_entropy, functional.cross_entropy, [SCORES, [1, 2]]),
    "smoothed": (
        lambda x, t: ops.cross_entropy(x, t, 0.1),
        lambda x, t: functional.cross_entropy(x, t, label_smoothing=0.1),
        [SCORES, [0, 1]],
    ),
    "ignored": (
        lambda x, t: ops.cross_entropy(x, t, ignore_index=-100),
        lambda x, t: functional.cross_entropy(x, t),
        [SCORES, [0, -100]],
    ),
    "a-class-ignored": (
        lambda x, t: ops.cross_entropy(x, t, ignore_index=1, reduction="sum"),
        lambda x, t: functional.cross_entropy(x, t, ignore_index=1, reduction="sum"),
        [SCORES, [0, 1]],
    ),
    "all-ignored": (
        lambda x, t: ops.cross_entropy(x, t, ignore_index=1),
        lambda x, t: functional.cross_entropy(x, t, ignore_index=1),
        [SCORES, [1, 1]],
    ),
    "pixels": (
        lambda x, t: ops.cross_entropy(x, t, ignore_index=255),
        lambda x, t: functional.cross_entropy(x, t, ignore_index=255),
        [SCORES.reshape(1, 2, 3, 1).repeat(2, 0), [[[0], [255], [0]], [[1], [0], [1]]]],
    ),
    "hinge": (ops.hinge, lambda x, t: functional.multi_margin_loss(x, t) * 3, [SCORES, [0, 1]]),
    "hinge-sure": (ops.hinge, lambda x, t: functional.multi_margin_loss(x, t) * 3, [[[2, 1.5, INF]], [0]]),
    **{
        f"binary-{x}-{t}": (
            ops.binary_cross_entropy_with_logits,
            functional.binary_cross_entropy_with_logits,
            [[x], np.float32([t])],
        )
        for x, t in ((INF, 0), (INF, 0.5), (0, 0.25), (0, 1), (3, 0), (-3, 1))
    },
    **{
        f"{ours.__name__}-{row}": (
            lambda x, ours=ours: ours(x, 1),
            lambda x, name=name: getattr(torch, name)(x, 1),
            [[row]],
        )
        for ours, name in ((ops.log_sum_exp, "logsumexp"), (ops.softmax, "softmax"), (ops.log_softmax, "log_softmax"))
        for row in ROWS
    },
}


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("case", ENDS)
def test_infinite_scores_as_in_pytorch(case: str, executor: str) -> None:
    ours, theirs, (scores, *targets) = ENDS[case]
    x = pl.input(np.shape(scores), name="x")
    loss = ours(x, *(pl.constant(np.asarray(t)) for t in targets))
    values = run([loss, *pl.gradients(loss, [x])], {x: np.float32(scores)}, executor)
    twin = torch.tensor(np.float32(scores), requires_grad=True)
    expected = theirs(twin, *(torch.tensor(t) for t in targets))
    expected.sum().backward()
    for value, right in zip(values, (expected.detach(), twin.grad), strict=True):
        np.testing.assert_allclose(value, right.numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("loss", "right"),
    [
        (lambda x: ops.cross_entropy(x, np.float32([[1, 0, 0], [0, 1, 0]])), 0.2573),
        (lambda x: ops.cross_entropy(x, np.array([0, 1])), 0.2573),
        (lambda x: ops.binary_cross_entropy_with_logits(x, np.float32([[1, 0, 1], [1, 1, 0]]), "sum"), 1.6074),
        (lambda x: ops.focal(x, np.float32([[1, 0, 1], [1, 1, 0]]), reduction="sum"), 0.0663),
        (lambda x: ops.kl_divergence(x, np.float32([[0.5, 0, 0.5], [0.5, 0.5, 0]])), -1.5681),
    ],
)
def test_nothing_of_infinity_is_nothing(loss: Callable[[Tensor], Tensor], right: float) -> None:
    x = pl.input(SCORES.shape, name="x")
    value, slope = run([loss(x), *pl.gradients(loss(x), [x])], {x: SCORES})
    assert value == pytest.approx(right, abs=1e-4)
    assert np.isfinite(slope).all()


def test_data_with_a_label_that_is_no_class_is_refused_before_the_first_step(tmp_path: Any) -> None:
    def part(name: str) -> ArrayDataset:
        return ArrayDataset(np.zeros((4, 1, 4, 4), np.uint8), [0, 1, 0, 1], ["a", "b"], name)

    net = pl.nn.Sequential(pl.nn.Flatten(), pl.nn.Linear(16, 2))
    for wrong in ("train", "validation", "test"):
        parts = {name: part(name) for name in ("train", "validation", "test")}
        parts[wrong].labels = np.array([0, 1, 7, -1])
        with pytest.raises(DataError, match=f"{wrong}: label 7 at position 2 is no class: there are 2"):
            pl.fit(net, Splits(**parts), out=tmp_path / "run", epochs=1, batch_size=2)
        assert not (tmp_path / "run").exists()
        with pytest.raises(DataError, match="label 7 at position 2"):
            evaluate(net, parts[wrong], None)
