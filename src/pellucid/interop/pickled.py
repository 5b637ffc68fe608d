"""Reads a pickle as data: follows its opcodes and builds plain values. Nothing that the file names is looked up or run."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pickletools import genops
from typing import Any, Protocol

from pellucid.errors import WeightsError

MOST_STEPS = 2_000_000
"""Opcodes and copied pairs that are followed: a tensor takes about 40, and no step makes more than some 100 bytes."""

Builder = Callable[[tuple[Any, ...]], Any]
Scalar = (str, int, float, bytes, type(None))


class Readable(Protocol):
    """What a pickle is read from."""

    def read(self, count: int, /) -> bytes: ...

    def readline(self) -> bytes: ...

    def tell(self) -> int: ...


@dataclass(frozen=True)
class Name:
    """A function or class that the file names."""

    path: str


class ForeignNameError(WeightsError):
    """The pickle names something that a file of weights has no use for."""


def read_pickle(
    stream: Readable, names: Mapping[str, Builder | None], persistent: Callable[[Any], Any] | None = None
) -> Any:
    """The value of the pickle that starts at the stream's position, which afterwards stands behind it.

    Built are dict, OrderedDict, list, tuple, str, int, float, bool, None and bytes. `names` are the further names that
    the file may use: with a builder, a function of ours that is called with the arguments in the file, or None for one
    that only stands as an argument. `persistent` makes a value of a persistent id. Any other name is a
    `ForeignNameError`, anything else that does not fit a `WeightsError`.
    """
    machine = _Machine(names, persistent)
    try:
        for opcode, argument, _ in genops(stream):  # pyright: ignore[reportArgumentType]
            machine.step(opcode.name, argument)
    except WeightsError:
        raise
    except (ValueError, OverflowError, DeprecationWarning) as error:
        raise damaged(str(error)) from error
    return machine.result()


def damaged(how: str) -> WeightsError:
    """The error for a pickle that no writer makes."""
    return WeightsError(f"its pickle is damaged ({how})")


def expect(holds: bool, how: str = "arguments that do not fit") -> None:
    """Raise the error for a damaged pickle unless `holds`."""
    if not holds:
        raise damaged(how)


class _Machine:
    """The stack, the marks on it and the memo, as a pickle's opcodes use them."""

    def __init__(self, names: Mapping[str, Builder | None], persistent: Callable[[Any], Any] | None) -> None:
        self.names = {
            "collections.OrderedDict": self.ordered,
            "_codecs.encode": self.encoded,
            "__builtin__.bytes": lambda arguments: expect(arguments == ()) or b"",
            **names,
        }
        self.persistent = persistent
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self.encodings: dict[str, bytes] = {}
        self.steps = 0

    def result(self) -> Any:
        """The value that is left when the pickle has stopped."""
        expect(len(self.stack) == 1 and not self.marks, "it does not end with one value")
        return self.stack[0]

    def step(self, opcode: str, argument: Any) -> None:
        """Follow one opcode."""
        self.spend(1)
        if opcode in _LITERALS:
            self.stack.append(argument)
        elif opcode in _FIXED:
            self.stack.append(_FIXED[opcode]())
        elif opcode in _HANDLERS:
            _HANDLERS[opcode](self, argument)
        else:
            raise WeightsError(f"its pickle uses the opcode {opcode}, for which weights have no use")

    def spend(self, steps: int) -> None:
        self.steps += steps
        if self.steps > MOST_STEPS:
            raise WeightsError(f"its pickle takes more than {MOST_STEPS:,} steps, too many for weights")

    def top(self) -> Any:
        expect(len(self.stack) > (self.marks[-1] if self.marks else 0), "a value is missing")
        return self.stack[-1]

    def pop(self) -> Any:
        value = self.top()
        self.stack.pop()
        return value

    def pop_mark(self) -> list[Any]:
        expect(bool(self.marks), "a mark is missing")
        start = self.marks.pop()
        items = self.stack[start:]
        del self.stack[start:]
        return items

    def pop_tuple(self, count: int) -> None:
        self.stack.append(tuple([self.pop() for _ in range(count)][::-1]))

    def extend(self, items: list[Any]) -> None:
        target = self.top()
        expect(type(target) is list, f"it appends to a {type(target).__name__}")
        target.extend(items)

    def fill(self, target: Any, items: list[Any]) -> Any:
        """`target` with the keys and values that alternate in `items`."""
        expect(isinstance(target, dict) and len(items) % 2 == 0, f"it sets items of a {type(target).__name__}")
        for key, value in zip(items[::2], items[1::2], strict=True):
            expect(isinstance(key, Scalar), f"a {type(key).__name__} is a dictionary's key")
            target[key] = value
        return target

    def set_item(self) -> None:
        value, key = self.pop(), self.pop()
        self.fill(self.top(), [key, value])

    def set_items(self) -> None:
        items = self.pop_mark()
        self.fill(self.top(), items)

    def name(self, module: Any, name: Any) -> None:
        expect(isinstance(module, str) and isinstance(name, str), "a name is not text")
        if f"{module}.{name}" not in self.names:
            raise ForeignNameError(f"{module}.{name}")
        self.stack.append(Name(f"{module}.{name}"))

    def stack_name(self) -> None:
        name, module = self.pop(), self.pop()
        self.name(module, name)

    def reduce(self) -> None:
        arguments, function = self.pop(), self.pop()
        expect(isinstance(function, Name) and isinstance(arguments, tuple), "it calls what is no function")
        builder = self.names[function.path]
        if builder is None:
            raise ForeignNameError(function.path)
        self.stack.append(builder(arguments))

    def refer(self) -> None:
        if self.persistent is None:
            raise damaged("it refers to something outside of it")
        self.stack.append(self.persistent(self.pop()))

    def build(self) -> None:
        """A state for an OrderedDict (PyTorch's versions of layers), which is left out."""
        state, target = self.pop(), self.top()
        expect(isinstance(target, OrderedDict) and isinstance(state, dict), f"a {type(target).__name__} gets a state")

    def ordered(self, arguments: tuple[Any, ...]) -> Any:
        pairs: list[Any] = arguments[0] if arguments else []
        expect(len(arguments) < 2 and type(pairs) is list)
        self.spend(len(pairs))
        expect(all(isinstance(p, tuple | list) and len(p) == 2 for p in pairs))
        return self.fill(OrderedDict(), [part for pair in pairs for part in pair])

    def encoded(self, arguments: tuple[Any, ...]) -> bytes:
        """Bytes, which old pickles hold as text; made once for each text, so that they stay as large as the file."""
        expect(len(arguments) == 2 and isinstance(arguments[0], str) and arguments[1] == "latin1")
        text = arguments[0]
        if text not in self.encodings:
            self.encodings[text] = text.encode("latin1")
        return self.encodings[text]


