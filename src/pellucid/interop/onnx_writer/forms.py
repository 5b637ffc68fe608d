"""What is one operator in ONNX and several ops here: the ways in which networks and files make it, and how it is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from pellucid import ops
from pellucid.graph import Constant, Tensor, constant
from pellucid.interop.onnx_writer.site import Site
from pellucid.interop.roots import root
from pellucid.op import Shape
from pellucid.ops.comparison import Clip
from pellucid.ops.convolution import Conv2d, ConvTranspose2d
from pellucid.ops.indexing import Gather
from pellucid.ops.pooling import AveragePool2d, MaxPool2d
from pellucid.ops.ranges import from_front
from pellucid.ops.reduction import Argmax, Max, Sum
from pellucid.ops.shape import Transpose
from pellucid.templates import Match, Pattern, TemplateMatch

_ROWS, _IMAGE, _SIGNAL, _VECTOR = (2, 4), (2, 4, 3, 3), (2, 4, 3), (4,)
_ALPHA = {"alpha": 0.375}


def _alpha(found: TemplateMatch) -> dict[str, Any]:
    return {"alpha": found.value(0.375)}


def _positive_alpha(found: TemplateMatch) -> dict[str, Any]:
    if found.value(0.375) <= 0:
        raise ValueError("another sign of x / alpha chooses the other branch")
    return _alpha(found)


def _hard_sigmoid(x: Tensor, alpha: float, beta: float, open: bool) -> Tensor:
    return ops.clip(x * alpha + beta, 0, 1, open)


def _hard_sigmoid_found(found: TemplateMatch) -> dict[str, Any]:
    return {"alpha": found.value(0.375), "beta": found.value(0.625), "open": found.op(Clip).open}


def _shrink(x: Tensor, lambd: float, bias: float) -> Tensor:
    return ops.where(x < -lambd, x + bias, ops.where(x > lambd, x - bias, 0.0))


def _celu(x: Tensor, alpha: float) -> Tensor:
    return ops.where(x > 0, x, ops.expm1(ops.where(x > 0, 0.0, x) * (1 / alpha)) * alpha)


def _not_a_number(found: TemplateMatch) -> dict[str, Any]:
    return _of_type(found, "float")


def _times(large: int, small: int) -> int:
    """How often one size is in another; a ValueError where it is not."""
    if small < 1 or large % small:
        raise ValueError(f"{large} is no multiple of {small}")
    return large // small


def _of_type(found: TemplateMatch, start: str) -> dict[str, Any]:
    if not found.tensors["x"].dtype.startswith(start):
        raise ValueError(f"is for {start} alone")
    return {}


def _prelu_found(found: TemplateMatch) -> dict[str, Any]:
    x, slope = found.tensors["x"], found.tensors["slope"]
    if found.root.shape != x.shape or isinstance(slope.op, Constant):
        raise ValueError("the slope is one number, or makes x larger")
    return {}


PRELU = Pattern(
    "PRelu",
    lambda x, slope: ops.where(x > 0, x, x * slope),
    {"x": _ROWS, "slope": _VECTOR},
    recover=_prelu_found,
)
ACTIVATIONS = (
    Pattern("HardSigmoid", _hard_sigmoid, {"x": _ROWS}, {**_ALPHA, "beta": 0.625, "open": False}, _hard_sigmoid_found),
    Pattern("HardSigmoid", lambda x: ops.clip(x + 3.0, 0, 6, open=True) * (1 / 6), {"x": _ROWS}),
    Pattern("Celu", lambda x, alpha: ops.elu(x / alpha, 1.0) * alpha, {"x": _ROWS}, _ALPHA, _positive_alpha),
    Pattern("Celu", _celu, {"x": _ROWS}, _ALPHA, _alpha),
    Pattern("Softsign", lambda x: x / (ops.absolute(x) + 1.0), {"x": _ROWS}),
    Pattern("ThresholdedRelu", lambda x, alpha: ops.where(x > alpha, x, 0.0), {"x": _ROWS}, _ALPHA, _alpha),
    Pattern(
        "Shrink",
        _shrink,
        {"x": _ROWS},
        {"lambd": 0.375, "bias": 0.625},
        lambda found: {"lambd": found.value(0.375), "bias": found.value(0.625)},
    ),
    Pattern("Sqrt", root, {"x": _ROWS}),
    *(Pattern(kind, getattr(ops, kind.lower()), {"x": _ROWS}) for kind in ("Ceil", "Tan")),
    Pattern("IsNaN", lambda x: ops.not_equal(x, x), {"x": _ROWS}, {}, _not_a_number),
    Pattern(
        "Not",
        lambda x: ops.equal(x, constant(np.array(False))),
        {"x": _ROWS},
        {},
        lambda found: _of_type(found, "bool"),
        {"x": "bool"},
    ),
)


def _over(kind: type[Sum] | type[Max]) -> Callable[[TemplateMatch], dict[str, Any]]:
    """The axes of a reduction, which must be some: to ONNX none are all."""

    def recover(found: TemplateMatch) -> dict[str, Any]:
        op = found.op(kind)
        if not op.axes:
            raise ValueError("a reduction over no axis")
        return {"axis": op.axes, "keepdims": op.keepdims}

    return recover


_OVER = {"axis": 1, "keepdims": False}
REDUCTIONS = (
    Pattern("ReduceL2", lambda x, **over: ops.sqrt(ops.sum(x * x, **over)), {"x": _ROWS}, _OVER, _over(Sum)),
    Pattern("ReduceL2", lambda x, **over: root(ops.sum(x * x, **over)), {"x": _ROWS}, _OVER, _over(Sum)),
    Pattern("ReduceLogSum", lambda x, **over: ops.log(ops.sum(x, **over)), {"x": _ROWS}, _OVER, _over(Sum)),
    Pattern("ReduceL1", lambda x, **over: ops.sum(ops.absolute(x), **over), {"x": _ROWS}, _OVER, _over(Sum)),
    Pattern("ReduceSumSquare", lambda x, **over: ops.sum(x * x, **over), {"x": _ROWS}, _OVER, _over(Sum)),
    Pattern("ReduceMin", lambda x, **over: -ops.max(-x, **over), {"x": _ROWS}, _OVER, _over(Max)),
    Pattern(
        "ArgMin",
        lambda x, axis, keepdims: ops.argmax(-x, axis, keepdims),
        {"x": _ROWS},
        _OVER,
        lambda found: {"axis": found.op(Argmax).axis, "keepdims": found.op(Argmax).keepdims},
    ),
)


def _depth_to_space(x: Tensor, blocksize: int, mode: str) -> Tensor:
    n, c, h, w = x.shape
    b, inner = blocksize, c // blocksize**2
    split, order = ((inner, b, b), (0, 1, 4, 2, 5, 3)) if mode == "CRD" else ((b, b, inner), (0, 3, 4, 1, 5, 2))
    return ops.reshape(ops.transpose(ops.reshape(x, (n, *split, h, w)), order), (n, inner, h * b, w * b))


def _depth_to_space_found(found: TemplateMatch) -> dict[str, Any]:
    mode = "CRD" if found.op(Transpose).axes[1] == 1 else "DCR"
    return {"blocksize": _times(found.root.shape[2], found.tensors["x"].shape[2]), "mode": mode}


def _space_to_depth(x: Tensor, blocksize: int) -> Tensor:
    n, c, h, w = x.shape
    b = blocksize
    y = ops.transpose(ops.reshape(x, (n, c, h // b, b, w // b, b)), (0, 3, 5, 1, 2, 4))
    return ops.reshape(y, (n, c * b * b, h // b, w // b))


def _tile(x: Tensor, repeats: tuple[int, ...]) -> Tensor:
    split = [part for n in x.shape for part in (1, n)]
    wide = [part for n, t in zip(x.shape, repeats, strict=True) for part in (t, n)]
    return ops.reshape(
        ops.broadcast_to(ops.reshape(x, split), wide), [n * t for n, t in zip(x.shape, repeats, strict=True)]
    )


def _tile_found(found: TemplateMatch) -> dict[str, Any]:
    x = found.tensors["x"]
    return {"repeats": tuple(_times(m, n) for n, m in zip(x.shape, found.root.shape, strict=True))}


MOVES = (
    Pattern("DepthToSpace", _depth_to_space, {"x": _IMAGE}, {"blocksize": 2, "mode": "DCR"}, _depth_to_space_found),
    Pattern(
        "SpaceToDepth",
        _space_to_depth,
        {"x": (2, 4, 4, 4)},
        {"blocksize": 2},
        lambda found: {"blocksize": _times(found.tensors["x"].shape[2], found.root.shape[2])},
    ),
    Pattern("Tile", _tile, {"x": _ROWS}, {"repeats": (2, 2)}, _tile_found),
    Pattern(
        "Gather",
        lambda x, indices, axis: ops.gather(x, from_front(indices, x.shape[axis]), axis),
        {"x": _ROWS, "indices": _VECTOR},
        {"axis": 0},
        lambda found: {"axis": found.op(Gather).axis},
        {"indices": "int64"},
    ),
)


def _wide(x: Tensor) -> Tensor:
    return ops.reshape(x, (*x.shape[:2], 1, x.shape[2]))


def _narrow(x: Tensor) -> Tensor:
    return ops.reshape(x, (*x.shape[:2], x.shape[3]))


def _conv1d(x: Tensor, weight: Tensor, bias: Tensor | None = None, **geometry: Any) -> Tensor:
    return _narrow(ops.conv2d(_wide(x), _wide(weight), bias, **geometry))


def _conv1d_found(found: TemplateMatch) -> dict[str, Any]:
    op = found.op(Conv2d)
    return {"stride": op.stride, "padding": op.padding, "dilation": op.dilation, "groups": op.groups}


def _conv_transpose1d(x: Tensor, weight: Tensor, bias: Tensor | None = None, **geometry: Any) -> Tensor:
    return _narrow(ops.conv_transpose2d(_wide(x), _wide(weight), bias, **geometry))


def _conv_transpose1d_found(found: TemplateMatch) -> dict[str, Any]:
    op = found.op(ConvTranspose2d)
    known: dict[str, Any] = {n: getattr(op, n) for n in ("stride", "padding", "dilation", "groups")}
    plain = ops.conv_transpose2d(_wide(found.tensors["x"]), _wide(found.tensors["weight"]), None, **known).shape[2:]
    return {**known, "output_padding": (op.size[0] - plain[0], op.size[1] - plain[1])}


def _max_pool1d(x: Tensor, **geometry: Any) -> Tensor:
    return _narrow(ops.max_pool2d(_wide(x), **geometry))


def _average_pool1d(x: Tensor, **geometry: Any) -> Tensor:
    return _narrow(ops.average_pool2d(_wide(x), **geometry))


def _pool_found(kind: type[MaxPool2d] | type[AveragePool2d]) -> Callable[[TemplateMatch], dict[str, Any]]:
    def recover(found: TemplateMatch) -> dict[str, Any]:
        op = found.op(kind)
        window = op.window
        known: dict[str, Any] = {"kernel_size": window.kernel, "stride": window.stride, "padding": window.padding}
        if isinstance(op, AveragePool2d):
            return {**known, "count_include_pad": op.count_padding}
        return {**known, "dilation": window.dilation}

    return recover


def _of_signals(
    name: str, call: Callable[..., Tensor], recover: Callable[[TemplateMatch], dict[str, Any]]
) -> list[Pattern]:
    shapes: Mapping[str, Shape] = {"x": _SIGNAL, "weight": (4, 4, 1)}
    return [Pattern(name, call, {**shapes, **bias}, {}, recover) for bias in ({"bias": _VECTOR}, {})]


_WINDOW = {"kernel_size": (1, 2), "stride": (1, 1), "padding": (0, 0)}
SIGNALS = (
    *_of_signals("conv1d", _conv1d, _conv1d_found),
    *_of_signals("conv_transpose1d", _conv_transpose1d, _conv_transpose1d_found),
    Pattern("max_pool1d", _max_pool1d, {"x": _SIGNAL}, _WINDOW, _pool_found(MaxPool2d)),
    Pattern("average_pool1d", _average_pool1d, {"x": _SIGNAL}, _WINDOW, _pool_found(AveragePool2d)),
)
"""Layers over one axis, which are layers over rows of pixels here."""


def write_window1d(site: Site, match: Match) -> None:
    """A convolution or pooling over one axis."""
    known = match.attributes
    kinds = {
        "conv1d": "Conv",
        "conv_transpose1d": "ConvTranspose",
        "max_pool1d": "MaxPool",
        "average_pool1d": "AveragePool",
    }
    weight = match.tensors.get("weight")
    kernel = weight.shape[2] if weight is not None else known["kernel_size"][1]
    attributes: dict[str, Any] = {
        "kernel_shape": (kernel,),
        "strides": known["stride"][1:],
        "pads": known["padding"][1:] * 2,
    }
    if "groups" in known:
        attributes["group"] = known["groups"]
    if "dilation" in known and (weight is not None or known["dilation"][1] != 1):
        attributes["dilations"] = known["dilation"][1:]
    if "output_padding" in known:
        attributes["output_padding"] = known["output_padding"][1:]
    if "count_include_pad" in known:
        attributes["count_include_pad"] = int(known["count_include_pad"])
    names = (name for name in ("x", "weight", "bias") if name in match.tensors)
    site.last(kinds[match.name], *(site.value(match.tensors[name]) for name in names), **attributes)


def is_over_one_axis(match: Match) -> bool:
    """Whether the row of pixels is one pixel high for the window too."""
    known = match.attributes
    return known["stride"][0] == 1 and known["padding"][0] == 0 and known.get("kernel_size", (1,))[0] == 1


FORMS = (PRELU, *REDUCTIONS, *ACTIVATIONS, *MOVES, *SIGNALS)
