"""Small ONNX files as converters of TensorFlow and Keras write them: pictures (N, H, W, C), with transposes."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from onnx import helper

from onnx_models import normal, save

IN, OUT = [0, 3, 1, 2], [0, 2, 3, 1]
STYLES = ("once", "throughout", "permuted")
PLAIN = "plain"
"""The same network as `once` on pictures (N, C, H, W)."""


def keras_file(
    path: Path,
    style: str = "once",
    size: tuple[Any, Any] = (12, 10),
    channels: int = 3,
    classes: int = 4,
    final: str = "Softmax",
    batch: Any = "unk__6",
) -> Path:
    """Two convolutions, pooling, a mean over all places and a dense layer.

    `once`: one transpose at the input (a reshape for one channel); `throughout`: around every convolution, all else is
    done in NHWC; `permuted`: as `throughout`, with rows and columns changed round for the convolutions.
    """
    nodes: list[Any] = []
    weights = partial(normal, random=np.random.default_rng(3))  # with which no unit is dead from the start
    arrays = {
        "c1": weights(5, channels, 3, 3),
        "b1": weights(5),
        "c2": weights(6, 5, 3, 2),
        "b2": weights(6),
        "fc": weights(6, classes),
        "fb": weights(classes),
        "mean": np.full(channels, 0.25, np.float32),
    }

    def add(kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(kind, inputs, [output], output, **attributes))
        return output

    if style == PLAIN:
        arrays["mean"] = arrays["mean"].reshape(-1, 1, 1)
    x = add("Sub", ["x", "mean"], "centered")
    to_maps = [0, 3, 2, 1] if style == "permuted" else IN
    if style == PLAIN:
        pass
    elif channels == 1 and style == "once":
        arrays["shape"] = np.array([-1, 1, *size], np.int64)
        x = add("Reshape", [x, "shape"], "maps")
    else:
        x = add("Transpose", [x], "maps", perm=to_maps)
    if style in ("once", PLAIN):
        x = add("Conv", [x, "c1", "b1"], "conv1", pads=[1, 1, 1, 1], strides=[2, 1])
        x = add("Relu", [x], "relu1")
        x = add("MaxPool", [x], "pool1", kernel_shape=[2, 2], strides=[2, 2])
        x = add("Conv", [x, "c2", "b2"], "conv2", pads=[1, 0, 1, 0])
        x = add("Relu", [x], "relu2")
        x = add("GlobalAveragePool", [x], "mean2")
        x = add("Squeeze", [x, "axes"], "squeezed")
        arrays["axes"] = np.array([2, 3], np.int64)
    else:
        x = add("Conv", [x, "c1"], "conv1", pads=[1, 1, 1, 1], strides=[2, 1])
        x = add("Transpose", [x], "conv1_nhwc", perm=OUT)
        x = add("Add", [x, "b1"], "bias1")
        x = add("Relu", [x], "relu1")
        x = add("Transpose", [x], "relu1_nchw", perm=IN)
        x = add("MaxPool", [x], "pool1_nchw", kernel_shape=[2, 2], strides=[2, 2])
        x = add("Transpose", [x], "pool1", perm=OUT)
        x = add("Transpose", [x], "pool1_again", perm=IN)
        x = add("Conv", [x, "c2"], "conv2", pads=[1, 0, 1, 0])
        x = add("Transpose", [x], "conv2_nhwc", perm=OUT)
        x = add("Add", [x, "b2"], "bias2")
        x = add("Relu", [x], "relu2")
        x = add("ReduceMean", [x], "squeezed", axes=[1, 2], keepdims=0)
    x = add("MatMul", [x, "fc"], "dense")
    x = add("Add", [x, "fb"], "scores" if final else "y")
    if final:
        add(final, [x], "y")
    shape = (channels, *size) if style == PLAIN else (*size, channels)
    return save(path, nodes, {"x": (batch, *shape)}, arrays=arrays)
