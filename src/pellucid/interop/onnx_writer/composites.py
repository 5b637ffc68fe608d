"""How composites that were found in a graph are said in ONNX, where it has an operator for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pellucid.graph import Graph, Tensor
from pellucid.interop.onnx_writer import forms, picking, resizing
from pellucid.interop.onnx_writer.primitives import convolution_attributes, transposed_attributes
from pellucid.interop.onnx_writer.resizing import write_pad, write_resize
from pellucid.interop.onnx_writer.site import Site
from pellucid.ops.convolution import Conv2d, ConvTranspose2d
from pellucid.recognition import PATTERNS, find_composites
from pellucid.templates import Match


@dataclass(frozen=True)
class Wording:
    """`write` adds the operator, which ONNX has from operator set `since` on; `fits` says for which matches."""

    write: Callable[[Site, Match], None]
    fits: Callable[[Match], bool] = lambda match: True
    since: int = 0
    rounds: bool = False
    """Whether its numbers are computed with in float32 anyway."""


def worded(graph: Graph, opset: int, wanted: Callable[[Match], bool] = lambda match: True) -> dict[Tensor, Match]:
    """What is said by one operator of what a graph is made of, those that are `wanted`."""
    return find_composites(graph.outputs, lambda match: _wording(match, opset) is not None and wanted(match), _FORMS)


def write_match(site: Site, match: Match) -> None:
    """The operator that says what was found."""
    wording = _wording(match, site.draft.opset)
    assert wording is not None, "what is found has a wording"
    wording.write(site, match)


def _wording(match: Match, opset: int) -> Wording | None:
    """How a composite is said, or None where it is better said by the ops that it is made of."""
    known = (w for w in WORDINGS.get(match.name, ()) if opset >= w.since and w.fits(match))
    wording = next(known, None)
    numbers = (v for v in match.attributes.values() if isinstance(v, float))
    exact = all(float(np.float32(v)) == v for v in numbers)  # ONNX's attributes are float32
    return wording if wording is not None and (exact or wording.rounds) else None


def _conv2d(site: Site, match: Match) -> None:
    node = match.root.inputs[0]
    assert isinstance(node.op, Conv2d)
    site.last(
        "Conv", *_given(site, match, "x", "weight", "bias"), **convolution_attributes(node.op, node.inputs[1].shape[2:])
    )


def _padded_conv2d(site: Site, match: Match) -> None:
    known = match.attributes
    kernel = match.tensors["weight"].shape[2:]
    attributes = {
        "kernel_shape": kernel,
        "strides": known["stride"],
        "pads": (*known["before"], *known["after"]),
        "dilations": known["dilation"],
        "group": known["groups"],
    }
    site.last("Conv", *_given(site, match, "x", "weight", "bias"), **attributes)


def _padded_max_pool2d(site: Site, match: Match) -> None:
    known = match.attributes
    pads = (*known["before"], *known["after"])
    site.last(
        "MaxPool",
        *_given(site, match, "x"),
        kernel_shape=known["kernel_size"],
        strides=known["stride"],
        pads=pads,
        **({"dilations": known["dilation"]} if known["dilation"] != (1, 1) else {}),
    )


def _reaches_into_the_image(match: Match) -> bool:
    """Whether no window lies in the padding alone, which ONNX does not allow."""
    known = match.attributes
    return all(p < k for side in ("before", "after") for p, k in zip(known[side], known["kernel_size"], strict=True))


def _conv_transpose2d(site: Site, match: Match) -> None:
    node = match.root.inputs[0]
    assert isinstance(node.op, ConvTranspose2d)
    x, weight = node.inputs
    attributes = transposed_attributes(node.op, x.shape[2:], weight.shape[2:])
    site.last("ConvTranspose", *_given(site, match, "x", "weight", "bias"), **attributes)


def _linear(site: Site, match: Match) -> None:
    site.last("Gemm", *_given(site, match, "x", "weight", "bias"), transB=1)


def _batch_norm(site: Site, match: Match) -> None:
    affine = _affine(site, match, (match.root.shape[1],))
    statistics = _given(site, match, "mean", "variance")
    site.last(
        "BatchNormalization", *_given(site, match, "x"), *affine, *statistics, epsilon=match.attributes["epsilon"]
    )


def _group_norm(site: Site, match: Match) -> None:
    affine = _affine(site, match, (match.root.shape[1],))
    site.last("GroupNormalization", *_given(site, match, "x"), *affine, **match.attributes)


def _instance_norm(site: Site, match: Match) -> None:
    affine = _affine(site, match, (match.root.shape[1],))
    site.last("InstanceNormalization", *_given(site, match, "x"), *affine, epsilon=match.attributes["epsilon"])


def _layer_norm(site: Site, match: Match) -> None:
    axes = match.attributes["normalized_ndim"]
    affine = _affine(site, match, match.root.shape[-axes:])
    settings = {"axis": -axes, "epsilon": match.attributes["epsilon"]}
    site.last("LayerNormalization", *_given(site, match, "x"), *affine, **settings)


def _local_response_norm(site: Site, match: Match) -> None:
    known = match.attributes
    settings = {"size": known["size"], "alpha": known["alpha"], "beta": known["beta"], "bias": known["k"]}
    site.last("LRN", *_given(site, match, "x"), **settings)


def _prelu(site: Site, match: Match) -> None:
    x, weight = _given(site, match, "x", "weight")
    shape = (match.tensors["weight"].size, *(1,) * (match.root.ndim - 2))
    slope = site.step("Reshape", weight, site.integers(shape)) if len(shape) > 1 else weight
    site.last("PRelu", x, slope)


def _reduction(kind: str) -> Callable[[Site, Match], None]:
    def write(site: Site, match: Match) -> None:
        axes = site.integers(match.attributes["axis"])
        site.last(kind, *_given(site, match, "x"), axes, keepdims=int(match.attributes["keepdims"]))

    return write


def _of_x(kind: str, **names: str) -> Callable[[Site, Match], None]:
    """An operator on x whose attributes are the composite's under other `names`."""

    def write(site: Site, match: Match) -> None:
        site.last(kind, *_given(site, match, "x"), **{names[n]: v for n, v in match.attributes.items()})

    return write


