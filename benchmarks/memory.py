"""Peak memory of a LeNet-size training step, batch 64, in a process of its own; less that of importing alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CODE = """
import resource, sys
sys.path.insert(0, {folder!r})
import common
{work}
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
STEP = "program, feeds = common.training_step('reference')\nfor _ in range(3): program(feeds)"


def peak(work: str) -> int:
    """Peak KiB of a process that does `work`."""
    code = CODE.format(folder=str(Path(__file__).parent), work=work)
    return int(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)


def main() -> None:
    """Print both peaks."""
    idle, busy = peak("import pellucid.executors.reference"), peak(STEP)
    print(f"imported                {idle / 1024:7.1f} MiB")
    print(f"after three steps       {busy / 1024:7.1f} MiB  (the step itself: {(busy - idle) / 1024:.1f} MiB)")


if __name__ == "__main__":
    main()
