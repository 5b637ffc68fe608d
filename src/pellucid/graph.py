"""The one data structure everybody shares: tensors made by ops, and the graph they form.

A `Tensor` is the output of one `Op` applied to other tensors. Nothing is computed here: executors give tensors values.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import math
import types
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, ClassVar, SupportsIndex, TypeVar

import numpy as np
import numpy.typing as npt

from pellucid.errors import DTypeError, GraphError, ShapeError

Shape = tuple[int, ...]
Array = npt.NDArray[Any]
F = TypeVar("F", bound=Callable[..., Any])

DTYPES = ("float32", "float64", "int64", "bool")
_BYTES = {"float32": 4, "float64": 8, "int64": 8, "bool": 1}


@dataclass(frozen=True)
class Term:
    """One summand of an output element: its `value`, and the input elements `(input number, index)` that made it."""

    factors: tuple[tuple[int, tuple[int, ...]], ...]
    value: float


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

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if not cls.__name__.startswith("_"):
            OPS[cls.__name__] = cls

    @property
    def kind(self) -> str:
        """The name nodes of this op get when nobody names them: `MaxPool2d` -> `max_pool2d`."""
        name = type(self).__name__
        return "".join(f"_{c.lower()}" if c.isupper() and i else c.lower() for i, c in enumerate(name))

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
        """Element type of the output: by default the one all floating inputs share."""
        return common_dtype(self.kind, inputs)

    def reference(self, *arrays: Array) -> Array:
        """The specification: the output computed with NumPy."""
        raise NotImplementedError(f"{type(self).__name__} states no reference")

    def gradient(self, node: Tensor, upstream: Tensor) -> tuple[Tensor | None, ...]:
        """Downstream gradients, one per input (None: no gradient flows there), as tensors of the same graph."""
        raise NotImplementedError(f"{type(self).__name__} states no gradient")

    def terms(self, node: Tensor, index: tuple[int, ...], *arrays: Array) -> list[Term]:
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


_SCOPE: ContextVar[str] = ContextVar("scope", default="")
_UPDATES: ContextVar[dict[Parameter, Tensor] | None] = ContextVar("updates", default=None)


@contextlib.contextmanager
def scope(name: str) -> Generator[None]:
    """Nodes made inside are named `name/...`; scopes nest."""
    token = _SCOPE.set(_SCOPE.get() + name + "/" if name else _SCOPE.get())
    try:
        yield
    finally:
        _SCOPE.reset(token)


@contextlib.contextmanager
def root_scope() -> Generator[None]:
    """Nodes made inside are named from the root, whatever scopes are open."""
    token = _SCOPE.set("")
    try:
        yield
    finally:
        _SCOPE.reset(token)


@contextlib.contextmanager
def collect_updates() -> Generator[dict[Parameter, Tensor]]:
    """Collect what layers record with `record_update` (running statistics) while a graph is being built."""
    updates: dict[Parameter, Tensor] = {}
    token = _UPDATES.set(updates)
    try:
        yield updates
    finally:
        _UPDATES.reset(token)


def record_update(parameter: Parameter, value: Tensor) -> None:
    """Say that a training step must set `parameter` to `value`. Outside `collect_updates` it stays as it is."""
    updates = _UPDATES.get()
    if updates is not None:
        if parameter.shape != value.shape or parameter.dtype != value.dtype:
            raise ShapeError(
                f"{parameter.name}: its update is {value.dtype}{value.shape}, the parameter {parameter.dtype}{parameter.shape}"
            )
        updates[parameter] = value


class Tensor:
    """The output of one op: immutable, with a static shape and an element type. It has no value of its own.

    Hashing is by identity; comparison operators build elementwise nodes, as NumPy's do.
    """

    __slots__ = ("dtype", "inputs", "name", "op", "shape")
    __array_ufunc__ = None  # so that `ndarray + tensor` reaches Tensor.__radd__

    op: Op
    inputs: tuple[Tensor, ...]
    shape: Shape
    dtype: str
    name: str

    def __init__(self, op: Op, inputs: tuple[Tensor, ...], shape: Shape, dtype: str, name: str) -> None:
        for attribute, value in (("op", op), ("inputs", inputs), ("shape", shape), ("dtype", dtype), ("name", name)):
            object.__setattr__(self, attribute, value)

    def __setattr__(self, attribute: str, value: Any) -> None:
        raise GraphError(f"{self.name}: a tensor is immutable, {attribute!r} cannot be set; build a new one")

    def named(self, name: str) -> Tensor:
        """The same computation under another name."""
        return Tensor(self.op, self.inputs, self.shape, self.dtype, name)

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

    __hash__ = object.__hash__

    def __add__(self, other: Any) -> Tensor:
        return _call("add", self, other)

    def __radd__(self, other: Any) -> Tensor:
        return _call("add", other, self)

    def __sub__(self, other: Any) -> Tensor:
        return _call("subtract", self, other)

    def __rsub__(self, other: Any) -> Tensor:
        return _call("subtract", other, self)

    def __mul__(self, other: Any) -> Tensor:
        return _call("multiply", self, other)

    def __rmul__(self, other: Any) -> Tensor:
        return _call("multiply", other, self)

    def __truediv__(self, other: Any) -> Tensor:
        return _call("divide", self, other)

    def __rtruediv__(self, other: Any) -> Tensor:
        return _call("divide", other, self)

    def __pow__(self, other: Any) -> Tensor:
        return _call("power", self, other)

    def __rpow__(self, other: Any) -> Tensor:
        return _call("power", other, self)

    def __matmul__(self, other: Any) -> Tensor:
        return _call("matmul", self, other)

    def __rmatmul__(self, other: Any) -> Tensor:
        return _call("matmul", other, self)

    def __neg__(self) -> Tensor:
        return _call("negative", self)

    def __abs__(self) -> Tensor:
        return _call("absolute", self)

    def __lt__(self, other: Any) -> Tensor:
        return _call("less", self, other)

    def __le__(self, other: Any) -> Tensor:
        return _call("less_equal", self, other)

    def __gt__(self, other: Any) -> Tensor:
        return _call("greater", self, other)

    def __ge__(self, other: Any) -> Tensor:
        return _call("greater_equal", self, other)

    def __eq__(self, other: object) -> Tensor:  # type: ignore[override]
        return _call("equal", self, other)

    def __ne__(self, other: object) -> Tensor:  # type: ignore[override]
        return _call("not_equal", self, other)

    def __getitem__(self, key: Any) -> Tensor:
        return _call("index", self, key)

    def sum(self, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
        """Sum over `axis` (all axes by default)."""
        return _call("sum", self, axis, keepdims)

    def mean(self, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
        """Mean over `axis` (all axes by default)."""
        return _call("mean", self, axis, keepdims)

    def max(self, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
        """Maximum over `axis` (all axes by default)."""
        return _call("max", self, axis, keepdims)

    def reshape(self, *shape: Any) -> Tensor:
        """The same elements in row-major order under another shape; one -1 is worked out."""
        return _call("reshape", self, shape[0] if len(shape) == 1 and not isinstance(shape[0], int) else shape)

    def transpose(self, *axes: int) -> Tensor:
        """Axes in another order (reversed by default)."""
        return _call("transpose", self, axes or None)

    @property
    def T(self) -> Tensor:
        """Axes reversed."""
        return _call("transpose", self, None)


FUNCTIONS: dict[str, Callable[..., Tensor]] = {}
"""What the operators above stand for; `pellucid.ops` fills it, so that this module needs to know no op."""


def operator(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Make `function` available to Tensor's operators and methods under its own name."""
    FUNCTIONS[function.__name__] = function
    return function


