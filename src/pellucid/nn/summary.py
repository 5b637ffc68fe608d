"""What a network is made of: for each layer its output, parameters, products, memory, receptive field and, if measured, time."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from pellucid.graph import Graph, Parameter, Tensor
from pellucid.nn.grouping import kind_of, layer_of, nodes_by_layer, parameters_of
from pellucid.nn.interface import Shapes, floating_type, graph_on, main_input, shapes_of
from pellucid.nn.receptive_field import Fields, receptive_fields
from pellucid.nn.score_kind import kind_of_scores
from pellucid.op import Shape
from pellucid.ops.convolution import Conv2d, ConvTranspose2d
from pellucid.ops.linear import Matmul
from pellucid.pictures import Answer, Chart, Grid, Page, Picture, Series
from pellucid.scopes import inference_mode
from pellucid.text import WIDEST, human_bytes, human_count, wrapped
from pellucid.walks import depending

if TYPE_CHECKING:
    from pellucid.nn.grouping import kind_of, layer_of, nodes_by_layer, parameters_of
from pellucid.nn.module import Module

__all__ = ["End", "Row", "Summary", "inference_graph", "kind_of", "nodes_by_layer", "scores_in_words", "summarize"]


@dataclass(frozen=True)
class Row:
    """One layer: shapes without the batch axis; numbers for the whole batch; the field in pixels (rows, columns).

    `multiply_adds` counts the products of convolutions and matrix products; `flops` every operation, two for each of
    those. `gradient_bytes` is what a training step must hold: the gradient of each trainable parameter, and that of the
    output where a trainable parameter has a part in it. `bytes_moved` counts every array that enters or leaves the layer
    once, as if what is inside stayed in caches. `receptive_field` is the largest of the layer's elements within the picture.
    """

    name: str
    kind: str
    output_shape: tuple[int, ...]
    parameters: int
    multiply_adds: int
    flops: int
    activation_bytes: int
    gradient_bytes: int
    bytes_moved: int
    receptive_field: tuple[int, ...]
    seconds: float | None = None
    """Measured time, 0 for a layer that nothing is computed for; None where it was not measured by itself."""
    timed_with: str = ""
    """The layer whose time includes this one's, which one step of the executor computes together with it."""
    field_exact: bool = True
    """Whether the field is exactly so large; else it is no larger, and depends on the picture."""

    @property
    def intensity(self) -> float:
        """FLOPs for each byte moved (Williams, Waterman and Patterson 2009, Roofline, section 3)."""
        return self.flops / self.bytes_moved if self.bytes_moved else 0.0


