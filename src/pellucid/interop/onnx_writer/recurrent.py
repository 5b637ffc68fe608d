"""Recurrent layers, which a graph has unrolled: each is written as the one operator that it is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pellucid.graph import Call, Constant, Tensor
from pellucid.interop.onnx_writer.site import Draft, Operator, Site
from pellucid.op import Array
from pellucid.ops.cells import NUMBERS, Activation, Cell
from pellucid.ops.recurrent import RecurrentSettings
from pellucid.ops.shape import Move
from pellucid.walks import users

ORDERS = {"lstm": "iofc", "gru": "zrh", "rnn": "h"}
"""ONNX's order of the gates."""
_NAMES: dict[tuple[bool, ...], str] = {(False,): "forward", (True,): "reverse", (False, True): "bidirectional"}
_OPTIONAL = ("bias", "lengths", "state", "cell_state", "peepholes")
_INT32 = 6


@dataclass(frozen=True, eq=False)
class Layer:
    """A recurrent layer of a graph: the call that made it, and those of its outputs that the graph has, by number, in its order."""

    call: Call
    outputs: Mapping[int, Tensor]

    @property
    def settings(self) -> RecurrentSettings:
        """What it was told besides tensors."""
        settings = self.call.settings
        assert isinstance(settings, RecurrentSettings)
        return settings

    def parts(self, name: str) -> list[Tensor | None]:
        """What each direction has under a name."""
        return [self.call.tensors.get(f"{number}/{name}") for number in range(len(self.settings.directions))]

    def rows(self, name: str) -> Array | None:
        """The order in which ONNX has the rows of a weight or bias; None where they stand so."""
        cell = self.settings.cell
        order = ORDERS[cell.kind]
        if cell.gates == order or not name.endswith(("weight", "bias")):
            return None
        hidden = next(t for t in self.parts("recurrent_weight") if t is not None).shape[0] // len(order)
        return np.concatenate([np.arange(*cell.columns(gate, hidden)) for gate in order])

    def stacks(self) -> dict[str, list[list[Tensor | None]]]:
        """What ONNX wants of all directions in one array, by our name: for each direction parts that stand one behind the other."""
        single = ("weight", "recurrent_weight", "state", "cell_state", "peepholes")
        found = {name: [[part] for part in self.parts(name)] for name in single}
        both = zip(self.parts("bias"), self.parts("recurrent_bias"), strict=True)
        found["bias"] = [list(pair) for pair in both]
        return {name: rows for name, rows in found.items() if any(part is not None for row in rows for part in row)}

    def needed(self) -> list[Tensor]:
        """The tensors that the operator reads."""
        found = [self.call.tensors["x"]]
        if (lengths := self.call.tensors.get("lengths")) is not None and not isinstance(lengths.op, Constant):
            found.append(lengths)
        for name, rows in self.stacks().items():
            whole = _whole(rows, self.rows(name))
            found += [whole] if whole is not None else [part for row in rows for part in row if part is not None]
        return found


def find_layers(draft: Draft) -> dict[Tensor, Layer]:
    """The recurrent layers that ONNX has an operator for and of which nothing inside is read by others, by their outputs."""
    made: dict[Call, dict[int, Tensor]] = {}
    for node in draft.graph.nodes:
        if node.call is not None and isinstance(node.call[0].settings, RecurrentSettings):
            made.setdefault(node.call[0], {})[node.call[1]] = node
    if not made:
        return {}
    readers = users(draft.graph.outputs)
    layers = (Layer(call, outputs) for call, outputs in made.items())
    return {n: layer for layer in layers if _fits(layer, draft, readers) for n in layer.outputs.values()}


def _fits(layer: Layer, draft: Draft, readers: Mapping[Tensor, Sequence[Tensor]]) -> bool:
    settings = layer.settings
    backwards = tuple(back for _, back in settings.directions)
    numbers = [settings.cell.clip if settings.cell.clip < math.inf else 0.0]
    numbers += [n for functions, _ in settings.directions for f in functions for n in (f.alpha, f.beta)]
    plain = all(float(np.float32(n)) == n for n in numbers)  # ONNX's attributes are float32
    single = all(t.dtype == "float32" for n, t in layer.call.tensors.items() if n != "lengths")
    for node in layer.outputs.values():
        twin = draft.twins[node].call
        if twin is None or twin[0].settings != settings or not _same_lengths(layer.call, twin[0]):
            return False
    mixed = any(len({p is None for p in layer.parts(name)}) > 1 for name in ("state", "cell_state"))
    projected = any(part is not None for part in layer.parts("projection"))
    if backwards not in _NAMES or not plain or not single or mixed or projected:
        return False
    return _alone(layer, draft, readers)


def _same_lengths(call: Call, twin: Call) -> bool:
    """Whether lengths that are fixed do not depend on the size of the batch; and all else that there is the twin has too."""
    mine, theirs = (c.tensors["lengths"].op if "lengths" in c.tensors else None for c in (call, twin))
    return call.tensors.keys() == twin.tensors.keys() and (not isinstance(mine, Constant) or mine == theirs)


