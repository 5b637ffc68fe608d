"""A network ready to be asked: its graphs in inference, what was found out about them, and the programs made of them.

All is kept for as long as the network is there and built as it was; values of parameters are always the current ones.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

from pellucid.errors import GraphError
from pellucid.executors import Program, Setting, compile, default_threads
from pellucid.graph import Graph, Tensor, topological
from pellucid.inference.building import Likeness, how_built
from pellucid.inference.store import Programs
from pellucid.nn import Module
from pellucid.nn.interface import floating_type, name_in_graph, named_tensors, outputs_on
from pellucid.op import Shape
from pellucid.scopes import inference_mode

T = TypeVar("T")

_NOTHING: Any = object()
_MOST_GRAPHS = 64
"""Graphs kept for one network, each with the programs made of it; the one made first goes first."""


class Once:
    """Values by key, each found by the first who asks for it; the others wait."""

    def __init__(self) -> None:
        self.known: dict[Hashable, Any] = {}
        self._lock = threading.RLock()

    def get(self, key: Hashable, find: Callable[[], T]) -> T:
        """The value known as `key`, which `find` gives unless it is known."""
        found = self.known.get(key, _NOTHING)
        if found is _NOTHING:
            with self._lock:
                found = self.known.get(key, _NOTHING)
                if found is _NOTHING:
                    found = self.known[key] = find()
        return found

    def keep_last(self, count: int) -> None:
        """Forget all but the values that were found last."""
        while len(self.known) > count:
            with self._lock:
                self.known.pop(next(iter(self.known)), None)


class ReadyGraph:
    """A network's graph in inference for shapes of its inputs, and the programs that are made of it."""

    def __init__(self, outputs: Mapping[str, Tensor]) -> None:
        self.graph = Graph(outputs)
        self.likeness = Likeness(self.graph)
        self.facts = Once()
        self._programs = Programs()

    @property
    def outputs(self) -> dict[str, Tensor]:
        """What the network gives, by name."""
        return dict(zip(self.graph.output_names, self.graph.outputs, strict=True))

    @property
    def output(self) -> Tensor:
        """What a network with one output gives; a `GraphError` for one with several."""
        if len(self.graph.outputs) != 1:
            raise GraphError(
                f"wants a network with one output, this one has {len(self.outputs)}: {', '.join(self.outputs)}"
            )
        return self.graph.outputs[0]

    def once(self, key: Hashable, find: Callable[[Graph], T]) -> T:
        """What `find` says of the graph, found out when first asked for under `key`."""
        return self.facts.get(key, lambda: find(self.graph))

    def program(self, setting: Setting, outputs: Sequence[Tensor]) -> Program:
        """The program that computes nodes of the graph."""
        return self.program_of(setting, tuple(outputs), lambda: outputs)

    def program_of(self, setting: Setting, key: Hashable, build: Callable[[], Sequence[Tensor]]) -> Program:
        """The program that computes what `build` makes of the graph; `key` tells what that is."""
        place = setting, setting.threads or default_threads(), key
        return self._programs.get(place, lambda: compile(build(), **asdict(setting)))


@dataclass(frozen=True, eq=False)
class _Kept:
    """What is kept of a network: how it was built then, and its graphs; and those of how it was built before."""

    built: Hashable
    before: Mapping[Hashable, ReadyGraph]
    graphs: Once = field(default_factory=Once)
    facts: Once = field(default_factory=Once)

    def graph(self, key: Hashable, build: Callable[[], Mapping[str, Tensor]]) -> ReadyGraph:
        """The graph known as `key`; the one of before where `build` makes the same outputs again."""

        def made() -> ReadyGraph:
            outputs, last = build(), self.before.get(key)
            same = last is not None and list(last.outputs) == list(outputs)
            if last is not None and same and last.likeness.is_of(topological(list(outputs.values()))):
                return last
            return ReadyGraph(outputs)

        found = self.graphs.get(key, made)
        self.graphs.keep_last(_MOST_GRAPHS)
        return found


_LOCK = threading.Lock()
_KEPT: weakref.WeakKeyDictionary[Module, _Kept] = weakref.WeakKeyDictionary()


class Ready:
    """`net` in inference, asked through one executor; it is left as it is.

    Making one is cheap: it looks once whether a layer or a setting has changed since graphs and programs were made.
    """

    def __init__(self, net: Module, executor: str = "auto", precision: str = "float32", threads: int = 0) -> None:
        self.net = net
        self.setting = Setting(executor, precision, threads)
        built = how_built(net)
        with _LOCK:
            kept = _KEPT.get(net)
            if kept is None or kept.built != built:
                before = {} if kept is None else {**kept.before, **kept.graphs.known}
                kept = _KEPT[net] = _Kept(built, before)
        self._kept = kept

    @property
    def floating(self) -> str:
        """The floating type of the parameters, "" where none is floating."""
        return self._kept.facts.get("floating", lambda: floating_type(self.net, ""))

    def graph(self, shapes: Shape | Mapping[str, Shape], dtypes: str | Mapping[str, str] = "") -> ReadyGraph:
        """The graph for an input of such a shape, or for inputs by name, of the types that `outputs_on` gives them."""
        specs = self._kept.facts.get("specs", self.net.input_specs)
        floating = self.floating or "float32"
        named = dict(shapes) if isinstance(shapes, Mapping) else {name_in_graph(specs, tuple(shapes)): tuple(shapes)}
        own = [s.dtype for s in specs] + [""] * len(named)
        asked = {name: dtypes if isinstance(dtypes, str) else dtypes.get(name, "") for name in named}
        wanted = {name: dtype or own[k] or floating for k, (name, dtype) in enumerate(asked.items())}

        def build() -> dict[str, Tensor]:
            with inference_mode():
                return outputs_on(self.net, named, wanted)

        return self._kept.graph((*named.items(), *wanted.values()), build)

    def graph_of(self, key: Hashable, build: Callable[[], Graph]) -> ReadyGraph:
        """A graph that `build` makes of the network; `key` tells which."""
        return self._kept.graph(key, lambda: named_tensors(build().outputs))
