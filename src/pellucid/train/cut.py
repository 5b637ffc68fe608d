"""Where a network with a frozen part can be cut in two: at a value that training does not change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pellucid.graph import Input, Parameter, Tensor, input, topological
from pellucid.walks import bottlenecks, depending, rewrite


def last_fixed(
    outputs: Sequence[Tensor], images: Tensor, trained: Sequence[Parameter], kept: Mapping[Tensor, Tensor]
) -> Tensor | None:
    """The last value in `kept` made of `images` alone that all `outputs` need images only through; None: there is none.

    It has a row for each image, and neither a parameter in `trained` nor another input has a part in it.
    """
    nodes = topological(outputs)
    changing = depending(nodes, [*trained, *(n for n in nodes if isinstance(n.op, Input) and n is not images)])
    found = [
        node
        for node in bottlenecks(outputs, images)
        if node.dtype == "float32"
        and node.ndim > 1
        and len(node) == len(images)
        and node in kept
        and node not in changing
    ]
    return found[-1] if found else None


def twins(one: Sequence[Tensor], other: Sequence[Tensor]) -> dict[Tensor, Tensor]:
    """For values that `one` needs those that `other` needs and that are computed alike, inputs of one name being alike."""
    numbers = dict[object, int]()
    known = dict[Tensor, int]()
    for value in topological([*one, *other]):
        leaf = value.name if isinstance(value.op, Input) else id(value) if isinstance(value, Parameter) else ""
        key = (value.op, leaf, value.shape, value.dtype, tuple(known[i] for i in value.inputs))
        known[value] = numbers.setdefault(key, len(numbers))
    theirs = {known[value]: value for value in topological(other)}
    return {value: theirs[known[value]] for value in topological(one) if known[value] in theirs}


def above(outputs: Sequence[Tensor], cut: Tensor) -> tuple[Tensor, ...]:
    """`outputs` computed from an input `features` in the place of `cut`."""
    features = input(cut.shape, cut.dtype, "features")
    return rewrite(outputs, lambda node, inputs: features if node is cut else None)
