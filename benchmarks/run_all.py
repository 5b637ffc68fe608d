"""Run every benchmark and keep what they print in results/<date>.md, with the machine."""

from __future__ import annotations

import datetime
import subprocess
import sys
from pathlib import Path

from common import machine

HERE = Path(__file__).parent
PROGRAMS = (
    "startup", "training_speed", "inference_speed", "model_speed", "epoch", "memory", "peak_share", "loader", "reference_speed",
    "op_lines", "attribution_speed", "fashion_mnist", "why_convolution", "watching", "tracing_speed",
)  # fmt: skip


def main() -> None:
    """Run all (or those named), printing as they go; a failing benchmark fails the whole."""
    today = datetime.date.today().isoformat()
    parts = [f"# Measured on {today}\n\n{machine()}\n"]
    failed: list[str] = []
    for name in sys.argv[1:] or PROGRAMS:
        print(f"== {name}", flush=True)
        done = subprocess.run([sys.executable, str(HERE / f"{name}.py")], stdout=subprocess.PIPE, text=True)
        print(done.stdout, flush=True)
        if done.returncode:
            failed.append(name)
        parts.append(f"## {name}\n\n`python benchmarks/{name}.py`\n\n```text\n{done.stdout.rstrip()}\n```\n")
    (HERE / "results" / f"{today}.md").write_text("\n".join(parts), encoding="utf-8")
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
