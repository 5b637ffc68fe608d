"""Run every benchmark and keep what they print in results/<date>.md, with the machine."""

from __future__ import annotations

import datetime
import subprocess
import sys
from pathlib import Path

from common import machine

HERE = Path(__file__).parent
PROGRAMS = (
    "startup", "training_speed", "inference_speed", "model_speed", "epoch", "memory", "peak_share", "loader",
    "reference_speed", "op_lines", "attribution_speed", "fashion_mnist", "why_convolution", "watching",
    "tracing_speed", "busy_machine", "lab", "fast_rcnn", "faster_rcnn", "rcnn",
)  # fmt: skip


def main() -> None:
    """Run all (or those named), printing as they go; a failing benchmark fails the whole.

    Those that are named take the place of what they printed earlier that day; the others' stays.
    """
    today = datetime.date.today().isoformat()
    file = HERE / "results" / f"{today}.md"
    parts = sections(file.read_text(encoding="utf-8")) if sys.argv[1:] and file.exists() else {}
    failed: list[str] = []
    for name in sys.argv[1:] or PROGRAMS:
        print(f"== {name}", flush=True)
        done = subprocess.run([sys.executable, str(HERE / f"{name}.py")], stdout=subprocess.PIPE, text=True)
        print(done.stdout, flush=True)
        if done.returncode:
            failed.append(name)
        parts[name] = f"`python benchmarks/{name}.py`\n\n```text\n{done.stdout.rstrip()}\n```"
    ordered = [f"## {name}\n\n{parts[name]}\n" for name in PROGRAMS if name in parts]
    file.write_text("\n".join([f"# Measured on {today}\n\n{machine()}\n", *ordered]), encoding="utf-8")
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


def sections(text: str) -> dict[str, str]:
    """What a file of results has under each program's name."""
    pieces = text.split("\n## ")[1:]
    return {name: body.strip() for name, _, body in (piece.partition("\n") for piece in pieces)}


if __name__ == "__main__":
    main()
