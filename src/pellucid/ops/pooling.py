"""Pooling: the largest or the mean element of each window."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.errors import ShapeError
from pellucid.flags import flag
from pellucid.graph import Tensor, apply, of_arrays
from pellucid.op import FLOATS, NUMBERS, Array, Cost, Op, OpSample, Shape, Term, traffic
from pellucid.ops.indexing import pad
from pellucid.ops.window import Pair, Window, pair, require_image


def wave(*shape: int) -> Array:
    """Values for samples of pooling, no two of which are the same."""
    return np.sin(np.arange(float(np.prod(shape))) * 2.7 + 0.2).reshape(shape)


@dataclass(frozen=True)
class _Pool(Op, registered=False):
    window: Window

    def output_size(self, x: Array | Tensor) -> Pair:
        return self.window.output_size(self.kind, (x.shape[2], x.shape[3]))

    def pooled(self, x: Tensor) -> Shape:
        return (x.shape[0], x.shape[1], *self.output_size(x))

    def winners(self, x: Array) -> Array:
        """Number of the kernel position that wins in each window, the first of equals: (N, C, OH, OW)."""
        size = self.output_size(x)
        best = np.full((*x.shape[:2], *size), -np.inf, x.dtype)
        winner = np.broadcast_to(self.window.first_inside(size), best.shape).copy()
        for number, (_, seen) in enumerate(self.window.shifts(self.window.pad(x, -np.inf), size)):
            better = (seen > best) | (np.isnan(seen) & ~np.isnan(best))
            np.copyto(best, seen, where=better)
            winner[better] = number
        return winner

    def cost(self, node: Tensor) -> Cost:
        return Cost(node.size * self.window.kernel[0] * self.window.kernel[1], traffic(node))


def _require_small_padding(window: Window) -> None:
    if any(2 * p > k for p, k in zip(window.padding, window.extent(), strict=True)):
        raise ShapeError(f"pooling: padding {window.padding} may be at most half of the window {window.extent()}")


@dataclass(frozen=True)
class MaxPool2d(_Pool):
    """y[n,c,i,j] = max over u,v of x[n,c, i*s + u - p, j*s + v - p]; the first of equals gets the gradient"""

    takes = NUMBERS

    def shape(self, *inputs: Tensor) -> Shape:
        require_image("max_pool2d", inputs[0])
        _require_small_padding(self.window)
        return self.pooled(inputs[0])

    def reference(self, *arrays: Array) -> Array:
        x = arrays[0]
        y: Array | None = None
        for _, seen in self.window.shifts(self.window.pad(x, -np.inf), self.output_size(x)):
            y = seen.copy() if y is None else np.maximum(y, seen, out=y)
        assert y is not None
        return y

    def gradient(self, node: Tensor, upstream: Tensor) -> tuple[Tensor | None, ...]:
        return (apply(MaxPool2dGradient(self.window), node.inputs[0], upstream),)

    def terms(self, node: Tensor, index: tuple[int, ...], *arrays: Array) -> list[Term]:
        return [Term(((0, self.winner(index, arrays[0])),), float(arrays[0][self.winner(index, arrays[0])]))]

    def winner(self, index: tuple[int, ...], x: Array) -> tuple[int, ...]:
        """Index of the element of x that wins in window `index`."""
        n, c, i, j = index
        places = [place for _, place in self.window.inside(i, j, (x.shape[2], x.shape[3]))]
        best = int(np.argmax([x[n, c, row, column] for row, column in places]))
        return (n, c, *places[best])

    def torch(self, torch: Any, *tensors: Any) -> Any:
        w = self.window
        return torch.nn.functional.max_pool2d(tensors[0], w.kernel, w.stride, w.padding, w.dilation)

    @classmethod
    def samples(cls) -> list[OpSample]:
        tie = np.array([[[[1.0, 1.0], [0.0, 1.0]]]])
        first = np.array([[[[1.0, 0.0], [0.0, 0.0]]]])
        dilated = np.array([[[[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]]]])
        return [
            OpSample(lambda x: max_pool2d(x, 2), (wave(2, 3, 4, 6),)),
            OpSample(lambda x: max_pool2d(x, 3, 2, 1), (wave(2, 2, 5, 7),), "overlap-padding"),
            OpSample(lambda x: max_pool2d(x, (2, 3), (1, 2)), (wave(1, 2, 4, 7) - 3,), "not-square"),
            OpSample(lambda x: max_pool2d(x, 2), (tie,), "tie", (first,)),
            OpSample(lambda x: max_pool2d(x, 2, 1, 1, dilation=2), (wave(2, 2, 5, 4),), "dilation"),
            OpSample(lambda x: max_pool2d(x, 2, 1, dilation=(1, 2)), (tie.repeat(2, 3),), "dilated-tie", (dilated,)),
        ]


@dataclass(frozen=True)
class MaxPool2dGradient(_Pool):
    """dx[n,c,r,q] = sum of g[n,c,i,j] over the windows (i,j) that x[n,c,r,q] wins"""

    takes, torch_takes = NUMBERS, FLOATS

    def shape(self, *inputs: Tensor) -> Shape:
        return inputs[0].shape

    def reference(self, *arrays: Array) -> Array:
        x, g = arrays
        winner = self.winners(x)
        size = g.shape[2], g.shape[3]
        columns = np.empty((*x.shape[:2], self.window.kernel[0] * self.window.kernel[1], *size), g.dtype)
        for number in range(columns.shape[2]):
            columns[:, :, number] = np.where(winner == number, g, 0)
        columns = columns.reshape(*columns.shape[:3], size[0] * size[1])
        return self.window.fold(columns, (x.shape[2], x.shape[3]), size)

    def gradient(self, node: Tensor, upstream: Tensor) -> tuple[Tensor | None, ...]:
        return None, apply(MaxPool2dSelect(self.window), node.inputs[0], upstream)

    def terms(self, node: Tensor, index: tuple[int, ...], *arrays: Array) -> list[Term]:
        x, g = arrays
        pool = MaxPool2d(self.window)
        windows = ((*index[:2], i, j) for i, j in self.window.seeing(index[2:], g.shape[2:]))
        return [Term(((1, at),), float(g[at])) for at in windows if pool.winner(at, x) == index]

    def torch(self, torch: Any, *tensors: Any) -> Any:
        x, g = tensors
        w = self.window
        picks = torch.nn.functional.max_pool2d(x, w.kernel, w.stride, w.padding, w.dilation, return_indices=True)[1]
        return torch.ops.aten.max_pool2d_with_indices_backward(
            g.contiguous(), x, w.kernel, w.stride, w.padding, w.dilation, False, picks
        )

    @classmethod
    def samples(cls) -> list[OpSample]:
        op = MaxPool2dGradient(Window((3, 2), (1, 2), (1, 0)))
        return [OpSample(lambda x, g: apply(op, x, g), (wave(2, 2, 4, 6), wave(2, 2, 4, 3) + 2))]


@dataclass(frozen=True)
class MaxPool2dSelect(_Pool):
    """y[n,c,i,j] = g[n,c,r,q] at the (r,q) where x wins window (i,j): the adjoint of max pooling's gradient"""

    takes = NUMBERS

    def shape(self, *inputs: Tensor) -> Shape:
        if inputs[0].shape != inputs[1].shape:
            raise ShapeError(f"max_pool2d_select: needs two tensors of one shape, got {[i.shape for i in inputs]}")
        return self.pooled(inputs[0])

    def reference(self, *arrays: Array) -> Array:
        x, g = arrays
        winner = self.winners(x)
        y = np.zeros(winner.shape, g.dtype)
        for number, (_, seen) in enumerate(self.window.shifts(self.window.pad(g), self.output_size(x))):
            np.copyto(y, seen, where=winner == number)
        return y

    def gradient(self, node: Tensor, upstream: Tensor) -> tuple[Tensor | None, ...]:
        return None, apply(MaxPool2dGradient(self.window), node.inputs[0], upstream)

    def terms(self, node: Tensor, index: tuple[int, ...], *arrays: Array) -> list[Term]:
        at = MaxPool2d(self.window).winner(index, arrays[0])
        return [Term(((1, at),), float(arrays[1][at]))]

    def torch(self, torch: Any, *tensors: Any) -> Any:
        x, g = tensors
        w = self.window
        picks = torch.nn.functional.max_pool2d(x, w.kernel, w.stride, w.padding, w.dilation, return_indices=True)[1]
        return torch.gather(g.flatten(2), 2, picks.flatten(2)).reshape(picks.shape)

    @classmethod
    def samples(cls) -> list[OpSample]:
        op = MaxPool2dSelect(Window((2, 2), (1, 1), (1, 0)))
        return [OpSample(lambda x, g: apply(op, x, g), (wave(2, 2, 3, 4), wave(2, 2, 3, 4) * 2 + 1))]


