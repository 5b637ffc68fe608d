"""Seconds that models of parts take for a picture, for one class and for all: `python benchmarks/dpm.py MODELS [PICTURE]`.

MODELS is a folder or .zip of the authors' .mat files; the picture is scaled to 500 x 375 pixels. Beside the authors' MATLAB code: its
README says that 4,952 pictures of the VOC 2007 test part took 38 minutes for one class, bicycle, on 6 cores with 8 workers: 0.46 s a
picture, some 3.7 s of one worker.
"""

from __future__ import annotations

import statistics
import sys
import time

import numpy as np
from PIL import Image

import pellucid as pl
from pellucid.data import read_image

AUTHORS = 38 * 60 / 4952
"""Seconds a picture and class, eight workers at once."""
WORKERS = 8
TIMES = 3
SIZE = (500, 375)
"""Width and height of the picture, in pixels."""


def measured(detector: pl.detect.DPMDetector, image: np.ndarray) -> tuple[float, float]:
    """Seconds and seconds of a processor that a picture takes, the least and the median of several."""
    detector.detect(image)
    walls: list[float] = []
    cores: list[float] = []
    for _ in range(TIMES):
        wall, core = time.perf_counter(), time.process_time()
        detector.detect(image)
        walls.append(time.perf_counter() - wall)
        cores.append(time.process_time() - core)
    return min(walls), statistics.median(cores)


def main(models: str, picture: str = "sample:china") -> None:
    every = pl.detect.load_dpm(models)
    whole = Image.fromarray(read_image(picture).transpose(1, 2, 0))
    image = np.ascontiguousarray(np.asarray(whole.resize(SIZE)).transpose(2, 0, 1))
    print(f"{picture}: {SIZE[0]} x {SIZE[1]} pixels, best of {TIMES}")
    for detector in (pl.detect.DPMDetector(every.models[:1]), every):
        wall, core = measured(detector, image)
        count = len(detector.classes)
        print(f"{count:3d} classes: {wall:6.2f} s, {core:6.2f} s of one core")
        print(
            f"     the authors' code: {AUTHORS * count:6.2f} s with {WORKERS} workers, {AUTHORS * WORKERS * count:6.2f} s of one worker"
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
