"""Networks of the zoo as ONNX files: seconds to open one, and the latency of one picture beside ONNX Runtime on the same file."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np

import pellucid as pl
from common import OURS, compare

MODELS = ("resnet50", "vgg19", "squeezenet1_0", "squeezenet1_1", "mobilenet_v2", "efficientnet_lite0")


def main() -> None:
    """Print for each network the time to open it and the ratio of ONNX Runtime's latency to ours."""
    import onnxruntime

    for name in MODELS:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"{name}.onnx"
            net = pl.models.build(name).eval()
            net.initialize(0)
            size = net.config()["image_size"]
            pl.save_onnx(net, path)
            del net
            megabytes = path.stat().st_size / 1e6
            start = time.perf_counter()
            opened = pl.load_onnx(path)
            opening = time.perf_counter() - start
            images = np.random.default_rng(0).standard_normal((1, 3, size, size), np.float32)
            x = pl.input(images.shape, name="images")
            program = pl.compile([opened.eval()(x)])
            session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
            feeds = {session.get_inputs()[0].name: images}
        mine, theirs = program({x: images})[0], session.run(None, feeds)[0]
        error = float(np.abs(mine - theirs).max() / np.abs(theirs).max())
        print(f"{name:<24} {megabytes:6.1f} MB opened in {opening:.2f} s; outputs differ by {error:.1e} of the largest")
        sides = {OURS: lambda: program({x: images}), "ONNX Runtime": lambda: session.run(None, feeds)}  # noqa: B023
        compare(f"{name}, one picture", sides, 5, 20, 1.0)


if __name__ == "__main__":
    main()
