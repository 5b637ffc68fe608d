"""Inference beside PyTorch's inference_mode and ONNX Runtime, all in one run: latency of one picture, time of 64."""

from __future__ import annotations

import warnings

from common import OURS, compare
from twins import TWINS

ROWS = (("LeNet-size", 1), ("6-conv", 1), ("6-conv", 64), ("ResNet-18", 64))
WANTED = {1: (3.0, 1.1), 64: (1.0, 1.1)}


def main() -> None:
    """Print two rows per case: against PyTorch at its best, and against ONNX Runtime."""
    warnings.simplefilter("ignore")  # torch.onnx.export says that another exporter exists
    for name, batch in ROWS:
        twin = TWINS[name]
        repeats, block = (10, 50) if batch == 1 else (4, 4)
        ours = twin.our_inference(batch)
        pytorch = {"PyTorch": twin.their_inference(batch, False), "channels_last": twin.their_inference(batch, True)}
        compare(f"{name}, batch {batch}", {OURS: ours, **pytorch}, repeats, block, WANTED[batch][0])
        compare(
            f"{name}, batch {batch}",
            {OURS: ours, "ONNX Runtime": twin.onnx_inference(batch)},
            repeats,
            block,
            WANTED[batch][1],
        )


if __name__ == "__main__":
    main()