@dataclass(frozen=True)
class End:
    """An input or output of a network: its shape has the batch axis."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.name} {self.dtype} {'x'.join(map(str, self.shape)) or 'a number'}"


@dataclass(frozen=True)
class Summary(Answer):
    """The table of a network's layers in order of computation, with totals."""

    rows: tuple[Row, ...]
    input_shape: tuple[int, ...]
    batch: int
    total_parameters: int
    """Trainable numbers; one shared between layers counts once."""
    measured: str = ""
    """What the times were measured on; empty without times."""
    run_seconds: float | None = None
    """Measured time of a whole run."""
    scores: str = ""
    """What the scores (N, K) are, of a network that gives some: `ScoreKind` in words."""
    inputs: tuple[End, ...] = ()
    """What the network takes, the first of several the one that `input_shape` and the fields are of."""
    outputs: tuple[End, ...] = ()
    edges: tuple[tuple[str, str], ...] = ()
    """Which layer, or input, goes into which, by name."""
    name: str = ""
    """What the network is called, where that is known."""

    @property
    def total_multiply_adds(self) -> int:
        """Multiply-adds of a forward pass of the batch."""
        return sum(row.multiply_adds for row in self.rows)

    @property
    def total_flops(self) -> int:
        """FLOPs of a forward pass of the batch; a multiply-add counts as two."""
        return sum(row.flops for row in self.rows)

    @property
    def total_activation_bytes(self) -> int:
        """Bytes of all layers' outputs together."""
        return sum(row.activation_bytes for row in self.rows)

    @property
    def total_gradient_bytes(self) -> int:
        """Bytes of all gradients together."""
        return sum(row.gradient_bytes for row in self.rows)

    @property
    def total_bytes_moved(self) -> int:
        """Bytes that enter or leave layers."""
        return sum(row.bytes_moved for row in self.rows)

    @property
    def total_seconds(self) -> float:
        """Measured times of all layers together."""
        return sum(row.seconds or 0.0 for row in self.rows)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "input_shape": list(self.input_shape),
            "batch": self.batch,
            "layers": [{**asdict(row), "intensity": row.intensity} for row in self.rows],
            "total_parameters": self.total_parameters,
            "total_multiply_adds": self.total_multiply_adds,
            "total_flops": self.total_flops,
            "total_activation_bytes": self.total_activation_bytes,
            "total_gradient_bytes": self.total_gradient_bytes,
            "total_bytes_moved": self.total_bytes_moved,
            "measured": self.measured,
            "total_seconds": self.total_seconds if self.measured else None,
            "run_seconds": self.run_seconds,
            "scores": self.scores,
            "inputs": [asdict(end) for end in self.inputs],
            "outputs": [asdict(end) for end in self.outputs],
        }

    def grid(self) -> Grid:
        """The table, with times instead of memory where they were measured."""
        return self._grid(ABOUT, PRODUCT, TIMED) if self.measured else self._grid(ABOUT, COUNTED)

    def __str__(self) -> str:
        return self.text()

    def text(self, width: int = WIDEST) -> str:
        """The table, `width` columns wide at most as far as names on lines of their own can help, and what is to be said."""
        return "\n".join([self.grid().text(width), *self._notes(), wrapped(self.ends)])

    @property
    def ends(self) -> str:
        """What the network takes and gives, in words."""
        return f"takes {', '.join(map(str, self.inputs))}; gives {', '.join(map(str, self.outputs))}"

    @property
    def _told(self) -> str:
        return f"scores: {self.scores}"

    def _notes(self) -> list[str]:
        told = [self._told] if self.scores else []
        if not self.measured:
            return [LEGEND, *told]
        whole = f"{self.measured}: a whole run takes {1000 * (self.run_seconds or 0):.3f} ms"
        return [whole, *([TOGETHER] if any(row.timed_with for row in self.rows) else []), *told]

    def drawing(self) -> Picture:
        """The layers as a diagram."""
        from pellucid.nn.layer_diagram import layer_diagram

        return layer_diagram(self)

    def picture(self) -> Page:
        """The layers as a diagram and as a table; where their times were measured, with these as bars and a second table."""
        words = "; ".join([LEGEND, f"the network {self.ends}", *([self._told] if self.scores else [])])
        parts: list[Picture | str] = [self._grid(ABOUT, COUNTED), words]
        if self.measured:
            times = [1000 * (row.seconds or 0.0) for row in self.rows]
            bars = Series("", range(1, len(times) + 1), times, "bars")
            chart = Chart("Time of each layer", "layer, in order of the table", "ms", (bars,), self.measured)
            parts = [chart, self.grid(), *self._notes(), *parts]
        return Page(f"Layers for {'x'.join(map(str, (self.batch, *self.input_shape)))}", (self.drawing(), *parts))

    def _grid(self, *columns: _Columns) -> Grid:
        total = Row(
            "total",
            "",
            (),
            self.total_parameters,
            self.total_multiply_adds,
            self.total_flops,
            self.total_activation_bytes,
            self.total_gradient_bytes,
            self.total_bytes_moved,
            (),
            self.total_seconds,
        )
        rows = [[cell for c in columns for cell in c.cells(row, self)] for row in (*self.rows, total)]
        return Grid([t for c in columns for t in c.titles], rows, "".join(c.align for c in columns))

    def flops_timed_in(self, row: Row) -> int:
        """FLOPs that the measured time of a layer covers: with those of the layers that are computed together with it."""
        return row.flops + sum(r.flops for r in self.rows if r.timed_with == row.name)


@dataclass(frozen=True)
class _Columns:
    """Columns of the table that belong together, and their cells in a row."""

    titles: tuple[str, ...]
    align: str
    cells: Callable[[Row, Summary], tuple[str, ...]]


def _about(row: Row, summary: Summary) -> tuple[str, ...]:
    return row.name, row.kind, "x".join(map(str, row.output_shape))


def _product(row: Row, summary: Summary) -> tuple[str, ...]:
    return human_count(row.multiply_adds), f"{row.intensity:.1f}"


def _counted(row: Row, summary: Summary) -> tuple[str, ...]:
    products, intensity = _product(row, summary)
    memory = human_bytes(row.activation_bytes), human_bytes(row.gradient_bytes)
    field = ("" if row.field_exact else "<=") + "x".join(map(str, dict.fromkeys(row.receptive_field)))
    return f"{row.parameters:,}", products, *memory, intensity, field


def _timed(row: Row, summary: Summary) -> tuple[str, ...]:
    if row.timed_with:
        return "", "", f"in {row.timed_with}"
    if not row.seconds:
        return "0", "", ""
    rate = summary.flops_timed_in(row) / row.seconds / 1e9
    return f"{1000 * row.seconds:.3f}", f"{100 * row.seconds / summary.total_seconds:.1f}", f"{rate:.1f}"


ABOUT = _Columns(("layer", "kind", "output"), "llr", _about)
PRODUCT = _Columns(("mult-adds", "FLOP/B"), "rr", _product)
COUNTED = _Columns(("parameters", "mult-adds", "memory", "gradients", "FLOP/B", "field"), "rrrrrr", _counted)
TIMED = _Columns(("ms", "%", "GFLOP/s"), "rrr", _timed)
TOGETHER = "in LAYER: computed in one step with that layer, which has most of the work and is given the time"
LEGEND = "memory of outputs, gradients of outputs and parameters, FLOPs per byte in or out, field in pixels"


