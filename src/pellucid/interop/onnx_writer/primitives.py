"""How each op is said in ONNX: most by one operator of another name, the others by a function of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pellucid.errors import DTypeError
from pellucid.interop.onnx_writer.site import ELEMENTS, Inexpressible, Site
from pellucid.op import Op, common_dtype
from pellucid.ops import (
    activation,
    comparison,
    convolution,
    elementwise,
    indexing,
    pooling,
    ranges,
    reduction,
    rounding,
    shape,
    trigonometric,
)
from pellucid.ops.linear import Matmul
from pellucid.ops.window import Window

NAMES: dict[type[Op], str] = {
    activation.Relu: "Relu",
    activation.Sigmoid: "Sigmoid",
    activation.Softplus: "Softplus",
    activation.Tanh: "Tanh",
    comparison.Equal: "Equal",
    comparison.Less: "Less",
    comparison.LessEqual: "LessOrEqual",
    comparison.Maximum: "Max",
    comparison.Minimum: "Min",
    comparison.StopGradient: "Identity",
    ranges.Within: "Identity",
    comparison.Where: "Where",
    elementwise.Absolute: "Abs",
    elementwise.Add: "Add",
    elementwise.Divide: "Div",
    elementwise.Erf: "Erf",
    elementwise.Exp: "Exp",
    elementwise.Log: "Log",
    elementwise.Multiply: "Mul",
    elementwise.Negative: "Neg",
    elementwise.Power: "Pow",
    elementwise.Sign: "Sign",
    elementwise.Sqrt: "Sqrt",
    elementwise.Subtract: "Sub",
    rounding.Floor: "Floor",
    rounding.Round: "Round",
    trigonometric.Acos: "Acos",
    trigonometric.Acosh: "Acosh",
    trigonometric.Asin: "Asin",
    trigonometric.Asinh: "Asinh",
    trigonometric.Atan: "Atan",
    trigonometric.Atanh: "Atanh",
    trigonometric.Cos: "Cos",
    trigonometric.Cosh: "Cosh",
    trigonometric.Sin: "Sin",
    trigonometric.Sinh: "Sinh",
    Matmul: "MatMul",
}
"""Ops that ONNX has under these names."""

FOR_BOOL = ("Equal", "Identity", "Where")
"""Those of them that ONNX also has for bool."""

_OF_WHOLE = (rounding.Floor, rounding.Round)
"""Ops that leave whole numbers as they are, for which ONNX does not have them."""

_FUNCTIONS: dict[type[Op], Callable[[Site, Any], None]] = {}


def write_primitive(site: Site) -> None:
    """Add the operators that compute the site's node; raises `Inexpressible` where there are none."""
    op, twin = site.node.op, site.draft.twins[site.node].op
    if op != twin and not isinstance(op, shape.Reshape | shape.BroadcastTo | indexing.Slice):
        raise Inexpressible("it depends on the size of the batch, which must then be fixed (batch=)")
    name = NAMES.get(type(op))
    if site.node.dtype == "int64" and isinstance(op, _OF_WHOLE):
        site.last("Identity", *site.inputs)
    elif site.node.dtype == "int64" and isinstance(op, activation.Relu):
        site.last("Max", *site.inputs, site.constant(0, "int64"))
    elif site.node.dtype == "bool" and isinstance(op, comparison.Where):
        _where_of_bools(site)
    elif name is not None:
        if name not in FOR_BOOL and any(i.dtype == "bool" for i in site.node.inputs):
            raise Inexpressible(f"ONNX's {name} does not take bool; cast it")
        site.last(name, *_of_one_type(site))
    elif type(op) in _FUNCTIONS:
        _FUNCTIONS[type(op)](site, op)
    else:
        raise Inexpressible("ONNX has no such operator")


def _where_of_bools(site: Site) -> None:
    """(condition and a) or (not condition and b): ONNX Runtime has no Where of bools."""
    condition, a, b = site.inputs
    site.last("Or", site.step("And", condition, a), site.step("And", site.step("Not", condition), b))


