"""Diagrams: boxes apart, text within boxes, edges around boxes, few crossings, groups that fold and open; the same every time."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pellucid as pl
from pellucid import nn
from pellucid.graph_view import diagram
from pellucid.nn import models
from pellucid.nn.layer_diagram import DRAWN as DRAWN_LAYERS
from pellucid.pictures import Diagram, DiagramBox, DiagramEdge, PictureError, arranged, folded
from pellucid.pictures.diagram import LINE
from pellucid.pictures.folding import DRAWN
from pellucid.pictures.lettering import width_of
from search import examples


def boxes(names: str | Sequence[str]) -> list[DiagramBox]:
    return [DiagramBox(name, (name,)) for name in names]


def edges(*pairs: str) -> list[DiagramEdge]:
    return [DiagramEdge(*pair.split(">")) for pair in pairs]


def along(edge: DiagramEdge) -> Iterator[tuple[float, float]]:
    """Points on the drawn edge: an S is a cubic that is level at both ends."""
    for (x, y), (to_x, to_y) in itertools.pairwise(edge.points):
        for t in (k / 20 for k in range(21)):
            middle = (x + to_x) / 2
            yield (
                (1 - t) ** 3 * x + 3 * (1 - t) ** 2 * t * middle + 3 * (1 - t) * t**2 * middle + t**3 * to_x,
                (1 - t) ** 3 * y + 3 * (1 - t) ** 2 * t * y + 3 * (1 - t) * t**2 * to_y + t**3 * to_y,
            )


def turned(drawn: Diagram) -> Diagram:
    """One that goes down as one that goes from left to right, its boxes without their text."""
    placed = [replace(b, lines=(), x=b.y, y=b.x, width=b.height, height=b.width, inside=None) for b in drawn.boxes]
    routes = [replace(edge, points=tuple((x, y) for y, x in edge.points)) for edge in drawn.edges]
    return Diagram(drawn.title, tuple(placed), tuple(routes))


def sound(drawn: Diagram) -> None:
    """Everything that a diagram with places promises."""
    if drawn.down:
        assert all(max(map(width_of, box.lines)) <= box.width for box in drawn.boxes)
        assert all(LINE * len(box.lines) <= box.height for box in drawn.boxes)
        drawn = turned(drawn)
    for a, b in itertools.combinations(drawn.boxes, 2):
        apart = a.x + a.width <= b.x or b.x + b.width <= a.x or a.y + a.height <= b.y or b.y + b.height <= a.y
        assert apart, f"{a.name} lies on {b.name}"
    for box in drawn.boxes:
        assert box.x >= 0
        assert box.y >= 0
        assert all(width_of(line) <= box.width for line in box.lines)
        assert LINE * len(box.lines) <= box.height
    at = {box.name: box for box in drawn.boxes}
    for edge in drawn.edges:
        start, end = edge.points[0], edge.points[-1]
        ends = sorted((start[0], end[0]))
        left, right = sorted((at[edge.source], at[edge.target]), key=lambda b: b.x)
        assert ends == [pytest.approx(left.x + left.width), pytest.approx(right.x)]
        for x, y in along(edge):
            for box in drawn.boxes:
                inside = box.x + 0.1 < x < box.x + box.width - 0.1 and box.y + 0.1 < y < box.y + box.height - 0.1
                assert not inside, f"{edge.source} > {edge.target} runs through {box.name}"
    for box in drawn.boxes:
        if box.inside is not None:
            sound(box.inside)


GRAPHS = {
    "one": ("a", ()),
    "apart": ("abc", ()),
    "chain": ("abcd", ("a>b", "b>c", "c>d")),
    "diamond": ("abcd", ("a>b", "a>c", "b>d", "c>d")),
    "over": ("abcd", ("a>b", "b>c", "c>d", "a>d", "a>c")),
    "twice": ("ab", ("a>b", "a>b")),
    "any order": ("dcba", ("a>b", "b>c", "c>d", "a>d")),
    "circle": ("abc", ("a>b", "b>c", "c>a")),
    "back": ("ab", ("a>b", "b>a")),
    "many into one": ("abcdefgh", tuple(f"{c}>h" for c in "abcdefg")),
    "late leaf": ("abcde", ("a>b", "b>c", "c>d", "e>d")),
}


@pytest.mark.parametrize("down", [False, True])
@pytest.mark.parametrize("name", GRAPHS)
def test_places(name: str, down: bool) -> None:
    names, pairs = GRAPHS[name]
    drawn = arranged("t", boxes(names), edges(*pairs), down=down)
    sound(drawn)
    assert [box.name for box in drawn.boxes] == list(names)
    assert drawn == arranged("t", boxes(names), edges(*pairs), down=down)


def test_from_left_to_right() -> None:
    at = {box.name: box for box in arranged("t", boxes("abcde"), edges("a>b", "b>c", "c>d", "e>d")).boxes}
    assert at["a"].x < at["b"].x < at["c"].x == at["e"].x < at["d"].x  # what reads nothing stands before its user
    straight = arranged("t", boxes("abc"), edges("a>b", "b>c"))
    assert len({y for edge in straight.edges for _, y in edge.points}) == 1
    crossed = arranged("t", boxes("abcdef"), edges("a>f", "b>e", "c>d"))
    ends = sorted((edge.points[0][1], edge.points[-1][1]) for edge in crossed.edges)
    assert ends == sorted(ends, key=lambda pair: pair[1])  # none of the three crosses another


def test_labels_have_room() -> None:
    labeled = [DiagramEdge(source, "z", "a long value", "-1.00") for source in "abc"]
    drawn = arranged("t", boxes("abcz"), labeled)
    ports = sorted(edge.points[-1][1] for edge in drawn.edges)
    assert all(b - a >= 28 for a, b in itertools.pairwise(ports))
    assert all(
        x2 - x1 >= width_of("a long value", 11) for ((x1, _), (x2, _)) in (edge.points[-2:] for edge in drawn.edges)
    )


def test_text_stays_in_its_box() -> None:
    """Of lines those are drawn that fit a box, from the first on; all are in its title."""
    for size, shown in {
        (100.0, 50.0): ["first", "second", "third"],
        (100.0, 34.0): ["first", "second"],
        (20.0, 50.0): [],
        (100.0, 9.0): [],
    }.items():
        box = DiagramBox("b", ("first", "second", "third"), "", 5, 7, *size)
        drawn = ElementTree.fromstring(Diagram("t", (box,)).svg())
        texts = [e for e in drawn.iter() if e.tag.endswith("text") and e.text != "t"]
        assert [e.text for e in texts] == shown
        assert all(7 + 9 <= float(e.get("y", 0)) <= 7 + size[1] - 2 for e in texts)
        assert "first\nsecond\nthird" in next(e.text or "" for e in drawn.iter() if e.tag.endswith("title"))


@pytest.mark.parametrize("down", [False, True])
def test_what_is_too_long_goes_on_in_another_line_or_column(down: bool) -> None:
    """Every box is drawn once, whole, in the part where it is; a page that scrolls has one line."""
    names = [f"layer{k}" for k in range(30)]
    chain = [DiagramEdge(a, b, "64x28x28") for a, b in itertools.pairwise(names)]
    drawn = arranged("t", boxes(names), chain, down=down)
    for room in (320.0, 640.0):
        root = ElementTree.fromstring(drawn.svg(room))
        assert float(root.get("width", 0)) <= 1.6 * room
        strips = [e for e in root if e.tag.endswith("svg")]
        assert len(strips) > 1
        seen: list[str] = []
        for strip in strips:
            left, top, wide, high = map(float, (strip.get("viewBox") or "").split())
            for box in strip.iter():
                if box.tag.endswith("rect"):
                    x, y, w, h = (float(box.get(k, 0)) for k in ("x", "y", "width", "height"))
                    assert left <= x
                    assert x + w <= left + wide
                    assert top <= y
                    assert y + h <= top + high
            seen += [
                e.text or "" for e in strip.iter() if e.tag.endswith("text") and (e.text or "").startswith("layer")
            ]
        assert seen == names
    assert (len(re.findall("<svg", drawn.fragment())) == 2) != down  # the picture and its one line


def _summary(name: str) -> pl.nn.summary.Summary:
    net = models.build(name)
    return net.summary((1, 28, 28) if name == "lenet" else (3, 224, 224))


@pytest.mark.parametrize("name", ["lenet", "resnet18", "efficientnet_lite0", "googlenet", "densenet121", "vgg16"])
def test_layers_as_a_diagram(name: str) -> None:
    """Of every network few boxes, in which every parameter is counted once; arrows have the shapes that go on."""
    summary = _summary(name)
    drawn = summary.drawing()
    assert isinstance(drawn, Diagram)
    assert 5 < len(drawn.boxes) <= DRAWN_LAYERS + 1
    sound(drawn)
    counts = [
        int(line.removesuffix(" parameters").replace(",", ""))
        for b in drawn.boxes
        for line in b.lines
        if line.endswith(" parameters")
    ]
    assert sum(counts) == summary.total_parameters
    shapes = {"x".join(map(str, row.output_shape)) for row in summary.rows} | {"x".join(map(str, summary.input_shape))}
    assert {edge.above for edge in drawn.edges} <= shapes
    reached = {edge.target for edge in drawn.edges}
    assert [b.name for b in drawn.boxes if b.name not in reached] == [b.name for b in drawn.boxes if b.kind == "input"]
    assert any(isinstance(part, Diagram) for part in summary.picture().parts)


def test_blocks_of_layers_are_folded_and_counted() -> None:
    drawn = _summary("resnet18").drawing()
    assert isinstance(drawn, Diagram)
    lines = {box.name: box.lines for box in drawn.boxes}
    assert lines["conv1"] == ("conv1", "Conv2d + BatchNorm2d + ReLU", "9,536 parameters")
    assert lines["layer1.0"] == ("layer1.0 … layer1.1", "2 x 7 layers", "147,968 parameters")
    (block,) = (box.inside for box in drawn.boxes if box.name == "layer2.0")
    assert block is not None
    assert [box.name for box in block.boxes][:2] == ["layer2.0.conv1", "layer2.0.conv2"]
    assert ("layer2.0.conv2", "layer2.0/add", "128x28x28") in [(e.source, e.target, e.above) for e in block.edges]
    flat = nn.Sequential(*(nn.Conv2d(3, 3, 1) for _ in range(100)))
    assert len(flat.summary((3, 4, 4)).drawing().boxes) <= DRAWN_LAYERS + 1  # type: ignore[attr-defined]


def test_an_edge_goes_between_boxes() -> None:
    for wrong in ("a>a", "a>z"):
        with pytest.raises(PictureError, match="from one box to another"):
            arranged("t", boxes("ab"), edges(wrong))


NAMES = [f"{a}{b}" for a in "abcdefg" for b in "0123456"]


@settings(max_examples=examples(60))
@given(data=st.data(), count=st.integers(1, 25))
def test_any_graph_has_places(data: st.DataObject, count: int) -> None:
    ends = st.tuples(*[st.integers(0, count - 1)] * 2).filter(lambda pair: pair[0] != pair[1])
    pairs = data.draw(st.lists(ends, max_size=40)) if count > 1 else []
    labels = st.text("0123456789.", max_size=8)
    joined = [DiagramEdge(NAMES[a], NAMES[b], data.draw(labels), data.draw(labels)) for a, b in pairs]
    sound(arranged("t", boxes(NAMES[:count]), joined))


def inner(drawn: Diagram, name: str) -> Diagram:
    found = next(box.inside for box in drawn.boxes if box.name == name)
    assert found is not None
    return found


def leaves(drawn: Diagram) -> list[str]:
    """The boxes that are in a diagram when all groups are open."""
    return [
        name
        for box in drawn.boxes
        if box.kind != "outside"
        for name in ([box.name] if box.inside is None else leaves(box.inside))
    ]


def test_groups_fold_and_open() -> None:
    graph = models.build("resnet18").eval().graph((1, 3, 64, 64))
    drawn = diagram(graph)
    sound(drawn)
    names = [box.name for box in drawn.boxes]
    assert names == [
        "x",
        "conv1",
        "bn1",
        "relu",
        "maxpool",
        "layer1",
        "layer2",
        "layer3",
        "layer4",
        "avgpool",
        "flatten",
        "fc",
    ]
    assert sorted(leaves(drawn)) == sorted(graph.names.values())
    block = inner(inner(drawn, "layer2"), "layer2.0")
    assert {"layer1", "layer2.0.conv1", "layer2.0.downsample", "layer2.0/add", "layer2.1"} <= {
        b.name for b in block.boxes
    }
    assert {b.name for b in block.boxes if b.kind == "outside"} == {"layer1", "layer2.1"}
    assert "<summary>layer2.0.conv1</summary>" in drawn.fragment()


CIRCLES = {
    "a way out and back in": (
        ["g.a", "other", "g.b", "h.a", "h.b"],
        [("g.a", "other"), ("other", "g.b"), ("h.a", "h.b")],
    ),
    "two groups": (["g.a", "h.a", "g.b", "h.b"], [("g.a", "h.a"), ("h.a", "g.b"), ("g.b", "h.b")]),
    "equal paths": (["g/a", "h", "g.a"], [("g/a", "h"), ("h", "g.a")]),
    "names that are none": (["/", "//", "."], [("/", "//"), ("//", ".")]),
}


@pytest.mark.parametrize("name", CIRCLES)
def test_no_circle_of_groups(name: str) -> None:
    names, pairs = CIRCLES[name]
    more = [f"rest.{k}" for k in range(30)]
    drawn = folded("t", boxes([*names, *more]), pairs)
    sound(drawn)
    at = {box.name: box.x for box in drawn.boxes}
    assert all(at[edge.source] < at[edge.target] for edge in drawn.edges)
    assert sorted(leaves(drawn)) == sorted([*names, *more])


@pytest.mark.parametrize("name", ["chain", "dotted", "nested"])
def test_what_is_too_much_is_folded(name: str) -> None:
    make = {"chain": "op_{}", "dotted": "a.b.{}", "nested": "a.{0}.b.{0}"}[name]
    names = [make.format(k) for k in range(1000)]
    drawn = folded("t", boxes(names), list(itertools.pairwise(names)))
    assert len(drawn.boxes) <= DRAWN
    assert sorted(leaves(drawn)) == sorted(names)


def test_a_formula_is_a_diagram() -> None:
    traced = pl.trace_expression(pl.expression("x*x + y/(x - x)", x=2, y=1))
    drawn = traced.picture()
    sound(drawn)
    assert traced.svg() == drawn.svg() == traced._repr_html_()
    assert [e.above for e in drawn.edges if (e.source, e.target) == ("x", "x*x")] == ["2.00", "2.00"]
    assert {"result", "gate", "variable"} == {box.kind for box in drawn.boxes}
