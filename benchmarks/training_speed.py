"""A whole training step beside PyTorch's, both in one run: float32 against default, channels_last and torch.compile,
bfloat16 against autocast.

`python benchmarks/training_speed.py [float32 | bfloat16] [NAME ...]`; without arguments all of it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from common import OURS, compare
from twins import TWINS, Twin

WANTED = {
    "float32": {"LeNet-size": 1.4, "6-conv": 1.25, "6-conv with batch norm": 1.3, "ResNet-18": 1.2},
    "bfloat16": {"LeNet-size": 1.5, "6-conv": 1.5, "6-conv with batch norm": 1.5},
}


def sides(twin: Twin, precision: str) -> dict[str, Callable[[], object]]:
    """Our step and PyTorch's settings for it."""
    narrow = precision == "bfloat16"
    return {
        OURS: twin.our_step(precision),
        "PyTorch": twin.their_step(False, narrow),
        "channels_last": twin.their_step(True, narrow),
        "compile": twin.their_step(True, narrow, compiled=True),
    }


def main() -> None:
    """Print one row per network and precision."""
    precisions = [p for p in WANTED if p in sys.argv[1:]] or list(WANTED)
    names = [n for n in TWINS if n in sys.argv[1:]] or list(TWINS)
    for precision in precisions:
        for name in names:
            if name in WANTED[precision]:
                slow = name == "ResNet-18"
                wanted = WANTED[precision][name]
                compare(
                    f"{name}, {precision}", sides(TWINS[name], precision), 4 if slow else 8, 3 if slow else 8, wanted
                )


if __name__ == "__main__":
    main()
