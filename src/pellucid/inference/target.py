"""What an explanation is about: a class, a place in one of a network's outputs, or the sum over a region of it.

As text `cat`, `3`, `scores[3]`, `out0[0,4,17]`, `mask[1,10:20,5:30]`, `boxes[4,cat]`; in Python also numbers, tuples and `Target`.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from pellucid.errors import PellucidError, suggest
from pellucid.graph import Graph, Tensor
from pellucid.nn import Module
from pellucid.op import Array, Shape

Span = int | tuple[int | None, int | None]
"""What is taken of one axis: one place, or those from the first number to before the second; None is where it ends."""
FIRST_NAN = "the first that is not a number (NaN), so that none is the highest"
"""Why a target was chosen where nobody named one and scores are not numbers."""


class ScoreError(PellucidError, ValueError):
    """A picture, a class, a place or a network is not what an explanation needs."""


@dataclass(frozen=True)
class Target:
    """One number of a network: the sum over `place` of its output called `output` (`default_output` unless named).

    `place` has a number or a slice for each axis behind the batch's; axes that are left out are taken whole. What
    `find_target` gives has the output's name, and numbers from 0 on for every axis; where it is the score of a class (N, K),
    the class's number and its name in `label`, if that is known. `why` says how it was chosen where nobody named it,
    `several` whether the network has other outputs.
    """

    output: str = ""
    place: tuple[Span, ...] = ()
    class_number: int | None = field(default=None, compare=False)
    label: str = field(default="", compare=False)
    why: str = field(default="", compare=False)
    several: bool = field(default=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "place", tuple(map(_span, self.place)))

    @property
    def index(self) -> tuple[int, ...]:
        """The place in the output, without the batch axis, where it is one element; a `ScoreError` for a region."""
        found = tuple(span for span in self.place if isinstance(span, int))
        if len(found) < len(self.place):
            raise ScoreError(f"{self}: is a sum over a region, not one element")
        return found

    def region(self, ndim: int) -> tuple[slice, ...]:
        """Where it lies in an output of so many axes, with the batch axis: every picture's."""
        spans = (slice(s, s + 1) if isinstance(s, int) else slice(*s) for s in self.place)
        return (*[slice(None)] * (ndim - len(self.place)), *spans)

    def upstream(self, output: Tensor) -> Array:
        """The gradient of the number with regard to its output: ones over the region, zeros elsewhere."""
        found = np.zeros(output.shape, output.dtype)
        found[self.region(output.ndim)] = 1
        return found

    def of(self, values: Array) -> Array:
        """The number for each picture of a batch (N,), of the output's values."""
        part = values[self.region(values.ndim)]
        if values.ndim == len(self.place):  # an output that has no batch axis
            part = part[None]
        return part.sum(tuple(range(1, part.ndim)), dtype=np.float64)

    @property
    def words(self) -> str:
        """What to call it in a sentence: `class 3 (cat)`, `out0[0,4,17]`, `the sum of mask[1,10:20]`."""
        of_class = self.class_number is not None
        region = any(not isinstance(span, int) for span in self.place)
        name = f"class {self.class_number}" if of_class else f"the sum of {self}" if region else str(self)
        name += f" ({self.label})" if self.label else ""
        return f"{name} of {self.output}" if of_class and self.several else name

    def __str__(self) -> str:
        place = ",".join(
            str(s) if isinstance(s, int) else ":".join("" if e is None else str(e) for e in s) for s in self.place
        )
        return f"{self.output}[{place}]"


TargetLike = int | str | tuple[Any, ...] | Target | None
"""How a target is said: a class by number or name, text, a place (behind an output's name or alone), a `Target`; None for the highest."""


def named_outputs(net: Module, graph: Graph) -> dict[str, Tensor]:
    """A network's outputs by name: those that it gives them, as ONNX files do; else `out0`, `out1`, and so on."""
    return dict(zip(graph.output_names, graph.outputs, strict=True))


