"""The lecture's table of detectors, measured: all systems on the same pictures of PASCAL VOC 2007, with the authors' models of parts.

    python benchmarks/detection_table.py VOC_FOLDER --more MORE --dpm MODELS --folder KEPT [--pictures 20] [--systems dpm,rcnn] [--ablate ...]

VOC_FOLDER has the parts train and val, MORE more pictures to learn from, MODELS the authors' .mat files of VOC 2007. What is trained and found is
kept in the folder: the run takes hours, may be stopped at any moment, and the same command goes on. The table is written into results/.
"""

from __future__ import annotations

import argparse
import datetime
import os
from pathlib import Path

import numpy as np

from common import machine
from pellucid import detect
from pellucid.detect.comparison import ComparedSystem
from pellucid.detect.resampling import draws_of, interval_of, precisions

PUBLISHED = {
    "aeroplane": 33.2, "bicycle": 60.3, "bird": 10.2, "boat": 16.1, "bottle": 27.3, "bus": 54.3, "car": 58.2, "cat": 23.0, "chair": 20.0, "cow": 24.1,
    "diningtable": 26.7, "dog": 12.7, "horse": 58.1, "motorbike": 48.2, "person": 43.2, "pottedplant": 12.0, "sheep": 21.1, "sofa": 36.1,
    "train": 46.0, "tvmonitor": 43.5,
}  # fmt: skip
"""Average precision of the authors' models on VOC 2007's test part, in per cent (Girshick et al., CVPR 2014, table 2, "DPM v5")."""
WANTED = (("rcnn", "dpm"), ("rcnn-star", "rcnn"), ("segdeepm", "rcnn-star"), ("fast-rcnn", "rcnn"))
"""Which is to be better than which."""
POINTS = 3.0
"""By how much the authors' models may be off what they published."""


def beside_published(system: ComparedSystem, draws: int) -> str:
    """The authors' models beside what they published, as far as these pictures can tell."""
    weights = draws_of(system.evaluation.pictures, draws)
    sampled = {
        one.name: precisions(one.matches, weights, system.evaluation.metric) for one in system.evaluation.classes
    }
    lines = ["class         here   95 of 100      published"]
    for one in system.evaluation.classes:
        if one.average_precision is not None and one.name in PUBLISHED:
            low, high = interval_of(sampled[one.name])
            lines.append(
                f"{one.name:<12} {100 * one.average_precision:5.1f}   {100 * low:5.1f} to {100 * high:5.1f}   {PUBLISHED[one.name]:5.1f}"
            )
    names = [
        one.name for one in system.evaluation.classes if one.average_precision is not None and one.name in PUBLISHED
    ]
    wanted = float(np.mean([PUBLISHED[name] for name in names]))
    low, high = system.evaluation.interval
    lines.append(
        f"{'mean':<12} {100 * system.evaluation.mean:5.1f}   {100 * low:5.1f} to {100 * high:5.1f}   {wanted:5.1f}   wanted: within {POINTS:g} points"
    )
    return "\n".join(lines)


def in_order(found: detect.DetectionComparison) -> str:
    """Whether the systems come out in the order that is wanted."""
    told = {(one.better, one.than): one for one in found.differences}
    lines: list[str] = []
    for better, than in WANTED:
        one = told.get((better, than))
        lines.append(f"{better} over {than}: " + ("not measured" if one is None else " ".join(one.row()[1:])))
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--more", action="append", default=[])
    parser.add_argument("--dpm", default="")
    parser.add_argument("--runs", nargs="*", default=[], help="runs that are trained already")
    parser.add_argument("--systems", default="", help="with commas; all that there are unless named; none: -")
    parser.add_argument("--ablate", default="")
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--pictures", type=int, default=0, help="of the part val, the first so many; 0 takes all")
    parser.add_argument("--learn", type=int, default=0, help="of the part train, the first so many; 0 takes all")
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--folder", default="runs/detection-table")
    args = parser.parse_args()
    data = detect.load(args.data)
    cuts = {name: count for name, count in (("train", args.learn), ("val", args.pictures)) if count}
    cut = {name: data.parts[name].chosen(list(range(count)), data.parts[name].name) for name, count in cuts.items()}
    data = detect.BoxData(data.whole, {**data.parts, **cut}, data.notes)
    systems = [] if args.systems == "-" else args.systems.split(",") if args.systems else []
    found = detect.compare(
        [*([args.dpm] if args.dpm else []), *args.runs],
        data=data,
        more=args.more,
        systems=systems,
        train_missing=args.systems != "-",
        ablate=[name for name in args.ablate.split(",") if name],
        settings=detect.settings_of(args.set),
        folder=args.folder,
        draws=args.draws,
    )
    parts = [str(found), in_order(found)]
    parts += [beside_published(one, args.draws) for one in found.systems if one.entry.by_its_authors]
    text = "\n\n".join(parts)
    print(text)
    today = datetime.date.today().isoformat()
    file = Path(__file__).parent / "results" / f"detection-{today}.md"
    if args.pictures:
        text = f"A cut, to try the program: of few pictures precision is too high, as there are few places to be wrong.\n\n{text}"
    head = ", ".join(
        [f"# Detectors on the same pictures, {today}", *(f"{n} pictures of {name}" for name, n in cuts.items())]
    )
    busy = f"{os.getloadavg()[0]:.1f} processes at work in the last minute"
    file.write_text(f"{head}\n\n{machine()}, {busy}\n\n```text\n{text}\n```\n", encoding="utf-8")


if __name__ == "__main__":
    main()
