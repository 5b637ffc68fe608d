"""What steps of R-CNN's fine-tuning are worth, by the last layer that they begin with, the learning rate, and what learns.

    python benchmarks/fine_tuning.py VOC_FOLDER [fitted,0.01,16 ...] [--steps 150]

Each of the ways is what the last layer begins as, the learning rate, and the stride from which on layers learn. Five of six pictures of the
part train teach a network whose softmax then scores the proposals of the others, without classifiers and box regression: mean average
precision by the protocol of VOC 2007, of which differences count, in minutes for what takes hours with them.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from common import machine
from pellucid import detect
from pellucid.detect.config import DetectionConfig
from pellucid.detect.proposals.kept import proposals_of
from pellucid.detect.rcnn.features import MANY, backbone_of
from pellucid.detect.rcnn.fine_tuning import FineTuning
from pellucid.detect.rcnn.last_layer import scores_of
from pellucid.detect.suppression import KEPT, suppress
from pellucid.executors import compile
from pellucid.inference.prediction import softmax

USUAL = ("random,0.001,16", "random,0.01,16", "fitted,0.001,16", "fitted,0.01,16", "fitted,0.01,0")
HELD_OUT = 6
"""One of so many pictures is measured on."""


def found_by(
    tuned: FineTuning, pictures: detect.PicturesWithBoxes, proposals: list[np.ndarray]
) -> list[detect.Detections]:
    """What the network's softmax finds among the proposals of pictures."""
    backbone = tuned.renewed()
    images, scores = scores_of(backbone.net, backbone.side, MANY)
    program = compile((scores,), inputs=(images,))
    found = []
    for number, boxes in enumerate(proposals):
        squares = backbone.crops(pictures.read(number), boxes)
        filled = np.concatenate([squares, np.zeros((-len(squares) % MANY, *squares.shape[1:]), np.float32)])
        parts = [np.array(program({"images": filled[k : k + MANY]})[0]) for k in range(0, len(filled), MANY)]
        shares = softmax(np.concatenate(parts).reshape(len(filled), -1)[: len(squares)])
        kept = [
            (k, label)
            for label in range(len(pictures.classes))
            for k in np.flatnonzero(suppress(boxes, shares[:, label + 1]) == KEPT)
        ]
        rows, labels = np.array(kept).T
        found.append(detect.Detections(boxes[rows], labels, shares[rows, labels + 1]))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("ways", nargs="*", default=USUAL)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--backbone", default="efficientnet-lite0")
    parser.add_argument("--crop", type=int, default=128, help="pixels of a crop's side, without surroundings")
    parser.add_argument("--proposals", type=int, default=200)
    args = parser.parse_args()
    pictures = detect.load(args.data).parts["train"]
    asked = pictures.chosen(list(range(0, len(pictures), HELD_OUT)), "asked")
    given = pictures.chosen([k for k in range(len(pictures)) if k % HELD_OUT], "given")
    of_asked, of_given = (proposals_of(part, args.proposals) for part in (asked, given))
    regions = [np.concatenate([o.boxes, p]) for o, p in zip(given.objects, of_given, strict=True)]
    print(machine())
    print(
        f"{args.steps} steps of {args.backbone}, crops of {args.crop}, {len(given)} pictures to learn from, {len(asked)} asked"
    )
    print("begins    rate   from  loss  recognized   mAP      95 of 100  s a step")
    for way in args.ways:
        begin, rate, stride = way.split(",")
        config = DetectionConfig(
            backbone=args.backbone, crop_size=args.crop, context=0, proposals=args.proposals, learning_rate=float(rate),
            fine_tune=args.steps, fine_tune_from=int(stride), fine_tune_begin=begin,
        )  # fmt: skip
        tuned = FineTuning(backbone_of(config, len(pictures.classes)), given, regions)
        told, start = [], time.perf_counter()
        for number in range(args.steps):
            told.append(list(tuned.step(number).values()))
        seconds = (time.perf_counter() - start) / args.steps
        loss, recognized = np.mean(told[-50:], axis=0)
        result = detect.evaluate(found_by(tuned, asked, of_asked), asked)
        low, high = result.interval
        print(
            f"{begin:<8}  {rate:<5}  {stride:>4}  {loss:.3f}  {100 * recognized:10.1f}  {100 * result.mean:4.1f}  "
            f"{100 * low:4.1f} to {100 * high:4.1f}  {seconds:8.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