def find_target(
    outputs: Mapping[str, Tensor],
    asked: TargetLike,
    classes: Sequence[str] = (),
    values: Callable[[str], Array] | None = None,
    batch: int = 1,
    whole: bool = False,
    nan: bool = False,
) -> Target:
    """The target that is `asked` for, in full: every axis of the place has numbers from 0 on.

    A number or a class's name means the scores of classes (N, K), or else the first axis of the first floating output.
    Where nothing is asked for it is the highest class's score; the largest element of the first floating output where
    there are no classes, of which `values` gives the values by name. `batch` is how many pictures the outputs are for.
    With `whole` also one of whole numbers, where there are no others; nothing asked for is the first of them. With `nan` it is
    the first element that is no number, where some are none and so none is the largest. Raises `ScoreError`.
    """
    whole = whole and why_no_gradient(outputs) != ""
    if asked is None and whole and values is not None:
        return _first_whole(outputs, values)
    if asked is None:
        output = default_output(outputs, classes)
        if values is None:
            raise ScoreError("nothing says what is to be explained; name a class, or a place in an output")
        return _highest(outputs, output, values(output), classes, nan)
    if isinstance(asked, str):
        asked = _parsed(outputs, asked.strip(), classes, batch)
    elif not isinstance(asked, Target):
        place = asked if isinstance(asked, tuple) else (asked,)
        output, place = (place[0], place[1:]) if place and isinstance(place[0], str) else ("", place)
        asked = Target(output, _numbered(outputs, output, place, classes, batch))
    name, node = _called(outputs, asked.output, classes)
    if not (whole or node.dtype.startswith("float")):
        raise ScoreError(f"the output {name!r} is of {node.dtype}, which has no gradient; {_listed(outputs)}")
    place = _placed(name, asked.place, node.shape, batch)
    return _named(Target(name, place, None, asked.label, asked.why, len(outputs) > 1), node.shape, classes, batch)


def _first_whole(outputs: Mapping[str, Tensor], values: Callable[[str], Array]) -> Target:
    """Of a network that gives whole numbers alone, such as the place of the largest score, the first one: it has no gradient."""
    for name in outputs:
        value = values(name)
        if value.size:
            own = value.shape[1:] if value.shape[:1] == (1,) else value.shape
            return Target(name, (0,) * len(own), None, "", "the first number", len(outputs) > 1)
    raise ScoreError(f"its outputs are empty; {_listed(outputs)}")


def why_no_gradient(outputs: Mapping[str, Tensor]) -> str:
    """Why nothing that a network gives has a gradient, and what to do; "" where something has one."""
    if any(node.dtype.startswith("float") for node in outputs.values()):
        return ""
    made_of = ", ".join(_scores_behind(outputs.values()))
    remedy = f"; let the network give what they are made of as an output, too: {made_of}" if made_of else ""
    return f"no output is floating, and only such can be explained; {_listed(outputs)}{remedy}"


def default_output(outputs: Mapping[str, Tensor], classes: Sequence[str] = ()) -> str:
    """The output that is meant where none is named: the scores of classes (N, K), else the first floating one."""
    floating = [name for name, node in outputs.items() if node.dtype.startswith("float")]
    if not floating:
        raise ScoreError(why_no_gradient(outputs))
    tables = [name for name in floating if _are_scores(outputs[name].shape)]
    named = [name for name in tables if outputs[name].shape[1] == len(classes)]
    return next(iter([*named, *tables, *floating]))


def _scores_behind(nodes: Iterable[Tensor]) -> list[str]:
    """The names of the nearest floating tensors that others are made of, as the scores behind an argmax."""
    waiting, seen, found = list(nodes), set[Tensor](), set[str]()
    while waiting:
        for node in waiting.pop().inputs:
            if node.dtype.startswith("float"):
                found.add(node.name)
            elif node not in seen:
                seen.add(node)
                waiting.append(node)
    return sorted(found)


def no_output(name: str, outputs: Mapping[str, Tensor]) -> ScoreError:
    """The error for the name of an output that there is not."""
    return ScoreError(f"no output is called {name!r}{suggest(name, outputs)}; {_listed(outputs)}")