def _alone(layer: Layer, draft: Draft, readers: Mapping[Tensor, Sequence[Tensor]]) -> bool:
    """Whether nothing but its outputs is read by others."""
    given, outputs = set(layer.call.tensors.values()), set(layer.outputs.values())
    inside, stack = set(outputs), list(outputs)
    while stack:
        below = [n for n in stack.pop().inputs if n not in given and n not in inside]
        inside.update(below)
        stack += below
    inner = (n for n in inside - outputs if not isinstance(n.op, Constant))
    kept = set(draft.graph.outputs)
    return all(n.inputs and n not in kept and all(r in inside for r in readers[n]) for n in inner)


def write_layer(site: Site, layer: Layer) -> None:
    """Add the operator, once for all of its outputs."""
    if site.node is not next(iter(layer.outputs.values())):
        return
    settings, call = layer.settings, layer.call
    kind = settings.cell.kind
    stacks = {name: _stack(site, layer, name, rows) for name, rows in layer.stacks().items()}
    if (lengths := call.tensors.get("lengths")) is not None:
        fixed = lengths.op.value if isinstance(lengths.op, Constant) else None
        given = site.step("Cast", site.value(lengths), to=_INT32) if fixed is None else site.constant(fixed, "int32")
        stacks["lengths"] = given
    optional = _OPTIONAL if kind == "lstm" else _OPTIONAL[:3]
    inputs = [site.value(call.tensors["x"]), *(stacks.get(n, "") for n in ("weight", "recurrent_weight", *optional))]
    count = max(layer.outputs) + 1
    outputs = tuple(site.draft.values[layer.outputs[n]] if n in layer.outputs else "" for n in range(count))
    while not inputs[-1]:
        inputs.pop()
    site.draft.operators.append(Operator(kind.upper(), site.name, tuple(inputs), outputs, _attributes(layer)))


def _attributes(layer: Layer) -> dict[str, object]:
    settings = layer.settings
    cell: Cell = settings.cell
    functions: list[Activation] = [f for own, _ in settings.directions for f in own]
    alphas, betas = (
        [getattr(f, which) for f in functions if NUMBERS.get(f.name, (None, None))[at] is not None]
        for at, which in enumerate(("alpha", "beta"))
    )
    hidden = next(t for t in layer.parts("recurrent_weight") if t is not None).shape[1]
    return {
        "hidden_size": hidden,
        "direction": _NAMES[tuple(back for _, back in settings.directions)],
        "activations": [f.name for f in functions],
        **({"activation_alpha": alphas} if alphas else {}),
        **({"activation_beta": betas} if betas else {}),
        **({"clip": cell.clip} if cell.clip < math.inf else {}),
        **({"input_forget": 1} if cell.coupled else {}),
        **({"linear_before_reset": 1} if cell.reset_after else {}),
    }


def _stack(site: Site, layer: Layer, name: str, rows: Sequence[Sequence[Tensor | None]]) -> str:
    """One array for all directions: a tensor of which they are the parts, where there is one; else put together."""
    order = layer.rows(name)
    if (whole := _whole(rows, order)) is not None:
        return site.value(whole)
    like = next(part for row in rows for part in row if part is not None)
    stacked: list[str] = []
    for row in rows:
        parts = [_one(site, part, like, order) for part in row]
        joined = parts[0] if len(parts) == 1 else site.step("Concat", *parts, axis=0)
        stacked.append(site.step("Unsqueeze", joined, site.integers([0])))
    return stacked[0] if len(stacked) == 1 else site.step("Concat", *stacked, axis=0)


def _one(site: Site, part: Tensor | None, like: Tensor, order: Array | None) -> str:
    """A part with its rows in ONNX's order; zeros where there is none."""
    if part is None:
        return site.constant(np.zeros(like.shape), like.dtype)
    value = site.value(part)
    return value if order is None else site.step("Gather", value, site.constant(order, "int64"), axis=0)


def _whole(rows: Sequence[Sequence[Tensor | None]], order: Array | None) -> Tensor | None:
    """The tensor of which these are the parts, in ONNX's order and nothing else, if there is one."""
    bases: set[Tensor] = set()
    stacked: list[Array] = []
    for row in rows:
        found = [_source(part) for part in row if part is not None]
        if len(found) < len(row):
            return None
        bases.update(base for base, _ in found)
        stacked.append(np.concatenate([places if order is None else places[order] for _, places in found]))
    base = next(iter(bases))
    together = np.stack(stacked)
    if len(bases) > 1 or together.shape != base.shape:
        return None
    return base if np.array_equal(together.reshape(-1), np.arange(base.size)) else None


def _source(tensor: Tensor) -> tuple[Tensor, Array]:
    """The tensor that a value is a part of, and for each element the place there, counted row by row."""
    moves: list[Move] = []
    while isinstance(tensor.op, Move) and tensor.op.uniform:
        moves.append(tensor.op)
        (tensor,) = tensor.inputs
    places = np.arange(tensor.size).reshape(tensor.shape)
    for move in reversed(moves):
        places = np.asarray(move.reference(places))
    return tensor, places