def _given(site: Site, match: Match, *names: str) -> tuple[str, ...]:
    """The values of those of the tensor arguments that the match has."""
    return tuple(site.value(match.tensors[n]) for n in names if n in match.tensors)


def _affine(site: Site, match: Match, shape: tuple[int, ...]) -> tuple[str, str]:
    """Weight and bias; ones and zeros of `shape` in their place where the match has none."""
    weight, bias = (
        site.value(match.tensors[name])
        if name in match.tensors
        else site.constant(np.full(shape, fill), site.node.dtype)
        for name, fill in (("weight", 1.0), ("bias", 0.0))
    )
    return weight, bias


def _takes_float32(match: Match) -> bool:
    return match.tensors["x"].dtype == "float32"


def _computed_in_float32(match: Match) -> bool:
    return match.root.dtype == "float32"


def _has_one_channel_per_group(match: Match) -> bool:
    return match.root.ndim > 2 and match.attributes["num_groups"] == match.root.shape[1]


_COMPOSITES: dict[str, Wording] = {
    "batch_norm": Wording(_batch_norm),
    "conv2d": Wording(_conv2d),
    "conv_transpose2d": Wording(_conv_transpose2d),
    "elu": Wording(_of_x("Elu", alpha="alpha"), _takes_float32),
    "flatten": Wording(_of_x("Flatten")),
    "gelu": Wording(_of_x("Gelu", approximate="approximate"), since=20),
    "global_average_pool2d": Wording(_of_x("GlobalAveragePool")),
    "global_max_pool2d": Wording(_of_x("GlobalMaxPool")),
    "grid_sample": Wording(picking.grid_sample, _computed_in_float32),
    "group_norm": Wording(_group_norm, lambda match: _computed_in_float32(match) and match.root.ndim > 2, since=21),
    "hard_swish": Wording(_of_x("HardSwish"), _takes_float32),
    "layer_norm": Wording(_layer_norm, _computed_in_float32),
    "leaky_relu": Wording(_of_x("LeakyRelu", slope="alpha")),
    "linear": Wording(_linear, lambda match: match.tensors["x"].ndim == 2),
    "local_response_norm": Wording(
        _local_response_norm, lambda match: match.root.ndim == 4 and match.attributes["size"] % 2 == 1
    ),
    "log_softmax": Wording(_of_x("LogSoftmax", axis="axis"), lambda match: match.root.dtype.startswith("float")),
    "log_sum_exp": Wording(_reduction("ReduceLogSumExp"), lambda match: bool(match.attributes["axis"])),
    "mean": Wording(_reduction("ReduceMean"), lambda match: bool(match.attributes["axis"])),
    "mish": Wording(_of_x("Mish"), _takes_float32),
    "non_max_suppression": Wording(
        picking.suppression, lambda match: all(t.dtype == "float32" for t in match.tensors.values()), rounds=True
    ),
    "nonzero": Wording(picking.nonzero, lambda match: match.tensors["x"].ndim > 0),
    "padded_conv2d": Wording(_padded_conv2d),
    "padded_max_pool2d": Wording(_padded_max_pool2d, _reaches_into_the_image),
    "prelu": Wording(_prelu, _takes_float32),
    "roi_align": Wording(picking.roi_align, _computed_in_float32),
    "roi_max_pool": Wording(picking.roi_max_pool, _computed_in_float32),
    "selu": Wording(_of_x("Selu"), _takes_float32),
    "softmax": Wording(_of_x("Softmax", axis="axis")),
}
"""By the composites' names. An even window of `local_response_norm` lies one channel lower than ONNX's."""