def _highest(outputs: Mapping[str, Tensor], output: str, values: Array, classes: Sequence[str], nan: bool) -> Target:
    """The largest element of an output for one picture, which is of class scores the highest class; with `nan` the first that is NaN."""
    if not values.size:
        raise ScoreError(f"the output {output!r} is empty: {values.shape}")
    missing = bool(np.isnan(values).any())
    if missing and not nan:
        raise ScoreError(
            "the scores are not numbers (NaN), so that none is the highest; name a class, or a place, to ask about"
        )
    place = tuple(int(i) for i in np.unravel_index(int(np.argmax(values)), values.shape))  # of a NaN where there is one
    own = place[1:] if values.shape[:1] == (1,) else place
    why = FIRST_NAN if missing else "the highest" if _are_scores(values.shape) else "the largest element"
    return _named(Target(output, own, None, "", why, len(outputs) > 1), values.shape, classes, 1)


def _are_scores(shape: Shape) -> bool:
    """Whether an output of this shape has one number for each class (N, K); some files have (N, K, 1, 1)."""
    return len(shape) > 1 and math.prod(shape[2:]) == 1


def _named(target: Target, shape: Shape, classes: Sequence[str], batch: int) -> Target:
    """The target with the number and the name of the class whose score it is, if it is one's."""
    first = target.place[0] if target.place else None
    if not (_are_scores(shape) and shape[0] == batch and isinstance(first, int)):
        return target
    label = classes[first] if shape[1] == len(classes) else target.label
    return replace(target, class_number=first, label=label)


def _called(outputs: Mapping[str, Tensor], name: str, classes: Sequence[str]) -> tuple[str, Tensor]:
    """The output of this name, or that of the node of the graph that is called so; without a name the default."""
    name = name or default_output(outputs, classes)
    if name not in outputs:
        name = next((known for known, node in outputs.items() if node.name == name), name)
    if name not in outputs:
        raise no_output(name, outputs)
    return name, outputs[name]


def _numbered(
    outputs: Mapping[str, Tensor], output: str, place: Sequence[Any], classes: Sequence[str], batch: int
) -> tuple[Any, ...]:
    """A place with the numbers of classes in the place of their names, which must stand for an axis of the classes."""
    if not any(isinstance(span, str) for span in place):
        return tuple(place)
    name, node = _called(outputs, output, classes)
    shape = node.shape[node.shape[:1] == (batch,) and len(place) < node.ndim :]
    found: list[Any] = []
    for number, span in enumerate(place):
        if isinstance(span, str):
            size = shape[number] if number < len(shape) else 0
            if span not in classes:
                raise ScoreError(f"no class is named {span!r}{suggest(span, classes)}")
            if size != len(classes):
                raise ScoreError(f"{name}: {span!r} is one of {len(classes)} classes, its axis has {size} places")
            span = list(classes).index(span)
        found.append(span)
    return tuple(found)


def _parsed(outputs: Mapping[str, Tensor], text: str, classes: Sequence[str], batch: int) -> Target:
    if text in classes:
        return _of_class(outputs, text, classes)
    if re.fullmatch(r"-?\d{1,9}", text, re.ASCII):
        return Target("", (int(text),))
    if any(text in (name, node.name) for name, node in outputs.items()):
        return Target(text)
    written = re.fullmatch(r"(.*?)\s*\[([^\[\]]*)\]", text, re.DOTALL)
    if written is None:
        near = suggest(text, [*classes, *outputs])
        raise ScoreError(
            f"no class is named {text!r}{near}, nor an output; {_listed(outputs)}; a place in one is written {next(iter(outputs))}[3]"
        )
    place = _spans(written[2].split(","), text, classes) if written[2].strip() else ()
    return Target(written[1], _numbered(outputs, written[1], place, classes, batch))


def _spans(parts: Sequence[str], text: str, classes: Sequence[str]) -> list[Span | str]:
    """What parts between commas say of each axis; a class's name may have commas itself."""
    found: list[Span | str] = []
    start = 0
    while start < len(parts):
        ends = range(len(parts), start, -1)
        end = next((end for end in ends if ",".join(parts[start:end]).strip() in classes), start + 1)
        name = ",".join(parts[start:end]).strip()
        if re.fullmatch(r"[\s\d:-]*", parts[start], re.ASCII):
            found.append(_read(parts[start], text))
            start += 1
        elif name in classes or not classes:
            found.append(name if classes else _read(name, text))
            start = end
        else:
            near = suggest(name, classes)
            raise ScoreError(
                f"{text!r}: {name!r} is neither a number, a part of an axis such as 10:20, nor a class{near}"
            )
    return found