def _of_one_type(site: Site) -> list[str]:
    """The inputs of a node as ONNX wants them, whole numbers beside floats as these; a condition stays as it is."""
    first = int(isinstance(site.node.op, comparison.Where))
    try:
        common = common_dtype(site.node.op.kind, site.node.inputs[first:])
    except DTypeError as error:
        raise Inexpressible(str(error)) from error
    return [
        site.step("Cast", value, to=ELEMENTS[common]) if number >= first and tensor.dtype != common else value
        for number, (tensor, value) in enumerate(zip(site.node.inputs, site.inputs, strict=True))
    ]


def writes(kind: type[Op]) -> Callable[[Callable[[Site, Any], None]], Callable[[Site, Any], None]]:
    """Register how an op is said that is more than one operator of another name."""

    def register(function: Callable[[Site, Any], None]) -> Callable[[Site, Any], None]:
        _FUNCTIONS[kind] = function
        return function

    return register


def convolution_attributes(op: Any, kernel: tuple[int, ...]) -> dict[str, Any]:
    """What ONNX wants to know of a convolution with this (kh, kw)."""
    return {**_window(op.window(kernel)), "dilations": op.dilation, "group": op.groups}


def transposed_attributes(op: Any, image: tuple[int, ...], kernel: tuple[int, ...]) -> dict[str, Any]:
    """What ONNX wants to know of a transposed convolution of images (H, W)."""
    plain = ((n - 1) * s - 2 * p + d * (k - 1) + 1 for n, s, p, d, k in
             zip(image, op.stride, op.padding, op.dilation, kernel, strict=True))  # fmt: skip
    extra = tuple(size - least for size, least in zip(op.size, plain, strict=True))
    return {**convolution_attributes(op, kernel), "output_padding": extra}


def _window(window: Window) -> dict[str, Any]:
    return {"kernel_shape": window.kernel, "strides": window.stride, "pads": (*window.padding, *window.padding)}


@writes(convolution.Conv2d)
def _conv2d(site: Site, op: convolution.Conv2d) -> None:
    site.last("Conv", *site.inputs, **convolution_attributes(op, site.node.inputs[1].shape[2:]))


@writes(convolution.ConvTranspose2d)
def _conv_transpose2d(site: Site, op: convolution.ConvTranspose2d) -> None:
    x, weight = site.node.inputs
    site.last("ConvTranspose", *site.inputs, **transposed_attributes(op, x.shape[2:], weight.shape[2:]))


@writes(convolution.Unfold)
def _unfold(site: Site, op: convolution.Unfold) -> None:
    """A convolution whose kernels pick one element each: (C * kh * kw, 1, kh, kw)."""
    (x,) = site.node.inputs
    count = op.window.kernel[0] * op.window.kernel[1]
    picks = np.tile(np.eye(count).reshape(count, 1, *op.window.kernel), (x.shape[1], 1, 1, 1))
    columns = site.step(
        "Conv",
        *site.inputs,
        site.constant(picks, x.dtype),
        **_window(op.window),
        dilations=op.window.dilation,
        group=x.shape[1],
    )
    site.last("Reshape", columns, site.integers((0, *site.node.shape[1:])))


@writes(convolution.Fold)
def _fold(site: Site, op: convolution.Fold) -> None:
    window = op.window
    pads = (*window.padding, *window.padding)
    sizes = site.integers(op.size), site.integers(window.kernel)
    site.last("Col2Im", *site.inputs, *sizes, pads=pads, strides=window.stride, dilations=window.dilation)


@writes(pooling.MaxPool2d)
def _max_pool2d(site: Site, op: pooling.MaxPool2d) -> None:
    spread = {"dilations": op.window.dilation} if op.window.dilation != (1, 1) else {}
    site.last("MaxPool", *site.inputs, **_window(op.window), **spread)


