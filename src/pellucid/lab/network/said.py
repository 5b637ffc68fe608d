"""What a network says of what it is given: the most likely classes, or the largest numbers of what it gives."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from pellucid.explain import Trace
from pellucid.explain.trace.expansion import has_batch
from pellucid.graph import Tensor
from pellucid.inference.prediction import probabilities_of
from pellucid.lab.network.view import HeldNetworks
from pellucid.lab.traces import Looked
from pellucid.nn.score_kind import kind_of_scores

TOP, MOST_TOLD = 5, 10_000
"""Classes, or numbers of each output, that are told, and those in which edits are looked for."""
NO_CLASS = "The scores are not numbers: no class is the likeliest."


def classes(held: HeldNetworks, given: dict[str, Any]) -> dict[str, Any]:
    """What the network says, and beside it what it says without its edits, where it has some."""
    look = held.look(given)
    found = said(look)
    if not given["edit"]:
        return {**found, "before": None}
    plain, place = held.look({**given, "edit": ()}), look.trace.place
    rows = said(plain, MOST_TOLD)["top"]
    kinds = ("probability", "score", "value")
    known = {row.get("class", row.get("target")): next(row[key] for key in kinds if key in row) for row in rows}
    score = place.of(plain.trace.activations.of(plain.trace.prepared.outputs[place.output]))[0]
    top = [{**row, "before": known.get(row.get("class", row.get("target")))} for row in found["top"]]
    probability = known.get(look.trace.label or f"class {place.class_number}")
    before = {"score": float(score), "top": rows[:TOP], "class": plain.trace.label, "place": str(plain.trace.place)}
    return {
        **found,
        "top": top,
        "before": {**before, "probability": probability if rows and "probability" in rows[0] else None},
    }


_KNOWN: WeakKeyDictionary[Looked, dict[int, dict[str, Any]]] = WeakKeyDictionary()


def said(look: Looked, count: int = TOP) -> dict[str, Any]:
    """`count` rows, `top`, with a class and its probability or score, or a place in an output and its value; `scores` says what they are, `note` why
    there is no class.

    It is kept as long as the trace is: to predict is to run the network again.
    """
    known = _KNOWN.setdefault(look, {})
    if count not in known:
        known[count] = _said(look, count)
    return known[count]


def _said(look: Looked, count: int) -> dict[str, Any]:
    if look.example.pixels is not None and look.reader is None and look.opened.tells_classes:
        (predicted,) = look.opened.predict([look.file], count)
        said = {"top": predicted["predictions"], "scores": predicted.get("scores", "")}
        return said if said["top"] else {**said, "note": NO_CLASS}
    traced = look.trace
    outputs = traced.prepared.outputs
    if len(outputs) == 1 and (found := _classes(traced, next(iter(outputs.values())), count)):
        return found
    return {
        "top": [row for name, node in outputs.items() for row in _numbers(traced, name, node, count)],
        "scores": "",
    }


def _classes(traced: Trace, output: Tensor, count: int) -> dict[str, Any] | None:
    """The most likely classes, where an output is a row of scores."""
    if output.ndim != 2 or not output.dtype.startswith("float"):
        return None
    kind, values = kind_of_scores(output), traced.activations.of(output)
    shares = probabilities_of(values, kind)
    row = (values if shares is None else shares).reshape(-1)
    names = traced.classes if len(traced.classes) == len(row) else tuple(f"class {k}" for k in range(len(row)))
    called = "score" if shares is None else "probability"
    if np.isnan(row).any():
        return {"top": [], "scores": kind.name, "note": NO_CLASS}
    best = np.argsort(-row, kind="stable")[:count]
    return {"top": [{"class": names[k], called: float(row[k])} for k in best], "scores": kind.name}


def _numbers(traced: Trace, name: str, output: Tensor, count: int) -> list[dict[str, Any]]:
    """The numbers of an output that are largest by absolute value, each with its place."""
    values = traced.activations.of(output)
    values = values[0] if has_batch(output) else values
    sizes = np.nan_to_num(np.abs(values.astype(np.float64)).reshape(-1), nan=-1.0)
    best = np.argsort(-sizes, kind="stable")[:count]
    places = [tuple(int(k) for k in np.unravel_index(place, values.shape)) for place in best] if values.ndim else [()]
    return [
        {"target": f"{name}[{','.join(map(str, place))}]", "value": float(values[place])}
        for place in places
        if values.size
    ]