@dataclass(frozen=True)
class AveragePool2d(_Pool):
    """y[n,c,i,j] = 1/k * sum over u,v of x[n,c, i*s + u - p, j*s + v - p]

    k counts the positions in the window: all of them, or with `count_padding=False` those inside of the image.
    """

    takes = FLOATS

    count_padding: bool = True

    def shape(self, *inputs: Tensor) -> Shape:
        require_image("average_pool2d", inputs[0])
        _require_small_padding(self.window)
        return self.pooled(inputs[0])

    def shares(self, image: Pair, dtype: Any) -> Array:
        """1 / k for each window: (OH, OW)."""
        size = self.window.output_size(self.kind, image)
        whole = self.window.kernel[0] * self.window.kernel[1]
        if self.count_padding or self.window.padding == (0, 0):
            return np.full(size, 1 / whole, dtype)
        ones = self.window.pad(np.ones((1, 1, *image), dtype))
        counts = np.zeros(size, dtype)
        for _, seen in self.window.shifts(ones, size):
            counts += seen[0, 0]
        return 1 / counts

    def reference(self, *arrays: Array) -> Array:
        x = arrays[0]
        y = np.zeros((*x.shape[:2], *self.output_size(x)), x.dtype)
        for _, seen in self.window.shifts(self.window.pad(x), self.output_size(x)):
            y += seen
        return y * self.shares((x.shape[2], x.shape[3]), x.dtype)

    def gradient(self, node: Tensor, upstream: Tensor) -> tuple[Tensor | None, ...]:
        x = node.inputs[0]
        return (apply(AveragePool2dGradient(self.window, self.count_padding, (x.shape[2], x.shape[3])), upstream),)

    def terms(self, node: Tensor, index: tuple[int, ...], *arrays: Array) -> list[Term]:
        x = arrays[0]
        n, c, i, j = index
        size = x.shape[2], x.shape[3]
        share = float(self.shares(size, x.dtype)[i, j])
        seen = self.window.inside(i, j, size)
        return [Term(((0, (n, c, *place)),), float(x[(n, c, *place)]) * share, share) for _, place in seen]

    def torch(self, torch: Any, *tensors: Any) -> Any:
        w = self.window
        return torch.nn.functional.avg_pool2d(
            tensors[0], w.kernel, w.stride, w.padding, count_include_pad=self.count_padding
        )

    @classmethod
    def samples(cls) -> list[OpSample]:
        return [
            OpSample(lambda x: average_pool2d(x, 2), (wave(2, 3, 4, 6),)),
            OpSample(lambda x: average_pool2d(x, 3, 2, 1), (wave(2, 2, 5, 7),), "padding"),
            OpSample(lambda x: average_pool2d(x, 3, 2, 1, False), (wave(2, 2, 5, 7),), "padding-not-counted"),
        ]


