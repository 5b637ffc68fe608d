"""`Parameter`, a leaf with a value that training changes."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from pellucid.changes import Access, note_change
from pellucid.errors import DTypeError, GraphError, ShapeError
from pellucid.memory import fitting
from pellucid.op import Array, Shape, as_array, as_dtype, check_dtype, check_shape, converted
from pellucid.tensor import ParameterLeaf, Tensor

Initializer = Callable[[Shape, np.random.Generator], Array]
"""What gives a parameter its first values: a function of its shape and a source of random numbers."""
_SMALLER = "choose smaller pictures or fewer channels or features"
_CREATED = itertools.count()
_MAKING = threading.RLock()
_GRANTING = threading.Lock()


def is_kept(array: Array, dtype: str) -> bool:
    """Whether a parameter of element type `dtype` can have its value of an array: of real numbers, and of none with fractions
    where it has none."""
    return np.can_cast(array.dtype, dtype, "same_kind")


def unfit(given: Mapping[str, tuple[Array, str]]) -> dict[str, str]:
    """What is wrong with arrays that are to be values of an element type, kind of fault by kind; "" where nothing is."""
    other = [(name, array.dtype, dtype) for name, (array, dtype) in given.items() if not is_kept(array, dtype)]
    lost = {n: as_dtype(array, dtype)[1] for n, (array, dtype) in given.items() if is_kept(array, dtype)}
    told = {
        "not of real numbers": [f"{n} is {had}" for n, had, dtype in other if dtype.startswith("float")],
        "not of its element type": [f"{n} is {h}, expected {d}" for n, h, d in other if not d.startswith("float")],
        "too large": [f"{n} has {value}, beyond {given[n][1]}" for n, value in lost.items() if value is not None],
    }
    return {words: "; ".join(names) for words, names in told.items()}


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
        unset: dict[str, Any] = {"value": None, "memory": None, "version": 0, "given": False, "access": None}
        object.__setattr__(self, "_state", {"initializer": initializer, "key": (0, next(_CREATED)), **unset})

    @classmethod
    def of(cls, value: npt.ArrayLike, name: str = "parameter", trainable: bool = True) -> Parameter:
        """A parameter that starts as a copy of `value`; Python numbers become float32."""
        given = as_array(name, value)
        if not isinstance(value, np.ndarray | np.generic):
            if not is_kept(given, "float32"):
                raise DTypeError(f"{name}: expected numbers, got an array of {given.dtype}")
            given = converted(name, given, "float32")
        with fitting(f"{name}: a copy of the value", given.nbytes, _SMALLER):
            start = given.copy()
        start.flags.writeable = False
        return cls(start.shape, partial(_start, start), str(start.dtype), name, trainable)

    @property
    def value(self) -> Array:
        """The current value, read-only and always up to date; assign to change it."""
        shown = self.held().view()
        shown.flags.writeable = False
        return shown

    @value.setter
    def value(self, new: npt.ArrayLike) -> None:
        array = as_array(self.name, new)
        if array.shape != self.shape:
            raise ShapeError(f"{self.name}: expected a value of shape {self.shape}, got {array.shape}")
        if not is_kept(array, self.dtype):
            raise DTypeError(f"{self.name}: expected a value of {self.dtype}, got an array of {array.dtype}")
        self.storage()[...] = converted(self.name, array, self.dtype)
        self._state["given"] = True  # type: ignore[attr-defined]
        self.changed()

    @property
    def given(self) -> bool:
        """Whether the value was assigned (loaded weights are), rather than made by the initializer."""
        return self._state["given"]  # type: ignore[attr-defined]

    def storage(self) -> Array:
        """The very array that holds the value, for executors to write into; who does calls `changed`."""
        held = self.held()
        return held if held.flags.writeable else self._own()

    def held(self) -> Array:
        """The array that has the value, for executors that read it: until it is written this may be what it starts from."""
        state: dict[str, Any] = self._state  # type: ignore[attr-defined]
        value = state["value"]
        return self._make() if value is None else value

    def _own(self) -> Array:
        """The value in an array that may be written; of threads that ask for it at the same time one copies it for all."""
        state: dict[str, Any] = self._state  # type: ignore[attr-defined]
        with _MAKING:
            held: Array = state["value"]
            if not held.flags.writeable:
                with fitting(f"{self.name}: a copy of the value", self.nbytes, _SMALLER):
                    memory = np.empty(self.shape, self.dtype)
                self._keep(memory, held)
            return state["value"]

    def _make(self) -> Array:
        """The first value; of threads that ask for it at the same time one makes it for all."""
        state: dict[str, Any] = self._state  # type: ignore[attr-defined]
        with _MAKING:
            if state["value"] is None:
                generator = np.random.Generator(np.random.Philox(np.random.SeedSequence(state["key"])))
                with fitting(f"{self.name}: the value {self.dtype}{list(self.shape)}", self.nbytes, _SMALLER):
                    start = state["initializer"](self.shape, generator)
                    copied = np.asarray if _is_fixed(start) else np.array
                    made = copied(start, dtype=self.dtype, order="C")
                if made.shape != self.shape:
                    raise ShapeError(f"{self.name}: its initializer made shape {made.shape}, expected {self.shape}")
                if state["memory"] is not None:
                    self._keep(state["memory"], made)
                else:
                    state["value"] = made
                    note_change()
            return state["value"]

    def move(self, memory: Array) -> None:
        """Keep the value in `memory` from now on, an array of the parameter's shape and element type."""
        self._keep(memory, self.held())

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

    def copied(self) -> Parameter:
        """A parameter of its own with the same name and value; one whose value was not made yet will make the same."""
        twin = Parameter(self.shape, _unset, self.dtype, self.name, self.trainable)
        state: dict[str, Any] = self._state  # type: ignore[attr-defined]
        with _MAKING:
            value: Array | None = state["value"]
            if value is not None and value.flags.writeable:
                with fitting(f"{self.name}: a copy of the value", self.nbytes, _SMALLER):
                    value = value.copy()
            twin._state.update(value=value, **{n: state[n] for n in ("initializer", "key", "given")})  # type: ignore[attr-defined]
        return twin

    def __reduce__(self) -> tuple[Any, ...]:
        """As which it is pickled: what `copied` would make."""
        state: dict[str, Any] = self._state  # type: ignore[attr-defined]
        with _MAKING:
            kept = {name: state[name] for name in ("value", "initializer", "key", "given")}
        if kept["value"] is not None and not kept["value"].flags.writeable:
            kept["value"] = None  # the initializer gives it again: pickled as one array of both, both would be written
        return _restored, (self.shape, self.dtype, self.name, self.trainable, kept)

    def become(self, copy: Parameter) -> None:
        """Have the value of `copy`, which `copied` made, or make the same when it is read; and be given, or not, as that is."""
        theirs: dict[str, Any] = copy._state  # type: ignore[attr-defined]
        self._state.update({name: theirs[name] for name in ("initializer", "key", "given")}, value=None)  # type: ignore[attr-defined]
        if theirs["value"] is not None:
            memory: Array | None = self._state["memory"]  # type: ignore[attr-defined]
            self._keep(np.empty(self.shape, self.dtype) if memory is None else memory, theirs["value"])
        self.changed()

    def named(self, name: str) -> Tensor:
        raise GraphError(f"{self.name}: a parameter is one thing with one value and cannot be copied under {name!r}")


