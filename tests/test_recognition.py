"""Composites are found in graphs with exactly their arguments, and nothing else is taken for one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn, ops, recognition
from pellucid.graph import Tensor, input
from pellucid.op import Shape
from pellucid.recognition import PATTERNS, find_composites

IMAGE, CHANNELS = (2, 6, 5, 4), {"weight": (6,), "bias": (6,)}
STATISTICS = {"mean": (6,), "variance": (6,)}
GEOMETRY = {"stride": (2, 1), "padding": (1, 0), "dilation": (1, 2), "groups": 2}
BOXES: dict[str, Shape] = {"boxes": (5, 4), "pictures": (5,)}
SIDES = {"before": (0, 1), "after": (1, 1), "stride": (2, 1)}

CASES: list[tuple[str, dict[str, Shape], dict[str, Any]]] = [
    ("conv2d", {"x": IMAGE, "weight": (4, 3, 3, 2), "bias": (4,)}, GEOMETRY),
    ("padded_conv2d", {"x": IMAGE, "weight": (4, 3, 3, 2), "bias": (4,)}, {**SIDES, "dilation": (1, 2), "groups": 2}),
    ("padded_conv2d", {"x": IMAGE, "weight": (4, 6, 3, 3)}, {**SIDES, "dilation": (1, 1), "groups": 1}),
    ("padded_max_pool2d", {"x": IMAGE}, {**SIDES, "kernel_size": (3, 2), "dilation": (1, 2)}),
    ("conv_transpose2d", {"x": IMAGE, "weight": (6, 2, 3, 2), "bias": (4,)}, {**GEOMETRY, "output_padding": (1, 0)}),
    ("linear", {"x": (2, 6), "weight": (5, 6), "bias": (5,)}, {}),
    ("linear", {"x": (2, 6), "weight": (5, 6)}, {}),
    ("batch_norm", {"x": IMAGE, **CHANNELS, **STATISTICS}, {"epsilon": 1e-3}),
    ("batch_norm", {"x": (2, 6), **CHANNELS, **STATISTICS}, {"epsilon": 1e-5}),
    ("batch_norm", {"x": IMAGE, "weight": (6,), "bias": None, **STATISTICS}, {"epsilon": 1e-5}),
    ("batch_norm", {"x": IMAGE, "weight": None, "bias": (6,), **STATISTICS}, {"epsilon": 1e-5}),
    ("batch_norm", {"x": IMAGE, "weight": None, "bias": None, **STATISTICS}, {"epsilon": 1e-5}),
    ("group_norm", {"x": IMAGE, **CHANNELS}, {"num_groups": 3, "epsilon": 1e-5}),
    ("group_norm", {"x": IMAGE}, {"num_groups": 2, "epsilon": 0.1}),
    ("layer_norm", {"x": IMAGE, "weight": (5, 4), "bias": (5, 4)}, {"normalized_ndim": 2, "epsilon": 1e-5}),
    ("layer_norm", {"x": IMAGE}, {"normalized_ndim": 3, "epsilon": 1e-5}),
    ("local_response_norm", {"x": IMAGE}, {"size": 5, "alpha": 1e-4, "beta": 0.75, "k": 2.0}),
    ("local_response_norm", {"x": IMAGE}, {"size": 4, "alpha": 0.3, "beta": 0.5, "k": 1.0}),
    ("hard_swish", {"x": IMAGE}, {}),
    ("selu", {"x": IMAGE}, {}),
    ("mish", {"x": IMAGE}, {}),
    ("silu", {"x": IMAGE}, {}),
    ("gelu", {"x": IMAGE}, {"approximate": "none"}),
    ("gelu", {"x": IMAGE}, {"approximate": "tanh"}),
    ("elu", {"x": IMAGE}, {"alpha": 0.7}),
    ("leaky_relu", {"x": IMAGE}, {"slope": 0.2}),
    ("prelu", {"x": IMAGE, "weight": (6,)}, {}),
    ("prelu", {"x": IMAGE, "weight": (1,)}, {}),
    ("softmax", {"x": IMAGE}, {"axis": 1}),
    ("log_softmax", {"x": IMAGE}, {"axis": 3}),
    ("log_sum_exp", {"x": IMAGE}, {"axis": (1, 2), "keepdims": True}),
    ("log_sum_exp", {"x": IMAGE}, {"axis": (0,), "keepdims": False}),
    ("global_average_pool2d", {"x": IMAGE}, {}),
    ("global_max_pool2d", {"x": IMAGE}, {}),
    ("mean", {"x": IMAGE}, {"axis": (0, 1, 2, 3), "keepdims": False}),
    ("mean", {"x": IMAGE}, {"axis": (1,), "keepdims": True}),
    ("flatten", {"x": IMAGE}, {}),
    ("grid_sample", {"x": IMAGE, "grid": (2, 3, 4, 2)}, {"mode": "bicubic", "padding_mode": "border", "align_corners": True}),
    ("grid_sample", {"x": IMAGE, "grid": (2, 1, 4, 2)}, {"mode": "nearest", "padding_mode": "zeros", "align_corners": False}),
    ("grid_sample", {"x": (1, 2, 3, 4, 5), "grid": (1, 2, 2, 2, 3)}, {"mode": "bilinear", "padding_mode": "reflection", "align_corners": True}),
    ("non_max_suppression", {"boxes": (2, 7, 4), "scores": (2, 3, 7)}, {"most": 3, "overlap": 0.5, "least": 0.25, "center": True}),
    ("nonzero", {"x": IMAGE}, {}),
    ("roi_align", {"x": IMAGE, **BOXES}, {"output_size": (3, 2), "spatial_scale": 0.5, "sampling_ratio": 2, "aligned": False, "mode": "max"}),
    ("roi_max_pool", {"x": IMAGE, **BOXES}, {"output_size": (3, 2), "spatial_scale": 0.25}),
]  # fmt: skip


def build(
    name: str, shapes: Mapping[str, Shape | None], attributes: Mapping[str, Any], dtype: str = "float32"
) -> tuple[Tensor, dict[str, Tensor]]:
    types = {"pictures": "int64"}
    given = {n: None if shape is None else input(shape, types.get(n, dtype), n) for n, shape in shapes.items()}
    function = getattr(ops, name, None) or getattr(recognition, name)
    return function(**given, **attributes), {n: t for n, t in given.items() if t is not None}


def test_every_pattern_is_in_the_table() -> None:
    assert {p.name for p in PATTERNS} == {name for name, _, _ in CASES}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("name", "shapes", "attributes"), CASES, ids=[f"{c[0]}-{i}" for i, c in enumerate(CASES)])
def test_composites_are_found_with_their_arguments(
    name: str, shapes: dict[str, Shape], attributes: dict[str, Any], dtype: str
) -> None:
    y, tensors = build(name, shapes, attributes, dtype)
    found = find_composites([pl.relu(y)])
    assert list(found) == [y]
    match = found[y]
    assert match.name == name
    assert all(match.tensors[n] is t for n, t in tensors.items())
    assert match.tensors.keys() == tensors.keys()
    assert match.attributes.keys() == attributes.keys()
    exactly = {n: v if isinstance(v, str | tuple | int) else float(np.asarray(v, dtype)) for n, v in attributes.items()}
    assert dict(match.attributes) == exactly
    assert match.inside == set(pl.Graph([y]).nodes) - set(tensors.values())


def _near_misses() -> list[tuple[str, Callable[[Tensor], Tensor]]]:
    vector, other = input((6,), name="v"), input((6,), name="w")
    column = vector.reshape(1, 6, 1, 1)
    raised = lambda x: pl.exp(x - pl.stop_gradient(pl.max(x, 1, keepdims=True)))  # noqa: E731
    return [
        ("softmax over two axes", lambda x: raised(x) / pl.sum(raised(x), 1, keepdims=True)),
        ("softmax whose sum runs along another axis", lambda x: (r := raised(x)) / pl.sum(r, 2, keepdims=True)),
        ("mean with another divisor", lambda x: pl.sum(x, (2, 3), keepdims=True) * (1 / 21)),
        ("batch norm by variance without root", lambda x: (x - column) / (other.reshape(1, 6, 1, 1) + 1e-5)),
        ("hard swish with other bounds", lambda x: x * (pl.clip(x + 3.0, 0.0, 5.0) * (1 / 6))),
        ("silu of another tensor", lambda x: (x + 1) * pl.sigmoid(x)),
        ("leaky relu that looks at another tensor", lambda x: pl.where(x + 1 > 0, x, x * 0.1)),
        ("leaky relu with a tensor for a slope", lambda x: pl.where(x > 0, x, x * column)),
        ("a matrix product the other way round", lambda x: x @ input((4, 3))),
        ("flatten from another axis", lambda x: x.reshape(12, 20)),
        ("padding that is even", lambda x: pl.conv2d(pl.pad(x, [(0, 0), (0, 0), (1, 1), (1, 1)]), input((4, 6, 3, 3)))),
        ("a pool over zeros", lambda x: pl.max_pool2d(pl.pad(x, [(0, 0), (0, 0), (0, 1), (0, 1)]), 2)),
        ("padding of channels", lambda x: pl.conv2d(pl.pad(x, [(0, 0), (0, 1), (0, 0), (0, 0)]), input((4, 7, 3, 3)))),
        ("maximum of some axes", lambda x: pl.max(x, (1, 2), keepdims=True)),
    ]


@pytest.mark.parametrize(("what", "call"), _near_misses(), ids=[case[0] for case in _near_misses()])
def test_near_misses_are_not_found(what: str, call: Callable[[Tensor], Tensor]) -> None:
    assert not find_composites([call(input(IMAGE, name="x"))])


def test_a_composite_whose_inside_is_read_elsewhere_is_left_as_it_is() -> None:
    x, weight, bias = input((2, 3)), input((4, 3)), input((4,))
    product = pl.linear(x, weight)
    y = product + bias
    (alone,) = find_composites([y]).values()
    assert alone.tensors.keys() == {"x", "weight", "bias"}
    (shared,) = find_composites([y, pl.relu(product)]).values()
    assert shared.root is product
    assert list(find_composites([y, product])) == [product]


def test_the_largest_composite_counts() -> None:
    x = input(IMAGE)
    assert [m.name for m in find_composites([pl.log_softmax(x, 1)]).values()] == ["log_softmax"]
    assert [m.name for m in find_composites([pl.selu(x)]).values()] == ["selu"]


def test_what_is_found_in_a_network() -> None:
    net = nn.models.build("resnet18", image_size=64).eval()
    found = find_composites(net.graph((2, 3, 64, 64)).outputs)
    counts = Counter(match.name for match in found.values())
    assert counts == {"batch_norm": 20, "global_average_pool2d": 1, "flatten": 1, "linear": 1}
