"""How long `import pellucid` and `pellucid --help` take, beside an empty Python."""

from __future__ import annotations

import subprocess
import sys

from common import interleaved


def main() -> None:
    """Print medians of 15 runs each."""
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "import numpy": [sys.executable, "-c", "import numpy"],
        "import pellucid": [sys.executable, "-c", "import pellucid"],
        "pellucid --help": [sys.executable, "-m", "pellucid", "--help"],
    }
    sides = {n: lambda c=c: subprocess.run(c, check=True, capture_output=True) for n, c in commands.items()}
    for name, seconds in interleaved(sides, 15).items():
        print(f"{name:<18} {seconds * 1000:6.0f} ms")


if __name__ == "__main__":
    main()
