"""The lab in a notebook: its rooms in a frame of a cell, whose questions go over the kernel's own connection; no port is opened."""

from __future__ import annotations

import io
import weakref
from collections.abc import Sequence
from contextlib import ExitStack
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from pellucid.lab.desk import desk
from pellucid.lab.document import Document, one_file
from pellucid.lab.holdings import Library
from pellucid.lab.place import LabError
from pellucid.lab.rooms import BY_NAME
from pellucid.lab.runs.links import run_of
from pellucid.lab.server import first_address
from pellucid.lab.wire import Problem

if TYPE_CHECKING:
    from pellucid.explain import Trace
    from pellucid.opened import Opened

PAGE = "text/html"
HEIGHT = 720
"""Pixels of the frame, unless said."""


class Kernel:
    """Answers the messages of a widget: what its page asks of the API, and the pages of rooms."""

    def __init__(self, what: Any = "") -> None:
        library, self.first = _subject(what)
        self._stack = ExitStack()
        self._desk = self._stack.enter_context(desk(library))

    def close(self) -> None:
        """End it, and delete the pictures that were sent."""
        self._stack.close()

    def page(self, address: str = "") -> str:
        """The page of a room as one HTML, at an address such as `graph?expression=x`; the first one unless given. Raises `Problem`."""
        room, _, query = (address.strip("/") or self.first.lstrip("/")).partition("?")
        told = self._desk.ask(f"/{room}?{query}")
        if told.status >= 400:
            told.json()
        if told.kind != PAGE:
            raise Problem(404, "Not here", f"{room[:60]!r} is no room", "page", f"There are {', '.join(BY_NAME)}")
        document = Document(told.body.decode()).knowing(carrier="kernel")
        return one_file({room: document}, {}, f"?{query}" if query else "")

    def answer(self, content: Any, buffers: Sequence[Any] = ()) -> tuple[dict[str, Any], list[bytes]]:
        """The answer to a message: `{"id", "address", "method"}` with what is sent, or `{"page"}`; its bytes are as the API sends them.

        The `view` that asked, of several that show the widget, is said as it was.
        What goes wrong is answered, too: as a problem, or as a page that says it.
        """
        if not isinstance(content, dict):
            raise LabError(f"a message of the lab's page is names with values, got {content!r:.60}")
        view = {"view": content["view"]} if "view" in content else {}
        if page := content.get("page"):
            try:
                html = self.page(str(page))
            except Problem as problem:
                html = problem.page("<p>Run the cell once more for the room that it began with.</p>")
            return {"page": str(page), **view}, [html.encode()]
        address, body = str(content.get("address", "")), b"".join(bytes(one) for one in buffers)
        told = self._desk.ask(f"/{address.lstrip('/')}", str(content.get("method") or "GET"), body)
        return {"id": content.get("id"), "status": told.status, "kind": told.kind, **view}, [told.body]


def widget(what: Any = "", *, height: int = HEIGHT) -> Any:
    """The lab's rooms in a notebook's cell, `height` pixels high, over the kernel's connection: no port is opened.

    `what` is a trace, a run, what `pl.open_model` gives, the name of a run or a model, or a formula; the lecture's neuron
    unless given. `pl.lab.widget(pl.trace(net, image))` begins in the network's room. Needs `pip install 'pellucid[jupyter]'`;
    raises `LabError`.
    """
    kind, kernel = _widget_class(), Kernel(what)
    made = kind(page=kernel.page(), height=height)

    def answer(_: Any, content: Any, buffers: Sequence[Any]) -> None:
        made.send(*kernel.answer(content, buffers))

    made.on_msg(answer)
    weakref.finalize(made, kernel.close)
    return made


@cache
def _widget_class() -> Any:
    try:
        import anywidget
        import traitlets
    except ImportError as error:
        raise LabError("the lab in a notebook needs anywidget: pip install 'pellucid[jupyter]'") from error

    class LabWidget(anywidget.AnyWidget):
        """The lab's rooms in a cell."""

        _esm = (files("pellucid.lab") / "static" / "notebook.js").read_text("utf-8")
        page = traitlets.Unicode().tag(sync=True)
        height = traitlets.Int(HEIGHT).tag(sync=True)

    return LabWidget


def _subject(what: Any) -> tuple[Library, str]:
    """The library about what was given, and the address to begin with."""
    from pellucid.explain import Trace
    from pellucid.formulas.expression import Expression
    from pellucid.formulas.trace import ExpressionTrace
    from pellucid.opened import Opened
    from pellucid.train import Run

    if isinstance(what, Expression | ExpressionTrace):
        named = what.values if isinstance(what, Expression) else what.variables
        values = [("values", f"{name}={float(value):.17g}") for name, value in named.items()]
        return Library(), "graph?" + urlencode([("expression", what.text), *values])
    if isinstance(what, Trace):
        return _traced(what, _opened(what))
    if isinstance(what, Opened):
        return Library(what.source, given={what.source: what}), "network"
    if isinstance(what, Run):
        what = what.folder
    if not isinstance(what, str | Path):
        takes = "a trace, a run, what pl.open_model gives, a name or a formula"
        raise LabError(f"pl.lab.widget takes {takes}, got {type(what).__name__}")
    network, first = first_address(str(what))
    run = run_of(network)
    return Library(network, "runs" if run is None else run.parent), first


def _opened(traced: Trace) -> Opened:
    """A network that was traced, as one that was opened."""
    from pellucid.nn.interface import main_input
    from pellucid.opened import Opened

    if traced.slopes is not traced.prepared.slopes_of(traced.output):
        raise LabError("this trace goes on to a loss, and the lab shows gradients of a score: trace without loss=")
    specs = traced.net.input_specs()
    name = main_input(specs).name if specs else traced.fed.own_names[0]
    arrays = dict(zip(traced.fed.own_names, traced.fed.arrays.values(), strict=True))
    return Opened(traced.net, tuple(arrays[name].shape[1:]), type(traced.net).__name__)


def _traced(traced: Trace, opened: Opened) -> tuple[Library, str]:
    """The library and the address that show a trace: its example is kept as arrays."""
    import numpy as np

    library = Library(opened.source, given={opened.source: opened})
    kept: dict[str, str] = {}
    for own, values in zip(traced.fed.own_names, traced.fed.arrays.values(), strict=True):
        raw = io.BytesIO()
        np.save(raw, values)
        try:
            kept[own] = library.keep(raw.getvalue())
        except Problem as problem:
            library.close()
            raise LabError(f"the example's {own} cannot be shown: {problem.detail}") from problem
    main = opened.main.name if opened.main.name in kept else next(iter(kept))
    look = [("model", opened.source), ("picture", kept.pop(main))]
    number = traced.place.class_number
    target = [] if number is None else [("target", str(number))]
    return library, "network?" + urlencode(
        [*look, *target, *(("input", f"{own}={name}") for own, name in kept.items())]
    )
