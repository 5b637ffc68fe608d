"""Convolution, its two adjoints (transposed convolution and the weight's gradient), and locally connected layers.

The three primitives are closed under differentiation: each is linear in both of its inputs, and every gradient of one
is another of the three.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.errors import ShapeError
from pellucid.graph import Tensor, apply, of_arrays
from pellucid.op import FLOATS, NUMBERS, Array, Cost, Op, OpSample, Products, Shape, Term, composite, traffic
from pellucid.ops.indexing import pad
from pellucid.ops.linear import matmul
from pellucid.ops.shape import reshape, transpose
from pellucid.ops.window import Pair, Window, pair, require_image
from pellucid.whole_numbers import whole


def _wave(*shape: int) -> Array:
    return np.sin(np.arange(float(np.prod(shape))) * 1.3 + 0.2).reshape(shape)


@dataclass(frozen=True)
class _Convolution(Op, registered=False):
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1

    def window(self, kernel: Pair) -> Window:
        return Window(kernel, self.stride, self.padding, self.dilation)

    def columns(self, x: Array, kernel: Pair, size: Pair) -> Array:
        """Windows of x as (N, G, C/G * kh * kw, OH * OW)."""
        columns = self.window(kernel).unfold(x, size)
        per_group = x.shape[1] // self.groups * kernel[0] * kernel[1]
        return columns.reshape(x.shape[0], self.groups, per_group, size[0] * size[1])

    def weight_matrices(self, weight: Array) -> Array:
        """(O, C/G, kh, kw) -> (G, O/G, C/G * kh * kw)"""
        return weight.reshape(self.groups, weight.shape[0] // self.groups, math.prod(weight.shape[1:]))

    def grouped(self, array: Array) -> Array:
        """(A, G * B, ...) -> (A, G, B, ...)"""
        return array.reshape(array.shape[0], self.groups, array.shape[1] // self.groups, *array.shape[2:])

    def pixels(self, y: Array) -> Array:
        """(N, O, OH, OW) -> (N, G, O/G, OH * OW)"""
        return y.reshape(y.shape[0], self.groups, y.shape[1] // self.groups, y.shape[2] * y.shape[3])

    def torch_arguments(self) -> dict[str, Any]:
        return {"stride": self.stride, "padding": self.padding, "dilation": self.dilation, "groups": self.groups}


@dataclass(frozen=True)
class Conv2d(_Convolution):
    """y[n,o,i,j] = sum over c,u,v of w[o,c,u,v] * x[n,c, i*s + u*d - p, j*s + v*d - p]; w is (O, C/groups, kh, kw)"""

    takes = NUMBERS

    def shape(self, *inputs: Tensor) -> Shape:
        x, w = inputs
        require_image("conv2d", x)
        if w.ndim != 4:
            raise ShapeError(f"conv2d: weight {w.name!r} must be (O, C/groups, kh, kw), got {w.shape}")
        if w.shape[1] * self.groups != x.shape[1]:
            raise ShapeError(
                f"conv2d: weight {w.name!r} {w.shape} wants {w.shape[1] * self.groups} input channels, got {x.shape[1]} (from {x.name!r})"
            )
        if w.shape[0] % self.groups:
            raise ShapeError(f"conv2d: {w.shape[0]} output channels do not split into {self.groups} groups")
        size = self.window((w.shape[2], w.shape[3])).output_size("conv2d", (x.shape[2], x.shape[3]))
        return (x.shape[0], w.shape[0], *size)

    def reference(self, *arrays: Array) -> Array:
        x, w = arrays
        kernel = w.shape[2], w.shape[3]
        size = self.window(kernel).output_size("conv2d", (x.shape[2], x.shape[3]))
        y = np.matmul(self.weight_matrices(w), self.columns(x, kernel, size))
        return y.reshape(x.shape[0], w.shape[0], *size)

    def gradient(self, node: Tensor, upstream: Tensor) -> tuple[Tensor | None, ...]:
        x, w = node.inputs
        return _input_gradient(self, upstream, w, x), _weight_gradient(self, x, upstream, w)

    def terms(self, node: Tensor, index: tuple[int, ...], *arrays: Array) -> Sequence[Term]:
        x, w = arrays
        n, o, i, j = index
        first = o // (w.shape[0] // self.groups) * w.shape[1]
        inside = self.window((w.shape[2], w.shape[3])).inside(i, j, (x.shape[2], x.shape[3]))
        u, v, row, column = np.array([(*at, *place) for at, place in inside], int).reshape(-1, 4).T
        c = np.repeat(np.arange(w.shape[1]), len(u))
        u, v, row, column = (np.tile(axis, w.shape[1]) for axis in (u, v, row, column))
        return Products.of(arrays, (n, first + c, row, column), (o, c, u, v))

    def cost(self, node: Tensor) -> Cost:
        _, per_group, height, width = node.inputs[1].shape
        return Cost(2 * node.size * per_group * height * width, traffic(node))

    def torch(self, torch: Any, *tensors: Any) -> Any:
        return torch.nn.functional.conv2d(*tensors, None, **self.torch_arguments())

    @classmethod
    def samples(cls) -> list[OpSample]:
        x = _wave(2, 4, 5, 6)
        return [
            OpSample(conv2d, (x, _wave(3, 4, 3, 2))),
            OpSample(lambda x, w: conv2d(x, w, stride=2, padding=1), (x, _wave(3, 4, 3, 3)), "stride-padding"),
            OpSample(lambda x, w: conv2d(x, w, padding=(2, 0), dilation=(2, 1)), (x, _wave(2, 4, 3, 2)), "dilation"),
            OpSample(lambda x, w: conv2d(x, w, groups=2, stride=(1, 2)), (x, _wave(6, 2, 2, 3)), "groups"),
            OpSample(lambda x, w: conv2d(x, w, groups=4, padding=1), (x, _wave(4, 1, 3, 3)), "depthwise"),
            OpSample(conv2d, (x, _wave(2, 4, 1, 1)), "pointwise"),
            OpSample(conv2d, (x, _wave(2, 4, 5, 6)), "whole-image"),
            OpSample(lambda x, w, b: conv2d(x, w, b), (x, _wave(3, 4, 2, 2), _wave(3)), "bias"),
        ]


@dataclass(frozen=True)
class ConvTranspose2d(_Convolution):
    """x[n,c,r,q] = sum of w[o,c,u,v] * y[n,o,i,j] over o and all i,j,u,v with r = i*s + u*d - p, q = j*s + v*d - p

    The adjoint of `Conv2d` with regard to its input, from y (N, O, OH, OW) and w (O, C/groups, kh, kw) to images of
    `size`: a convolution layer's input gradient, and the layer that learns to enlarge (Zeiler et al. 2010).
    """

    takes, torch_takes = NUMBERS, FLOATS

    size: Pair = (0, 0)

    def shape(self, *inputs: Tensor) -> Shape:
        y, w = inputs
        require_image("conv_transpose2d", y)
        if w.ndim != 4 or w.shape[0] != y.shape[1] or w.shape[0] % self.groups:
            raise ShapeError(
                f"conv_transpose2d: weight {w.name!r} must be (C_in, C_out/groups, kh, kw) with C_in = {y.shape[1]} "
                f"(from {y.name!r}) and divisible by {self.groups} groups, got {w.shape}"
            )
        fits = self.window((w.shape[2], w.shape[3])).output_size("conv_transpose2d", self.size)
        if fits != y.shape[2:]:
            raise ShapeError(
                f"conv_transpose2d: images of {self.size} have {fits} windows, but {y.name!r} has {y.shape[2:]}"
            )
        return (y.shape[0], w.shape[1] * self.groups, *self.size)

    def reference(self, *arrays: Array) -> Array:
        y, w = arrays
        kernel, size = (w.shape[2], w.shape[3]), (y.shape[2], y.shape[3])
        columns = np.matmul(self.weight_matrices(w).transpose(0, 2, 1), self.pixels(y))
        columns = columns.reshape(y.shape[0], w.shape[1] * self.groups, kernel[0] * kernel[1], size[0] * size[1])
        return self.window(kernel).fold(columns, self.size, size)

    def gradient(self, node: Tensor, upstream: Tensor) -> tuple[Tensor | None, ...]:
        y, w = node.inputs
        forward = Conv2d(self.stride, self.padding, self.dilation, self.groups)
        return apply(forward, upstream, w), _weight_gradient(forward, upstream, y, w)

    def terms(self, node: Tensor, index: tuple[int, ...], *arrays: Array) -> Sequence[Term]:
        y, w = arrays
        n, channel, row, column = index
        group, c = divmod(channel, w.shape[1])
        outputs = w.shape[0] // self.groups
        u, v, o = (axis.ravel() for axis in np.indices((*w.shape[2:], outputs)))
        i, odd_row = np.divmod(row + self.padding[0] - u * self.dilation[0], self.stride[0])
        j, odd_column = np.divmod(column + self.padding[1] - v * self.dilation[1], self.stride[1])
        hit = (odd_row == 0) & (odd_column == 0) & (i >= 0) & (i < y.shape[2]) & (j >= 0) & (j < y.shape[3])
        u, v, o, i, j = (axis[hit] for axis in (u, v, group * outputs + o, i, j))
        return Products.of(arrays, (n, o, i, j), (o, c, u, v))

    def cost(self, node: Tensor) -> Cost:
        _, per_group, height, width = node.inputs[1].shape
        return Cost(2 * node.inputs[0].size * per_group * height * width, traffic(node))

    def torch(self, torch: Any, *tensors: Any) -> Any:
        y, w = tensors
        like = y.new_empty((y.shape[0], w.shape[1] * self.groups, *self.size))
        return _torch_backward(torch, self, y, like, w, (True, False, False))[0]

    @classmethod
    def samples(cls) -> list[OpSample]:
        y = _wave(2, 4, 3, 4)
        return [
            OpSample(conv_transpose2d, (y, _wave(4, 3, 3, 2))),
            OpSample(lambda y, w: conv_transpose2d(y, w, stride=2, padding=1), (y, _wave(4, 2, 3, 3)), "stride"),
            OpSample(
                lambda y, w: conv_transpose2d(y, w, stride=2, output_padding=1),
                (y, _wave(4, 2, 2, 2)),
                "output-padding",
            ),
            OpSample(lambda y, w: conv_transpose2d(y, w, groups=2, dilation=2), (y, _wave(4, 3, 2, 2)), "groups"),
            OpSample(
                lambda y, w: conv_transpose2d(y, w, None, (1, 2), (0, 1), (1, 2), (2, 3), 2),
                (y, _wave(4, 3, 2, 2)),
                "output-padding-of-dilation",
            ),
            OpSample(lambda y, w, b: conv_transpose2d(y, w, b), (y, _wave(4, 3, 2, 2), _wave(3)), "bias"),
        ]


@dataclass(frozen=True)
class Conv2dWeight(_Convolution):
    """w[o,c,u,v] = sum over n,i,j of y[n,o,i,j] * x[n,c, i*s + u*d - p, j*s + v*d - p]

    The adjoint of `Conv2d` with regard to its weight, from images x and y to a weight of spatial size `kernel`.
    """

    takes, torch_takes = NUMBERS, FLOATS

    kernel: Pair = (1, 1)

    def shape(self, *inputs: Tensor) -> Shape:
        x, y = inputs
        size = self.window(self.kernel).output_size("conv2d_weight", (x.shape[2], x.shape[3]))
        if size != y.shape[2:] or x.shape[0] != y.shape[0]:
            raise ShapeError(f"conv2d_weight: {x.name!r} {x.shape} has {size} windows, but {y.name!r} is {y.shape}")
        return (y.shape[1], x.shape[1] // self.groups, *self.kernel)

    def reference(self, *arrays: Array) -> Array:
        x, y = arrays
        size = y.shape[2], y.shape[3]
        columns = self.columns(x, self.kernel, size)
        flat = self.pixels(y)
        parts = [np.tensordot(flat[:, g], columns[:, g], axes=((0, 2), (0, 2))) for g in range(self.groups)]
        return np.concatenate(parts).reshape(y.shape[1], x.shape[1] // self.groups, *self.kernel)

    def gradient(self, node: Tensor, upstream: Tensor) -> tuple[Tensor | None, ...]:
        x, y = node.inputs
        forward = Conv2d(self.stride, self.padding, self.dilation, self.groups)
        return _input_gradient(forward, y, upstream, x), apply(forward, x, upstream)

    def terms(self, node: Tensor, index: tuple[int, ...], *arrays: Array) -> Sequence[Term]:
        x, y = arrays
        o, c, u, v = index
        channel = o // (y.shape[1] // self.groups) * (x.shape[1] // self.groups) + c
        n, i, j = (axis.ravel() for axis in np.indices((y.shape[0], *y.shape[2:])))
        row = i * self.stride[0] + u * self.dilation[0] - self.padding[0]
        column = j * self.stride[1] + v * self.dilation[1] - self.padding[1]
        hit = (row >= 0) & (row < x.shape[2]) & (column >= 0) & (column < x.shape[3])
        n, i, j, row, column = (axis[hit] for axis in (n, i, j, row, column))
        return Products.of(arrays, (n, channel, row, column), (n, o, i, j))

    def cost(self, node: Tensor) -> Cost:
        y = node.inputs[1]
        return Cost(2 * y.size * node.shape[1] * self.kernel[0] * self.kernel[1], traffic(node))

    def torch(self, torch: Any, *tensors: Any) -> Any:
        x, y = tensors
        like = x.new_empty((y.shape[1], x.shape[1] // self.groups, *self.kernel))
        return _torch_backward(torch, self, y, x, like, (False, True, False))[1]

    @classmethod
    def samples(cls) -> list[OpSample]:
        x = _wave(2, 4, 5, 6)
        return [
            OpSample(lambda x, y: apply(Conv2dWeight(kernel=(3, 2)), x, y), (x, _wave(2, 3, 3, 5))),
            OpSample(
                lambda x, y: apply(Conv2dWeight((2, 2), (1, 1), (1, 1), 2, (2, 3)), x, y),
                (x, _wave(2, 4, 3, 3)),
                "groups-stride",
            ),
        ]


def _torch_backward(torch: Any, op: _Convolution, y: Any, x: Any, w: Any, mask: tuple[bool, bool, bool]) -> Any:
    return torch.ops.aten.convolution_backward(
        y, x, w, None, op.stride, op.padding, op.dilation, False, (0, 0), op.groups, mask
    )


def _input_gradient(op: _Convolution, upstream: Tensor, weight: Tensor, x: Tensor) -> Tensor:
    size = x.shape[2], x.shape[3]
    return apply(ConvTranspose2d(op.stride, op.padding, op.dilation, op.groups, size), upstream, weight)


def _weight_gradient(op: _Convolution, x: Tensor, upstream: Tensor, weight: Tensor) -> Tensor:
    kernel = weight.shape[2], weight.shape[3]
    return apply(Conv2dWeight(op.stride, op.padding, op.dilation, op.groups, kernel), x, upstream)


@dataclass(frozen=True)
class Unfold(Op):
    """y[n, (c,u,v), (i,j)] = x[n,c, i*s + u*d - p, j*s + v*d - p]: every window as a column, 0 in the padding"""

    torch_takes = FLOATS

    window: Window

    def shape(self, *inputs: Tensor) -> Shape:
        n, c, h, w = inputs[0].shape
        size = self.window.output_size("unfold", (h, w))
        return n, c * self.window.kernel[0] * self.window.kernel[1], size[0] * size[1]

    def reference(self, *arrays: Array) -> Array:
        x = arrays[0]
        columns = self.window.unfold(x, self.window.output_size("unfold", (x.shape[2], x.shape[3])))
        return columns.reshape(x.shape[0], x.shape[1] * columns.shape[2], columns.shape[3])

    def gradient(self, node: Tensor, upstream: Tensor) -> tuple[Tensor | None, ...]:
        x = node.inputs[0]
        return (apply(Fold(self.window, (x.shape[2], x.shape[3])), upstream),)

    def terms(self, node: Tensor, index: tuple[int, ...], *arrays: Array) -> list[Term]:
        x = arrays[0]
        n, row, column = index
        c, u, v = (int(k) for k in np.unravel_index(row, (x.shape[1], *self.window.kernel)))
        across = self.window.output_size("unfold", (x.shape[2], x.shape[3]))[1]
        r, q = self.window.place(column // across, column % across, u, v)
        if not (0 <= r < x.shape[2] and 0 <= q < x.shape[3]):
            return []
        return [Term(((0, (n, c, r, q)),), float(x[n, c, r, q]))]

    def cost(self, node: Tensor) -> Cost:
        return Cost(0, traffic(node))

    def torch(self, torch: Any, *tensors: Any) -> Any:
        w = self.window
        return torch.nn.functional.unfold(tensors[0], w.kernel, w.dilation, w.padding, w.stride)

    @classmethod
    def samples(cls) -> list[OpSample]:
        return [
            OpSample(lambda x: unfold(x, (2, 3)), (_wave(2, 3, 4, 5),)),
            OpSample(lambda x: unfold(x, 2, stride=2, padding=1), (_wave(2, 3, 4, 5),), "stride-padding"),
        ]


@dataclass(frozen=True)
class Fold(Op):
    """x[n,c,r,q] = sum of y[n, (c,u,v), (i,j)] over the windows that see row r and column q: the adjoint of unfold"""

    takes, torch_takes = NUMBERS, FLOATS

    window: Window
    size: Pair

    def shape(self, *inputs: Tensor) -> Shape:
        per_channel = self.window.kernel[0] * self.window.kernel[1]
        size = self.window.output_size("fold", self.size)
        n, rows, columns = inputs[0].shape if inputs[0].ndim == 3 else (0, 1, -1)
        if rows % per_channel or columns != size[0] * size[1]:
            raise ShapeError(
                f"fold: {inputs[0].name!r} {inputs[0].shape} must be (N, C * {per_channel}, {size[0] * size[1]}) for images of {self.size}"
            )
        return (n, rows // per_channel, *self.size)

    def reference(self, *arrays: Array) -> Array:
        y = arrays[0]
        per_channel = self.window.kernel[0] * self.window.kernel[1]
        columns = y.reshape(y.shape[0], y.shape[1] // per_channel, per_channel, y.shape[2])
        return self.window.fold(columns, self.size, self.window.output_size("fold", self.size))

    def gradient(self, node: Tensor, upstream: Tensor) -> tuple[Tensor | None, ...]:
        return (apply(Unfold(self.window), upstream),)

    def terms(self, node: Tensor, index: tuple[int, ...], *arrays: Array) -> list[Term]:
        n, c, row, column = index
        size = self.window.output_size("fold", self.size)
        terms: list[Term] = []
        for number, (u, v) in enumerate(self.window.offsets()):
            for i, j in np.ndindex(*size):
                if self.window.place(i, j, u, v) == (row, column):
                    at = (n, c * self.window.kernel[0] * self.window.kernel[1] + number, i * size[1] + j)
                    terms.append(Term(((0, at),), float(arrays[0][at])))
        return terms

    def torch(self, torch: Any, *tensors: Any) -> Any:
        w = self.window
        return torch.nn.functional.fold(tensors[0], self.size, w.kernel, w.dilation, w.padding, w.stride)

    @classmethod
    def samples(cls) -> list[OpSample]:
        return [OpSample(lambda y: fold(y, (4, 5), 2, padding=1), (_wave(1, 8, 30),))]


@of_arrays
def conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Pair = 1,
    padding: int | Pair = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
) -> Tensor:
    """Convolution of x (N, C, H, W) with weight (O, C/groups, kh, kw) and bias (O,): (N, O, OH, OW), as in PyTorch"""
    op = Conv2d(*_geometry("conv2d", stride, padding, dilation, groups))
    return _add_bias("conv2d", apply(op, x, weight), bias)


@of_arrays
def conv_transpose2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Pair = 1,
    padding: int | Pair = 0,
    output_padding: int | Pair = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
) -> Tensor:
    """Transposed convolution of x (N, C, H, W) with weight (C, O/groups, kh, kw) and bias (O,), as in PyTorch

    The output has (H - 1) * stride - 2 * padding + dilation * (kh - 1) + output_padding + 1 rows.
    """
    require_image("conv_transpose2d", x)
    stride, padding, dilation, groups = _geometry("conv_transpose2d", stride, padding, dilation, groups)
    extra = pair("conv_transpose2d", "output_padding", output_padding, 0)
    if any(e >= max(s, d) for e, s, d in zip(extra, stride, dilation, strict=True)):
        raise ShapeError(f"conv_transpose2d: output_padding {extra} must be smaller than stride {stride} or dilation")
    rows, columns = (
        (x.shape[a + 2] - 1) * stride[a] - 2 * padding[a] + dilation[a] * (weight.shape[a + 2] - 1) + extra[a] + 1
        for a in (0, 1)
    )
    if min(rows, columns) < 1:
        raise ShapeError(f"conv_transpose2d: padding {padding} leaves nothing of {x.name!r}, whose shape is {x.shape}")
    if all(e < s for e, s in zip(extra, stride, strict=True)):
        y = apply(ConvTranspose2d(stride, padding, dilation, groups, (rows, columns)), x, weight)
    else:  # the image has room for more windows than x has elements: the whole of it, cut and filled up with zeros
        whole = rows + 2 * padding[0] - extra[0], columns + 2 * padding[1] - extra[1]
        y = apply(ConvTranspose2d(stride, (0, 0), dilation, groups, whole), x, weight)
        y = y[:, :, padding[0] : padding[0] + rows, padding[1] : padding[1] + columns]
        y = pad(y, [(0, 0), (0, 0), (0, rows - y.shape[2]), (0, columns - y.shape[3])])
    return _add_bias("conv_transpose2d", y, bias)


def _geometry(
    name: str, stride: int | Pair, padding: int | Pair, dilation: int | Pair, groups: int
) -> tuple[Pair, Pair, Pair, int]:
    return (
        pair(name, "stride", stride, 1),
        pair(name, "padding", padding, 0),
        pair(name, "dilation", dilation, 1),
        whole(name, "groups", groups, 1),
    )


def _add_bias(name: str, y: Tensor, bias: Tensor | None) -> Tensor:
    if bias is None:
        return y
    if bias.shape != (y.shape[1],):
        raise ShapeError(f"{name}: bias {bias.name!r} must have shape ({y.shape[1]},), got {bias.shape}")
    return y + reshape(bias, (1, y.shape[1], 1, 1))


@of_arrays
def unfold(
    x: Tensor, kernel_size: int | Pair, stride: int | Pair = 1, padding: int | Pair = 0, dilation: int | Pair = 1
) -> Tensor:
    """Every window of x (N, C, H, W) as a column: (N, C * kh * kw, OH * OW), as in PyTorch"""
    require_image("unfold", x)
    return apply(Unfold(_window("unfold", kernel_size, stride, padding, dilation)), x)


@of_arrays
def fold(
    y: Tensor,
    output_size: Pair,
    kernel_size: int | Pair,
    stride: int | Pair = 1,
    padding: int | Pair = 0,
    dilation: int | Pair = 1,
) -> Tensor:
    """Columns (N, C * kh * kw, OH * OW) summed back into images (N, C, *output_size), as in PyTorch"""
    size = pair("fold", "output_size", output_size, 1)
    return apply(Fold(_window("fold", kernel_size, stride, padding, dilation), size), y)


def _window(name: str, kernel: int | Pair, stride: int | Pair, padding: int | Pair, dilation: int | Pair) -> Window:
    return Window(pair(name, "kernel_size", kernel, 1), *_geometry(name, stride, padding, dilation, 1)[:3])


def _local_samples() -> list[OpSample]:
    x, bias = _wave(2, 3, 4, 5), _wave(2, 3, 4)
    return [
        OpSample(lambda x, w: locally_connected2d(x, w, None, 2), (x, _wave(12, 12, 2))),
        OpSample(lambda x, w, b: locally_connected2d(x, w, b, 2), (x, _wave(12, 12, 2), bias), "bias"),
    ]


def _local_oracle(torch: Any, x: Any, w: Any, b: Any = None) -> Any:
    columns = torch.nn.functional.unfold(x, 2)
    y = torch.einsum("nkl,lko->nol", columns, w).reshape(2, 2, 3, 4)
    return y if b is None else y + b


@composite(_local_samples, oracle=_local_oracle)
@of_arrays
def locally_connected2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    kernel_size: int | Pair,
    stride: int | Pair = 1,
    padding: int | Pair = 0,
) -> Tensor:
    """y[n,o,i,j] = sum over c,u,v of w[(i,j),(c,u,v),o] * x[n,c, i*s + u - p, j*s + v - p] + b[o,i,j]

    A convolution whose weights are not shared: weight (OH * OW, C * kh * kw, O), bias (O, OH, OW).
    """
    require_image("locally_connected2d", x)
    window = _window("locally_connected2d", kernel_size, stride, padding, 1)
    size = window.output_size("locally_connected2d", (x.shape[2], x.shape[3]))
    expected = (size[0] * size[1], x.shape[1] * window.kernel[0] * window.kernel[1])
    if weight.ndim != 3 or weight.shape[:2] != expected:
        raise ShapeError(f"locally_connected2d: weight {weight.name!r} must be {(*expected, 'O')}, got {weight.shape}")
    patches = transpose(apply(Unfold(window), x), (2, 0, 1))
    y = reshape(transpose(matmul(patches, weight), (1, 2, 0)), (x.shape[0], weight.shape[2], *size))
    if bias is None:
        return y
    if bias.shape != y.shape[1:]:
        raise ShapeError(f"locally_connected2d: bias {bias.name!r} must be {y.shape[1:]}, got {bias.shape}")
    return y + bias