def _is_fixed(start: Any) -> bool:
    """Whether nobody writes what a first value shows: bytes, or an array that is read-only itself and not a view of another."""
    held: Any = start
    if not isinstance(held, np.ndarray) or not held.flags.aligned:
        return False
    while isinstance(held, np.ndarray) and not held.flags.writeable:
        held = held.base
    return held is None or isinstance(held, bytes)


def _start(value: Array, shape: Shape, generator: np.random.Generator) -> Array:
    return value


def _restored(shape: Shape, dtype: str, name: str, trainable: bool, kept: dict[str, Any]) -> Parameter:
    parameter = Parameter(shape, kept["initializer"], dtype, name, trainable)
    parameter._state.update(kept)  # type: ignore[attr-defined]
    return parameter


def _unset(shape: Shape, generator: np.random.Generator) -> Array:
    raise AssertionError("a copy takes over the initializer of the parameter that it is a copy of")


def accesses(parameters: Iterable[Parameter]) -> list[Access]:
    """What to hold while reading or changing `parameters`, in the order in which to take it.

    Those that no program has used yet share one from now on.
    """
    fresh, found = Access(), dict[Access, None]()
    with _GRANTING:
        for parameter in parameters:
            state: dict[str, Any] = parameter._state  # type: ignore[attr-defined]
            state["access"] = state["access"] or fresh
            found[state["access"]] = None
    return sorted(found, key=lambda access: access.number)
