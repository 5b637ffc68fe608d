"""Sequences and optional values of ONNX: what they hold is known while a graph is built, so that no node is one of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from pellucid.graph import Tensor, constant
from pellucid.interop.onnx_reader.model import Node
from pellucid.interop.onnx_reader.operators.registry import MOST_NUMBERS, Call


@dataclass(frozen=True)
class Items:
    """A sequence: tensors of one element type, each of a shape of its own."""

    tensors: tuple[Tensor, ...]


Held = Tensor | Items | None
"""What a name of a file stands for: nothing where an output is left out, or an optional value is empty."""


class Maker(Protocol):
    """Computes an operator of ONNX, with these attributes, of tensors: its outputs."""

    def __call__(self, kind: str, *inputs: Tensor, outputs: int = 1, **attributes: int) -> list[Tensor]: ...


Rule = Callable[[Call, Maker, Sequence[Held]], Held]


def rule_of(node: Node) -> Rule | None:
    """What computes an operator on sequences."""
    return None if node.domain else _RULES.get(node.kind)


def stack(make: Maker, tensors: Sequence[Tensor], axis: int) -> Tensor:
    """Tensors side by side along a new axis."""
    rows = [make("Unsqueeze", tensor, constant(np.array([axis])))[0] for tensor in tensors]
    return make("Concat", *rows, axis=axis)[0]


def tensor_of(call: Call, inputs: Sequence[Held], number: int) -> Tensor:
    """An input that must be a tensor."""
    held = inputs[number] if number < len(inputs) else None
    if not isinstance(held, Tensor):
        raise call.error(f"its input {number} must be a tensor, it is {described(held)}")
    return held


def described(held: Held) -> str:
    """What something is, in words."""
    if held is None:
        return "left out"
    return f"a sequence of {len(held.tensors)}" if isinstance(held, Items) else f"{held.dtype} {held.shape}"


def _items(call: Call, inputs: Sequence[Held]) -> tuple[Tensor, ...]:
    held = inputs[0] if inputs else None
    if not isinstance(held, Items):
        raise call.error(f"its input 0 must be a sequence, it is {described(held)}")
    return held.tensors


def _place(call: Call, inputs: Sequence[Held], number: int, last: int) -> int:
    """A position given as an input, counted from the front; places behind `last` are none."""
    given = tensor_of(call, inputs, number)
    if given.size != 1:
        raise call.error(f"a position must be one number, it is {described(given)}")
    (place,) = call.integers("the position", given)
    size = len(_items(call, inputs))
    if not -size <= place <= last:
        raise call.error(f"position {place} lies outside of a sequence of {size}")
    return place + size if place < 0 else place


def _empty(call: Call, make: Maker, inputs: Sequence[Held]) -> Held:
    return Items(())


def _construct(call: Call, make: Maker, inputs: Sequence[Held]) -> Held:
    return Items(tuple(tensor_of(call, inputs, number) for number in range(len(inputs))))


def _insert(call: Call, make: Maker, inputs: Sequence[Held]) -> Held:
    items, new = _items(call, inputs), tensor_of(call, inputs, 1)
    place = _place(call, inputs, 2, len(items)) if len(inputs) > 2 and inputs[2] is not None else len(items)
    return Items((*items[:place], new, *items[place:]))


def _erase(call: Call, make: Maker, inputs: Sequence[Held]) -> Held:
    items = _items(call, inputs)
    last = len(items) - 1
    place = _place(call, inputs, 1, last) if len(inputs) > 1 and inputs[1] is not None else last
    if not items:
        raise call.error("its sequence is empty")
    return Items((*items[:place], *items[place + 1 :]))


def _at(call: Call, make: Maker, inputs: Sequence[Held]) -> Held:
    items = _items(call, inputs)
    return items[_place(call, inputs, 1, len(items) - 1)]


def _length(call: Call, make: Maker, inputs: Sequence[Held]) -> Held:
    return constant(len(_items(call, inputs)))


def _concat(call: Call, make: Maker, inputs: Sequence[Held]) -> Held:
    items = _items(call, inputs)
    if not items:
        raise call.error("its sequence is empty")
    return stack(make, items, call["axis"]) if call["new_axis"] else make("Concat", *items, axis=call["axis"])[0]


def _split(call: Call, make: Maker, inputs: Sequence[Held]) -> Held:
    """Parts of the sizes that are given; of one size, the last may be smaller; without a size each place is a part."""
    x = tensor_of(call, inputs, 0)
    axis = call.from_front(call["axis"], x.ndim)
    size = x.shape[axis]
    given = inputs[1] if len(inputs) > 1 else None
    sizes = [1] if given is None else call.integers("split", tensor_of(call, inputs, 1))
    if not isinstance(given, Tensor) or given.ndim == 0:
        (each,) = sizes
        if each < 1 or size > MOST_NUMBERS * each:
            raise call.error(f"{size} elements in parts of {each}; there may be {MOST_NUMBERS} parts")
        sizes = [min(each, size - start) for start in range(0, size, each)]
    if not sizes:
        return Items(())
    parts = make("Split", x, constant(np.array(sizes)), outputs=len(sizes), axis=axis)
    if given is None and call["keepdims"] == 0:
        parts = [make("Squeeze", part, constant(np.array([axis])))[0] for part in parts]
    return Items(tuple(parts))


def _optional(call: Call, make: Maker, inputs: Sequence[Held]) -> Held:
    return inputs[0] if inputs else None


def _element(call: Call, make: Maker, inputs: Sequence[Held]) -> Held:
    if not inputs or inputs[0] is None:
        raise call.error("its optional value is empty")
    return inputs[0]


def _has_element(call: Call, make: Maker, inputs: Sequence[Held]) -> Held:
    return constant(bool(inputs) and inputs[0] is not None)


_RULES: dict[str, Rule] = {
    "SequenceEmpty": _empty,
    "SequenceConstruct": _construct,
    "SequenceInsert": _insert,
    "SequenceErase": _erase,
    "SequenceAt": _at,
    "SequenceLength": _length,
    "ConcatFromSequence": _concat,
    "SplitToSequence": _split,
    "Optional": _optional,
    "OptionalGetElement": _element,
    "OptionalHasElement": _has_element,
}