def _call(name: str, *arguments: Any) -> Tensor:
    return FUNCTIONS[name](*arguments)


@dataclass(frozen=True)
class Input(Op):
    """A value fed to the program."""

    differentiable: ClassVar[bool] = False

    @classmethod
    def samples(cls) -> list[OpSample]:
        return []


@dataclass(frozen=True)
class ParameterLeaf(Op):
    """A value the program keeps: a weight, a running statistic or an optimiser's state."""

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


Initializer = Callable[[Shape, np.random.Generator], Array]
_CREATED = itertools.count()


class Parameter(Tensor):
    """A leaf with a value that training changes (or, with `trainable=False`, that a layer keeps).

    The value is made when first read: `initializer(shape, generator)` with a counter-based generator keyed by the
    parameter's key, so building a huge network costs nothing and the same key gives the same numbers anywhere.
    """

    __slots__ = ("_state", "trainable")

    trainable: bool

    def __init__(
        self,
        shape: Sequence[int],
        initializer: Initializer,
        dtype: str = "float32",
        name: str = "parameter",
        trainable: bool = True,
    ) -> None:
        super().__init__(ParameterLeaf(), (), check_shape(name, shape), check_dtype(name, dtype), name)
        object.__setattr__(self, "trainable", trainable)
        object.__setattr__(self, "_state", {"initializer": initializer, "key": (0, next(_CREATED)), "value": None})

    @classmethod
    def of(cls, value: npt.ArrayLike, name: str = "parameter", trainable: bool = True) -> Parameter:
        """A parameter that starts as a copy of `value`."""
        start = np.array(value)
        return cls(start.shape, lambda shape, generator: start, str(start.dtype), name, trainable)

    @property
    def value(self) -> Array:
        """The current value; a program's updates write into this very array."""
        state: dict[str, Any] = self._state  # type: ignore[attr-defined]
        if state["value"] is None:
            generator = np.random.Generator(np.random.Philox(np.random.SeedSequence(state["key"])))
            made = np.array(state["initializer"](self.shape, generator), dtype=self.dtype)
            if made.shape != self.shape:
                raise ShapeError(f"{self.name}: its initializer made shape {made.shape}, expected {self.shape}")
            state["value"] = np.ascontiguousarray(made)
        return state["value"]

    @value.setter
    def value(self, new: npt.ArrayLike) -> None:
        array = np.asarray(new)
        if array.shape != self.shape:
            raise ShapeError(f"{self.name}: expected a value of shape {self.shape}, got {array.shape}")
        self.value[...] = array

    def __setattr__(self, attribute: str, value: Any) -> None:
        if attribute != "value":
            super().__setattr__(attribute, value)
        object.__setattr__(self, attribute, value)

    def initialize(self, key: tuple[int, ...]) -> None:
        """Forget the value; the next read makes it anew from `key`."""
        self._state.update(key=tuple(key), value=None)  # type: ignore[attr-defined]

    def rename(self, name: str) -> None:
        """Give the parameter the path by which its network knows it."""
        object.__setattr__(self, "name", name)

    def named(self, name: str) -> Tensor:
        raise GraphError(f"{self.name}: a parameter is one thing with one value and cannot be copied under {name!r}")


