"""What an operation is: shape rule, reference, gradient, terms, cost and samples in one class; and their registry."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, SupportsIndex, TypeVar

import numpy as np
import numpy.typing as npt

from pellucid.errors import DTypeError, ShapeError
from pellucid.real_numbers import is_real
from pellucid.whole_numbers import index_of

if TYPE_CHECKING:
    from pellucid.graph import Tensor

Shape = tuple[int, ...]
Array = npt.NDArray[Any]
F = TypeVar("F", bound=Callable[..., Any])

DTYPES = ("float32", "float64", "int64", "bool")
NUMBERS = ("float32", "float64", "int64")
FLOATS = ("float32", "float64")


@dataclass(frozen=True)
class Term:
    """One summand of an output element: its `value`, and the input elements `(input number, index)` that made it.

    Where it is their product, `share` is a fixed number that the product is multiplied by.
    """

    factors: tuple[tuple[int, tuple[int, ...]], ...]
    value: float
    share: float = 1.0


@dataclass(frozen=True, eq=False)
class Products(Sequence[Term]):
    """Many terms at once: term t is the product over the first inputs k of the element at `places[k][t]`, its value `values[t]`."""

    places: tuple[Array, ...]
    values: Array

    @classmethod
    def of(cls, arrays: Sequence[Array], *places: Sequence[npt.ArrayLike]) -> Products:
        """The products of elements of `arrays`; for each array its indices, axis by axis (numbers count for all terms)."""
        axes = np.broadcast_arrays(*(axis for one in places for axis in one))
        cuts = np.cumsum([0, *(len(one) for one in places)])
        split = [axes[a:b] for a, b in itertools.pairwise(cuts)]
        values = np.ones(np.shape(axes[0]))
        for array, one in zip(arrays, split, strict=True):
            values = values * array[tuple(one)]
        return cls(tuple(np.stack(one, axis=1) for one in split), values)

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, number: Any) -> Any:
        if isinstance(number, slice):
            return [self[k] for k in range(*number.indices(len(self)))]
        factors = tuple((k, tuple(map(int, places[number]))) for k, places in enumerate(self.places))
        return Term(factors, float(self.values[number]))


@dataclass(frozen=True)
class Cost:
    """What computing a node takes: floating-point operations, and bytes read and written."""

    flops: int
    bytes: int


@dataclass(frozen=True)
class OpSample:
    """One case every executor, the gradient rule and the torch oracle are checked on.

    `call` builds the output from input tensors holding `arrays`. Where the function has a kink, `gradient` states the
    convention: the expected gradient of the sum of outputs for each input (None for inputs without one).
    """

    call: Callable[..., Tensor | tuple[Tensor, ...]]
    arrays: tuple[Array, ...]
    label: str = ""
    gradient: tuple[Array | None, ...] | None = None


OPS: dict[str, type[Op]] = {}


class Op:
    """One kind of node. Subclasses are frozen dataclasses whose fields are the attributes; defining one registers it.

    The docstring of a subclass is its formula. Required: `shape`, `reference`, `gradient` (or `differentiable =
    False`) and `samples`. An executor without a lowering runs `reference`.
    """

    differentiable: ClassVar[bool] = True
    elementwise: ClassVar[bool] = False
    takes: ClassVar[tuple[str, ...]] = DTYPES
    """The element types that inputs may have under the default rule for `dtype`: those in which the formula is true."""
    torch_takes: ClassVar[tuple[str, ...]] = DTYPES
    """Those of them in which PyTorch computes it; in the others the torch executor runs the reference kernel."""

    def __init_subclass__(cls, registered: bool = True) -> None:
        super().__init_subclass__()
        if registered:
            OPS[cls.__name__] = cls

    @property
    def kind(self) -> str:
        """The name nodes of this op get when nobody names them: `MaxPool2d` -> `max_pool2d`."""
        return _with_underscores(type(self).__name__)

    @property
    def attributes(self) -> dict[str, Any]:
        """The op's attributes as plain data."""
        return (
            {f.name: getattr(self, f.name) for f in dataclasses.fields(self)} if dataclasses.is_dataclass(self) else {}
        )

    def shape(self, *inputs: Tensor) -> Shape:
        """Shape of the output; raises `ShapeError` for inputs that do not fit."""
        raise NotImplementedError(f"{type(self).__name__} states no shape rule")

    def dtype(self, *inputs: Tensor) -> str:
        """Element type of the output: by default the one all floating inputs share, of `takes`."""
        require_dtype(self.kind, self.takes, *inputs)
        return common_dtype(self.kind, inputs)

    @classmethod
    def alike(cls) -> slice:
        """Which inputs are of one element type: under the default rule for it all, else none unless the op says so.

        Of these, whole numbers and bools that stand beside floating numbers are cast to their type (`tensor.apply`).
        """
        return slice(None if cls.dtype is Op.dtype else 0)

    def reference(self, *arrays: Array) -> Array:
        """The specification: the output computed with NumPy."""
        raise NotImplementedError(f"{type(self).__name__} states no reference")

    def require(self, node: Tensor, name: str, *arrays: Array) -> None:
        """Raise what is wrong with the inputs' values, at the node called `name`; by default they may be any."""

    @classmethod
    def requires(cls) -> bool:
        """Whether this op asks something of its inputs' values."""
        return cls.require is not Op.require

    def gradient(self, node: Tensor, upstream: Tensor) -> tuple[Tensor | None, ...]:
        """Downstream gradients, one per input (None: no gradient flows there), as tensors of the same graph."""
        raise NotImplementedError(f"{type(self).__name__} states no gradient")

    def terms(self, node: Tensor, index: tuple[int, ...], *arrays: Array) -> Sequence[Term]:
        """The summands of output element `index`; their values add up to the element.

        By default one term: the whole value, made by the input elements that stand at `index` under broadcasting.
        """
        if not self.elementwise:
            raise NotImplementedError(f"{type(self).__name__} states no terms")
        factors: list[tuple[int, tuple[int, ...]]] = []
        elements: list[Array] = []
        for number, array in enumerate(arrays):
            position = broadcast_index(index, array.shape)
            factors.append((number, position))
            elements.append(array[position])
        return [Term(tuple(factors), float(self.reference(*map(np.asarray, elements))))]

    def cost(self, node: Tensor) -> Cost:
        """FLOPs and bytes moved: by default one operation per output element."""
        return Cost(node.size, traffic(node))

    @classmethod
    def samples(cls) -> list[OpSample]:
        """Cases that every executor, the gradient rule and the torch oracle are checked on."""
        raise NotImplementedError(f"{cls.__name__} states no samples")

    def torch(self, torch: Any, *tensors: Any) -> Any:
        """The same computation in PyTorch; ops without it run their reference kernel on the torch executor."""
        raise NotImplementedError

    @classmethod
    def has_torch(cls) -> bool:
        """Whether the torch executor has a lowering of its own for this op."""
        return cls.torch is not Op.torch

    def in_torch(self, node: Tensor) -> bool:
        """Whether that lowering computes `node`, of its element types."""
        return self.has_torch() and all(i.dtype in self.torch_takes for i in node.inputs)


