"""Sums, means, maxima, statistics, and softmax."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pellucid import ops
from pellucid.graph import Tensor
from pellucid.interop.products import product
from pellucid.interop.roots import root
from pellucid.interop.torch_module.aten.arithmetic import convert, truth
from pellucid.interop.torch_module.aten.registry import aten, require
from pellucid.ops.reduction import backwards

Dim = int | Sequence[int] | None


def axes(dim: Dim) -> int | Sequence[int] | None:
    """PyTorch's axes: none or an empty list are all of them."""
    return None if dim is None or (not isinstance(dim, int) and not dim) else dim


@aten("sum.default")
def total(x: Tensor, dtype: str | None = None) -> Tensor:
    return ops.sum(convert(x, dtype))


@aten("sum.dim_IntList")
def sum_over(x: Tensor, dim: Dim = None, keepdim: bool = False, dtype: str | None = None) -> Tensor:
    return ops.sum(convert(x, dtype), axes(dim), keepdim)


@aten("mean.default")
def mean(x: Tensor, dtype: str | None = None) -> Tensor:
    return ops.mean(convert(x, dtype))


@aten("mean.dim")
def mean_over(x: Tensor, dim: Dim = None, keepdim: bool = False, dtype: str | None = None) -> Tensor:
    return ops.mean(convert(x, dtype), axes(dim), keepdim)


@aten("amax.default")
def largest(x: Tensor, dim: Dim = None, keepdim: bool = False) -> Tensor:
    return ops.max(x, axes(dim), keepdim)


@aten("amin.default")
def smallest(x: Tensor, dim: Dim = None, keepdim: bool = False) -> Tensor:
    return backwards(ops.max(backwards(x), axes(dim), keepdim))


@aten("max.default")
def largest_of_all(x: Tensor) -> Tensor:
    return ops.max(x)


@aten("min.default")
def smallest_of_all(x: Tensor) -> Tensor:
    return backwards(ops.max(backwards(x)))


@aten("max.dim")
def largest_along(x: Tensor, dim: int, keepdim: bool = False) -> tuple[Tensor, Tensor]:
    """(value, index)"""
    return ops.max(x, dim, keepdim, "first"), ops.argmax(x, dim, keepdim)


@aten("min.dim")
def smallest_along(x: Tensor, dim: int, keepdim: bool = False) -> tuple[Tensor, Tensor]:
    """(value, index)"""
    turned = backwards(x)
    return backwards(ops.max(turned, dim, keepdim, "first")), ops.argmax(turned, dim, keepdim)


@aten("argmax.default")
def argmax(x: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    if dim is None:
        require(not keepdim, "argmax over all axes that keeps them")
        return ops.argmax(ops.reshape(x, (x.size,)), 0)
    return ops.argmax(x, dim, keepdim)


@aten("argmin.default")
def argmin(x: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    return argmax(backwards(x), dim, keepdim)


@aten("var.correction", "var.dim")
def variance(x: Tensor, dim: Dim = None, correction: float | None = 1, keepdim: bool = False) -> Tensor:
    """Squared differences, summed and divided by count - correction (`var.dim` says so with True and False).

    Where nothing is left to divide by, as in PyTorch: NaN for one element, infinity for several that differ.
    """
    biased = ops.variance(x, axes(dim), keepdim)
    count = x.size // max(biased.size, 1)
    taken = 1 if correction is None else correction
    left = max(count - taken, 0)
    if taken == 0:
        return biased
    return biased * (count / left) if left else biased * count / 0.0


@aten("var.default")
def variance_of_all(x: Tensor, unbiased: bool = True) -> Tensor:
    return variance(x, None, unbiased)


@aten("std.correction", "std.dim")
def deviation(x: Tensor, dim: Dim = None, correction: float | None = 1, keepdim: bool = False) -> Tensor:
    return root(variance(x, dim, correction, keepdim))


@aten("var_mean.correction", "var_mean.dim")
def variance_and_mean(
    x: Tensor, dim: Dim = None, correction: float | None = 1, keepdim: bool = False
) -> tuple[Tensor, Tensor]:
    return variance(x, dim, correction, keepdim), ops.mean(x, axes(dim), keepdim)


@aten("prod.default")
def product_of_all(x: Tensor, dtype: str | None = None) -> Tensor:
    return product(_numbers(x, dtype), range(x.ndim), False)


@aten("prod.dim_int")
def product_along(x: Tensor, dim: int, keepdim: bool = False, dtype: str | None = None) -> Tensor:
    return product(_numbers(x, dtype), [dim % x.ndim], keepdim)


def _numbers(x: Tensor, dtype: str | None) -> Tensor:
    """x in the type in which PyTorch multiplies: truths count."""
    return convert(x, dtype or ("int64" if x.dtype == "bool" else None))


@aten("any.default", "any.dim", "any.dims")
def any_true(x: Tensor, dim: Dim = None, keepdim: bool = False) -> Tensor:
    return ops.max(truth(x), axes(dim), keepdim)


@aten("all.default", "all.dim", "all.dims")
def all_true(x: Tensor, dim: Dim = None, keepdim: bool = False) -> Tensor:
    return ops.equal(any_true(ops.equal(truth(x), False), dim, keepdim), False)


@aten("linalg_vector_norm.default")
def norm(x: Tensor, ord: float = 2, dim: Dim = None, keepdim: bool = False, dtype: str | None = None) -> Tensor:
    x = convert(x, dtype)
    if ord == 2:
        return root(ops.sum(x * x, axes(dim), keepdim))
    if ord == math.inf:
        return ops.max(ops.absolute(x), axes(dim), keepdim)
    require(ord > 0, f"the norm of order {ord}")
    size = ops.absolute(x)
    return ops.sum(size, axes(dim), keepdim) if ord == 1 else root(ops.sum(size**ord, axes(dim), keepdim), ord)


@aten("cdist.default")
def distances(x: Tensor, y: Tensor, p: float = 2, compute_mode: int | None = None) -> Tensor:
    """From each row of x (..., P, M) to each of y (..., R, M): (..., P, R)"""
    apart = ops.reshape(x, (*x.shape[:-1], 1, x.shape[-1])) - ops.reshape(y, (*y.shape[:-2], 1, *y.shape[-2:]))
    return norm(apart, p, -1)


@aten("logsumexp.default")
def log_sum_exp(x: Tensor, dim: Dim, keepdim: bool = False) -> Tensor:
    return ops.log_sum_exp(x, axes(dim), keepdim)


@aten("softmax.int")
def softmax(x: Tensor, dim: int, dtype: str | None = None) -> Tensor:
    return ops.softmax(convert(x, dtype), dim)


@aten("log_softmax.int")
def log_softmax(x: Tensor, dim: int, dtype: str | None = None) -> Tensor:
    return ops.log_softmax(convert(x, dtype), dim)
