"""What ONNX Runtime's optimizer writes: operators with what follows them, in its own domain or older than ONNX's."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pellucid import ops
from pellucid.graph import Tensor
from pellucid.interop.onnx_reader.operators.convolution import conv
from pellucid.interop.onnx_reader.operators.elementwise import gemm
from pellucid.interop.onnx_reader.operators.registry import MICROSOFT, Call, operator

_ACTIVATIONS: dict[str, Callable[..., Tensor]] = {
    "": lambda x: x,
    "Relu": ops.relu,
    "Tanh": ops.tanh,
    "Sigmoid": ops.sigmoid,
    "LeakyRelu": ops.leaky_relu,
    "Clip": ops.clip,
    "HardSigmoid": lambda x, alpha, beta: ops.clip(x * alpha + beta, 0, 1),
    "HardSwish": lambda x, *parameters: ops.hard_swish(x),
    "Elu": ops.elu,
}
"""Activations by name, which take their parameters in the order in which they are written."""


def _activated(call: Call, x: Tensor, parameters: Sequence[float]) -> Tensor:
    kind = call["activation"] or ""
    if kind not in _ACTIVATIONS:
        raise call.error(f"activation {kind!r} is not known; {', '.join(filter(None, _ACTIVATIONS))} are")
    return _ACTIVATIONS[kind](x, *map(float, parameters))


@operator("FusedConv", domain=MICROSOFT, weights=(1, 2), defaults={"group": 1, "auto_pad": "NOTSET"})
def fused_conv(call: Call, x: Tensor, weight: Tensor, bias: Tensor | None = None, z: Tensor | None = None) -> Tensor:
    """activation(Conv(x) + z)"""
    y = conv(call, x, weight, bias)
    return _activated(call, y if z is None else y + z, call["activation_params"] or ())


@operator("FusedGemm", domain=MICROSOFT, weights=(1, 2), defaults={"alpha": 1.0, "beta": 1.0, "transA": 0, "transB": 0})
def fused_gemm(call: Call, a: Tensor, b: Tensor, c: Tensor | None = None) -> Tensor:
    """activation(Gemm(a, b, c))"""
    names = ("activation_alpha", "activation_beta", "activation_gamma")
    return _activated(call, gemm(call, a, b, c), [call[name] for name in names if call[name] is not None])


@operator(
    "FusedMatMul", "TransposeMatMul", domain=MICROSOFT,
    defaults={"alpha": 1.0, "transA": 0, "transB": 0, "transBatchA": 0, "transBatchB": 0},
)  # fmt: skip
def fused_matmul(call: Call, a: Tensor, b: Tensor) -> Tensor:
    """alpha * A B, with the last axes of each swapped if asked, and the first axis behind the others of the batch"""
    y = ops.matmul(_turned(a, call["transA"], call["transBatchA"]), _turned(b, call["transB"], call["transBatchB"]))
    return y if call["alpha"] == 1 else y * float(call["alpha"])


def _turned(x: Tensor, last: int, batch: int) -> Tensor:
    axes = list(range(x.ndim))
    if batch and x.ndim > 2:
        axes = [*axes[1:-1], 0, axes[-1]]
    if last and x.ndim > 1:
        axes[-2:] = reversed(axes[-2:])
    return ops.transpose(x, axes)


@operator("Gelu", "BiasGelu", domain=MICROSOFT)
def gelu(call: Call, x: Tensor, bias: Tensor | None = None) -> Tensor:
    """x times the Gaussian distribution function of x, after a bias"""
    return ops.gelu(x if bias is None else x + bias)


@operator("FastGelu", domain=MICROSOFT)
def fast_gelu(call: Call, x: Tensor, bias: Tensor | None = None) -> Tensor:
    """Gelu by the formula with tanh, after a bias"""
    return ops.gelu(x if bias is None else x + bias, "tanh")


@operator("QuickGelu", domain=MICROSOFT, defaults={"alpha": 1.702})
def quick_gelu(call: Call, x: Tensor) -> Tensor:
    """x * sigmoid(alpha * x)"""
    return x * ops.sigmoid(x * float(call["alpha"]))


@operator("SimplifiedLayerNormalization", defaults={"axis": -1, "epsilon": 1e-5})
def simplified_layer_norm(call: Call, x: Tensor, weight: Tensor) -> tuple[Tensor, ...]:
    """x over the root of its mean square over the axes from `axis` on, scaled"""
    axes = range(call.from_front(call["axis"], x.ndim), x.ndim)
    factor = 1 / ops.sqrt(ops.mean(x * x, axes, keepdims=True) + float(call["epsilon"]))
    return x * factor * weight, factor


@operator("SkipLayerNormalization", domain=MICROSOFT, defaults={"epsilon": 1e-12})
def skip_layer_norm(
    call: Call, x: Tensor, skip: Tensor, weight: Tensor, shift: Tensor | None = None, bias: Tensor | None = None
) -> tuple[Tensor | None, ...]:
    """The normalization of x + skip + bias over the last axis; that sum too"""
    total = x + skip if bias is None else x + skip + bias
    y = ops.layer_norm(total, 1, weight, shift, float(call["epsilon"]))
    return y, None, None, total


@operator("SkipSimplifiedLayerNormalization", domain=MICROSOFT, defaults={"axis": -1, "epsilon": 1e-12})
def skip_simplified_layer_norm(
    call: Call, x: Tensor, skip: Tensor, weight: Tensor, bias: Tensor | None = None
) -> tuple[Tensor | None, ...]:
    """x + skip + bias over the root of its mean square over the last axis, scaled; that sum too"""
    total = x + skip if bias is None else x + skip + bias
    return simplified_layer_norm(call, total, weight)[0], None, None, total
