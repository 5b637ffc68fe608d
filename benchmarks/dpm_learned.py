"""How well models of parts find a class that they learned here: average precision on the part val, and what each fit was.

    python benchmarks/dpm_learned.py VOC_FOLDER --more MORE [--kind horse] [--others 5] [--set NAME=VALUE]

Learns from all pictures of the part train and of MORE, the class alone. Measures on the pictures of val with the class, and on every
so manieth without it (`--others 1` takes all): of fewer pictures there are fewer places to be wrong.
"""

from __future__ import annotations

import argparse
import tempfile
import time

from pellucid import detect
from pellucid.detect.pictures_with_boxes import joined


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--more", action="append", default=[])
    parser.add_argument("--kind", default="horse")
    parser.add_argument("--others", type=int, default=5)
    parser.add_argument("--set", action="append", default=[])
    args = parser.parse_args()
    data = detect.load(args.data)
    parts = [data.parts["train"], *(one.parts.get("train", one.whole) for one in map(detect.load, args.more))]
    learned = joined(parts, data.classes).of_classes((args.kind,))
    whole = data.parts["val"].of_classes((args.kind,))
    has = [k for k, objects in enumerate(whole.objects) if len(objects)]
    none = [k for k, objects in enumerate(whole.objects) if not len(objects)]
    measured = whole.chosen(sorted([*has, *none[:: args.others]]), "val")
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        settings = detect.settings_of(args.set)
        run = detect.train(learned, system="dpm", out=f"{folder}/run", validation=measured, **settings)
    assert run.evaluation is not None
    for told in run.metrics:
        print({name: round(value, 3) for name, value in told.items()})
    low, high = run.evaluation.interval
    print(
        f"{args.kind}: average precision {100 * run.evaluation.mean:.1f} ({100 * low:.1f} to {100 * high:.1f}) on {len(measured)} pictures, "
        f"{len(has)} of them with the class, learned from {len(learned)}; {time.perf_counter() - began:.0f} s with measuring"
    )


if __name__ == "__main__":
    main()