@writes(pooling.AveragePool2d)
def _average_pool2d(site: Site, op: pooling.AveragePool2d) -> None:
    site.last("AveragePool", *site.inputs, **_window(op.window), count_include_pad=int(op.count_padding))


@writes(elementwise.Expm1)
def _expm1(site: Site, op: elementwise.Expm1) -> None:
    """e^x - 1 = tanh(x / 2) * (e^x + 1), which is exact near 0 and overflows only where e^x does."""
    (x,), dtype = site.inputs, site.node.dtype
    half = site.step("Tanh", site.step("Mul", x, site.constant(0.5, dtype)))
    site.last("Mul", half, site.step("Add", site.step("Exp", x), site.constant(1.0, dtype)))


@writes(elementwise.Log1p)
def _log1p(site: Site, op: elementwise.Log1p) -> None:
    """log(1 + x) = 2 atanh(x / (2 + x)), which is exact near 0; farther away 1 + x loses nothing."""
    (x,), dtype = site.inputs, site.node.dtype
    half = site.step("Atanh", site.step("Div", x, site.step("Add", x, site.constant(2.0, dtype))))
    near = site.step("Less", site.step("Abs", x), site.constant(0.5, dtype))
    far = site.step("Log", site.step("Add", x, site.constant(1.0, dtype)))
    site.last("Where", near, site.step("Add", half, half), far)


@writes(rounding.Remainder)
def _remainder(site: Site, op: rounding.Remainder) -> None:
    """ONNX has for floats what a division leaves with the sign of a: where that is not the sign of b, b is added."""
    (a, b), dtype = _of_one_type(site), site.node.dtype
    if dtype == "int64":
        site.last("Mod", a, b)
        return
    rest = site.step("Mod", a, b, fmod=1)
    signs = site.step("Mul", site.step("Sign", rest), site.step("Sign", b))
    opposite = site.step("Less", signs, site.constant(0.0, dtype))
    site.last("Where", opposite, site.step("Add", rest, b), rest)


@writes(comparison.NotEqual)
def _not_equal(site: Site, op: comparison.NotEqual) -> None:
    site.last("Not", site.step("Equal", *_of_one_type(site)))


@writes(comparison.Clip)
def _clip(site: Site, op: comparison.Clip) -> None:
    dtype = site.node.dtype
    site.last("Clip", *site.inputs, site.constant(op.low, dtype), site.constant(op.high, dtype))


@writes(comparison.Cast)
def _cast(site: Site, op: comparison.Cast) -> None:
    site.last("Cast", *site.inputs, to=ELEMENTS[op.to])


@writes(reduction.Sum)
def _sum(site: Site, op: reduction.Sum) -> None:
    _reduce(site, "ReduceSum", op)


@writes(reduction.Max)
def _max(site: Site, op: reduction.Max) -> None:
    _reduce(site, "ReduceMax", op)


def _reduce(site: Site, kind: str, op: reduction.Sum | reduction.Max) -> None:
    if kind == "ReduceSum" and site.node.dtype == "bool":
        raise Inexpressible("ONNX does not add bool; cast it")
    if not op.axes:  # ONNX takes no axes for all axes
        site.last("Identity", *site.inputs)
    else:
        site.last(kind, *site.inputs, site.integers(op.axes), keepdims=int(op.keepdims))


@writes(reduction.Argmax)
def _argmax(site: Site, op: reduction.Argmax) -> None:
    (x,) = site.inputs
    numbers = site.step("Cast", x, to=ELEMENTS["int64"]) if site.node.inputs[0].dtype == "bool" else x
    site.last("ArgMax", numbers, axis=op.axis, keepdims=int(op.keepdims))


@writes(reduction.Variance)
def _variance(site: Site, op: reduction.Variance) -> None:
    (x,) = site.inputs
    if not op.axes:
        site.last("Sub", x, x)
        return
    axes = site.integers(op.axes)
    centered = site.step("Sub", x, site.step("ReduceMean", x, axes, keepdims=1))
    site.last("ReduceMean", site.step("Mul", centered, centered), axes, keepdims=int(op.keepdims))