def input(shape: Sequence[int], dtype: str = "float32", name: str = "x") -> Tensor:
    """A value fed to the program: `pl.input((64, 1, 28, 28), name="images")`."""
    return Tensor(Input(), (), check_shape(name, shape), check_dtype(name, dtype), _SCOPE.get() + name)


def constant(value: npt.ArrayLike, dtype: str | None = None, name: str = "constant") -> Tensor:
    """A fixed value. Python floats and lists of them become float32 unless `dtype` says otherwise."""
    array = np.asarray(value)
    if dtype is None:
        kind = array.dtype.kind
        keeps = isinstance(value, np.ndarray | np.generic) and str(array.dtype) in DTYPES
        dtype = (
            str(array.dtype)
            if keeps
            else {"f": "float32", "i": "int64", "u": "int64", "b": "bool"}.get(kind, str(array.dtype))
        )
    check_dtype(name, dtype)
    array = np.ascontiguousarray(array, dtype=dtype)
    op = Constant(array.tobytes(), dtype, tuple(np.shape(value)))
    return Tensor(op, (), op.dimensions, dtype, _SCOPE.get() + name)


def apply(op: Op, *inputs: Tensor, name: str | None = None) -> Tensor:
    """A new node: `op` on `inputs`, with its shape and element type worked out and checked."""
    shape = op.shape(*inputs)
    return Tensor(op, inputs, shape, op.dtype(*inputs), _SCOPE.get() + (name or op.kind))


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


