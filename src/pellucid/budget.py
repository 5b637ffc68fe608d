"""What building a graph may take where a file of others says what to build: nodes, memory and arithmetic are counted."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Generator
from contextvars import ContextVar
from dataclasses import dataclass, replace

from pellucid.errors import PellucidError

NODE = 1000
"""Bytes that a node takes besides its name."""


class BudgetError(PellucidError, ValueError):
    """Something asks for more nodes, memory or arithmetic than it is allowed."""


@dataclass
class Budget:
    """How much everything that a file asks for may take together, and how much it has taken."""

    most_nodes: int = 2**17
    most_memory: int = 2**31
    most_operations: int = 2**33
    nodes: int = 0
    memory: int = 0
    operations: int = 0

    def copy(self) -> Budget:
        """The same with as much taken, to go on from more than once."""
        return replace(self)

    @contextlib.contextmanager
    def open(self) -> Generator[None]:
        """Nodes and constants that are made inside are counted."""
        token = _OPEN.set(self)
        try:
            yield
        finally:
            _OPEN.reset(token)

    def take(self, nodes: int = 0, kept: int = 0, passing: int = 0, operations: int = 0) -> None:
        """Count what is about to be made: bytes that are `kept`, and bytes that are needed in `passing`."""
        self.nodes += nodes
        self.memory += kept
        self.operations += operations
        if self.nodes > self.most_nodes:
            raise BudgetError(f"its graph would have more than {self.most_nodes} nodes")
        if self.memory + passing > self.most_memory:
            needed, limit = ((n / 2**30) for n in (self.memory + passing, self.most_memory))
            raise BudgetError(f"computing what is constant would take {needed:.1f} GiB; the limit is {limit:g} GiB")
        if self.operations > self.most_operations:
            raise BudgetError(
                f"computing what is constant would take {self.operations:.2g} operations; the limit is {self.most_operations:.2g}"
            )


_OPEN: ContextVar[Budget | None] = ContextVar("budget", default=None)


def take(kept: int = 0, passing: int = 0) -> None:
    """Count bytes that are about to be taken, where a budget is open."""
    if (budget := _OPEN.get()) is not None:
        budget.take(kept=kept, passing=passing)


def take_node(name: str) -> None:
    """Count a node that is being made, where a budget is open."""
    if (budget := _OPEN.get()) is not None:
        budget.take(nodes=1, kept=NODE + sys.getsizeof(name))
