"""The exceptions Pellucid raises on purpose; each names the thing, what was expected, what came and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from pellucid.screen import visible

MOST_LISTED = 10
"""Names that an error lists."""


class PellucidError(Exception):
    """Base of every error that Pellucid raises on purpose."""

    def __str__(self) -> str:
        return visible(super().__str__())


class GraphError(PellucidError, ValueError):
    """A graph, node or feed is not what the call needs."""


class ShapeError(GraphError):
    """Shapes do not fit together."""


class OutOfRangeError(GraphError, IndexError):
    """An index or a label is none of those that there are."""


class DTypeError(GraphError, TypeError):
    """An element type does not fit the operation."""


class UnknownNameError(PellucidError, ValueError):
    """A name that nothing is known by; the message suggests the nearest."""


class WriteError(PellucidError, OSError):
    """A file cannot be written; what was there before is kept."""


class NonFiniteError(PellucidError, ArithmeticError):
    """A NaN or an infinity came out of a program that guards against them."""


class OutOfMemoryError(PellucidError, MemoryError):
    """Something takes more memory than the machine has, or than is free."""


class WeightsError(PellucidError, ValueError):
    """A file of weights cannot be read, or its weights do not fit a network."""


def suggest(name: object, known: Iterable[str]) -> str:
    """`" (did you mean 'relu'?)"` for a near miss of a known name, else `""`."""
    near = difflib.get_close_matches(str(name), list(known), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def listed(name: object, known: Iterable[str]) -> str:
    """What is known, in words; where that is much, what is nearest to `name`, and how much more there is."""
    known = list(known)
    if len(known) <= MOST_LISTED:
        return f"there are: {', '.join(known)}"
    near = difflib.get_close_matches(str(name), known, MOST_LISTED, cutoff=0.0)
    return f"the nearest are: {', '.join(near)}; there are {len(known) - len(near):,} more"


def unknown(kind: str, name: object, known: Iterable[str]) -> UnknownNameError:
    """The error for a name not among `known`: names the kind, the nearest match and what there is, or ten that are near."""
    known = sorted(known)
    return UnknownNameError(f"unknown {kind} {name!r}{suggest(name, known)}; {listed(name, known)}")
