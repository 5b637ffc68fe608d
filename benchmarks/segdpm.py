"""What a class of segDPM gains from segments: its own DPM, segments learned on top of that, and all weights learned together.

    python benchmarks/segdpm.py VOC_FOLDER [--kind car] [--pictures 30] [--others 12] [--set NAME=VALUE]

All three share one DPM, learned from `--pictures` pictures with the class and `--others` without it of the part train. Prints each fit, then of
each the average precision on as many of the part val, with the 95 % interval of pictures drawn anew, and the seconds of a picture.
"""

from __future__ import annotations

import argparse
import copy
import time

from pellucid import detect
from pellucid.detect.config import DetectionConfig
from pellucid.detect.dpm.detector import DPMDetector
from pellucid.detect.run import SYSTEMS
from pellucid.detect.segdpm.detector import SegDPMDetector
from pellucid.detect.segdpm.seen import SegmentWeights
from pellucid.detect.segdpm.training import SEGMENTS, SegDPMTraining


def chosen(whole: detect.PicturesWithBoxes, kind: str, count: int, others: int) -> detect.PicturesWithBoxes:
    """The first pictures with a class, and some without it, of this class alone."""
    pictures = whole.of_classes((kind,))
    has = [k for k, o in enumerate(pictures.objects) if len(o) and not o.difficult.all()]
    none = [k for k, o in enumerate(pictures.objects) if not len(o)]
    return pictures.chosen(sorted([*has[:count], *none[:others]]), whole.name)


def trained(training: SegDPMTraining) -> dict[str, detect.Detector]:
    """The three, the first two as they are before all weights are learned together."""
    found: dict[str, detect.Detector] = {}
    for number, now in enumerate(training.rounds):
        if now.stage == SEGMENTS and not now.repeat:
            on_top = copy.copy(training)
            on_top.models, on_top.counts = dict(training.models), {}
            found["own DPM"] = DPMDetector([training.model(0)])
            on_top.learn_on_top(0, lambda: None)
            counts = SegmentWeights(on_top.counts[0][None, :-1], on_top.counts[0][None, -1])
            found["segments on top"] = SegDPMDetector([on_top.model(0)], counts, training.potentials)
        began = time.perf_counter()
        told = {name: round(value, 3) for name, value in training.step(now, number, number).items()}
        print(f"{training.title(number)}: {told}, {time.perf_counter() - began:.0f} s", flush=True)
    found["all weights together"] = training.detector()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--kind", default="car")
    parser.add_argument("--pictures", type=int, default=30)
    parser.add_argument("--others", type=int, default=12)
    parser.add_argument("--set", action="append", default=[])
    args = parser.parse_args()
    data = detect.load(args.data)
    learned, measured = (chosen(data.parts[name], args.kind, args.pictures, args.others) for name in ("train", "val"))
    config = DetectionConfig.of({**SYSTEMS["segdpm"].settings, **detect.settings_of(args.set)})
    for name, detector in trained(SegDPMTraining(learned, config)).items():
        began = time.perf_counter()
        made = detect.evaluate(detect.find_all(detector, measured), measured)
        low, high = made.to_dict()["interval"]
        seconds = (time.perf_counter() - began) / len(measured)
        print(f"{name:>20}  AP {100 * made.mean:.1f} ({100 * low:.1f} to {100 * high:.1f})  {seconds:.1f} s a picture")


if __name__ == "__main__":
    main()
