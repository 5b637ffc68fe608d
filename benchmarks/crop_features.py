"""What a network's description of an object is worth to R-CNN, by crop size and what is around: a linear machine tells the classes apart.

    python benchmarks/crop_features.py VOC_FOLDER [efficientnet-lite0,128,16 ...]

Each of the last arguments is a backbone, the pixels of a crop's side and how many of them are around the object on each side. A logistic
regression learns from the objects of the part train, cut out by their own boxes, and names those of the part val: without
proposals, background and mining, in a minute for what takes an hour with them.
"""

from __future__ import annotations

import argparse

import numpy as np
from sklearn.linear_model import LogisticRegression

from common import machine
from pellucid import detect
from pellucid.detect.config import DetectionConfig
from pellucid.detect.rcnn.features import Backbone, backbone_of

USUAL = (
    *("efficientnet-lite0,128,16", "efficientnet-lite0,128,0", "efficientnet-lite0,224,16", "efficientnet-lite0,224,0"),
    *("efficientnet-lite2,160,16", "efficientnet-lite2,160,0", "efficientnet-lite2,260,16", "efficientnet-lite2,260,0"),
)
NORM, COST = 20.0, 0.01
"""The mean length that R-CNN gives descriptions, and what the logistic regression's errors cost."""


def objects_of(backbone: Backbone, pictures: detect.PicturesWithBoxes) -> tuple[np.ndarray, np.ndarray]:
    """Descriptions of all objects that are not difficult, (N, D), and their classes."""
    found, labels = [], []
    for number, objects in enumerate(pictures.objects):
        if not objects.difficult.all():
            found.append(backbone.vectors(pictures.read(number), objects.boxes[~objects.difficult]))
            labels.append(objects.labels[~objects.difficult])
    return np.concatenate(found).astype(np.float32), np.concatenate(labels)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("how", nargs="*", default=USUAL)
    args = parser.parse_args()
    data = detect.load(args.data)
    print(machine())
    print("backbone            crop  around  learned from  named  right  mean of classes")
    for how in args.how:
        name, side, around = how.split(",")
        backbone = backbone_of(DetectionConfig(backbone=name, crop_size=int(side), context=int(around)))
        (given, labels), (asked, truth) = (objects_of(backbone, data.parts[part]) for part in ("train", "val"))
        scale = NORM / np.linalg.norm(given, axis=1).mean()
        right = LogisticRegression(C=COST, max_iter=1000).fit(given * scale, labels).predict(asked * scale) == truth
        each = np.mean([right[truth == label].mean() for label in np.unique(truth)])
        counts = f"{len(labels):>12,}  {len(truth):>5,}"
        print(
            f"{name:<18}  {side:>4}  {around:>6}  {counts}  {100 * right.mean():5.1f}  {100 * each:15.1f}", flush=True
        )


if __name__ == "__main__":
    main()