class Graph(Sequence[Tensor]):
    """Everything that `outputs` need, in topological order, under unique names. Immutable.

    `graph["conv1"]` is the node of that name, `graph.names[node]` the name of a node. Printing gives a table.
    """

    def __init__(self, outputs: Sequence[Tensor]) -> None:
        self.outputs: tuple[Tensor, ...] = tuple(outputs)
        for output in self.outputs:
            if not isinstance(output, Tensor):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise GraphError(f"a graph's outputs are tensors, got {type(output).__name__}")
        self.nodes: tuple[Tensor, ...] = tuple(topological(self.outputs))
        self.names: Mapping[Tensor, str] = types.MappingProxyType(unique_names(self.nodes))
        self._by_name = {name: node for node, name in self.names.items()}

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """The nodes that must be fed."""
        return tuple(n for n in self.nodes if isinstance(n.op, Input))

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The parameters the outputs depend on."""
        return tuple(n for n in self.nodes if isinstance(n, Parameter))

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            if key not in self._by_name:
                from pellucid.errors import unknown

                raise unknown("node", key, self._by_name)
            return self._by_name[key]
        return self.nodes[key]

    def __len__(self) -> int:
        return len(self.nodes)

    def __iter__(self) -> Iterator[Tensor]:
        return iter(self.nodes)

    def __str__(self) -> str:
        from pellucid.graph_view import table

        return table(self)

    def __repr__(self) -> str:
        return f"Graph({len(self.nodes)} nodes, outputs: {', '.join(self.names[o] for o in self.outputs)})"

    def _repr_html_(self) -> str:
        from pellucid.graph_view import svg

        return svg(self)


def topological(outputs: Sequence[Tensor]) -> list[Tensor]:
    """Every node that `outputs` depend on, inputs before users, without recursion."""
    order: list[Tensor] = []
    done: set[Tensor] = set()
    stack: list[tuple[Tensor, bool]] = [(o, False) for o in reversed(outputs)]
    while stack:
        node, expanded = stack.pop()
        if node in done:
            continue
        if expanded:
            done.add(node)
            order.append(node)
        else:
            stack.append((node, True))
            stack.extend((i, False) for i in reversed(node.inputs) if i not in done)
    return order


def unique_names(nodes: Sequence[Tensor]) -> dict[Tensor, str]:
    """A name for each node: its own, with `_1`, `_2`, ... where several share it (in order of the nodes)."""
    names: dict[Tensor, str] = {}
    taken: set[str] = set()
    counters: dict[str, int] = {}
    for node in sorted(nodes, key=lambda n: not isinstance(n, Parameter)):  # parameters keep their names
        name = node.name
        while name in taken:
            counters[node.name] = counters.get(node.name, 0) + 1
            name = f"{node.name}_{counters[node.name]}"
        taken.add(name)
        names[node] = name
    return {node: names[node] for node in nodes}


def check_shape(name: str, shape: Sequence[SupportsIndex]) -> Shape:
    """`shape` as a tuple of non-negative ints, or a `ShapeError`."""
    dimensions = tuple(d.__index__() for d in shape)
    if any(d < 0 for d in dimensions):
        raise ShapeError(f"{name}: dimensions must not be negative, got {dimensions}")
    return dimensions


def check_dtype(name: str, dtype: str) -> str:
    """`dtype` if it is one that Pellucid computes with, or a `DTypeError`."""
    if dtype not in DTYPES:
        raise DTypeError(f"{name}: element type {dtype!r} is not one of {', '.join(DTYPES)}")
    return dtype


def common_dtype(name: str, inputs: Sequence[Tensor]) -> str:
    """The element type all floating inputs share (or all inputs, when none floats)."""
    dtypes = {i.dtype for i in inputs}
    floats = {d for d in dtypes if d.startswith("float")}
    chosen = floats or dtypes
    if len(chosen) != 1:
        have = ", ".join(f"{i.name!r} {i.dtype}" for i in inputs)
        raise DTypeError(f"{name}: inputs must share one element type, got {have}; use pl.cast")
    return next(iter(chosen))


def broadcast_shape(name: str, inputs: Sequence[Tensor]) -> Shape:
    """The shape to which all inputs broadcast (NumPy's rule)."""
    try:
        return tuple(np.broadcast_shapes(*(i.shape for i in inputs)))
    except ValueError:
        have = ", ".join(f"{i.name!r} {i.shape}" for i in inputs)
        raise ShapeError(f"{name}: shapes do not broadcast together: {have}; reshape one of them") from None


def broadcast_index(index: tuple[int, ...], shape: Shape) -> tuple[int, ...]:
    """Where in an array of `shape` the element stands that broadcasting puts at `index`."""
    tail = index[len(index) - len(shape) :]
    return tuple(0 if size == 1 else i for i, size in zip(tail, shape, strict=True))


def traffic(node: Tensor) -> int:
    """Bytes read from the inputs and written to the output of `node`."""
    return node.nbytes + sum(i.nbytes for i in node.inputs)