def summarize(net: Module, shape: Shapes | None = None, batch: int = 1) -> Summary:
    """The summary of `net` in inference for shapes as `Module.summary` takes them; nothing is computed or allocated."""
    if batch < 1:
        raise ValueError(f"summary: batch must be at least 1, got {batch}")
    shapes = shapes_of(net, shape, batch)
    graph = inference_graph(net, shapes)
    main = main_input(graph.inputs)
    images, fields = main.shape[:1], _fields(graph, main)
    learned = depending(graph.nodes, [p for p in graph.parameters if p.trainable])
    kinds = net.layer_kinds()
    rows: list[Row] = []
    counted: set[Parameter] = set()
    for node, inside in nodes_by_layer(graph, kinds).items():
        new = [p for p in parameters_of(node, layer_of(node, kinds), fields) if p not in counted]
        counted.update(new)
        of_parameters = sum(p.nbytes for p in new if p.trainable)
        costs = {n: n.op.cost(n).flops for n in inside}
        entering = {i for n in inside for i in n.inputs if i not in costs}
        rows.append(
            Row(
                graph.names[node],
                kind_of(node, kinds),
                node.shape[1:] if node.shape[:1] == images else node.shape,
                sum(p.size for p in new if p.trainable),
                sum(flops // 2 for n, flops in costs.items() if isinstance(n.op, PRODUCTS)),
                sum(costs.values()),
                node.nbytes,
                of_parameters + (node.nbytes if node in learned and node.dtype.startswith("float") else 0),
                node.nbytes + sum(i.nbytes for i in entering),
                fields[node].size,
                field_exact=fields[node].exact,
            )
        )
    taken = {own: End(name, dtype, shapes[own]) for own, (name, dtype) in _taken(net, graph, shapes).items()}
    outputs = tuple(End(n, o.dtype, o.shape) for n, o in zip(graph.output_names, graph.outputs, strict=True))
    return Summary(
        tuple(rows),
        main.shape[1:],
        next(iter(images), 1),
        net.num_parameters(),
        scores=scores_in_words(graph),
        inputs=tuple(taken.values()),
        outputs=outputs,
        edges=_edges(graph, nodes_by_layer(graph, kinds), taken),
    )


def _edges(
    graph: Graph, layers: Mapping[Tensor, Sequence[Tensor]], inputs: Mapping[str, End]
) -> tuple[tuple[str, str], ...]:
    """Which layer, or input, goes into which."""
    names = {inside: graph.names[node] for node, made in layers.items() for inside in made}
    names.update((node, inputs[node.name].name) for node in graph.inputs if node.name in inputs)
    found = (
        (names[i], graph.names[node])
        for node, made in layers.items()
        for inside in made
        for i in inside.inputs
        if i in names
    )
    return tuple((a, b) for a, b in dict.fromkeys(found) if a != b)


def _taken(net: Module, graph: Graph, shapes: Collection[str]) -> dict[str, tuple[str, str]]:
    """The network's names for its inputs, and their types, by the names that they have in the graph."""
    specs, used = net.input_specs(), {i.name: i.dtype for i in graph.inputs}
    stated = {k: (s.name, s.dtype) for k, s in enumerate(specs)}
    return {
        own: (stated.get(k, (own, ""))[0], used.get(own) or stated.get(k, ("", ""))[1] or floating_type(net))
        for k, own in enumerate(shapes)
    }


def _fields(graph: Graph, main: Tensor) -> dict[Tensor, Fields]:
    """Receptive fields in the picture; of what sees none of it, in the first other input that it sees."""
    found: dict[Tensor, Fields] = {}
    for source in (main, *(i for i in graph.inputs if i is not main)):
        found = {**receptive_fields(graph, source), **found}
    return found


def scores_in_words(graph: Graph) -> str:
    """What a network's scores (N, K) are; "" of one that gives none, or several outputs."""
    output, *others = graph.outputs
    if others or not output.dtype.startswith("float"):
        return ""
    kind = kind_of_scores(output)
    return str(kind) if kind.rows.ndim == 2 else ""


PRODUCTS = (Conv2d, ConvTranspose2d, Matmul)
"""Ops whose FLOPs are multiply-adds."""


def inference_graph(net: Module, shapes: Shape | Mapping[str, Shape], dtypes: str | Mapping[str, str] = "") -> Graph:
    """The graph of `net` in inference for images (N, C, H, W), or for inputs by name, in order; see `outputs_on`.

    The network stays in the mode that it was in.
    """
    named = shapes if isinstance(shapes, Mapping) else {"input": shapes}
    with inference_mode():
        return graph_on(net, named, dtypes)
