"""Small pictures with boxes for tests of detectors: disks and squares on noise, in the layout of PASCAL VOC."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

import pellucid as pl


def drawn(seed: int, side: int = 96) -> tuple[np.ndarray, list[tuple[str, tuple[int, int, int, int]]]]:
    """A picture and its objects: classes and boxes, counted from 0."""
    numbers = np.random.default_rng(seed)
    image = numbers.integers(90, 130, (side, side, 3))
    rows, columns = np.mgrid[:side, :side]
    objects: list[tuple[str, tuple[int, int, int, int]]] = []
    for left in (0, side // 2):
        size = int(numbers.integers(26, 40))
        x, y = left + int(numbers.integers(2, 6)), int(numbers.integers(4, side - size - 4))
        kind = "red disk" if numbers.random() < 0.5 else "blue square"
        inside = (slice(y, y + size), slice(x, x + size))
        shape = np.ones((size, size), bool)
        if kind == "red disk":
            shape = ((rows - y - size / 2 + 0.5) ** 2 + (columns - x - size / 2 + 0.5) ** 2 < (size / 2) ** 2)[inside]
        image[inside][shape] = (200, 40, 30) if kind == "red disk" else (30, 50, 200)
        objects.append((kind, (x, y, x + size - 1, y + size - 1)))
    return image.astype(np.uint8), objects


def pictures_with_boxes(count: int, first: int = 0) -> pl.detect.PicturesWithBoxes:
    """`count` pictures, drawn by the seeds from `first` on."""
    made = [drawn(seed) for seed in range(first, first + count)]
    classes = ("blue square", "red disk")
    objects = tuple(
        pl.detect.Objects(
            np.array([box for _, box in there], float),
            np.array([classes.index(k) for k, _ in there]),
            np.zeros(len(there), bool),
        )
        for _, there in made
    )
    images = [np.ascontiguousarray(image.transpose(2, 0, 1)) for image, _ in made]
    names = tuple(f"drawn{first + k}" for k in range(count))
    return pl.detect.PicturesWithBoxes("shapes", classes, names, objects, ((96, 96),) * count, lambda k: images[k])


def voc_folder(folder: Path, parts: dict[str, range]) -> Path:
    """The pictures of seeds as a folder of PASCAL VOC."""
    for kind in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    for part, seeds in parts.items():
        for seed in seeds:
            image, objects = drawn(seed)
            Image.fromarray(image).save(folder / "JPEGImages" / f"drawn{seed}.png")
            told = "".join(
                f"<object><name>{kind}</name><bndbox><xmin>{x1 + 1}</xmin><ymin>{y1 + 1}</ymin>"
                f"<xmax>{x2 + 1}</xmax><ymax>{y2 + 1}</ymax></bndbox></object>"
                for kind, (x1, y1, x2, y2) in objects
            )
            (folder / "Annotations" / f"drawn{seed}.xml").write_text(f"<annotation>{told}</annotation>")
        (folder / "ImageSets" / "Main" / f"{part}.txt").write_text("".join(f"drawn{seed}\n" for seed in seeds))
    return folder
