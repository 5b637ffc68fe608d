"""Which operators of a model can neither be made of ours nor are defined by others."""

from __future__ import annotations

from pellucid.interop.errors import require_onnx, schema_of
from pellucid.interop.onnx_reader.branches import is_branching, is_loop
from pellucid.interop.onnx_reader.model import Body, Model
from pellucid.interop.onnx_reader.operators.registry import find_handler
from pellucid.interop.onnx_reader.sequences import rule_of


def unsupported(model: Model) -> dict[str, int]:
    """Operators of the model that can neither be made of ours nor are defined by others, with how often they occur."""
    counts: dict[str, int] = {}
    onnx = require_onnx()
    waiting = [model.body.nodes, *(f.nodes for f in model.functions.values())]
    while waiting:
        for node in waiting.pop():
            waiting.extend(a.nodes for a in node.attributes.values() if isinstance(a, Body))
            if (node.domain, node.kind) in model.functions or find_handler(node) or is_branching(node):
                continue
            if is_loop(node) or rule_of(node):
                continue
            if onnx.defs.has(node.kind, node.domain):
                schema = schema_of(node.kind, node.opset, node.domain)
                if schema.has_function or schema.has_context_dependent_function:
                    continue
            name = f"{node.domain}.{node.kind}" if node.domain else node.kind
            counts[name] = counts.get(name, 0) + 1
    return dict(sorted(counts.items()))
