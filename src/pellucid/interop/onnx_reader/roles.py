"""What the operators of an ONNX file take its values for: settings of the graph, weights, statistics, or values that flow."""

from __future__ import annotations

from collections.abc import Iterable

from pellucid.interop.onnx_reader.loops import entering
from pellucid.interop.onnx_reader.model import Body, Node
from pellucid.interop.onnx_reader.operators.registry import find_handler

_ROLES = ("setting", "statistic", "weight", "value")
"""What a value can be taken for, what counts most first."""


def roles_of(nodes: Iterable[Node]) -> dict[str, str]:
    """What the nodes take each value for: "setting" if it shapes the graph anywhere, else statistic, weight, or value."""
    roles: dict[str, str] = {}

    def note(name: str, role: str) -> None:
        roles[name] = min(roles.get(name, "value"), role, key=_ROLES.index)

    for node in nodes:
        handler = find_handler(node)
        for number, name in enumerate(node.inputs):
            role = "value"
            if handler is not None and number in handler.settings:
                role = "setting"
            elif handler is not None and number in handler.weights:
                role = "statistic" if node.kind == "BatchNormalization" and number > 2 else "weight"
            if name:
                note(name, role)
        for body in node.attributes.values():
            if not isinstance(body, Body):
                continue
            inner = roles_of(body.nodes)
            names = dict(zip((value.name for value in body.inputs), entering(node), strict=False))
            for name, role in inner.items():
                if outer := names.get(name, "" if name in body.own else name):
                    note(outer, role)
    return roles
