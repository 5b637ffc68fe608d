"""Charts: lines, points and bars over two axes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from pellucid.pictures.axes import Axis, Frame, ticks_of
from pellucid.pictures.colors import LINES
from pellucid.pictures.legend import legend_of
from pellucid.pictures.lettering import MARGIN, note_below, titled, width_of
from pellucid.pictures.picture import ROOM, Picture, PictureError, svg_element
from pellucid.screen import markup

KINDS = ("line", "points", "bars", "dashed")
ROUND = 6.0
"""Pixels between the outermost points and the axes, so that these cut none."""


@dataclass(frozen=True)
class Series:
    """Named numbers over numbers, drawn as a line, points, bars or a dashed line. Not-a-number leaves a gap."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    kind: str = "line"

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise PictureError(f"series {self.name!r}: kind is one of {', '.join(KINDS)}, not {self.kind!r}")
        if len(self.x) != len(self.y):
            raise PictureError(f"series {self.name!r}: has {len(self.x)} x for {len(self.y)} y")
        for axis in ("x", "y"):
            object.__setattr__(self, axis, tuple(float(v) for v in getattr(self, axis)))


@dataclass(frozen=True)
class Chart(Picture):
    """One or more series over the same axes; `percent` shows y as per cent."""

    kind = "chart"
    share = "half"
    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    note: str = ""
    x_log: bool = False
    y_log: bool = False
    percent: bool = False

    def svg(self, room: float = ROOM) -> str:
        shown = [self._visible(s) for s in self.series]
        head, top = titled(self.title, MARGIN, room)
        named = [(s.name, LINES[n % len(LINES)], s.kind) for n, s in enumerate(self.series) if s.name]
        legend, more = legend_of(named, MARGIN, room - MARGIN, top - 2)
        frame = self._frame(shown, room, top + more + 4)
        parts = [head, legend, frame.drawn(self.x_label, self.y_label, self.percent)]
        for number, series in enumerate(shown):
            parts.append(_drawn(series, LINES[number % len(LINES)], frame.across, frame.upward, self._words))
        note, more = note_below(self.note, MARGIN, frame.low_end, room - 2 * MARGIN)
        return svg_element(room, frame.low_end + more + MARGIN, self.title, "".join([*parts, note]))

    def _frame(self, shown: Sequence[Series], room: float, top: float) -> Frame:
        """The axes, with room for every point within them and for the words beside them."""
        bottom = top + max(180.0, 0.44 * room)
        bars = any(s.kind == "bars" for s in shown)
        rising = [v for s in shown for v in s.y] + ([0.0] if bars and not self.y_log else [])
        upward = Axis.over(rising, self.y_log, bottom - ROUND, top + ROUND, share=self.percent)
        if bars and upward.low == 0:
            upward = replace(upward, start=bottom)
        left = MARGIN + 26 + max((width_of(w) for _, w in ticks_of(upward, 5, self.percent)), default=0.0)
        across = Axis.over([v for s in shown for v in s.x], self.x_log, left, room - 16)
        half = max((_bar(s, across) / 2 for s in shown if s.kind == "bars"), default=0.0)
        across = replace(across, start=left + max(ROUND, half), end=room - 16 - max(ROUND, half))
        return Frame(across, upward, left, room - 16, top, bottom)

    def figure(self) -> Any:
        """The chart as a Plotly figure (extra `pellucid[plotly]`)."""
        objects = plotly_objects()
        traces: list[Any] = []
        for s in self.series:
            if s.kind == "bars":
                traces.append(objects.Bar(x=s.x, y=s.y, name=s.name))
            else:
                mode = "markers" if s.kind == "points" else "lines"
                line = {"dash": "dash"} if s.kind == "dashed" else {}
                traces.append(objects.Scatter(x=s.x, y=s.y, name=s.name, mode=mode, line=line))
        figure = objects.Figure(traces)
        figure.update_layout(title=self.title, xaxis_title=self.x_label, yaxis_title=self.y_label)
        figure.update_xaxes(type="log" if self.x_log else "linear")
        figure.update_yaxes(type="log" if self.y_log else "linear", tickformat=".1%" if self.percent else None)
        return figure

    def _visible(self, series: Series) -> Series:
        """What an axis can show: finite numbers, positive ones where it is logarithmic."""

        def fits(value: float, log: bool) -> bool:
            return math.isfinite(value) and (value > 0 or not log)

        y = tuple(v if fits(v, self.y_log) else math.nan for v in series.y)
        kept = [(a, b) for a, b in zip(series.x, y, strict=True) if fits(a, self.x_log)]
        return replace(series, x=[a for a, _ in kept], y=[b for _, b in kept])

    def _words(self, name: str, x: float, y: float) -> str:
        value = f"{y:.2%}" if self.percent else f"{y:z.5g}"
        return f"{name}{', ' if name else ''}{self.x_label} {x:z.5g}: {value}"


def plotly_objects() -> Any:
    """Plotly's graph objects, or a `PictureError` that says how to install them."""
    try:
        import plotly.graph_objects as objects  # pyright: ignore[reportMissingImports, reportMissingTypeStubs]
    except ImportError as error:
        raise PictureError("Plotly figures need the extra: pip install 'pellucid[plotly]'") from error
    return objects


def _bar(series: Series, across: Axis) -> float:
    """How wide a bar is."""
    steps = sorted({across.at(x) for x, y in zip(series.x, series.y, strict=True) if not math.isnan(y)})
    return max(1.0, 0.8 * min((b - a for a, b in itertools.pairwise(steps)), default=40))


def _drawn(series: Series, paint: str, across: Axis, upward: Axis, words: Any) -> str:
    points = [(across.at(x), upward.at(y)) for x, y in zip(series.x, series.y, strict=True) if not math.isnan(y)]
    numbers = [(x, y) for x, y in zip(series.x, series.y, strict=True) if not math.isnan(y)]
    titles = [f"<title>{markup(words(series.name, x, y))}</title>" for x, y in numbers]
    if series.kind == "bars":
        wide = _bar(series, across)
        ground = upward.at(0) if not upward.log else upward.start
        return "".join(
            f'<rect x="{x - wide / 2:.1f}" y="{min(y, ground):.1f}" width="{wide:.1f}" height="{abs(ground - y):.1f}" '
            f'fill="{paint}" fill-opacity=".75">{t}</rect>'
            for (x, y), t in zip(points, titles, strict=True)
        )
    dots = series.kind == "points" or len(points) <= 40
    drawn = ""
    if series.kind != "points":
        dash = ' stroke-dasharray="6 4"' if series.kind == "dashed" else ""
        drawn = f'<path d="{_path(series, across, upward)}" fill="none" stroke="{paint}" stroke-width="2" stroke-linejoin="round"{dash}/>'
    if dots and series.kind != "dashed":
        drawn += "".join(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.6" fill="{paint}">{t}</circle>'
            for (x, y), t in zip(points, titles, strict=True)
        )
    return drawn


def _path(series: Series, across: Axis, upward: Axis) -> str:
    words: list[str] = []
    pen = "M"
    for x, y in zip(series.x, series.y, strict=True):
        if math.isnan(y):
            pen = "M"
            continue
        words.append(f"{pen}{across.at(x):.1f},{upward.at(y):.1f}")
        pen = "L"
    return "".join(words)