def _named_alike(kind: str) -> Wording:
    """An operator on x that calls the attributes as the form does."""
    return Wording(lambda site, match: site.last(kind, *_given(site, match, "x"), **match.attributes), _takes_float32)


def _hard_sigmoid(site: Site, match: Match) -> None:
    known = {"alpha": 1 / 6, "beta": 0.5, **match.attributes}
    site.last("HardSigmoid", *_given(site, match, "x"), alpha=known["alpha"], beta=known["beta"])


def _arg_min(site: Site, match: Match) -> None:
    known = match.attributes
    site.last("ArgMin", *_given(site, match, "x"), axis=known["axis"], keepdims=int(known["keepdims"]))


def _tile(site: Site, match: Match) -> None:
    site.last("Tile", *_given(site, match, "x"), site.integers(match.attributes["repeats"]))


def _general_prelu(site: Site, match: Match) -> None:
    site.last("PRelu", *_given(site, match, "x", "slope"))


def _gather(site: Site, match: Match) -> None:
    site.last("Gather", *_given(site, match, "x", "indices"), axis=match.attributes["axis"])


_OPERATORS: dict[str, Wording] = {
    **{form.name: _named_alike(form.name) for form in (*forms.ACTIVATIONS, *forms.MOVES)},
    **{form.name: Wording(_reduction(form.name), _takes_float32) for form in forms.REDUCTIONS},
    **{form.name: Wording(forms.write_window1d, forms.is_over_one_axis) for form in forms.SIGNALS},
    "ArgMin": Wording(_arg_min, _takes_float32),
    "Gather": Wording(_gather),
    "HardSigmoid": Wording(_hard_sigmoid, _takes_float32),
    "PRelu": Wording(_general_prelu, _takes_float32),
    "Pad": Wording(write_pad),
    "Not": Wording(_of_x("Not")),
    "Resize": Wording(write_resize),
    "Tile": Wording(_tile),
}
"""By ONNX's names, those of forms that are no composites of ours."""

WORDINGS: dict[str, tuple[Wording, ...]] = {
    **{name: (wording,) for name, wording in (_COMPOSITES | _OPERATORS).items()},
    "group_norm": (
        Wording(_instance_norm, lambda match: _computed_in_float32(match) and _has_one_channel_per_group(match)),
        _COMPOSITES["group_norm"],
    ),
}
"""In order of preference."""

_FORMS = (*resizing.FORMS, *forms.FORMS, *PATTERNS)
