"""Golden plans: what the native executor makes of each model, as text under tests/plans/.

    python tests/golden_plans.py --write

writes them anew; without `--write` it says which differ.
"""

from __future__ import annotations

import difflib
import sys
from pathlib import Path

from pellucid.inspection import plan as plan_of
from pellucid.opening import open_model

FOLDER = Path(__file__).parent / "plans"
BATCH, THREADS = 2, 2
IMAGE_SIZES = {
    "alexnet": 63,
    "deck": 8,
    "densenet121": 32,
    "efficientnet_lite0": 32,
    "googlenet": 32,
    "lenet": 28,
    "mlp": 28,
    "mobilenet_v2": 32,
    "resnet18": 32,
    "resnet50": 32,
    "squeezenet1_1": 32,
    "vgg11": 32,
}
"""Models with their smallest sensible pictures."""
LEFT_OUT = (
    *("densenet161", "densenet169", "densenet201"),
    *("efficientnet_lite1", "efficientnet_lite2", "efficientnet_lite3", "efficientnet_lite4"),
    *("mobilenet_v1", "resnet34", "resnet101", "resnet152", "squeezenet1_0"),
    *("vgg13", "vgg16", "vgg19", "zfnet"),
)
"""Models that repeat the blocks of others."""
INFERENCE_ONLY = ("densenet121", "efficientnet_lite0", "googlenet", "mobilenet_v2", "resnet50")
"""Models whose training step would take a thousand lines and show little that others do not."""


def machine() -> str:
    """What plans depend on besides the code: kernels and their working memory fit the processor."""
    from pellucid.executors.compiled import _native

    cache = Path("/sys/devices/system/cpu/cpu0/cache/index2/size")
    size = cache.read_text(encoding="utf-8").strip() if cache.exists() else "unknown"
    onednn = ".".join(map(str, _native.onednn_version()))
    return f"x86-64-{_native.isa().partition('_')[0]}, {size} of second-level cache, oneDNN {onednn}"


def plan(model: str) -> str:
    """The text of one model's file: its inference and its training step on two pictures."""
    subject = open_model(model, image_size=IMAGE_SIZES[model])
    size = "x".join(map(str, (BATCH, *subject.shape)))
    parts = [f"made on {machine()}"]
    for training, title in ((False, "inference"), (True, "training step")):
        if training and model in INFERENCE_ONLY:
            continue
        parts.append(f"{model}, {title} on {size}\n\n{plan_of(subject, BATCH, training, threads=THREADS)}")
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Compare, or write."""
    write = "--write" in sys.argv[1:]
    FOLDER.mkdir(exist_ok=True)
    differing = 0
    for model in IMAGE_SIZES:
        file = FOLDER / f"{model}.txt"
        old, new = file.read_text(encoding="utf-8") if file.exists() else "", plan(model)
        if old == new:
            continue
        differing += 1
        changed = [line for line in difflib.ndiff(old.splitlines(), new.splitlines()) if line[0] in "+-"]
        print(f"{file.name}: {len(changed)} lines {'written anew' if write else 'differ'}")
        if write:
            file.write_text(new, encoding="utf-8")
    sys.exit(0 if write else bool(differing))


if __name__ == "__main__":
    main()