@writes(shape.Reshape)
def _reshape(site: Site, op: shape.Reshape) -> None:
    (x,) = site.node.inputs
    before, after = site.draft.sizes(x), site.draft.sizes(site.node)
    if None not in after:
        site.last("Reshape", *site.inputs, site.integers(op.to), allowzero=int(0 in op.to))
        return
    kept = [axis for axis, size in enumerate(after) if size is None and _same_axis(site, axis)]
    to = [0 if axis in kept else -1 if size is None else size for axis, size in enumerate(after)]
    if to.count(-1) > 1 or 0 in after:
        raise Inexpressible(
            f"more than one axis of {op.to} depends on the size of the batch, which must be fixed (batch=)"
        )
    assert None in before
    site.last("Reshape", *site.inputs, site.integers(to))


def _same_axis(site: Site, axis: int) -> bool:
    """Whether an axis has the same size before and after, in both twins."""
    pairs = ((n.inputs[0].shape, n.shape) for n in (site.node, site.draft.twins[site.node]))
    return all(axis < len(before) and before[axis] == after[axis] for before, after in pairs)


@writes(shape.BroadcastTo)
def _broadcast_to(site: Site, op: shape.BroadcastTo) -> None:
    (x,) = site.node.inputs
    before, after = site.draft.sizes(x), site.draft.sizes(site.node)
    extra = len(after) - len(before)
    to = [1 if axis >= extra and before[axis - extra] is None else size for axis, size in enumerate(after)]
    sizes = [size for size in to if size is not None]
    if len(sizes) < len(to):
        raise Inexpressible("it repeats values for each element of the batch, whose size must then be fixed (batch=)")
    site.last("Expand", *site.inputs, site.integers(sizes))


@writes(shape.Transpose)
def _transpose(site: Site, op: shape.Transpose) -> None:
    site.last("Transpose", *site.inputs, perm=op.axes)


@writes(shape.Concat)
def _concat(site: Site, op: shape.Concat) -> None:
    site.last("Concat", *site.inputs, axis=op.axis)


@writes(shape.Flip)
def _flip(site: Site, op: shape.Flip) -> None:
    ones = (1,) * len(op.axes)
    backwards = [-n for n in ones]
    stops = [np.iinfo(np.int64).min for _ in ones]
    rows = (backwards, stops, op.axes, backwards)
    site.last("Slice", *site.inputs, *(site.integers(row) for row in rows))


@writes(indexing.Slice)
def _slice(site: Site, op: indexing.Slice) -> None:
    (x,), twin = site.node.inputs, site.draft.twins[site.node]
    cut = [axis for axis in range(x.ndim) if not _is_whole(op, x.shape, axis)]
    assert isinstance(twin.op, indexing.Slice)
    fields = ("starts", "stops", "steps")
    if any(getattr(op, f)[a] != getattr(twin.op, f)[a] for f in fields for a in cut):
        raise Inexpressible("where it cuts depends on the size of the batch, which must then be fixed (batch=)")
    if not cut:
        site.last("Identity", *site.inputs)
        return
    starts, stops, steps = ([getattr(op, f)[a] for a in cut] for f in fields)
    site.last("Slice", *site.inputs, *(site.integers(row) for row in (starts, stops, cut, steps)))


def _is_whole(op: indexing.Slice, sizes: tuple[int, ...], axis: int) -> bool:
    return (op.starts[axis], op.stops[axis], op.steps[axis]) == (0, sizes[axis], 1)


@writes(indexing.Pad)
def _pad(site: Site, op: indexing.Pad) -> None:
    widths = site.integers((*op.before, *op.after))
    site.last("Pad", *site.inputs, widths, site.constant(op.value, site.node.dtype), mode="constant")


@writes(indexing.Gather)
def _gather(site: Site, op: indexing.Gather) -> None:
    site.last("Gather", *site.inputs, axis=op.axis)
