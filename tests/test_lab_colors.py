"""The lab's colors are told apart by everybody: on light and dark ground, and by eyes that lack one of the three pigments."""

from __future__ import annotations

import itertools
import re
from importlib.resources import files

import numpy as np
import pytest

from pellucid.lab.rooms import ROOMS
from pellucid.pictures.colors import LINES as DRAWN

STATIC = files("pellucid.lab") / "static"
CSS = (STATIC / "lab.css").read_text(encoding="utf-8")
SEEN = {
    "everybody": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
"""What is left of light of three colors (Machado, Oliveira and Fernandes 2009, at full severity)."""


def light(text: str) -> np.ndarray:
    """Light of a color such as #1d4ed8, each part from 0 to 1."""
    digits = text.lstrip("#")
    whole = "".join(2 * digit for digit in digits) if len(digits) == 3 else digits
    coded = np.frombuffer(bytes.fromhex(whole), np.uint8) / 255
    return np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)


def lab(color: str, eye: str = "everybody") -> np.ndarray:
    """A color as CIE L*a*b* (D65) of what an eye sees of it."""
    seen = np.clip(SEEN[eye] @ light(color), 0, 1)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = to_xyz @ seen / (0.9505, 1.0, 1.089)
    root = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * root[1] - 16, 500 * (root[0] - root[1]), 200 * (root[1] - root[2])])


def apart(one: str, other: str, eye: str) -> float:
    """How far apart two colors look: 2.3 is just seen, 20 at a glance."""
    return float(np.linalg.norm(lab(one, eye) - lab(other, eye)))


def contrast(one: str, other: str) -> float:
    low, high = sorted(float(np.dot(light(color), (0.2126, 0.7152, 0.0722))) + 0.05 for color in (one, other))
    return high / low


def theme(name: str) -> dict[str, str]:
    """The colors of a theme by their names."""
    start = ":root {" if name == "light" else ':root[data-theme="dark"] {'
    block = CSS[CSS.index(start) :].partition("}")[0]
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]+)", block))


LINES = re.findall(
    r"#[0-9a-f]{6}", re.findall(r"LINES = \[(.*?)\]", (STATIC / "draw" / "chart.js").read_text("utf-8"))[0]
)
MARKS = re.findall(
    r"#[0-9a-f]{6}", re.findall(r"const PATCH.*", (STATIC / "rooms" / "convolution.js").read_text("utf-8"))[0]
)


@pytest.mark.parametrize("eye", SEEN)
def test_what_means_something_else_looks_otherwise(eye: str) -> None:
    for name in ("light", "dark"):
        colors = theme(name)
        assert apart(colors["value"], colors["gradient"], eye) > 40
    for one, other in [*itertools.combinations(LINES[:4], 2), *itertools.combinations(MARKS, 2)]:
        assert apart(one, other, eye) > 15, (one, other)


@pytest.mark.parametrize("eye", SEEN)
def test_scales_go_one_way(eye: str) -> None:
    """A rising scale gets lighter all along; a signed one is darkest at both its ends, which differ."""
    colors = next(facts["colors"] for room in ROOMS if "colors" in (facts := room.facts()))
    rising = [lab(color, eye)[0] for color in colors["rising"][::16]]
    assert all(b > a for a, b in itertools.pairwise(rising))
    signed = [lab(color, eye)[0] for color in colors["signed"][::16]]
    middle = len(signed) // 2
    assert all(b > a for a, b in itertools.pairwise(signed[: middle + 1]))
    assert all(b < a for a, b in itertools.pairwise(signed[middle:]))
    assert apart(colors["signed"][0], colors["signed"][-1], eye) > 40


@pytest.mark.parametrize("name", ["light", "dark"])
def test_every_color_is_seen_on_its_ground(name: str) -> None:
    colors = theme(name)
    for word in ("ink", "soft", "accent", "value", "gradient", "bad"):
        assert min(contrast(colors[word], colors[ground]) for ground in ("ground", "raised")) >= 4.5, word
    assert contrast(colors["at-ink"], colors["at"]) >= 4.5
    for line in LINES:
        assert contrast(line, colors["raised"]) >= 3, line


def test_letters_have_one_scale() -> None:
    """Sizes have names, and nothing is as large as it happens to be."""
    sizes = re.findall(r"font-size: ([^;}]+)", CSS)
    assert len(sizes) > 30
    assert {
        size for size in sizes if not re.fullmatch(r"(calc\()?var\(--[\w-]+\)( / var\(--zoom\)\))?|inherit", size)
    } == {"125%"}
    assert set(re.findall(r"--(?:small|body|large|huge): ([^;]+)", CSS)) == {".8125rem", "1rem", "1.25rem", "1.75rem"}


def test_a_line_has_one_color_in_the_lab_and_in_files() -> None:
    assert list(DRAWN[: len(LINES)]) == LINES