@dataclass(frozen=True)
class Composite:
    """A registered function made of existing ops: shape, gradient and every executor come from those."""

    name: str
    function: Callable[..., Any]
    samples: Callable[[], list[OpSample]]
    oracle: Callable[..., Any] | None

    @property
    def formula(self) -> str:
        return (self.function.__doc__ or "").strip()


COMPOSITES: dict[str, Composite] = {}


def composite(samples: Callable[[], list[OpSample]], oracle: Callable[..., Any] | None = None) -> Callable[[F], F]:
    """Register a plain function of existing ops. `oracle(torch, *arrays as tensors)` gives the peer's answer per sample."""

    def register(function: F) -> F:
        name = getattr(function, "__name__", "composite")
        COMPOSITES[name] = Composite(name, function, samples, oracle)
        return function

    return register


@functools.cache  # every node of a graph asks for its op's
def _with_underscores(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() and i else c.lower() for i, c in enumerate(name))


MOST_AXES = 64
"""Axes that an array can have."""
MOST_ELEMENTS = 2**62
"""Elements that a tensor may be said to have."""


def check_extent(name: str, shape: Shape) -> None:
    """Raise `ShapeError` for a shape that no array can have, however much memory there is."""
    if len(shape) > MOST_AXES:
        raise ShapeError(f"{name}: a tensor of {len(shape)} axes; arrays have at most {MOST_AXES}")
    if math.prod(shape) > MOST_ELEMENTS or math.prod(n or 1 for n in shape) > MOST_ELEMENTS:
        raise ShapeError(f"{name}: a tensor of more than {MOST_ELEMENTS} elements; choose smaller sizes")


def check_shape(name: str, shape: Sequence[SupportsIndex]) -> Shape:
    """`shape` as a tuple of non-negative ints, or a `ShapeError`."""
    try:
        dimensions = tuple(index_of(d) for d in shape)
    except TypeError:
        raise ShapeError(
            f"{name}: expected a shape, a tuple of whole numbers such as (1, 3, 32, 32), got {shape!r}"
        ) from None
    if any(d < 0 for d in dimensions):
        raise ShapeError(f"{name}: dimensions must not be negative, got {dimensions}")
    return dimensions


def check_dtype(name: str, dtype: str) -> str:
    """`dtype` if it is one that Pellucid computes with, or a `DTypeError`."""
    if dtype not in DTYPES:
        raise DTypeError(f"{name}: element type {dtype!r} is not one of {', '.join(DTYPES)}")
    return dtype


