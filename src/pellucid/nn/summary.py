"""What a network is made of: per layer the output shape, parameters, FLOPs, activation memory and receptive field."""

from __future__ import annotations

import html
import math
from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from pellucid.graph import Constant, Graph, Input, Parameter, Tensor
from pellucid.op import Array
from pellucid.ops.convolution import Conv2d, ConvTranspose2d, Unfold
from pellucid.ops.linear import Matmul
from pellucid.ops.pooling import AveragePool2d, MaxPool2d
from pellucid.ops.reduction import Max, Sum
from pellucid.ops.window import Window
from pellucid.text import human_bytes, text_table

if TYPE_CHECKING:
    from pellucid.nn.module import Module


@dataclass(frozen=True)
class Field:
    """Receptive field along one axis: element i sees input pixels [start + i * jump, start + i * jump + size)."""

    size: int
    jump: float
    start: float

    def through(self, kernel: int, stride: int, padding: int, dilation: int) -> Field:
        """The field behind a window."""
        grown = self.size + (kernel - 1) * dilation * self.jump
        return Field(int(grown), self.jump * stride, self.start - padding * self.jump)

    def union(self, other: Field) -> Field:
        """The smallest field that covers both (branches that meet)."""
        start = min(self.start, other.start)
        stop = max(self.start + self.size, other.start + other.size)
        return Field(math.ceil(stop - start), max(self.jump, other.jump), start)


@dataclass(frozen=True)
class Row:
    """One layer: shapes without the batch axis; FLOPs and bytes for the whole batch; field in pixels (rows, columns)."""

    name: str
    kind: str
    output_shape: tuple[int, ...]
    parameters: int
    flops: int
    activation_bytes: int
    receptive_field: tuple[int, int]


@dataclass(frozen=True)
class Summary:
    """The table of a network's layers in order of computation, with totals."""

    rows: tuple[Row, ...]
    input_shape: tuple[int, ...]
    batch: int
    total_parameters: int
    """Trainable numbers; one shared between layers counts once."""

    @property
    def total_flops(self) -> int:
        """FLOPs of a forward pass of the batch; a multiply-add counts as two."""
        return sum(row.flops for row in self.rows)

    @property
    def total_activation_bytes(self) -> int:
        """Bytes of all layers' outputs together."""
        return sum(row.activation_bytes for row in self.rows)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "input_shape": list(self.input_shape),
            "batch": self.batch,
            "layers": [asdict(row) for row in self.rows],
            "total_parameters": self.total_parameters,
            "total_flops": self.total_flops,
            "total_activation_bytes": self.total_activation_bytes,
        }

    def cells(self) -> tuple[list[str], list[list[str]]]:
        """Column titles and text cells."""
        titles = ["layer", "kind", "output", "parameters", "FLOPs", "memory", "field"]
        rows = [
            [
                row.name,
                row.kind,
                "x".join(map(str, row.output_shape)),
                f"{row.parameters:,}",
                f"{row.flops:,}",
                human_bytes(row.activation_bytes),
                f"{row.receptive_field[0]}x{row.receptive_field[1]}",
            ]
            for row in self.rows
        ]
        total = ["total", "", "", f"{self.total_parameters:,}", f"{self.total_flops:,}"]
        return titles, [*rows, [*total, human_bytes(self.total_activation_bytes), ""]]

    def __str__(self) -> str:
        titles, rows = self.cells()
        return text_table(titles, rows, "llrrrrr")

    def _repr_html_(self) -> str:
        titles, rows = self.cells()
        head = "".join(f"<th>{html.escape(t)}</th>" for t in titles)
        body = "".join("<tr>" + "".join(f"<td>{html.escape(c)}</td>" for c in row) + "</tr>" for row in rows)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def summarize(net: Module, shape: tuple[int, int, int], batch: int = 1) -> Summary:
    """The summary of `net` in inference for `batch` images of shape (C, H, W); nothing is computed or allocated."""
    if batch < 1:
        raise ValueError(f"summary: batch must be at least 1, got {batch}")
    was_training = {path: module.training for path, module in net.named_modules()}
    net.eval()
    try:
        graph = net.graph((batch, *shape), name="input")
    finally:
        for path, module in net.named_modules():
            module.training = was_training[path]
    kinds = net.layer_kinds()
    fields = receptive_fields(graph)

    rows: list[Row] = []
    counted: set[Parameter] = set()
    flops: dict[str, int] = {}
    for node in graph.nodes:
        if node not in fields or not node.inputs:
            continue
        name = graph.names[node]
        layer = _layer_of(name, kinds)
        flops[layer] = flops.get(layer, 0) + node.op.cost(node).flops
        if layer != name:
            continue
        new = [p for p in _parameters_below(node, layer, fields) if p not in counted]
        counted.update(new)
        vertical, horizontal = fields[node]
        rows.append(
            Row(
                name,
                kinds.get(node.name, node.op.kind),
                node.shape[1:],
                sum(p.size for p in new if p.trainable),
                flops.pop(layer),
                node.nbytes,
                (min(vertical.size, shape[1]), min(horizontal.size, shape[2])),
            )
        )
    return Summary(tuple(rows), tuple(shape), batch, net.num_parameters())


