"""What is known of a network beside its layers: its classes, how examples become its input, and how it is made again."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar, cast

from pellucid.nn.errors import ModuleError

if TYPE_CHECKING:
    from pellucid.data import Preparation, Preprocessing
    from pellucid.nn.module import Module

P = ParamSpec("P")
R = TypeVar("R")
G = TypeVar("G")

OfCard = Literal["card"]
"""In the place of a preprocessing: the one on the network's card."""


@dataclass(frozen=True)
class Card:
    """What a network knows of itself: `net.card = pl.nn.Card(classes=("cat", "dog"), preprocessing=preprocessing)`.

    `classes` are the names of its scores, in their order; `preprocessing` is how an example becomes its input. `config`
    are the arguments from which `nn.models.build` makes it again; a card without them leaves a network those that it has.
    What is opened, loaded or trained has its card; copies of a network and files that it is saved to have it too. Raises
    `ModuleError` for what is no name, preprocessing or configuration, and for another number of classes than `config` says.
    """

    classes: tuple[str, ...] = ()
    preprocessing: Preparation | None = None
    config: Mapping[str, Any] | None = field(default=None, hash=False)

    def __post_init__(self) -> None:
        names = cast(Any, self.classes)
        several = isinstance(names, Iterable) and not isinstance(names, str)
        if not several or not all(isinstance(name, str) for name in names):
            raise ModuleError(f"card: classes must be the name of each class, such as ('cat', 'dog'), got {names!r}")
        object.__setattr__(self, "classes", tuple(names))
        if self.preprocessing is not None:
            from pellucid.data import Preparation

            if not isinstance(self.preprocessing, Preparation):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise ModuleError(
                    f"card: preprocessing must be a pl.data.Preprocessing or a Standardization, got {self.preprocessing!r}"
                )
        if self.config is not None and not all(isinstance(name, str) for name in cast(Any, self.config)):
            raise ModuleError(f"card: config must be arguments by name, got {self.config!r}")
        count = None if self.config is None else self.config.get("num_classes")
        if self.classes and isinstance(count, int) and len(self.classes) != count:
            raise ModuleError(f"card: has the names of {len(self.classes)} classes, the network gives {count} scores")

    @property
    def pictures(self) -> Preprocessing | None:
        """How pictures become the input, where that is known and the network takes pictures."""
        from pellucid.data import Preprocessing

        return self.preprocessing if isinstance(self.preprocessing, Preprocessing) else None

    def name_of(self, number: int) -> str:
        """The name of a class, "" where it is not known."""
        return self.classes[number] if number < len(self.classes) else ""


_HANDED: ContextVar[Mapping[str, Any] | None] = ContextVar("handed", default=None)
"""What a caller hands along instead of what cards say."""


def card_of(holder: Module | Card) -> Card:
    """The card of a network, or the card itself, with what a caller hands along in its place (see `carded`)."""
    card, handed = holder if isinstance(holder, Card) else holder.card, _HANDED.get()
    return card if handed is None else replace(card, config=None, **handed)


def preparation_for(net: Module, given: G | OfCard) -> G | Preparation | None:
    """What was given, or the preprocessing on the network's card where it is said to be that."""
    return card_of(net).preprocessing if given == "card" else given


@contextmanager
def _handing(given: Mapping[str, Any]) -> Generator[None]:
    token = _HANDED.set({**(_HANDED.get() or {}), **given})
    try:
        yield
    finally:
        _HANDED.reset(token)


def carded(function: Callable[P, R]) -> Callable[P, R]:
    """A function that reads a network's card. Classes and preprocessing that are handed along, as once, go before it."""

    @functools.wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> R:
        given: dict[str, Any] = {name: kwargs.pop(name) for name in ("classes", "preprocessing") if name in kwargs}
        if not given:
            return function(*args, **kwargs)
        warnings.warn(
            f"{function.__qualname__}: {' and '.join(given)} is no longer taken; put it on the network's card: "
            f"net.card = pl.nn.Card({', '.join(f'{name}=...' for name in given)})",
            DeprecationWarning,
            stacklevel=2,
        )
        if "classes" in given:
            given["classes"] = tuple(given["classes"])
        with _handing(given):
            return function(*args, **kwargs)

    return called
