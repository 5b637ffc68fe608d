"""What was compiled for networks, kept within a limit of bytes: each program is compiled once, by the first who asks for it."""

from __future__ import annotations

import itertools
import threading
import weakref
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from pellucid.errors import PellucidError
from pellucid.executors import Program
from pellucid.graph import Constant

NODE_BYTES = 2048
"""About what a node of a program's graph takes in Python, with its part of the plan."""


class LimitError(PellucidError, ValueError):
    """No number of bytes."""


@runtime_checkable
class _Telling(Protocol):
    """A program that knows how many bytes it holds."""

    nbytes: int


@dataclass(eq=False)
class _Place:
    """Where one program is, or will be when the thread that holds the lock has compiled it."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    program: Program | None = None
    used: int = 0
    """When it was last asked for, counted over all programs."""


@dataclass
class _Limit:
    """What all programs that are kept may take together."""

    nbytes: int = 1 << 30


_LIMIT = _Limit()
_CLOCK = itertools.count()
_LOCK = threading.Lock()
_ALL: weakref.WeakSet[Programs] = weakref.WeakSet()


class Programs:
    """The programs of one graph, by what they compute. They go with the graph, and it with its network."""

    def __init__(self) -> None:
        self.places: dict[Hashable, _Place] = {}
        with _LOCK:
            _ALL.add(self)

    def get(self, key: Hashable, compile: Callable[[], Program]) -> Program:
        """The program known as `key`, compiled unless it is kept; who asks for one that is being compiled waits for it."""
        with _LOCK:
            place = self.places.setdefault(key, _Place())
            place.used = next(_CLOCK)
        with place.lock:
            if place.program is not None:
                return place.program
            program = place.program = compile()
        _make_room(place)
        return program


def limit(nbytes: int | None = None) -> int:
    """The bytes that compiled programs kept for all networks may take together, 1 GiB unless set; sets it where given.

    Where they take more, the ones not used for longest go, and are compiled again when they are needed; the one that is
    asked for last always stays. `pl.inference.limit(0)` thus keeps a single program.
    """
    if nbytes is not None:
        if nbytes < 0:
            raise LimitError(f"limit: wants a number of bytes, 0 or more, got {nbytes}")
        _LIMIT.nbytes = nbytes
        _make_room()
    return _LIMIT.nbytes


def kept_bytes() -> int:
    """The bytes that the programs kept for all networks take now, as far as their executors tell."""
    with _LOCK:
        return sum(held_bytes(place.program) for _, _, place in _kept())


def held_bytes(program: Program | None) -> int:
    """Bytes that a program holds: as it tells itself, else an estimate from the constants in its graph."""
    if program is None:
        return 0
    nodes = program.graph.nodes
    if isinstance(program, _Telling):
        return NODE_BYTES * len(nodes) + program.nbytes
    return sum(NODE_BYTES + (n.nbytes if isinstance(n.op, Constant) else 0) for n in nodes)


def _kept() -> list[tuple[Programs, Hashable, _Place]]:
    """Every program that is there, the one not used for longest first."""
    found = [(some, key, place) for some in _ALL for key, place in some.places.items() if place.program is not None]
    return sorted(found, key=lambda one: one[2].used)


def _make_room(newest: _Place | None = None) -> None:
    """Let go of programs until they fit into the limit, but not of `newest`, or else of the one used last."""
    dropped: list[_Place] = []  # whose memory is given back when the lock is
    with _LOCK:
        kept = _kept()
        sizes = [held_bytes(place.program) for _, _, place in kept]
        over = sum(sizes) - _LIMIT.nbytes
        staying = newest or (kept[-1][2] if kept else None)
        for (some, key, place), size in zip(kept, sizes, strict=True):
            if over <= 0:
                break
            if place is not staying:
                dropped.append(some.places.pop(key))
                over -= size