@dataclass(frozen=True)
class AveragePool2dGradient(_Pool):
    """dx[n,c,r,q] = sum of g[n,c,i,j] / k over the windows (i,j) that see (r,q): the adjoint of average pooling"""

    takes = FLOATS

    count_padding: bool
    size: Pair

    def shape(self, *inputs: Tensor) -> Shape:
        return (*inputs[0].shape[:2], *self.size)

    def reference(self, *arrays: Array) -> Array:
        g = arrays[0] * AveragePool2d(self.window, self.count_padding).shares(self.size, arrays[0].dtype)
        size = g.shape[2], g.shape[3]
        per_window = self.window.kernel[0] * self.window.kernel[1]
        columns = np.broadcast_to(g[:, :, None], (*g.shape[:2], per_window, *size))
        return self.window.fold(columns.reshape(*columns.shape[:3], size[0] * size[1]), self.size, size)

    def gradient(self, node: Tensor, upstream: Tensor) -> tuple[Tensor | None, ...]:
        return (apply(AveragePool2d(self.window, self.count_padding), upstream),)

    def terms(self, node: Tensor, index: tuple[int, ...], *arrays: Array) -> list[Term]:
        g = arrays[0]
        shares = AveragePool2d(self.window, self.count_padding).shares(self.size, g.dtype)
        terms: list[Term] = []
        for i, j in self.window.seeing(index[2:], g.shape[2:]):
            at = (*index[:2], i, j)
            terms.append(Term(((0, at),), float(g[at]) * float(shares[i, j]), float(shares[i, j])))
        return terms

    def torch(self, torch: Any, *tensors: Any) -> Any:
        g = tensors[0]
        w = self.window
        like = g.new_empty((*g.shape[:2], *self.size))
        return torch.ops.aten.avg_pool2d_backward(
            g.contiguous(), like, w.kernel, w.stride, w.padding, False, self.count_padding, None
        )

    @classmethod
    def samples(cls) -> list[OpSample]:
        op = AveragePool2dGradient(Window((3, 2), (2, 2), (1, 0)), False, (5, 6))
        return [OpSample(lambda g: apply(op, g), (wave(2, 2, 3, 3),))]