def _layer_of(name: str, layers: Collection[str]) -> str:
    """The layer inside of which a node of this name was made; the name itself if that is none."""
    inner = name
    while inner and inner not in layers:
        inner = inner.rpartition("/")[0]
    return inner or name


def _parameters_below(node: Tensor, layer: str, seeing: Collection[Tensor]) -> list[Parameter]:
    """Parameters that go into `node` through nodes of its own layer, or through some that see nothing of the image."""
    found: list[Parameter] = []
    stack = list(node.inputs)
    while stack:
        value = stack.pop()
        if isinstance(value, Parameter):
            found.append(value)
        elif value.name.startswith(f"{layer}/") or value not in seeing:
            stack.extend(value.inputs)
    return found


def receptive_fields(graph: Graph) -> dict[Tensor, tuple[Field, Field]]:
    """The (vertical, horizontal) receptive field of every node that depends on the image (N, C, H, W)."""
    image = next(i for i in graph.inputs if i.ndim == 4)
    whole = (Field(image.shape[2], 1, 0), Field(image.shape[3], 1, 0))
    fields: dict[Tensor, tuple[Field, Field]] = {}
    for node in graph.nodes:
        if isinstance(node.op, Input):
            fields[node] = (Field(1, 1, 0), Field(1, 1, 0))
            continue
        known = [fields[i] for i in node.inputs if i in fields]
        if not known:
            continue
        vertical, horizontal = known[0]
        for other in known[1:]:
            vertical, horizontal = vertical.union(other[0]), horizontal.union(other[1])
        fields[node] = _through(node, vertical, horizontal, whole)
    return fields


def _through(node: Tensor, vertical: Field, horizontal: Field, whole: tuple[Field, Field]) -> tuple[Field, Field]:
    op = node.op
    window: Window | None = None
    if isinstance(op, Conv2d):
        window = op.window((node.inputs[1].shape[2], node.inputs[1].shape[3]))
    elif isinstance(op, MaxPool2d | AveragePool2d | Unfold):
        window = op.window
    if window is not None:
        k, s, p, d = window.kernel, window.stride, window.padding, window.dilation
        return vertical.through(k[0], s[0], p[0], d[0]), horizontal.through(k[1], s[1], p[1], d[1])
    if isinstance(op, ConvTranspose2d):
        kernel = node.inputs[1].shape[2:]
        return _enlarged(vertical, kernel[0], op, 0), _enlarged(horizontal, kernel[1], op, 1)
    if isinstance(op, Sum | Max) and node.inputs[0].ndim == 4 and {2, 3} <= set(op.axes):
        return whole
    if isinstance(op, Matmul):
        left, right = node.inputs
        if isinstance(left.op, Constant) and right.ndim == 4:
            return _through_bins(vertical, left.op.value), horizontal
        if isinstance(right.op, Constant) and left.ndim == 4:
            return vertical, _through_bins(horizontal, right.op.value.T)
        if left.ndim == 2:
            return whole
    return vertical, horizontal


def _enlarged(field: Field, kernel: int, op: ConvTranspose2d, axis: int) -> Field:
    """The field behind a transposed convolution: an output sees ceil(extent / stride) neighbouring inputs."""
    stride, padding, dilation = op.stride[axis], op.padding[axis], op.dilation[axis]
    before = ((kernel - 1) * dilation - padding) // stride
    seen = ((kernel - 1) * dilation) // stride
    return Field(int(field.size + seen * field.jump), field.jump / stride, field.start - before * field.jump)


def _through_bins(field: Field, averages: Array) -> Field:
    """The field behind adaptive pooling, whose bins are the rows of `averages`."""
    bins, length = averages.shape
    widest = int((averages != 0).sum(axis=1).max())
    return Field(int(field.size + (widest - 1) * field.jump), field.jump * length / bins, field.start)
