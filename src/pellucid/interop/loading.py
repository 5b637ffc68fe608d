"""`load_weights`: sets a network's parameters from weights under other names, and reports what went where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pellucid.errors import WeightsError
from pellucid.flags import flag
from pellucid.interop.matching import COUNTER, match, without_seeming_order
from pellucid.interop.weights import read_weights, without_wrappers
from pellucid.nn.errors import ModuleError
from pellucid.nn.module import Module, under_one_name
from pellucid.nn.required import require_net
from pellucid.op import Array, as_dtype
from pellucid.parameter import Parameter, is_kept
from pellucid.pictures import Answer, Grid, Page
from pellucid.text import amount, text_table


@dataclass(frozen=True)
class WeightsReport(Answer):
    """What `load_weights` did, or would have done: names are the network's, but those of `unexpected`.

    `renamed` has the file's name for each of the loaded whose name differs; `mis_shaped` the shape in the file and the
    one the network wants; `doubt` says why the rest was not matched by structure.
    """

    loaded: tuple[str, ...]
    renamed: dict[str, str]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    mis_shaped: dict[str, tuple[tuple[int, ...], tuple[int, ...]]]
    doubt: str = ""

    @property
    def complete(self) -> bool:
        """Whether every parameter and every weight found its counterpart."""
        return not (self.missing or self.unexpected or self.mis_shaped)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        shapes = {n: {"file": list(f), "network": list(w)} for n, (f, w) in self.mis_shaped.items()}
        return {
            "loaded": list(self.loaded),
            "renamed": self.renamed,
            "missing": list(self.missing),
            "unexpected": list(self.unexpected),
            "mis_shaped": shapes,
            "doubt": self.doubt,
        }

    def cells(self) -> tuple[list[str], list[list[str]]]:
        """Column titles and text cells: what is not simply loaded under its own name, and how much is."""
        rows = [["loaded", amount(len(self.loaded), "weight"), f"{len(self.renamed)} of them under another name"]]
        rows += [["renamed", ours, f"{theirs} in the file"] for theirs, ours in self.renamed.items()]
        rows += [["missing", name, "keeps its value"] for name in self.missing]
        rows += [["mis-shaped", n, f"{f} in the file, {w} in the network"] for n, (f, w) in self.mis_shaped.items()]
        rows += [["unexpected", name, "not used"] for name in self.unexpected]
        return ["", "weight", ""], rows

    def __str__(self) -> str:
        titles, rows = self.cells()
        return text_table(titles, rows, "lll") + (f"\nnot matched by structure: {self.doubt}" if self.doubt else "")

    def picture(self) -> Page:
        """The table, and what is in doubt."""
        doubt = (f"not matched by structure: {self.doubt}",) if self.doubt else ()
        return Page("Weights loaded", (Grid(*self.cells(), "lll"), *doubt))


def load_weights(net: Module, weights: str | Path | Mapping[str, Any], strict: bool = True) -> WeightsReport:
    """Set the parameters of `net` from a file (see `read_weights`) or from arrays by name, and report it.

    Names decide where they agree. Where they do not, a prefix before all of the network's names is taken off, or the
    layers are paired in their order of definition if all agree in kind and shape; what could be meant in two ways is
    left alone. With `strict` anything missing, unexpected or mis-shaped is a `WeightsError` with the whole report, and
    nothing is changed; with `strict=False` what fits is loaded and the rest reported.
    """
    strict = flag("load_weights", "strict", strict, WeightsError)
    require_net(net)
    if isinstance(weights, str | Path):
        source, given = str(weights), read_weights(weights)
    else:
        if not isinstance(weights, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise WeightsError(f"weights are a file, or arrays by name, got {type(weights).__name__}")
        arrays = {name: np.asarray(value) for name, value in weights.items()}
        given = without_wrappers(without_seeming_order(arrays, [a.dtype for a in arrays.values()]))
        source = "the weights"
    parameters = net.named_parameters()
    try:
        given = under_one_name(net, given)
    except ModuleError as error:
        raise WeightsError(f"{source}: {error}") from error
    values = {n: v for n, v in given.items() if n.rpartition(".")[2] != COUNTER}
    found = match({n: v.shape for n, v in values.items()}, {n: p.shape for n, p in parameters.items()})
    fits = {t: o for t, o in found.pairs.items() if values[t].shape == parameters[o].shape}
    taken = set(found.pairs.values())
    report = WeightsReport(
        loaded=tuple(fits.values()),
        renamed={t: o for t, o in fits.items() if t != o},
        missing=tuple(n for n in parameters if n not in taken),
        unexpected=tuple(n for n in values if n not in found.pairs),
        mis_shaped={o: (values[t].shape, parameters[o].shape) for t, o in found.pairs.items() if t not in fits},
        doubt=found.doubt,
    )
    if not fits:
        raise WeightsError(f"{source}: nothing in it fits {type(net).__name__}.\n{report}")
    if strict and not report.complete:
        raise WeightsError(
            f"{source}: does not fit {type(net).__name__}; nothing was changed. strict=False loads what fits.\n{report}"
        )
    held = {ours: _held(source, theirs, values[theirs], parameters[ours]) for theirs, ours in fits.items()}
    for ours, value in held.items():
        parameters[ours].value = value
    return report


def _held(source: str, name: str, value: Array, parameter: Parameter) -> Array:
    """The value in the element type of the parameter that it is for; a `WeightsError` where that cannot hold it."""
    if not is_kept(value, parameter.dtype):
        raise WeightsError(
            f"{source}: {name!r} is an array of {value.dtype}, where {parameter.dtype} is wanted; nothing was changed. "
            "Convert it with astype"
        )
    found, lost = as_dtype(value, parameter.dtype)
    if lost is not None:
        raise WeightsError(
            f"{source}: {name!r} has the value {lost:g}, which {parameter.dtype} cannot hold; nothing was changed. "
            "Scale the weights, or leave it out"
        )
    return found
