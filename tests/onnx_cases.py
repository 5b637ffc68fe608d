"""ONNX's own test cases: those of the onnx package, by operator, and for those out of scope the reason."""

from __future__ import annotations

import functools
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import DecodeError
from onnx import numpy_helper
from onnx.backend.test.loader import load_model_tests

from pellucid.interop.onnx_reader.operators.registry import MICROSOFT, handled

SUITES = ("simple", "pytorch-converted", "pytorch-operator")

_TEXT = "text or maps: tensors hold numbers"
_HELD = "sequences or optional values as inputs or outputs: a network takes and gives tensors"
_FOREIGN = "not used by convolutional networks: no op computes it"
_RANDOM = "random numbers of an unstated or of NumPy's generator; ours are counter-based"

REASONS = {
    **dict.fromkeys(["StringNormalizer", "StringSplit", "StringConcat", "RegexFullMatch", "TfIdfVectorizer"], _TEXT),
    "LabelEncoder": _TEXT,
    "BitCast": "bits of one type read as another's",
    **dict.fromkeys(["RandomUniformLike", "Bernoulli"], _RANDOM),
    **dict.fromkeys(
        ["Adagrad", "Adam", "Momentum", "Gradient"], "preview of training inside of a file: `pl.fit` trains"
    ),
    **dict.fromkeys(["TreeEnsemble", "Binarizer", "ArrayFeatureExtractor"], "decision trees and tables (ai.onnx.ml)"),
    "TensorScatter": _FOREIGN,
    "ImageDecoder": "pictures are read by `pellucid.data`",
}
"""Operators that no case passes with, and why."""

_CASES = {
    r"^test_col2im_5d": "images have two axes",
    r"^test_flexattention_(score_mod|prob_mod|causal_mask|soft_cap|relative_positional)$": "attention with graphs inside of it",
    r"^test_training_dropout(_default)?(_mask)?$": _RANDOM,
}
"""Single cases by pattern, and why."""


_TYPES = {"STRING": _TEXT, "COMPLEX": "complex numbers", "FLOAT8": "floats of 8 bits", "FLOAT4": "floats of 4 bits"}


@dataclass(frozen=True)
class Case:
    """A model with inputs and the outputs that it must give. `subject` is the operator, or the suite, that it is about."""

    name: str
    subject: str
    model: Any
    data: tuple[tuple[list[Any], list[Any]], ...]
    rtol: float
    atol: float

    @functools.cached_property
    def reason(self) -> str:
        """Why the case is out of scope; empty if it must pass."""
        single = [reason for pattern, reason in _CASES.items() if re.search(pattern, self.name)]
        kinds = {self.subject, *operators(self.model.graph)}
        return next(
            iter([*single, *(REASONS[kind] for kind in sorted(kinds) if kind in REASONS)]), _types(self.model.graph)
        )


def operators(graph: Any) -> set[str]:
    """The operators of a graph, and of those inside of it."""
    inner = (a.g for node in graph.node for a in node.attribute if a.type == onnx.AttributeProto.GRAPH)
    return {node.op_type for node in graph.node}.union(*map(operators, inner))


def _types(graph: Any) -> str:
    """Why a graph's element types put it out of scope, if they do."""
    stated = [*graph.input, *graph.output]
    if any(value.type.WhichOneof("value") != "tensor_type" for value in stated):
        return _HELD
    numbers = [value.type.tensor_type.elem_type for value in stated]
    numbers += [a.i for node in graph.node if node.op_type == "Cast" for a in node.attribute if a.name == "to"]
    names = [onnx.TensorProto.DataType.Name(number) for number in numbers]
    return next((reason for start, reason in _TYPES.items() for name in names if name.startswith(start)), "")


@functools.cache
def cases() -> tuple[Case, ...]:
    """Every case that the onnx package ships, generated in memory or read from its folder."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the cases themselves overflow and divide by zero
        nodes = load_model_tests(kind="node")
    kinds = {case.name: case.model.graph.node[0].op_type for case in nodes}
    found = [
        Case(c.name, kinds[c.name.split("_expanded")[0]], c.model, tuple(c.data_sets), c.rtol, c.atol) for c in nodes
    ]
    return (*found, *(case for suite in SUITES for case in _read(suite)))


def _read(suite: str) -> Iterator[Case]:
    for case in sorted(load_model_tests(kind=suite), key=lambda c: c.name):
        folder = Path(case.model_dir)
        model = onnx.load(folder / "model.onnx")
        sets = [
            tuple([_array(file) for file in sorted(data.glob(f"{kind}_*.pb"))] for kind in ("input", "output"))
            for data in sorted(folder.glob("test_data_set*"))
        ]
        yield Case(case.name, suite, model, tuple(sets), case.rtol, case.atol)


def _array(file: Path) -> Any:
    """The tensor in a file; sequences stay bytes, since no case in scope has any."""
    tensor = onnx.TensorProto()
    data = file.read_bytes()
    try:
        tensor.ParseFromString(data)
        return numpy_helper.to_array(tensor)
    except (DecodeError, ValueError, TypeError):
        return data


def table() -> str:
    """What passes, per operator, as the page docs/onnx-coverage.md."""
    newest = onnx.defs.onnx_opset_version()
    lines = [
        "# ONNX coverage",
        "",
        "Generated by `make docs` from the test cases of the onnx package "
        f"(operator sets up to {newest}). Every case counted as passed runs in the tests on the",
        "reference and the native executor and gives the numbers that ONNX states, to its own tolerance.",
        "",
        "| operator or suite | cases | passed | out of scope | why |",
        "|---|---|---|---|---|",
    ]
    groups: dict[str, list[Case]] = {}
    for case in cases():
        groups.setdefault(case.subject, []).append(case)
    for subject, members in sorted(groups.items(), key=lambda item: (item[0] in SUITES, item[0])):
        out = [case for case in members if case.reason]
        why = "; ".join(sorted({case.reason for case in out}))
        lines.append(f"| {subject} | {len(members)} | {len(members) - len(out)} | {len(out) or ''} | {why} |")
    passed = sum(not case.reason for case in cases())
    lines.append(f"| all | {len(cases())} | {passed} | {len(cases()) - passed} | |")
    runtime = ", ".join(handled(MICROSOFT))
    lines += [
        "",
        "## Operators of ONNX Runtime",
        "",
        f"What its quantization and its optimizer write (domain `{MICROSOFT}`) is opened too, and gives its numbers, to a quantum where they",
        f"are quantized: {runtime}.",
    ]
    return "\n".join(lines) + "\n"