@of_arrays
def max_pool2d(
    x: Tensor,
    kernel_size: int | Pair,
    stride: int | Pair | None = None,
    padding: int | Pair = 0,
    ceil_mode: bool = False,
    dilation: int | Pair = 1,
) -> Tensor:
    """The largest element of each window of x (N, C, H, W); the stride is the kernel size unless given

    With `ceil_mode` a last window that reaches over the lower or right edge counts too, if it starts inside.
    """
    ceil_mode = flag("max_pool2d", "ceil_mode", ceil_mode)
    window = _window("max_pool2d", kernel_size, stride, padding, dilation)
    if ceil_mode:
        require_image("max_pool2d", x)
        beyond = window.beyond((x.shape[2], x.shape[3]))
        if any(beyond):
            x = pad(x, [(0, 0), (0, 0), (0, beyond[0]), (0, beyond[1])], -math.inf)
    return apply(MaxPool2d(window), x)


@of_arrays
def average_pool2d(
    x: Tensor,
    kernel_size: int | Pair,
    stride: int | Pair | None = None,
    padding: int | Pair = 0,
    count_include_pad: bool = True,
) -> Tensor:
    """The mean of each window of x (N, C, H, W); the stride is the kernel size unless given"""
    count_include_pad = flag("average_pool2d", "count_include_pad", count_include_pad)
    return apply(AveragePool2d(_window("average_pool2d", kernel_size, stride, padding), count_include_pad), x)


def _window(
    name: str, kernel_size: int | Pair, stride: int | Pair | None, padding: int | Pair, dilation: int | Pair = 1
) -> Window:
    kernel = pair(name, "kernel_size", kernel_size, 1)
    steps = kernel if stride is None else pair(name, "stride", stride, 1)
    return Window(kernel, steps, pair(name, "padding", padding, 0), pair(name, "dilation", dilation, 1))
