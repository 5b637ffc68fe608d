"""`Tensor`, the output of one `Op` applied to other tensors, and the leaves that it starts from.

Nothing is computed here: executors give tensors values.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, ParamSpec, TypeVar

import numpy as np
import numpy.typing as npt

from pellucid.budget import take, take_node
from pellucid.errors import DTypeError, GraphError
from pellucid.memory import fitting
from pellucid.op import (
    DTYPES,
    Array,
    Cost,
    Op,
    OpSample,
    Shape,
    Term,
    as_array,
    check_dtype,
    check_extent,
    check_shape,
    converted,
)
from pellucid.operators import FUNCTIONS, Operators
from pellucid.scopes import qualified

P = ParamSpec("P")
R = TypeVar("R")

_BYTES = {"float32": 4, "float64": 8, "int64": 8, "bool": 1}


class Tensor(Operators):
    """The output of one op: immutable, with a static shape and an element type. It has no value of its own.

    Hashing is by identity; comparison operators build elementwise nodes, as NumPy's do.
    """

    __slots__ = ("call", "dtype", "inputs", "is_named", "name", "op", "shape")
    __array_ufunc__ = None  # so that `ndarray + tensor` reaches Tensor.__radd__

    op: Op
    inputs: tuple[Tensor, ...]
    shape: Shape
    dtype: str
    name: str
    is_named: bool
    """Whether the name was given to this very node, as a layer's is, rather than made of the op's kind."""
    call: tuple[Call, int] | None
    """The call that this is an output of, and which one, where what made it says so."""

    def __init__(
        self,
        op: Op,
        inputs: tuple[Tensor, ...],
        shape: Shape,
        dtype: str,
        name: str,
        is_named: bool = False,
        call: tuple[Call, int] | None = None,
    ) -> None:
        check_extent(name, shape)
        take_node(name)
        object.__setattr__(self, "op", op)
        object.__setattr__(self, "inputs", inputs)
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "dtype", dtype)
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "is_named", is_named)
        object.__setattr__(self, "call", call)

    def __setattr__(self, attribute: str, value: Any) -> None:
        raise GraphError(f"{self.name}: a tensor is immutable, {attribute!r} cannot be set; build a new one")

    def named(self, name: str) -> Tensor:
        """The same computation under another name."""
        return Tensor(self.op, self.inputs, self.shape, self.dtype, name, True, self.call)

    def instead_of(self, other: Tensor) -> Tensor:
        """The same computation under the name of the node that it takes the place of."""
        return Tensor(self.op, self.inputs, self.shape, self.dtype, other.name, other.is_named)

    def output_of(self, call: Call, number: int) -> Tensor:
        """The same computation, known as output `number` of a call."""
        return Tensor(self.op, self.inputs, self.shape, self.dtype, self.name, self.is_named, (call, number))

    def made_of(self, op: Op, inputs: tuple[Tensor, ...]) -> Tensor:
        """Another computation of the same value under the same name."""
        return Tensor(op, inputs, self.shape, self.dtype, self.name, self.is_named)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes that the value takes."""
        return self.size * _BYTES[self.dtype]

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        """The same computation on copies of the parameters; what depends on none is shared, as it never changes."""
        for node in topological([self]):
            if id(node) not in memo:
                inputs = tuple(memo[id(i)] for i in node.inputs)
                same = all(a is b for a, b in zip(inputs, node.inputs, strict=True))
                memo[id(node)] = node.copied() if same else node.made_of(node.op, inputs)
        return memo[id(self)]

    def copied(self) -> Tensor:
        """What stands for a leaf in a copy of a graph: itself, unless it has a value that changes."""
        return self

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, {self.op.kind}, {self.dtype}{list(self.shape)})"

    def __bool__(self) -> bool:
        raise GraphError(
            f"{self.name}: a tensor has no truth value while the graph is being built; use pl.where, or `is`"
        )

    def __len__(self) -> int:
        if not self.shape:
            raise GraphError(f"{self.name}: a scalar tensor has no length")
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))


@dataclass(frozen=True, eq=False)
class Call:
    """One call of a function that has several outputs or is made of very many nodes: what it was given.

    With it the nodes can be said again as what they are, such as one LSTM.
    """

    function: str
    tensors: Mapping[str, Tensor]
    settings: Any
    """What else it was given: plain data, equal where the calls ask for the same."""


@dataclass(frozen=True)
class Input(Op):
    """A value fed to the program."""

    differentiable: ClassVar[bool] = False

    @classmethod
    def samples(cls) -> list[OpSample]:
        return []


@dataclass(frozen=True)
class ParameterLeaf(Op):
    """A value the program keeps: a weight, a running statistic or an optimizer's state."""

    differentiable: ClassVar[bool] = False

    @classmethod
    def samples(cls) -> list[OpSample]:
        return []


@dataclass(frozen=True)
class Constant(Op):
    """A fixed value: `data` is its bytes in row-major order."""

    data: bytes
    element: str
    dimensions: Shape
    differentiable: ClassVar[bool] = False

    def shape(self, *inputs: Tensor) -> Shape:
        return self.dimensions

    def dtype(self, *inputs: Tensor) -> str:
        return self.element

    @property
    def value(self) -> Array:
        """The value, read-only."""
        return np.frombuffer(self.data, self.element).reshape(self.dimensions)

    def reference(self, *arrays: Array) -> Array:
        return self.value

    def cost(self, node: Tensor) -> Cost:
        return Cost(0, 0)

    def torch(self, torch: Any, *tensors: Any) -> Any:
        return torch.from_numpy(self.value.copy())

    def terms(self, node: Tensor, index: tuple[int, ...], *arrays: Array) -> list[Term]:
        return [Term((), float(self.value[index]))]

    @classmethod
    def samples(cls) -> list[OpSample]:
        return [OpSample(lambda: constant([[1.0, 2.0]], "float64"), ())]


