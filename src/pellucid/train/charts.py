"""The report's pictures: line charts and heat maps as SVG, grids of images as PNG, all inside of the page."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping, Sequence

import numpy as np

from pellucid.op import Array

_COLOURS = ("#2563eb", "#d97706", "#059669", "#dc2626")


def line_chart(title: str, x_label: str, series: Mapping[str, Sequence[float]], percent: bool = False) -> str:
    """Lines over 1, 2, 3, ..., with axes, ticks and a legend."""
    width, height, left, bottom, top = 460, 260, 56, 40, 34
    values = [v for line in series.values() for v in line]
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    if high - low < 1e-9:
        low, high = low - 0.5, high + 0.5
    count = max(len(line) for line in series.values())

    def place(i: float, value: float) -> tuple[float, float]:
        across = (i - 1) / max(count - 1, 1)
        return left + across * (width - left - 16), height - bottom - (value - low) / (high - low) * (
            height - bottom - top
        )

    parts = [f'<text x="{left}" y="16" class="title">{html.escape(title)}</text>']
    for fraction in (0, 0.25, 0.5, 0.75, 1):
        value = low + fraction * (high - low)
        _, y = place(1, value)
        label = f"{value:.1%}" if percent else f"{value:.3g}"
        parts.append(f'<line x1="{left}" x2="{width - 16}" y1="{y:.1f}" y2="{y:.1f}" class="grid"/>')
        parts.append(f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{label}</text>')
    for tick in sorted({1, (count + 1) // 2, count}):
        x, _ = place(tick, low)
        parts.append(f'<text x="{x:.1f}" y="{height - bottom + 16}" text-anchor="middle">{tick}</text>')
    parts.append(f'<text x="{(left + width) / 2}" y="{height - 6}" text-anchor="middle">{html.escape(x_label)}</text>')
    for number, (name, line) in enumerate(series.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(i, v) for i, v in enumerate(line, 1)))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for i, v in enumerate(line, 1):
            x, y = place(i, v)
            text = f"{name}, {x_label} {i}: {v:.4g}"
            parts.append(
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{colour}"><title>{html.escape(text)}</title></circle>'
            )
        parts.append(
            f'<text x="{width - 16}" y="{16 + 13 * number}" text-anchor="end" style="fill:{colour}">{html.escape(name)}</text>'
        )
    label = html.escape(title, quote=True)
    return f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{label}">{"".join(parts)}</svg>'


def confusion_matrix(matrix: Array, classes: Sequence[str]) -> str:
    """Counts by true class (rows) and predicted class (columns), shaded by share of the row."""
    shares = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    head = "".join(f"<th>{html.escape(c)}</th>" for c in classes)
    rows: list[str] = []
    for i, name in enumerate(classes):
        cells: list[str] = []
        for j, count in enumerate(matrix[i]):
            tint = "5,150,105" if i == j else "220,38,38"
            cells.append(f'<td style="background:rgba({tint},{shares[i, j] * 0.8:.3f})">{int(count) or ""}</td>')
        rows.append(f"<tr><th>{html.escape(name)}</th>{''.join(cells)}</tr>")
    return f'<table class="confusion"><tr><th>true \\ predicted</th>{head}</tr>{"".join(rows)}</table>'


def picture(image: Array, scale: int = 1) -> str:
    """uint8 (C, H, W) with 1 or 3 channels as an <img> element; `scale` repeats pixels."""
    from PIL import Image

    pixels = image[0] if image.shape[0] == 1 else image.transpose(1, 2, 0)
    pixels = np.ascontiguousarray(pixels.repeat(scale, 0).repeat(scale, 1))
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<img alt="" src="data:image/png;base64,{data}">'


def map_grid(maps: Array, columns: int = 8, limit: int = 32, tile: int = 64) -> str:
    """Maps (K, H, W) as grey tiles, black to white from the smallest to the largest value of all of them."""
    shown = maps[:limit].astype(np.float64)
    low, high = float(shown.min()), float(shown.max())
    grey = (
        np.zeros(shown.shape, np.uint8)
        if high <= low
        else np.round((shown - low) / (high - low) * 255).astype(np.uint8)
    )
    scale = max(1, tile // max(grey.shape[1:]))
    rows = -(-len(grey) // columns)
    gap = 1
    high_tile, wide_tile = maps.shape[1], maps.shape[2]
    height, width = high_tile + gap, wide_tile + gap
    sheet = np.full((rows * height, min(columns, len(grey)) * width), 128, np.uint8)
    for number, one in enumerate(grey):
        top, left = number // columns * height, number % columns * width
        sheet[top : top + high_tile, left : left + wide_tile] = one
    return picture(sheet[None], scale)
