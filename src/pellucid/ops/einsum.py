"""Einstein summation: any sum of products over named axes, made of matrix products, sums and what moves elements."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.errors import ShapeError
from pellucid.graph import Tensor, as_tensors
from pellucid.op import OpSample, composite
from pellucid.ops.linear import matmul
from pellucid.ops.reduction import sum as sum_of
from pellucid.ops.shape import reshape, transpose

Labels = tuple[str, ...]
_DOTS = "..."


@dataclass(frozen=True)
class _Term:
    """A tensor and the label of each of its axes."""

    tensor: Tensor
    labels: Labels

    def size(self, label: str) -> int:
        return self.tensor.shape[self.labels.index(label)]

    def ordered(self, labels: Labels) -> _Term:
        """The same with its axes in another order."""
        if labels == self.labels:
            return self
        return _Term(transpose(self.tensor, [self.labels.index(name) for name in labels]), labels)

    def without(self, dropped: Collection[str]) -> _Term:
        """The same without some axes of one element."""
        if not dropped:
            return self
        kept = tuple(name for name in self.labels if name not in dropped)
        return _Term(reshape(self.tensor, [self.size(name) for name in kept]), kept)

    def summed(self, kept: Collection[str]) -> _Term:
        """The sum over all axes whose labels are not in `kept`."""
        axes = [axis for axis, name in enumerate(self.labels) if name not in kept]
        return _Term(sum_of(self.tensor, axes), tuple(n for n in self.labels if n in kept)) if axes else self

    def diagonal(self) -> _Term:
        """The elements whose indices are equal along axes of one label."""
        term = self
        while twice := [name for name, count in Counter(term.labels).items() if count > 1]:
            name = twice[0]
            first, second = [axis for axis, label in enumerate(term.labels) if label == name][:2]
            size = term.tensor.shape[first]
            others = [axis for axis in range(len(term.labels)) if axis not in (first, second)]
            x = transpose(term.tensor, [*others, first, second])
            flat = reshape(x, (*x.shape[:-2], size * size))
            term = _Term(flat[..., :: size + 1], (*(term.labels[axis] for axis in others), name))
        return term


_A, _B, _C = (
    np.sin(np.arange(24.0) * k).reshape(shape) for k, shape in ((1.0, (2, 3, 4)), (2.3, (2, 4, 3)), (3.1, (4, 6)))
)
_CUBE = np.cos(np.arange(54.0)).reshape(2, 3, 3, 3)
_CASES: tuple[tuple[str, tuple[Any, ...]], ...] = (
    ("bij,bjk->bik", (_A, _B)),
    ("bij,bkj->ibk", (_A, _B.transpose(0, 2, 1).copy())),
    ("bij,bji->", (_A, _B)),
    ("...ij,jk", (_A, _C)),
    ("bij,bji,jk->kb", (_A, _B, _C)),
    ("i,jk->kij", (_A[0, :, 0], _C)),
    ("bii->ib", (_CUBE[0],)),
    ("biii", (_CUBE,)),
    ("bij,bij->bi", (_A, _A[:1] * 0.5)),
)


def _samples() -> list[OpSample]:
    return [OpSample(lambda *xs, e=equation: einsum(e, *xs), arrays, equation) for equation, arrays in _CASES]


@composite(_samples)
def einsum(equation: str, *operands: Any) -> Tensor:
    """y[output] = sum over all other indices of the product of the operands' elements: einsum("bij,bjk->bik", a, b)

    A letter names an axis; `...` stands for any others, which broadcast; a letter that one term has twice means the
    diagonal. Without `->` the output has what `...` stands for, then the letters that occur once, sorted.
    """
    tensors = as_tensors(*operands)
    labels, output = _parsed(equation, tensors)
    sizes = _sizes(equation, labels, tensors)
    terms = [_Term(t, names).diagonal() for t, names in zip(tensors, labels, strict=True)]
    terms = [t.without([n for n in t.labels if t.size(n) == 1 < sizes[n]]) for t in terms]
    while len(terms) > 1:
        a, b = min(
            itertools.combinations(range(len(terms)), 2), key=lambda pair: _work(*(terms[k] for k in pair), sizes)
        )
        others = [t for k, t in enumerate(terms) if k not in (a, b)]
        terms = [_product(terms[a], terms[b], {*output, *(n for t in others for n in t.labels)}, output), *others]
    return terms[0].summed(output).ordered(output).tensor


def _work(a: _Term, b: _Term, sizes: Mapping[str, int]) -> int:
    """Multiplications of the product of two terms."""
    return math.prod(sizes[name] for name in {*a.labels, *b.labels})


def _product(a: _Term, b: _Term, kept: Collection[str], output: Labels) -> _Term:
    """The product of two terms, summed over the labels that are not in `kept`: a matrix product where there are any."""
    shared = {name for name in a.labels if name in b.labels}
    a, b = a.summed({*kept, *shared}), b.summed({*kept, *shared})
    together = tuple(name for name in a.labels if name in shared and name not in kept)
    if not together:
        return _elementwise(a, b, output)
    rank = {name: position for position, name in enumerate(output)}
    by_rank = lambda names: tuple(sorted(names, key=lambda name: rank.get(name, len(rank))))  # noqa: E731
    batch = by_rank([name for name in a.labels if name in shared and name in kept])
    rows, columns = (by_rank([name for name in t.labels if name not in shared]) for t in (a, b))
    if not rows and not columns:
        return _elementwise(a, b, output).summed(kept)
    if rows and columns:
        turned = rank[columns[0]] < rank[rows[0]] if {rows[0], columns[0]} <= rank.keys() else False
    else:  # a matrix and a vector, which stands on the side that leaves the matrix as it is
        matrix = a if rows else b
        turned = bool(rows) != (matrix.labels[-1] in together)
    if turned:
        a, b, rows, columns = b, a, columns, rows
    left = a.ordered((*batch, *rows, *together)).tensor
    right = b.ordered((*batch, *together, *columns)).tensor
    front, count = left.shape[: len(batch)], math.prod(map(a.size, together))
    left = reshape(left, (*front, math.prod(map(a.size, rows)), count))
    right = reshape(right, (*front, count, math.prod(map(b.size, columns))))
    sizes = [*front, *map(a.size, rows), *map(b.size, columns)]
    return _Term(reshape(matmul(left, right), sizes), (*batch, *rows, *columns))


def _elementwise(a: _Term, b: _Term, output: Labels) -> _Term:
    """The product of two terms where nothing is summed: each has axes of one element for labels that it lacks."""
    every = {*a.labels, *b.labels}
    names = (*(n for n in output if n in every), *sorted(every - set(output)))

    def spread(term: _Term) -> Tensor:
        own = term.ordered(tuple(name for name in names if name in term.labels))
        return reshape(own.tensor, [own.size(name) if name in own.labels else 1 for name in names])

    return _Term(spread(a) * spread(b), names)


def _parsed(equation: str, tensors: Sequence[Tensor]) -> tuple[list[Labels], Labels]:
    """The labels of each operand's axes and those of the output; a `ShapeError` for what makes no sense."""
    left, arrow, right = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(tensors):
        raise ShapeError(f"einsum: {equation!r} is for {len(terms)} operands, got {len(tensors)}")
    for term in (*terms, right):
        letters = term.replace(_DOTS, "", 1)
        if letters and not (letters.isascii() and letters.isalpha()):
            raise ShapeError(f"einsum: {term!r} in {equation!r} must be letters, with ... for other axes at most once")
    found: list[Labels] = []
    for term, tensor in zip(terms, tensors, strict=True):
        letters = len(term.replace(_DOTS, "", 1))
        if letters > tensor.ndim or (_DOTS not in term and letters != tensor.ndim):
            raise ShapeError(
                f"einsum: {term!r} in {equation!r} has {letters} letters, {tensor.name!r} {tensor.shape} has {tensor.ndim} axes"
            )
        found.append(_spelled(term, tensor.ndim - letters))
    most = max(
        (len(labels) - len(term.replace(_DOTS, "", 1)) for labels, term in zip(found, terms, strict=True)), default=0
    )
    counts = Counter(name for labels in found for name in labels)
    if not arrow:
        once = sorted(name for name, count in counts.items() if count == 1 and not name.startswith(_DOTS))
        return found, (*_spelled(_DOTS, most), *once)
    output = _spelled(right, most)
    if unknown := [name for name in output if name not in counts]:
        raise ShapeError(f"einsum: the output of {equation!r} has {unknown[0]!r}, which no operand has")
    if len(set(output)) != len(output):
        raise ShapeError(f"einsum: the output of {equation!r} names an axis twice")
    return found, output


def _spelled(term: str, others: int) -> Labels:
    """The labels of a term; axes that `...` stands for are counted from the last one."""
    before, dots, after = term.partition(_DOTS)
    unnamed = (f"{_DOTS}{number}" for number in reversed(range(others)))
    return (*before, *(unnamed if dots else ()), *after)


def _sizes(equation: str, labels: Sequence[Labels], tensors: Sequence[Tensor]) -> dict[str, int]:
    """The number of elements that each label stands for; axes of one element broadcast."""
    sizes: dict[str, int] = {}
    for names, tensor in zip(labels, tensors, strict=True):
        for name, size in zip(names, tensor.shape, strict=True):
            known = sizes.setdefault(name, size)
            if known != size and (1 not in (known, size) or names.count(name) > 1):
                raise ShapeError(
                    f"einsum: {name!r} in {equation!r} stands for {known} elements and for {size} in {tensor.name!r} {tensor.shape}"
                )
            sizes[name] = size if known == 1 else known
    return sizes