_LITERALS = {
    *("INT", "LONG", "BININT", "BININT1", "BININT2", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
}
_FIXED: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
}


def _put(machine: _Machine, index: int) -> None:
    """Remember the value at the top."""
    machine.memo[index] = machine.top()


def _get(machine: _Machine, index: int) -> None:
    """Put a remembered value on top."""
    expect(index in machine.memo, "a remembered value is missing")
    machine.stack.append(machine.memo[index])


_HANDLERS: dict[str, Callable[[_Machine, Any], Any]] = {
    "PROTO": lambda m, _: None,
    "FRAME": lambda m, _: None,
    "STOP": lambda m, _: None,
    "MARK": lambda m, _: m.marks.append(len(m.stack)),
    "POP": lambda m, _: m.pop() if len(m.stack) > (m.marks[-1] if m.marks else 0) else m.pop_mark(),
    "POP_MARK": lambda m, _: m.pop_mark(),
    "DUP": lambda m, _: m.stack.append(m.top()),
    "LIST": lambda m, _: m.stack.append(m.pop_mark()),
    "TUPLE": lambda m, _: m.stack.append(tuple(m.pop_mark())),
    "TUPLE1": lambda m, _: m.pop_tuple(1),
    "TUPLE2": lambda m, _: m.pop_tuple(2),
    "TUPLE3": lambda m, _: m.pop_tuple(3),
    "DICT": lambda m, _: m.stack.append(m.fill({}, m.pop_mark())),
    "APPEND": lambda m, _: m.extend([m.pop()]),
    "APPENDS": lambda m, _: m.extend(m.pop_mark()),
    "SETITEM": lambda m, _: m.set_item(),
    "SETITEMS": lambda m, _: m.set_items(),
    "PUT": _put,
    "BINPUT": _put,
    "LONG_BINPUT": _put,
    "MEMOIZE": lambda m, _: _put(m, len(m.memo)),
    "GET": _get,
    "BINGET": _get,
    "LONG_BINGET": _get,
    "GLOBAL": lambda m, text: m.name(*text.split(" ", 1)),
    "STACK_GLOBAL": lambda m, _: m.stack_name(),
    "REDUCE": lambda m, _: m.reduce(),
    "BINPERSID": lambda m, _: m.refer(),
    "BUILD": lambda m, _: m.build(),
}
