"""Where a network with a frozen part can be cut in two: at a value that training does not change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pellucid.graph import Input, Parameter, Tensor, input, topological
from pellucid.walks import depending, rewrite, users


def last_fixed(
    outputs: Sequence[Tensor], images: Tensor, trained: Sequence[Parameter], kept: Mapping[Tensor, Tensor]
) -> Tensor | None:
    """The last value in `kept` made of `images` alone that all `outputs` need images only through; None: there is none.

    It has a row for each image, and neither a parameter in `trained` nor another input has a part in it.
    """
    to_come = {value: len(readers) for value, readers in users(outputs).items()}
    nodes = topological(outputs)
    changing = depending(nodes, [*trained, *(n for n in nodes if isinstance(n.op, Input) and n is not images)])
    from_images, needed = depending(nodes, [images]), {images}
    found: Tensor | None = None
    for node in nodes:
        for value in node.inputs:
            to_come[value] -= 1
            if not to_come[value]:
                needed.discard(value)
        if node in from_images and node is not images:
            needed.add(node)
            rows = node.dtype == "float32" and node.ndim > 1 and len(node) == len(images)
            if needed == {node} and rows and node in kept and node not in changing:
                found = node
    return found


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
