"""Peak memory of a training step, each side in a process of its own; less that of the imports alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from common import OURS

CODE = """
import resource, sys
sys.path.insert(0, {folder!r})
from twins import TWINS
{work}
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
SIDES = {
    OURS: ("import pellucid.executors.native, pellucid.executors._native", "TWINS[{name!r}].our_step()"),
    "PyTorch": ("import torch", "TWINS[{name!r}].their_step(False)"),
    "channels_last": ("import torch", "TWINS[{name!r}].their_step(True)"),
}


def peak(work: str) -> float:
    """Peak MiB of a process that does `work`."""
    code = CODE.format(folder=str(Path(__file__).parent), work=work)
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return int(done.stdout) / 1024


def main() -> None:
    """Print what three steps of each network take on each side, and the ratio."""
    for name in ("LeNet-size", "ResNet-18"):
        taken: dict[str, float] = {}
        for side, (imports, step) in SIDES.items():
            run = f"{imports}\nstep = {step.format(name=name)}\nfor _ in range(3): step()"
            taken[side] = peak(run) - peak(imports)
        best = min(v for k, v in taken.items() if k != OURS)
        sides = ", ".join(f"{side} {mib:.0f}" for side, mib in taken.items())
        print(f"{name:<12} {sides} MiB   best peer / ours = {best / taken[OURS]:.2f} (wanted 1.3)")


if __name__ == "__main__":
    main()
