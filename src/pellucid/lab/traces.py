"""Traces that are kept while they are looked at: a click on a cell does not run the network again."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np

from pellucid.data import ImageInput
from pellucid.examples import example_of
from pellucid.explain import Trace, trace
from pellucid.inference.fed import feed
from pellucid.inference.prepared import Prepared, prepare
from pellucid.inference.ready import Ready
from pellucid.lab.columns import columns
from pellucid.lab.holdings import Library
from pellucid.lab.wire import Problem
from pellucid.memory import free_memory
from pellucid.opening import Opened
from pellucid.questions.kinds import class_asked
from pellucid.text import human_bytes

MOST_BYTES = 2 << 30
"""Of activations and gradients that are kept, and no more than half of the memory that is free."""
MOST_KEPT = 256
"""Examples that are kept, traced or not yet."""

Key = tuple[str, str, str, tuple[str, ...], tuple[str, ...], str]


class Looked:
    """A network, a picture as it takes it, the file that this is from, and the trace of it, computed when first asked for."""

    def __init__(
        self,
        opened: Opened,
        file: Path | str,
        target: str,
        inputs: Sequence[str] = (),
        reader: Opened | None = None,
    ) -> None:
        self.opened, self.file, self.reader = opened, file, reader
        self.example: ImageInput = example_of(reader or opened, file, inputs)
        self.target = class_asked(target, opened.classes)

    @cached_property
    def values(self) -> Any:
        """The example as the network takes it."""
        values: Any = self.example.values
        if self.reader is not None and isinstance(values, dict):
            return feed(Ready(self.reader.net), cast(dict[str, Any], values), "trace").called_as(self.opened.net)
        return values

    @cached_property
    def prepared(self) -> Prepared:
        """The network's graph for the example, that of the trace."""
        ready = Ready(self.opened.net)
        return prepare(ready, feed(ready, self.values, "trace"))

    @cached_property
    def layers(self) -> list[dict[str, Any]]:
        """Every layer from left to right, as its trace will have them."""
        return columns(self.opened.net, self.prepared)

    @cached_property
    def trace(self) -> Trace:
        """What the network computes of the example."""
        return trace(self.opened.net, self.values, self.target, any_score=True)

    @cached_property
    def told(self) -> dict[str, Any]:
        """The trace as plain data, with the range of each layer; what it holds by now, `memory`, is asked anew."""
        return self.trace.to_dict()

    @property
    def nbytes(self) -> int:
        """What it holds."""
        return sum(self.trace.memory().values()) if "trace" in vars(self) else 0


class Traces:
    """The traces last looked at, by network, example and target; the oldest go where they hold too much together."""

    def __init__(self, library: Library, most: int = 0) -> None:
        self._library = library
        self._most = most
        self._kept: OrderedDict[Key, Looked] = OrderedDict()
        self._lock, self._computing = threading.RLock(), threading.Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def of(
        self,
        model: str,
        picture: str,
        target: str = "",
        inputs: Sequence[str] = (),
        edits: Sequence[str] = (),
        reader: str = "",
    ) -> Looked:
        """The trace, which is there; raises `Problem` for a name that the library does not have, else what `trace` raises.

        `inputs` are `NAME=WHAT` of those beside the picture; with `edits` the network has other numbers (see `nn.edited`);
        `reader` names the network that the example is read for, if it is another one.
        """
        found = self.begun(model, picture, target, inputs, edits, reader)
        with self._computing:
            if "trace" not in vars(found):
                self._require_room(found)
                found.trace  # noqa: B018 (others wait for it here)
        with self._lock:
            while len(self._kept) > 1 and self._held() > self._room():
                self._kept.popitem(last=False)
        return found

    def begun(
        self,
        model: str,
        picture: str,
        target: str = "",
        inputs: Sequence[str] = (),
        edits: Sequence[str] = (),
        reader: str = "",
    ) -> Looked:
        """The same before anything is computed; as `of` asks."""
        opened, file, others = (
            self._library.edited(model, edits),
            self._library.picture(picture),
            self._library.inputs(inputs),
        )
        key = model, picture, target, tuple(inputs), tuple(edits), reader
        read_for = self._library.network(reader) if reader else None
        with self._lock:
            found = self._kept.get(key)
            if found is None or found.opened is not opened:
                found = self._kept[key] = Looked(opened, file, target, others, read_for)
            self._kept.move_to_end(key)
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
            return found

    def _held(self) -> int:
        with self._lock:  # others begin to look meanwhile
            return sum(one.nbytes for one in self._kept.values())

    def _room(self) -> int:
        """How much may be held together, which is another as others take memory or give it back."""
        return self._most or min(MOST_BYTES, (free_memory() + self._held()) // 2)

    def _require_room(self, look: Looked) -> None:
        """Raise `Problem` where one trace takes more than there is room for, though all others went."""
        kept = look.prepared.kept
        needed, room = sum(math.prod(node.shape) * np.dtype(node.dtype).itemsize for node in kept), self._room()
        if needed > room:
            raise Problem(
                503,
                "No room",
                f"the layers of this network take {human_bytes(needed)} for one picture, and there is room for {human_bytes(room)}",
                "model",
                "Try again when other programs have ended, or look into a smaller network",
            )