def as_array(name: str, value: npt.ArrayLike) -> Array:
    """A value as an array with its numbers in this machine's order of bytes; a `ShapeError` for rows of different lengths, a
    `DTypeError` for a masked array of which numbers are masked."""
    if isinstance(value, np.ndarray) and type(value) is not np.ndarray and np.ma.is_masked(value):
        raise DTypeError(
            f"{name}: some of its numbers are masked, which no tensor can say; fill them, as array.filled(0) does"
        )
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ShapeError(f"{name}: is no array of numbers ({error})") from error
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def as_dtype(array: Array, dtype: str) -> tuple[Array, Any]:
    """`array` with element type `dtype`, itself where it has that, and the first number that is too large for it, or None.

    Infinities and NaNs are numbers that floats have.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        found = array.astype(dtype, copy=False)
    kinds, lost = array.dtype.kind + found.dtype.kind, None
    if kinds == "ff" and array.dtype.itemsize > found.dtype.itemsize:
        lost = np.isinf(found) & np.isfinite(array)
    elif kinds == "ui":
        lost = array > np.iinfo(found.dtype).max
    elif kinds == "fi":
        lost = ~((array >= -(2.0**63)) & (array < 2.0**63))
    return found, array[lost].flat[0] if lost is not None and lost.any() else None


def converted(name: str, array: Array, dtype: str) -> Array:
    """`array` with element type `dtype`; a `DTypeError` for a number that is too large for it."""
    found, lost = as_dtype(array, dtype)
    if lost is not None:
        raise DTypeError(f"{name}: {lost} does not fit into {dtype}")
    return found


def require_dtype(name: str, takes: tuple[str, ...], *inputs: Tensor) -> None:
    """Raise `DTypeError` for inputs that are of none of the element types `takes`."""
    wrong = next((i for i in inputs if i.dtype not in takes), None)
    if wrong is not None:
        to = "a floating type" if takes == FLOATS else "int64 or a floating type"
        raise DTypeError(f"{name}: {wrong.name!r} is {wrong.dtype}; cast it to {to} first")


def beside(name: str, what: str, value: float, dtype: str) -> float:
    """A number as a tensor of `dtype` has it, where an infinity is the end of whole ones; a `DTypeError` for one that it cannot have."""
    if not (is_real(value) or (dtype == "bool" and isinstance(value, bool | np.bool_))):
        raise DTypeError(f"{name}: {what} must be a number, got {value!r:.60}")
    if dtype == "int64" and not math.isnan(value) and (math.isinf(value) or int(value) == value):
        return value if isinstance(value, int) else int(max(-(2**63), min(2**63 - 1, value)))
    if dtype in FLOATS or (dtype == "bool" and value in (0, 1)):
        return float(value)
    wanted = "whole numbers" if dtype == "int64" else "0 and 1"
    raise DTypeError(f"{name}: {value} beside a tensor of {dtype}, which holds {wanted}; cast the tensor first")


def common_dtype(name: str, inputs: Sequence[Tensor]) -> str:
    """The element type all floating inputs share (or all inputs, when none floats)."""
    dtypes = {i.dtype for i in inputs}
    if len(dtypes) == 1:
        return dtypes.pop()
    floats = {d for d in dtypes if d.startswith("float")}
    chosen = floats or dtypes
    if len(chosen) != 1:
        have = ", ".join(f"{i.name!r} {i.dtype}" for i in inputs)
        raise DTypeError(f"{name}: inputs must share one element type, got {have}; use pl.cast")
    return next(iter(chosen))


def broadcast_shape(name: str, inputs: Sequence[Tensor]) -> Shape:
    """The shape to which all inputs broadcast (NumPy's rule)."""
    if len({i.shape for i in inputs}) == 1:
        return inputs[0].shape
    axes = [
        {n for n in sizes if n != 1} for sizes in itertools.zip_longest(*(i.shape[::-1] for i in inputs), fillvalue=1)
    ]
    if any(len(sizes) > 1 for sizes in axes):
        have = ", ".join(f"{i.name!r} {i.shape}" for i in inputs)
        raise ShapeError(f"{name}: shapes do not broadcast together: {have}; reshape one of them")
    return tuple(next(iter(sizes), 1) for sizes in reversed(axes))


def broadcast_index(index: tuple[int, ...], shape: Shape) -> tuple[int, ...]:
    """Where in an array of `shape` the element stands that broadcasting puts at `index`."""
    tail = index[len(index) - len(shape) :]
    return tuple(0 if size == 1 else i for i, size in zip(tail, shape, strict=True))


def traffic(node: Tensor) -> int:
    """Bytes read from the inputs and written to the output of `node`."""
    return node.nbytes + sum(i.nbytes for i in node.inputs)