def input(shape: Sequence[int], dtype: str = "float32", name: str = "x") -> Tensor:
    """A value fed to the program: `pl.input((64, 1, 28, 28), name="images")`."""
    return Tensor(Input(), (), check_shape(name, shape), check_dtype(name, dtype), qualified(name))


def constant(value: npt.ArrayLike, dtype: str | None = None, name: str = "constant") -> Tensor:
    """A fixed value. Python floats and lists of them become float32 unless `dtype` says otherwise."""
    array = as_array(name, value)
    if dtype is None:
        keeps = isinstance(value, np.ndarray | np.generic) and str(array.dtype) in DTYPES
        floating = "float64" if array.dtype.itemsize > 8 else "float32"  # long doubles
        kinds = {"f": floating, "i": "int64", "u": "int64", "b": "bool"}
        dtype = str(array.dtype) if keeps else kinds.get(array.dtype.kind, str(array.dtype))
    check_dtype(name, dtype)
    take(kept=array.size * _BYTES[dtype], passing=array.size * _BYTES[dtype])
    with fitting(f"{name}: the constant", array.size * _BYTES[dtype], "give it fewer elements"):
        try:
            op = Constant(np.ascontiguousarray(converted(name, array, dtype)).tobytes(), dtype, array.shape)
        except OverflowError as error:
            raise DTypeError(f"{name}: a value does not fit into {dtype} ({error})") from error
    return Tensor(op, (), op.dimensions, dtype, qualified(name))


def apply(op: Op, *inputs: Tensor, name: str | None = None) -> Tensor:
    """A new node: `op` on `inputs`, with its shape and element type worked out and checked.

    Arrays and numbers among the inputs are constants. Inputs that the op wants alike are cast where only some are floating, so that
    no executor computes with mixed types.
    """
    if not all(isinstance(i, Tensor) for i in inputs):  # pyright: ignore[reportUnnecessaryIsInstance]
        inputs = as_tensors(*inputs)
    inputs = _alike(op, inputs)
    shape = op.shape(*inputs)
    return Tensor(op, inputs, shape, op.dtype(*inputs), qualified(name or op.kind))


def _alike(op: Op, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    if len({i.dtype for i in inputs}) < 2:
        return inputs
    places = range(len(inputs))[op.alike()]
    floating = {inputs[p].dtype for p in places if inputs[p].dtype.startswith("float")}
    if len(floating) != 1:
        return inputs
    (to,) = floating
    return tuple(FUNCTIONS["cast"](i, to) if p in places else i for p, i in enumerate(inputs))


def as_tensors(*values: Any) -> tuple[Tensor, ...]:
    """Make constants of plain values; numbers take the element type of the tensors they stand beside."""
    dtypes = [v.dtype for v in values if isinstance(v, Tensor)]
    floats = [d for d in dtypes if d.startswith("float")]
    beside = floats[0] if floats else (dtypes[0] if dtypes else None)

    def convert(value: Any) -> Tensor:
        if isinstance(value, Tensor):
            return value
        if isinstance(value, bool | int | float | np.number) and beside is not None:
            whole = isinstance(value, int | np.integer)
            if beside in ("int64", "bool") and not whole:
                raise DTypeError(f"{value!r} beside a tensor of {beside}: cast the tensor to a floating type first")
            return constant(value, beside if beside != "bool" or isinstance(value, bool) else "int64")
        return constant(value)

    return tuple(convert(v) for v in values)


def of_arrays(function: Callable[P, R]) -> Callable[P, R]:
    """An op's function that takes arrays, lists and numbers as constants wherever its annotations say that it takes a tensor."""
    names = function.__code__.co_varnames[: function.__code__.co_argcount]
    places = [k for k, name in enumerate(names) if function.__annotations__[name] in ("Tensor", "Tensor | None")]

    @functools.wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> R:
        given: dict[int | str, Any] = {k: args[k] for k in places if k < len(args)}
        given |= {names[k]: kwargs[names[k]] for k in places if names[k] in kwargs}
        if all(isinstance(value, Tensor) or value is None for value in given.values()):
            return function(*args, **kwargs)
        some = {place: value for place, value in given.items() if value is not None}
        made: dict[int | str, Any] = dict(zip(some, as_tensors(*some.values()), strict=True))
        first: list[Any] = [made.pop(k, value) for k, value in enumerate(args)]
        return function(*first, **{**kwargs, **made})  # type: ignore[arg-type]

    return called


def topological(outputs: Sequence[Tensor], given: Iterable[Tensor] = ()) -> list[Tensor]:
    """Every node that `outputs` depend on, inputs before users, without recursion; none of `given`, nor what is behind it."""
    order: list[Tensor] = []
    done: set[Tensor] = set(given)
    stack = list(reversed(outputs))
    while stack:
        node = stack[-1]
        if node not in done:
            if not done.issuperset(node.inputs):
                stack += [i for i in reversed(node.inputs) if i not in done]
                continue
            done.add(node)
            order.append(node)
        stack.pop()
    return order