def _of_class(outputs: Mapping[str, Tensor], label: str, classes: Sequence[str]) -> Target:
    """The score of a class by its name, or the sum of its map."""
    number, count = list(classes).index(label), len(classes)
    floating = {name: node for name, node in outputs.items() if node.dtype.startswith("float") and node.ndim > 1}
    for name in sorted(floating, key=lambda name: not _are_scores(floating[name].shape)):
        shape = floating[name].shape
        if shape[1] == count:
            return Target(name, (number,), label=label)
        if shape[-1] == count:
            return Target(name, (*[(None, None)] * (len(shape) - 2), number), label=label)
    raise ScoreError(
        f"the class {label!r} is one of {count}, but no output has so many scores; {_listed(outputs)}; "
        f"a place in one is written {next(iter(outputs))}[3]"
    )


def _read(part: str, text: str) -> Span:
    """`"4"` -> `4`, `"10:20"` -> `(10, 20)`, `":"` -> `(None, None)`."""
    found = re.fullmatch(r"\s*(?:(-?\d{1,9})|(-?\d{1,9})?\s*:\s*(-?\d{1,9})?)\s*", part, re.ASCII)
    if found is None:
        raise ScoreError(f"{text!r}: {part.strip()!r} is neither a number nor a part of an axis such as 10:20")
    return int(found[1]) if found[1] else (_end(found[2]), _end(found[3]))


def _end(number: str | None) -> int | None:
    return None if number is None else int(number)


def _span(given: Any) -> Span:
    """A number, slice or pair of ends as plain numbers."""
    ends: Any = (given.start, given.stop) if isinstance(given, slice) and given.step in (None, 1) else given
    try:
        if not isinstance(ends, tuple):
            return operator.index(ends)
        start, stop = (None if end is None else operator.index(end) for end in ends)
    except (TypeError, ValueError):
        raise ScoreError(f"a place has a number, or a slice without a step, for each axis, got {given!r}") from None
    return start, stop


def _placed(output: str, place: tuple[Span, ...], shape: Shape, batch: int) -> tuple[Span, ...]:
    """A place with numbers from 0 on for every axis of an output behind the batch's, which may be given too."""
    own = shape[1:] if shape[:1] == (batch,) else shape
    if len(place) > len(shape):
        raise ScoreError(f"{output}: has {len(own)} axes, {_ranges(own)}, got {len(place)}: {Target(output, place)}")
    if len(place) > len(own):
        _taken(output, place[0], batch, place, shape)
        place = place[1:]
    full = (*place, *[(None, None)] * (len(own) - len(place)))
    return tuple(_taken(output, span, size, place, own) for span, size in zip(full, own, strict=True))


def _taken(output: str, span: Span, size: int, place: tuple[Span, ...], shape: Shape) -> Span:
    """What is taken of an axis of this size, in numbers from 0 on."""
    if isinstance(span, int):
        if -size <= span < size:
            return span % size
        if len(shape) == 1:
            raise ScoreError(f"class {span} is not one of the {size}, 0 to {size - 1}")
        raise ScoreError(f"{output}: wants a place within {_ranges(shape)}, got {Target(output, place)}")
    if span == (None, None) and size == 1:
        return 0
    start, stop = (0 if span[0] is None else span[0]), (size if span[1] is None else span[1])
    start, stop = (end + size if end < 0 else end for end in (start, stop))
    if not 0 <= start < stop <= size:
        raise ScoreError(
            f"{output}: wants a region within {_ranges(shape)} that is not empty, got {Target(output, place)}"
        )
    return start, stop


def _ranges(shape: Shape) -> str:
    return f"[{', '.join(f'0..{n - 1}' for n in shape)}]"


def _listed(outputs: Mapping[str, Tensor]) -> str:
    return f"outputs: {', '.join(f'{name} {node.shape}' for name, node in outputs.items())}"
