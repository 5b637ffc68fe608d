"""Relevance (LRP) through everything a network may be made of: conserved where a rule conserves, by its formula elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from scipy.special import log_softmax, softmax

import pellucid as pl
from pellucid import nn
from pellucid.explain import ScoreError, lrp_composite, lrp_epsilon
from pellucid.op import OPS, Op

RANDOM = np.random.default_rng(0)


def fixed(*shape: int) -> pl.Tensor:
    """Weights of no picture's, all different and of both signs."""
    return pl.constant(np.random.default_rng(sum(shape)).standard_normal(shape))


class Made(nn.Module):
    """A function of a picture as a network."""

    def __init__(self, function: Callable[[pl.Tensor], pl.Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: pl.Tensor) -> pl.Tensor:
        return self.function(x)


PICTURE = RANDOM.standard_normal((4, 3, 5))


def tokens(x: pl.Tensor) -> pl.Tensor:
    """(N, 4, 3, 5) as 15 tokens (N, 15, 4)."""
    return pl.transpose(pl.reshape(x, (x.shape[0], 4, 15)), (0, 2, 1))


def attention(x: pl.Tensor) -> pl.Tensor:
    x = tokens(x)
    q, k, v = (pl.matmul(x, fixed(4, 4) * s) for s in (1.0, 0.7, 1.3))
    weights = pl.softmax(pl.matmul(q, pl.transpose(k, (0, 2, 1))) * 0.5, 2)
    return x + pl.matmul(weights, v)


def attention_of_heads(x: pl.Tensor) -> pl.Tensor:
    """As exported: heads by reshape and transpose, a mask that is added, the weights cast and moved before they are used."""
    x = pl.transpose(pl.reshape(tokens(x), (x.shape[0], 15, 2, 2)), (0, 2, 1, 3))
    scores = pl.matmul(x, pl.transpose(x, (0, 1, 3, 2))) / 2.0 + pl.constant(np.triu(np.full((15, 15), -9.0), 1))
    return pl.matmul(pl.reshape(pl.softmax(scores, -1), (x.shape[0], 2, 15, 15)), x)


def decomposed_layer_norm(x: pl.Tensor) -> pl.Tensor:
    """As files of before operator set 17 have it."""
    x = tokens(x)
    centered = x - pl.mean(x, 2, keepdims=True)
    return centered / pl.sqrt(pl.mean(centered * centered, 2, keepdims=True)) * fixed(4)


def squeeze_excite(x: pl.Tensor) -> pl.Tensor:
    """With a hard sigmoid, as MobileNetV3 has it."""
    mean = pl.reshape(pl.mean(x, (2, 3)), (x.shape[0], 4))
    gate = pl.clip(pl.matmul(mean, fixed(4, 4)) / 6.0 + 0.5, 0.0, 1.0)
    return x * pl.reshape(gate, (x.shape[0], 4, 1, 1))


def hard_swish(x: pl.Tensor) -> pl.Tensor:
    return x * (pl.clip(x + 3.0, 0.0, 6.0) / 6.0)


def exported_gelu(x: pl.Tensor) -> pl.Tensor:
    return x * (pl.erf(x / 2.0**0.5) + 1.0) * 0.5


def quick_gelu(x: pl.Tensor) -> pl.Tensor:
    return x * pl.sigmoid(x * 1.702)


def gated_linear_unit(x: pl.Tensor) -> pl.Tensor:
    return x[:, :2] * pl.sigmoid(x[:, 2:])


def selective_kernel(x: pl.Tensor) -> pl.Tensor:
    """Two branches weighed by a softmax over them."""
    weights = pl.softmax(pl.reshape(pl.mean(x, (2, 3)), (x.shape[0], 2, 2)), 1)
    return sum(
        (x[:, 2 * k : 2 * k + 2] * pl.reshape(weights[:, k], (x.shape[0], 2, 1, 1)) for k in (0, 1)),
        pl.constant(0.0, x.dtype),
    )


CONSERVING: dict[str, Callable[[pl.Tensor], pl.Tensor]] = {
    "attention": attention,
    "attention of heads": attention_of_heads,
    "layer norm": lambda x: pl.layer_norm(tokens(x), 1, fixed(4)),
    "decomposed layer norm": decomposed_layer_norm,
    "group norm": lambda x: pl.group_norm(x, 2, fixed(4)),
    "squeeze and excite": squeeze_excite,
    "hard swish": hard_swish,
    "exported gelu": exported_gelu,
    "quick gelu": quick_gelu,
    "gated linear unit": gated_linear_unit,
    "selective kernel": selective_kernel,
    "bilinear product": lambda x: pl.matmul(tokens(x), pl.transpose(tokens(x), (0, 2, 1))),
    "product of two": lambda x: x[:, :2] * x[:, 2:],
    "outer product": lambda x: x[:, :, :1] * x[:, :, :, :1],
    "square": lambda x: x * x,
    "quotient": lambda x: x[:, :2] / (x[:, 2:] * x[:, 2:] + 1.0),
    "power": lambda x: pl.absolute(x) ** 1.5,
    "exp and log": lambda x: pl.log(pl.exp(x) * 3.0),
    "sine": lambda x: pl.sin(x) * 2.0,
    "spectrum": lambda x: pl.sqrt(pl.sum(pl.matmul(x, fixed(5, 6)) ** 2.0, 3)),
    "mean and standard deviation": lambda x: pl.concat([pl.mean(x, 3), pl.sqrt(pl.variance(x, 3))], 2),
    "variance": lambda x: pl.variance(x, (2, 3)),
    "log-softmax": lambda x: pl.log_softmax(x, 1) * 2.0,
    "log-sum-exp": lambda x: pl.log_sum_exp(x, 1) * 1.0,
    "log-sum-exp, kept": lambda x: pl.log_sum_exp(x, (2, 3), keepdims=True) * 1.0,
    "resize": lambda x: pl.resample(pl.repeat(x, (1, 1, 2, 1)), np.abs(RANDOM.standard_normal((8, 5))), 3),
    "moves": lambda x: pl.flip(pl.pad(pl.concat([x[:, 1:, ::2], x[:, :3, 1:]], 2), [(0, 0), (0, 0), (1, 2), (0, 1)]), 3),
    "broadcast": lambda x: pl.broadcast_to(x[:, :, :1], (*x.shape[:2], 7, 5)) * fixed(7, 5),
    "spread over something fixed": lambda x: x[:, :, :1, :1] * fixed(4, 3, 5),
    "where": lambda x: pl.where(x > 0, x, x * 0.1),
    "maximum": lambda x: pl.maximum(x[:, :2], x[:, 2:]) + pl.minimum(x[:, :2], x[:, 2:]),
    "gathered": lambda x: pl.gather(x, pl.constant(np.array([3, 0, 3])), 1),
    "unfolded": lambda x: pl.unfold(x, (2, 2)),
    "convolution by the picture": lambda x: pl.conv2d(x, pl.reshape(x[:, :, :2, :2], (1, 4, 2, 2)) * 1.0),
    "convolution turned round": lambda x: pl.conv_transpose2d(x, fixed(4, 2, 2, 2), stride=2),
    "pooling": lambda x: pl.average_pool2d(pl.max_pool2d(x, 2, 1), 2, 1),
    "tanh and softplus": lambda x: pl.tanh(x) + pl.softplus(x),
}  # fmt: skip


@pytest.mark.parametrize("name", CONSERVING)
def test_relevance_is_conserved(name: str) -> None:
    """No sum here has a fixed term: the map adds up to the score, of one element and of a region."""
    net = Made(CONSERVING[name])
    for target in ("out0", None, "out0[0:1]"):
        found = lrp_epsilon(net, PICTURE, target, epsilon=1e-12)
        assert found.completeness_gap == pytest.approx(0, abs=1e-7), target
        assert np.abs(found.map).max() > 0


@pytest.mark.parametrize("rule", [lrp_epsilon, lrp_composite])
def test_relevance_goes_through_casts_between_floating_types(rule: Callable[..., Any]) -> None:
    def function(x: pl.Tensor) -> pl.Tensor:
        return pl.cast(pl.cast(x, "float32") * 2.0, "float64") @ fixed(5, 3)

    found = rule(Made(function), PICTURE, (0, 1, 2))
    plain = rule(Made(lambda x: (x * 2.0) @ fixed(5, 3)), PICTURE, (0, 1, 2))
    assert found.map == pytest.approx(plain.map, rel=1e-5, abs=1e-6)


def test_a_gate_takes_nothing_and_what_it_lets_through_takes_all() -> None:
    """Arras et al. 2017, section 3.2; a sigmoid in the larger of two factors as well."""
    gates: dict[str, Callable[[pl.Tensor], pl.Tensor]] = {
        "sigmoid": lambda x: x[:, :2] * pl.sigmoid(x[:, 2:]),
        "hard": lambda x: x[:, :2] * pl.clip(x[:, 2:] * 0.2 + 0.5, 0.0, 1.0),
        "spread": lambda x: x[:, :2, :1] * pl.sigmoid(x[:, 2:]),
        "moved": lambda x: pl.reshape(pl.sigmoid(x[:, 2:]) * 2.0, (1, 2, 3, 5)) * x[:, :2],
    }
    for name, function in gates.items():
        found = lrp_epsilon(Made(function), PICTURE, "out0")
        assert not found.map[2:].any(), name
        assert found.completeness_gap == pytest.approx(0, abs=1e-9)


def test_softmax_by_its_formula() -> None:
    """Achtibat et al. 2024, proposition 3.1: x times what arrives less its mean under the softmax; a box is a mean of it."""
    bins = np.arange(5.0)
    found = lrp_epsilon(Made(lambda x: pl.matmul(pl.softmax(x, 3), pl.constant(bins))), PICTURE, (1, 2), epsilon=1e-12)
    s = softmax(PICTURE, 2)
    relevance = (bins * s)[1, 2]
    wanted = np.zeros_like(PICTURE)
    wanted[1, 2] = PICTURE[1, 2] * (relevance - s[1, 2] * relevance.sum())
    np.testing.assert_allclose(found.map, wanted, rtol=1e-9, atol=1e-12)
    assert "by their derivative: 1 softmax" in found.note


def test_log_softmax_by_its_formula() -> None:
    found = lrp_epsilon(Made(lambda x: pl.log_softmax(x, 1) * 2.0), PICTURE, (2, 1, 3), epsilon=1e-12)
    x, y = PICTURE[:, 1, 3], log_softmax(PICTURE[:, 1, 3])
    wanted = 2 * (np.where(np.arange(4) == 2, x, 0) - np.exp(y) * (x - y)[2])
    np.testing.assert_allclose(found.map[:, 1, 3], wanted, rtol=1e-9)


def test_attention_is_a_mean_of_values() -> None:
    """Its weights take nothing (Ali et al. 2022, section 4.1): relevance comes from the values that they weigh."""
    x, weights = PICTURE.reshape(4, 15).T, softmax(PICTURE.reshape(4, 15).T @ PICTURE.reshape(4, 15), 1)

    def function(image: pl.Tensor) -> pl.Tensor:
        t = tokens(image)
        return pl.matmul(pl.softmax(pl.matmul(t, pl.transpose(t, (0, 2, 1))), 2), t)

    found = lrp_epsilon(Made(function), PICTURE, (3, 1), epsilon=1e-12)
    wanted = np.zeros((15, 4))
    wanted[:, 1] = weights[3] * x[:, 1]
    np.testing.assert_allclose(found.map.reshape(4, 15).T, wanted, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("composite", [False, True])
@pytest.mark.parametrize("kind", [n for n, op in OPS.items() if op.samples and op.differentiable])
def test_every_op_has_a_rule(kind: str, composite: bool) -> None:
    """For each sample and each floating input of it."""
    for sample in OPS[kind].samples():
        arrays = [np.asarray(a) for a in sample.arrays]
        whole = sample.call(*map(pl.constant, arrays))
        if not (whole[0] if isinstance(whole, tuple) else whole).size:
            continue
        for number, array in enumerate(arrays):
            if array.dtype.kind != "f" or not array.size:
                continue

            def function(x: pl.Tensor, number: int = number, arrays: Any = arrays, sample: Any = sample) -> pl.Tensor:
                made = sample.call(*(x if k == number else pl.constant(a) for k, a in enumerate(arrays)))
                return made[0] if isinstance(made, tuple) else made

            net = Whole(function, array.shape)
            if not net.graph(array.shape, "x").outputs[0].dtype.startswith("float"):
                continue
            with np.errstate(all="ignore"):
                found = pl.attribute(
                    net, array, "out0", method="lrp-composite" if composite else "lrp-epsilon", executor="reference"
                )
            assert found.map.size == array.size


class Whole(Made):
    """A function of an array without a batch axis."""

    def __init__(self, function: Callable[[pl.Tensor], pl.Tensor], shape: tuple[int, ...]) -> None:
        super().__init__(function)
        self.shape = shape

    def input_specs(self) -> Any:
        return (nn.interface.InputSpec("x", self.shape, "float64"),)


@dataclass(frozen=True)
class Stepped(Op, registered=False):
    """What has no derivative and is no function of one value."""

    differentiable = False

    def shape(self, *inputs: pl.Tensor) -> tuple[int, ...]:
        return inputs[0].shape

    def reference(self, *arrays: Any) -> Any:
        return np.sort(arrays[0], -1)


def test_what_there_is_no_rule_for() -> None:
    net = Made(lambda x: pl.flatten(pl.apply(Stepped(), x)))
    with pytest.raises(ScoreError, match=r"lrp: has no rule for stepped \('stepped'\)"):
        lrp_epsilon(net, PICTURE, 0)
