"""Charts: lines, points and bars over two axes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pellucid.pictures.axes import Axis, ticks_of
from pellucid.pictures.colors import LINES
from pellucid.pictures.picture import Picture, PictureError, note_below, svg_element, text
from pellucid.screen import markup

KINDS = ("line", "points", "bars", "dashed")


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

    def svg(self) -> str:
        left, right, top, width, height = 66, 16, 48, 640, 360
        named = {s.name: LINES[number % len(LINES)] for number, s in enumerate(self.series) if s.name}
        legend, rows = legend_of(named, left, width - right, 27)
        top += 16 * max(0, rows - 1)
        bottom = height - 48
        shown = [self._visible(s) for s in self.series]
        across = Axis.over([v for s in shown for v in s.x], self.x_log, left, width - right)
        bars = any(s.kind == "bars" for s in shown) and not self.y_log
        upward = Axis.over(
            [v for s in shown for v in s.y] + ([0.0] if bars else []), self.y_log, bottom, top, share=self.percent
        )
        parts = [text(left, 18, self.title, style="font-weight:600;font-size:14px")]
        for value, words in ticks_of(upward, 5, self.percent):
            y = upward.at(value)
            parts.append(f'<path d="M{left},{y:.1f}H{width - right}" stroke="currentColor" stroke-opacity=".15"/>')
            parts.append(text(left - 6, y + 4, words, "end"))
        for value, words in ticks_of(across, 7):
            x = across.at(value)
            parts.append(f'<path d="M{x:.1f},{bottom}v4" stroke="currentColor" stroke-opacity=".5"/>')
            parts.append(text(x, bottom + 17, words, "middle"))
        parts.append(f'<path d="M{left},{bottom}H{width - right}" stroke="currentColor" stroke-opacity=".5"/>')
        parts.append(text((left + width - right) / 2, height - 10, self.x_label, "middle"))
        parts.append(f'<g transform="rotate(-90 14 {(top + bottom) / 2:.0f})">')
        parts += [text(14, (top + bottom) / 2, self.y_label, "middle"), "</g>"]
        for number, series in enumerate(shown):
            parts.append(_drawn(series, LINES[number % len(LINES)], across, upward, self._words))
        parts.append(legend)
        note, more = note_below(self.note, left, height, width - left - right)
        return svg_element(width, height + more, self.title, "".join([*parts, note]))

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


def legend_of(named: Mapping[str, str], left: float, right: float, top: float) -> tuple[str, int]:
    """Names beside their colors, from `left` to `right`, and the number of rows that they take."""
    parts: list[str] = []
    x, row = left, 0
    for name, paint in named.items():
        wide = 17 + 6.8 * len(name) + 16
        if x > left and x + wide > right:
            x, row = left, row + 1
        parts.append(f'<rect x="{x:.0f}" y="{top + 16 * row:.0f}" width="12" height="8" rx="2" fill="{paint}"/>')
        parts.append(text(x + 17, top + 9 + 16 * row, name))
        x += wide
    return "".join(parts), row + 1


def _drawn(series: Series, paint: str, across: Axis, upward: Axis, words: Any) -> str:
    points = [(across.at(x), upward.at(y)) for x, y in zip(series.x, series.y, strict=True) if not math.isnan(y)]
    numbers = [(x, y) for x, y in zip(series.x, series.y, strict=True) if not math.isnan(y)]
    titles = [f"<title>{markup(words(series.name, x, y))}</title>" for x, y in numbers]
    if series.kind == "bars":
        steps = sorted({x for x, _ in points})
        gaps = [b - a for a, b in itertools.pairwise(steps)]
        wide = max(1.0, 0.8 * min(gaps, default=40))
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
