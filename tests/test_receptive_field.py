"""Receptive fields: what theory says is what gradients reach, through branches, strides, dilation and rearrangement."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import pellucid as pl
from pellucid import nn
from pellucid.explain import FieldError
from pellucid.nn.receptive_field import receptive_fields
from pellucid.ops.pooling import MaxPool2d
from pellucid.ops.reduction import Argmax, Max
from search import examples


class Net(nn.Module):
    """Layers in a row, or as `forward` joins them; all weights positive, so that no gradient cancels."""

    def __init__(self, layers: dict[str, nn.Module], join: Callable[..., pl.Tensor]) -> None:
        super().__init__()
        for name, layer in layers.items():
            setattr(self, name, layer)
        self._join = join
        self.initialize(1)
        for parameter in self.named_parameters().values():
            parameter.value = np.abs(parameter.value) + 0.01

    def forward(self, x: pl.Tensor) -> pl.Tensor:
        return self._join(self, x)


def _conv(kernel: int = 3, **options: Any) -> nn.Conv2d:
    return nn.Conv2d(2, 2, kernel, **options)


NETS: dict[str, tuple[dict[str, nn.Module], Callable[..., pl.Tensor]]] = {
    "row": ({"a": _conv(stride=2), "b": _conv(5, padding=2), "c": _conv(dilation=3)}, lambda n, x: n.c(n.b(n.a(x)))),
    "branches": (
        {"a": _conv(1), "b": _conv(5, padding=2), "c": _conv(padding=2, dilation=2)},
        lambda n, x: pl.concat([n.a(x), n.b(x) + n.c(x)], 1),
    ),
    "pools": (
        {"a": nn.AvgPool2d(2), "b": _conv(), "c": nn.AvgPool2d(3, 2, 1)},
        lambda n, x: n.c(n.b(n.a(x))),
    ),
    "up": ({"a": _conv(stride=2), "b": nn.ConvTranspose2d(2, 2, 4, 2, 1), "c": _conv()}, lambda n, x: n.c(n.b(n.a(x)))),
    "twice": ({"a": _conv(padding=1)}, lambda n, x: n.a(n.a(n.a(x)))),
    "flat": ({"a": _conv(), "b": nn.AvgPool2d(2), "c": nn.Flatten()}, lambda n, x: pl.relu(n.c(n.b(n.a(x))))),
}  # fmt: skip


@pytest.mark.parametrize("name", NETS)
def test_theory_is_what_gradients_reach(name: str) -> None:
    net = Net(*NETS[name])
    image = np.random.default_rng(0).random((2, 24, 21)) + 0.5
    for parameter in net.named_parameters().values():
        assert parameter.dtype == "float32"
    graph = net.graph((1, 2, 24, 21), name="image")
    output = graph.names[graph.outputs[0]]
    shape = graph.outputs[0].shape[1:]
    random = np.random.default_rng(1)
    for _ in range(12):
        place = tuple(int(random.integers(0, n)) for n in shape)
        found = pl.receptive_field(net, image.astype(np.float32), output, place)
        rows, columns = np.nonzero(found.effective.sum(1))[0], np.nonzero(found.effective.sum(0))[0]
        assert found.rows == (rows[0], rows[-1] + 1)
        assert found.columns == (columns[0], columns[-1] + 1)
        assert found.effective_size <= found.theoretical_size


def test_effect_is_smaller_than_theory_and_is_averaged() -> None:
    """With many layers the effective field is a small part of the theoretical one (Luo et al. 2016)."""
    net = nn.Sequential(*(nn.Conv2d(1, 1, 3, padding=1) for _ in range(10)))
    net.initialize(0)
    for name, parameter in net.named_parameters().items():
        parameter.value = np.full(parameter.shape, 1 / 9 if name.endswith("weight") else 0)
    images = np.random.default_rng(0).random((3, 1, 41, 41)).astype(np.float32)
    found = pl.receptive_field(net, images, "9")
    assert found.size == (21, 21)
    assert found.index == (0, 20, 20)
    assert found.num_images == 3
    assert found.effective_size < 0.75 * found.theoretical_size
    assert found.effective.sum() == pytest.approx(1, rel=1e-5)
    rows = np.arange(41)
    spread = float((found.effective.sum(1) * (rows - 20) ** 2).sum())
    assert spread == pytest.approx(10 * 2 / 3, rel=1e-4), "ten uniform windows of three: variance 2/3 each"


def test_what_has_no_field() -> None:
    net = nn.models.build("lenet", image_size=8, in_channels=1)
    image = np.zeros((1, 8, 8), np.float32)
    with pytest.raises(FieldError, match="made of parameters alone"):
        pl.receptive_field(net, image, "conv1.weight")
    with pytest.raises(FieldError, match="wants an index of 3 numbers"):
        pl.receptive_field(net, image, "conv1", (99, 0, 0))
    with pytest.raises(pl.PellucidError, match="wants pictures, float"):
        pl.receptive_field(net, image.astype(np.uint8), "conv1")


def seen_by_trial(graph: pl.Graph, image: np.ndarray, axis: int) -> np.ndarray:
    """Whether a change of row (column) k of the image changes each element of the output: (k, *shape)."""
    (x,), (y,) = graph.inputs, graph.outputs
    random = np.random.default_rng(5)
    found = np.zeros((image.shape[axis], *y.shape), bool)
    for base in (image, image[:, :, ::-1, ::-1], random.standard_normal(image.shape)):
        (before,) = pl.run([y], {x: base}, "reference")
        for k in range(image.shape[axis]):
            for size in (0.01, 30.0, -30.0):
                changed = base.copy()
                at = (slice(None),) * axis + (k,)
                changed[at] += size * (0.5 + random.random(changed[at].shape))
                now = pl.run(y, {x: changed}, "reference")
                found[k] |= (now != before) & ~(np.isnan(now) & np.isnan(before))  # a mean of nothing is NaN
    return found


def hulls(found: np.ndarray) -> np.ndarray:
    """First and last + 1 of the true elements along axis 0, (0, 0) where there are none: (2, ...)."""
    some, length = found.any(0), len(found)
    return np.where(some, np.stack([found.argmax(0), length - found[::-1].argmax(0)]), 0)


def agrees(
    function: Callable[[pl.Tensor], pl.Tensor], size: tuple[int, int] = (9, 7), exact: bool | None = True
) -> None:
    """Fields said and found are the same; if they are not `exact`, those found lie within those said.

    None asks for no more than that where the field says "at most", or where there is a maximum: behind a norm, say, no
    change that is tried may make an element the largest that could be it.
    """
    graph = pl.Graph([function(pl.input((1, 2, *size), "float64", name="x"))])
    field = receptive_fields(graph)[graph.outputs[0]]
    assert exact is None or field.exact is exact
    choosing = any(isinstance(node.op, Argmax | Max | MaxPool2d) for node in graph)
    same = field.exact and not (exact is None and choosing)
    said = np.zeros((2, 2, *field.shape), int)
    for index in np.ndindex(*field.shape):
        if (ranges := field.at(index)) is not None:
            said[(..., *index)] = ranges
    image = np.random.default_rng(3).random((1, 2, *size)) + 0.5
    for axis in (0, 1):
        tried = hulls(seen_by_trial(graph, image, 2 + axis))
        if same:
            np.testing.assert_array_equal(said[axis], tried)
        else:
            nothing = tried[0] == tried[1]
            assert (nothing | ((said[axis][0] <= tried[0]) & (said[axis][1] >= tried[1]))).all()


def _weights(*shape: int) -> np.ndarray:
    return np.random.default_rng(7).random(shape) + 0.2


def _weight(*shape: int) -> pl.Tensor:
    return pl.Parameter.of(_weights(*shape))


def _with_holes(outputs: int = 3) -> pl.Tensor:
    holes = _weights(3, 2, 3, 3)
    holes[:, :, 0] = holes[1, :, :, 2] = holes[2, 0] = 0
    return pl.constant(holes[:outputs])


def _fixed(values: list[int]) -> pl.Tensor:
    return pl.constant(np.array(values))


def _attention(x: pl.Tensor, mask: float = 0.0) -> pl.Tensor:
    """Every row looks at every row, or with a mask at those up to the next."""
    rows = pl.reshape(pl.transpose(x, (0, 2, 1, 3)), (1, x.shape[2], -1))
    scores = pl.matmul(rows, pl.transpose(rows, (0, 2, 1))) / 1000
    seen = np.tri(x.shape[2], k=1, dtype=bool)
    return pl.softmax(pl.where(seen, scores, mask) if mask else scores, -1) @ rows


def _space_to_depth(x: pl.Tensor) -> pl.Tensor:
    n, c, h, w = x.shape
    return pl.reshape(pl.transpose(pl.reshape(x, (n, c, h // 3, 3, w, 1)), (0, 3, 5, 1, 2, 4)), (n, 3 * c, h // 3, w))


FUNCTIONS: dict[str, Callable[[pl.Tensor], pl.Tensor]] = {
    "conv": lambda x: pl.conv2d(x, _weight(3, 2, 3, 2), stride=(2, 1), padding=(1, 0), dilation=(2, 3)),
    "grouped conv": lambda x: pl.conv2d(pl.concat([x[:, :1, 1:], x[:, 1:, :-1]], 1), _weight(4, 1, 2, 3), groups=2),
    "fixed conv with zeros": lambda x: pl.conv2d(x, _with_holes(), padding=1),
    "transposed conv": lambda x: pl.conv_transpose2d(x, _weight(2, 3, 4, 3), stride=(2, 3), padding=1),
    "transposed conv with holes": lambda x: pl.conv_transpose2d(x, _weight(2, 1, 2, 2), stride=3, groups=2),
    "fixed transposed conv": lambda x: pl.conv_transpose2d(x, _with_holes(2), stride=2),
    "max pool": lambda x: pl.max_pool2d(x, (3, 2), 2, (1, 1)),
    "max pool, ceil": lambda x: pl.max_pool2d(x, 2, 2, 0, True),
    "average pool": lambda x: pl.average_pool2d(x, 3, 2, 1),
    "adaptive": lambda x: pl.adaptive_average_pool2d(x, (4, 3)),
    "adaptive max": lambda x: pl.adaptive_max_pool2d(x, (4, 3)),
    "global": lambda x: pl.global_average_pool2d(x[:, :, 2:, :5]),
    "nearest": lambda x: pl.conv2d(pl.repeat(x, (1, 1, 3, 2)), _weight(1, 2, 3, 3)),
    "linear resize": lambda x: pl.resample(pl.resample(x, np.eye(5, 9, 2) + np.eye(5, 9, 3), 2), np.eye(9, 7), 3),
    "flip": lambda x: pl.conv2d(pl.flip(x, 2), _weight(1, 2, 3, 3)),
    "swapped": lambda x: pl.conv2d(pl.transpose(x, (0, 1, 3, 2)), _weight(1, 2, 3, 1)),
    "channels last": lambda x: pl.transpose(x, (0, 2, 3, 1)) @ _weight(2, 3),
    "strided slice": lambda x: pl.conv2d(x[:, :, 1::3, ::2], _weight(1, 2, 2, 2)),
    "backward slice": lambda x: x[:, ::-1, ::-2, 5:0:-3],
    "pad": lambda x: pl.conv2d(pl.pad(x, ((0, 0), (0, 0), (2, 0), (0, 3)), 1.0), _weight(1, 2, 2, 2)),
    "reflect": lambda x: pl.conv2d(pl.gather(x, _fixed([2, 1, 0, 1, 2, x.shape[2] - 1]), 2), _weight(1, 2, 3, 3)),
    "roll": lambda x: pl.concat([x[:, :, 2:], x[:, :, :2]], 2),
    "concat along columns": lambda x: pl.conv2d(pl.concat([x, pl.flip(x, 3)], 3), _weight(1, 2, 1, 3)),
    "tiles": lambda x: pl.reshape(pl.broadcast_to(pl.reshape(x, (1, 2, 1, 9, 7)), (1, 2, 3, 9, 7)), (1, 2, 27, 7)),
    "space to depth": lambda x: pl.conv2d(_space_to_depth(x), _weight(1, 6, 2, 2)),
    "channel shuffle": lambda x: pl.reshape(pl.transpose(pl.reshape(x, (1, 2, 3, 3, 7)), (0, 2, 1, 3, 4)), (1, 2, 9, 7)),
    "flattened": lambda x: pl.reshape(x, (1, 18, 7)) @ _weight(7, 2),
    "dense": lambda x: pl.linear(pl.flatten(x[:, :, 2:, :5]), _weight(3, 70)),
    "mean over rows": lambda x: x - pl.mean(x, 2, keepdims=True),
    "sum over channels": lambda x: pl.sum(x[:, :, 3:], (1,)),
    "variance": lambda x: pl.variance(x[:, :, :, 2:], (1, 3)),
    "argmax": lambda x: pl.argmax(x[:, :, 4:], 3),
    "largest": lambda x: pl.max(x[:, :, 4:], 2),
    "group norm": lambda x: pl.group_norm(x[:, :, 1:, :3], 2),
    "layer norm": lambda x: pl.layer_norm(x, 1, _weight(7), _weight(7)),
    "softmax over space": lambda x: pl.softmax(pl.reshape(x[:, :, 5:] / 100, (1, 2, 28)), -1),
    "attention": _attention,
    "causal attention": lambda x: _attention(x, -np.inf),
    "masked twice": lambda x: pl.max(x * pl.constant(np.eye(9, 7)) * pl.flip(x, 3), 3),
    "cumulative": lambda x: pl.constant(np.tri(9)) @ x,
    "masked": lambda x: pl.conv2d(x * np.pad(np.ones((3, 4)), ((2, 4), (0, 3))), _weight(1, 2, 5, 2)),
    "chosen by a fixed mask": lambda x: pl.where(np.arange(7) < 3, x, pl.flip(x, 3)),
    "folded": lambda x: pl.fold(pl.unfold(x, (3, 2), 2) * 2.0, (9, 7), (3, 2), 2),
    "half of it": lambda x: pl.flip(x[:, :, :, :4], 3) + x[:, :, :, 3:],
    "one hot": lambda x: pl.matmul(pl.one_hot(_fixed([3, 3, x.shape[2] - 1]), x.shape[2], "float64"), x),
    "rounded": lambda x: pl.round(pl.relu(pl.average_pool2d(x, (1, 4)) - 0.7) * 100),
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_fields_are_where_changes_are_felt(name: str) -> None:
    agrees(FUNCTIONS[name])


@settings(max_examples=examples(60))
@given(st.lists(st.sampled_from(sorted(FUNCTIONS)), min_size=2, max_size=3))
@example(["adaptive", "max pool", "variance"])
@example(["folded", "masked twice"])
@example(["layer norm", "adaptive max"])
def test_fields_of_random_networks(names: list[str]) -> None:
    """Ops one after the other, as far as one takes what the other gives."""
    y = pl.input((1, 2, 9, 7), "float64", name="x")
    made: list[Callable[[pl.Tensor], pl.Tensor]] = []
    for name in names:
        if y.ndim != 4 or 1 in y.shape[2:]:
            break  # a mean of one element cancels
        try:
            y = FUNCTIONS[name](y)
        except (pl.PellucidError, ValueError):
            continue
        made.append(FUNCTIONS[name])
    if len(made) > 1 and 0 < y.size < 2000:
        agrees(lambda x: functools.reduce(lambda value, function: function(value), made, x), exact=None)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: pl.gather(x, pl.argmax(x[0, 0, :, 2:4], 0), 2),
        lambda x: pl.conv2d(x, pl.reshape(x[:, :, 2:4, 3:5], (1, 2, 2, 2))),
    ],
    ids=["picked", "weights"],
)
def test_fields_that_depend_on_values_are_the_most_that_is_possible(
    function: Callable[[pl.Tensor], pl.Tensor],
) -> None:
    agrees(function, exact=False)


def test_what_is_said_of_fields_that_are_not_exact() -> None:
    """Public answers say 'at most' of them; the summary and the trace agree with the field."""
    net = Net({"a": _conv()}, lambda n, x: pl.gather(n.a(x), pl.argmax(x[0, 0, :3, :2], 0), 2))
    image = np.random.default_rng(0).random((2, 9, 7)).astype(np.float32)
    found = pl.receptive_field(net, image, "gather", (0, 0, 0))
    assert (found.rows, found.columns, found.exact) == ((0, 9), (0, 3), False)
    assert "sees at most rows 0..8 and columns 0..2" in str(found)
    summary = net.summary((2, 9, 7))
    assert [(row.name, row.receptive_field, row.field_exact) for row in summary.rows][-1] == ("gather", (9, 7), False)
    assert "<=9x7" in str(summary)


def test_fields_of_a_layer_behind_what_moves_pixels() -> None:
    """Sizes and distances are those of the fields themselves: swapped, enlarged, normalized, and one half of the picture."""
    image = np.random.default_rng(0).random((2, 24, 18)).astype(np.float32)
    nets: dict[str, tuple[Callable[..., pl.Tensor], tuple[int, int], tuple[float | None, float | None]]] = {
        "repeated": (lambda n, x: n.a(pl.repeat(x, (1, 1, 2, 3))), (2, 2), (1 / 2, 1 / 3)),
        "slice": (lambda n, x: n.a(x[:, :, ::2, ::-3]), (5, 7), (2.0, 3.0)),
        "swapped": (lambda n, x: n.a(pl.transpose(x[:, :, ::2], (0, 1, 3, 2))), (5, 3), (0.0, 0.0)),
        "group norm": (lambda n, x: n.a(pl.group_norm(x, 2)), (24, 18), (None, None)),
    }
    for join, size, jump in nets.values():
        net = Net({"a": _conv()}, join)
        found = pl.receptive_field(net, image, "a")
        assert (found.size, found.jump, found.exact) == (size, jump, True)
        assert net.summary((2, 24, 18)).rows[-1].receptive_field == size
