"""The one data structure everybody shares: tensors made by ops, and the graph they form.

A `Tensor` is the output of one `Op` applied to other tensors. Nothing is computed here: executors give tensors values.
"""

from __future__ import annotations

import itertools
import math
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from pellucid.changes import note_change
from pellucid.errors import DTypeError, GraphError, ShapeError, unknown
from pellucid.op import DTYPES, Array, Cost, Op, OpSample, Shape, Term, check_dtype, check_shape
from pellucid.operators import Operators
from pellucid.scopes import qualified

Initializer = Callable[[Shape, np.random.Generator], Array]
_BYTES = {"float32": 4, "float64": 8, "int64": 8, "bool": 1}


class Tensor(Operators):
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
        unset: dict[str, Any] = {"value": None, "memory": None, "version": 0, "given": False}
        object.__setattr__(self, "_state", {"initializer": initializer, "key": (0, next(_CREATED)), **unset})

    @classmethod
    def of(cls, value: npt.ArrayLike, name: str = "parameter", trainable: bool = True) -> Parameter:
        """A parameter that starts as a copy of `value`; Python numbers become float32."""
        start = np.array(value, None if isinstance(value, np.ndarray | np.generic) else np.float32)
        return cls(start.shape, lambda shape, generator: start, str(start.dtype), name, trainable)

    @property
    def value(self) -> Array:
        """The current value, read-only and always up to date; assign to change it."""
        shown = self.storage().view()
        shown.flags.writeable = False
        return shown

    @value.setter
    def value(self, new: npt.ArrayLike) -> None:
        array = np.asarray(new)
        if array.shape != self.shape:
            raise ShapeError(f"{self.name}: expected a value of shape {self.shape}, got {array.shape}")
        self.storage()[...] = array
        self._state["given"] = True  # type: ignore[attr-defined]
        self.changed()

    def restore(self, value: Array, given: bool) -> None:
        """Bring back a value that the parameter had, and whether it was given."""
        self.value = value
        self._state["given"] = given  # type: ignore[attr-defined]

    @property
    def given(self) -> bool:
        """Whether the value was assigned (loaded weights are), rather than made by the initializer."""
        return self._state["given"]  # type: ignore[attr-defined]

    def storage(self) -> Array:
        """The very array that holds the value, for executors; who writes into it calls `changed`."""
        state: dict[str, Any] = self._state  # type: ignore[attr-defined]
        if state["value"] is None:
            generator = np.random.Generator(np.random.Philox(np.random.SeedSequence(state["key"])))
            made = np.array(state["initializer"](self.shape, generator), dtype=self.dtype, order="C")
            if made.shape != self.shape:
                raise ShapeError(f"{self.name}: its initializer made shape {made.shape}, expected {self.shape}")
            self._keep(made if state["memory"] is None else state["memory"], made)
        return state["value"]

    def move(self, memory: Array) -> None:
        """Keep the value in `memory` from now on, an array of the parameter's shape and element type."""
        self._keep(memory, self.storage())

    def _keep(self, memory: Array, value: Array) -> None:
        memory[...] = value
        self._state.update(value=memory, memory=memory)  # type: ignore[attr-defined]
        note_change()

    @property
    def version(self) -> int:
        """Grows whenever the value changes, so that what was computed from it can be kept until then."""
        return self._state["version"]  # type: ignore[attr-defined]

    def changed(self) -> None:
        """Say that the value was changed in place."""
        self._state["version"] += 1  # type: ignore[attr-defined]
        note_change()

    def __setattr__(self, attribute: str, value: Any) -> None:
        if attribute != "value":
            super().__setattr__(attribute, value)
        object.__setattr__(self, attribute, value)

    def initialize(self, key: tuple[int, ...]) -> None:
        """Forget the value; the next read makes it anew from `key`."""
        self._state.update(key=tuple(key), value=None, given=False)  # type: ignore[attr-defined]
        self.changed()

    def rename(self, name: str) -> None:
        """Give the parameter the path by which its network knows it."""
        object.__setattr__(self, "name", name)

    def named(self, name: str) -> Tensor:
        raise GraphError(f"{self.name}: a parameter is one thing with one value and cannot be copied under {name!r}")


def input(shape: Sequence[int], dtype: str = "float32", name: str = "x") -> Tensor:
    """A value fed to the program: `pl.input((64, 1, 28, 28), name="images")`."""
    return Tensor(Input(), (), check_shape(name, shape), check_dtype(name, dtype), qualified(name))


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
    return Tensor(op, (), op.dimensions, dtype, qualified(name))


def apply(op: Op, *inputs: Tensor, name: str | None = None) -> Tensor:
    """A new node: `op` on `inputs`, with its shape and element type worked out and checked."""
    shape = op.shape(*inputs)
    return Tensor(op, inputs, shape, op.dtype(*inputs), qualified(name or op.kind))


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

    __slots__ = ("_by_name", "names", "nodes", "outputs")

    outputs: tuple[Tensor, ...]
    nodes: tuple[Tensor, ...]
    names: Mapping[Tensor, str]
    _by_name: Mapping[str, Tensor]

    def __init__(self, outputs: Sequence[Tensor]) -> None:
        for output in outputs:
            if not isinstance(output, Tensor):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise GraphError(f"a graph's outputs are tensors, got {type(output).__name__}")
        nodes = tuple(topological(outputs))
        names = unique_names(nodes)
        object.__setattr__(self, "outputs", tuple(outputs))
        object.__setattr__(self, "nodes", nodes)
        object.__setattr__(self, "names", types.MappingProxyType(names))
        object.__setattr__(self, "_by_name", {name: node for node, name in names.items()})

    def __setattr__(self, attribute: str, value: Any) -> None:
        raise GraphError(f"a graph is immutable, {attribute!r} cannot be set; build a new one from other outputs")

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
                raise unknown("node", key, self._by_name)
            return self._by_name[key]
        return self.nodes[key]

    def __len__(self) -> int:
        return len(self.nodes)

    def __iter__(self) -> Iterator[Tensor]:
        return iter(self.nodes)

    def difference(self, other: Graph) -> str:
        """The first difference from another graph: names, ops, inputs, shapes, values of parameters; "" if there is none."""
        from pellucid.graph_view import difference

        return difference(self, other)

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
