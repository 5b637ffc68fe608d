"""A plan's memory as a picture: steps from left to right, the arena from top to bottom, a rectangle for each value."""

from __future__ import annotations

from pellucid.executors.plan.buffers import ARENA, Buffer
from pellucid.executors.plan.plan import Plan
from pellucid.screen import markup
from pellucid.text import human_bytes

_WIDTH, _HEIGHT, _LEFT, _TOP = 920, 380, 64, 28
_COLOURS = {
    "convolution": "#2563eb", "pooling": "#0d9488", "product": "#d97706", "chain": "#16a34a", "scratch": "#9ca3af",
}  # fmt: skip


def memory_picture(plan: Plan, title: str) -> str:
    """Self-contained SVG. Values that take turns in the same memory stand side by side; a result in place continues its operand."""
    life: dict[Buffer, list[int]] = {}
    made_by: dict[Buffer, str] = {}
    for position, step in enumerate(plan.steps):
        for buffer in (*step.reads, *step.writes):
            if buffer.base == ARENA and buffer.nbytes:
                life.setdefault(buffer, []).append(position)
        for buffer in step.writes:
            made_by.setdefault(buffer, _sort(step.kind, buffer))
    across = (_WIDTH - _LEFT) / len(plan.steps)
    down = _HEIGHT / max(1, plan.arena_bytes)
    parts: list[str] = []
    for buffer, uses in sorted(life.items(), key=lambda item: -item[0].nbytes):
        x, y = _LEFT + min(uses) * across, _TOP + buffer.offset * down
        width, height = (max(uses) - min(uses) + 1) * across, max(0.5, buffer.nbytes * down)
        colour = _COLOURS[made_by.get(buffer, "scratch")]
        note = markup(
            f"{buffer.name}: {buffer.dtype} {list(buffer.shape)} {buffer.layout}, {human_bytes(buffer.nbytes)}"
        )
        parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{colour}"><title>{note}</title></rect>'
        )
        if height > 14 and width > 7 * len(buffer.name):
            parts.append(f'<text x="{x + 4:.1f}" y="{y + height / 2 + 4:.1f}">{markup(buffer.name)}</text>')
    legend = "".join(
        f'<rect x="{_LEFT + 110 * n}" y="{_TOP + _HEIGHT + 26}" width="12" height="12" fill="{colour}"/>'
        f'<text class="k" x="{_LEFT + 110 * n + 18}" y="{_TOP + _HEIGHT + 36}">{name}</text>'
        for n, (name, colour) in enumerate(_COLOURS.items())
    )
    height = _TOP + _HEIGHT + 48
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" font-family="system-ui,sans-serif" '
        'font-size="11"><style>rect{fill-opacity:.72;stroke:#fff;stroke-width:.6}text{fill:#fff}.k{fill:#111827}</style>'
        f'<rect width="{_WIDTH}" height="{height}" fill="#fff" style="fill-opacity:1"/>'
        f'<text class="k" x="{_LEFT}" y="16" font-size="13">{markup(title)}</text>'
        f'<text class="k" x="4" y="{_TOP + 10}">0</text>'
        f'<text class="k" x="4" y="{_TOP + _HEIGHT}">{human_bytes(plan.arena_bytes)}</text>'
        f'<text class="k" x="{_LEFT}" y="{_TOP + _HEIGHT + 16}">step 1</text>'
        f'<text class="k" x="{_WIDTH - 4}" y="{_TOP + _HEIGHT + 16}" text-anchor="end">step {len(plan.steps)}</text>'
        f"{''.join(parts)}{legend}</svg>\n"
    )


def _sort(kind: str, buffer: Buffer) -> str:
    if buffer.dtype == "uint8":
        return "scratch"
    for word, sort in (("conv", "convolution"), ("pool", "pooling"), ("matmul", "product"), ("chain", "chain")):
        if word in kind:
            return sort
    return "scratch"
