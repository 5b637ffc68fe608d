"""What colors and lines mean: a mark and a name for each, in rows that fit."""

from __future__ import annotations

from collections.abc import Sequence

from pellucid.pictures.lettering import LINE, cut, text, width_of

_MARK, _GAP = 20.0, 18.0


def legend_of(entries: Sequence[tuple[str, str, str]], left: float, right: float, top: float) -> tuple[str, float]:
    """Names beside their colors, drawn as a line, a dashed one, points or an area, and the height that they take."""
    parts: list[str] = []
    x, row = left, 0
    for name, paint, kind in entries:
        shown = cut(name, right - left - _MARK - 6)
        wide = _MARK + 6 + width_of(shown)
        if x > left and x + wide > right:
            x, row = left, row + 1
        middle = top + LINE * row + 8
        parts.append(_mark(kind, x, middle, paint))
        parts.append(text(x + _MARK + 6, middle + 4, shown))
        x += wide + _GAP
    return "".join(parts), LINE * (row + 1) + 4 if entries else 0.0


def _mark(kind: str, x: float, middle: float, paint: str) -> str:
    if kind == "area" or kind == "bars":
        return f'<rect x="{x:.1f}" y="{middle - 5:.1f}" width="{_MARK:.0f}" height="10" rx="2" fill="{paint}" fill-opacity=".75"/>'
    dot = f'<circle cx="{x + _MARK / 2:.1f}" cy="{middle:.1f}" r="3" fill="{paint}"/>'
    if kind == "points":
        return dot
    dash = ' stroke-dasharray="6 4"' if kind == "dashed" else ""
    line = f'<path d="M{x:.1f},{middle:.1f}h{_MARK:.0f}" stroke="{paint}" stroke-width="2"{dash}/>'
    return line if kind == "dashed" else line + dot
