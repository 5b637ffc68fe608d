"""Modules of PyTorch's as networks of ours: the same values, the same gradients, the same training, or a clear refusal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import pellucid as pl
from pellucid.errors import ShapeError
from pellucid.executors import available_executors, run
from pellucid.nn import ModuleError, training_step
from torch_twins import Block, settle

EXECUTORS = [name for name in ("reference", "native") if not available_executors()[name]]
IMAGE = (2, 4, 9, 7)


class Function(nn.Module):
    """A function of the input and of the modules given."""

    def __init__(self, function: Callable[..., Any], *parts: nn.Module) -> None:
        super().__init__()
        self.function = function
        self.parts = nn.ModuleList(parts)

    def forward(self, x: torch.Tensor) -> Any:
        return self.function(x, *self.parts)


class Weighted(nn.Module):
    """Parameters and buffers of its own, of which one is not trained and one is shared."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.linspace(0.5, 1.5, 4).reshape(4, 1, 1))
        self.frozen = nn.Parameter(torch.ones(4, 1, 1) * 2, requires_grad=False)
        self.register_buffer("shift", torch.arange(4.0).reshape(4, 1, 1))
        self.register_buffer("order", torch.tensor([3, 1, 0, 2], dtype=torch.int32))
        self.first = nn.Conv2d(4, 4, 3, padding=1)
        self.second = nn.Conv2d(4, 4, 3, padding=1)
        self.second.weight = self.first.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.second(torch.relu(self.first(x))) * self.scale * self.frozen + self.shift
        return x.index_select(1, self.order)


class TwoAndMore(nn.Module):
    """A picture and numbers about it -> a dict, with a tuple in it; a third input by name alone."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 3, 3, padding=1)
        self.norm = nn.BatchNorm2d(3)
        self.about = nn.Linear(5, 3)
        self.map = nn.Conv2d(3, 1, 1)

    def forward(self, picture: torch.Tensor, about: torch.Tensor, *, scale: torch.Tensor | None = None) -> Any:
        x = torch.relu(self.norm(self.conv(picture)))
        scores = x.mean((2, 3)) + self.about(about)
        scores = scores if scale is None else scores * scale
        return {"scores": scores, "maps": (self.map(x), x), "nothing": None}


class Recurrent(nn.Module):
    """A step of a signal with a state whose batch is its second axis."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(2, 4, 3, padding=1)
        self.cell = nn.Linear(4, 4)

    def forward(self, signal: torch.Tensor, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = self.conv(signal).mean(2)
        state = torch.tanh(state + self.cell(x))
        return x + state.sum(0), state


def each(*layers: nn.Module, shape: tuple[int, ...] = IMAGE) -> tuple[nn.Module, tuple[int, ...]]:
    """All that several layers make of one input, one after the other."""
    return Function(lambda x, *parts: torch.cat([part(x.clone()).flatten(1) for part in parts], 1), *layers), shape


def both(*functions: Callable[[torch.Tensor], torch.Tensor]) -> tuple[nn.Module, tuple[int, ...]]:
    """All that several functions make of one input, one after the other."""
    return Function(lambda x: torch.cat([function(x).flatten(1) for function in functions], 1)), IMAGE


def alone(
    function: Callable[..., Any], *parts: nn.Module, shape: tuple[int, ...] = IMAGE
) -> tuple[nn.Module, tuple[int, ...]]:
    """A function of an input and of modules."""
    return Function(function, *parts), shape


def write(x: torch.Tensor) -> torch.Tensor:
    """What is written into parts of a tensor."""
    x = x.clone()
    x[:, 1].mul_(2)
    x[:, :, 0] = 1.0
    x[:, :, 2:5] += x[:, :, 5:8]
    return x


torch.manual_seed(0)
OF_FRACTIONS = (
    torch.exp, torch.log, torch.sqrt, torch.rsqrt, torch.sigmoid, torch.tanh, torch.sin, torch.cos, torch.tan, torch.erf, torch.expm1,
    torch.log1p, torch.log2, torch.log10, torch.exp2, torch.reciprocal, torch.atan, torch.sinh, torch.cosh, torch.asinh, torch.acosh,
)  # fmt: skip
"""Functions whose values of whole numbers are fractions, which PyTorch gives as float32."""

CASES = {
    "linear": each(nn.Linear(7, 5), nn.Linear(7, 5, bias=False)),
    "convolution": each(
        nn.Conv2d(4, 6, 3),
        nn.Conv2d(4, 6, (3, 2), stride=2, padding=(2, 1), dilation=(1, 2), groups=2, bias=False),
        nn.Conv2d(4, 6, 3, padding="same", dilation=2),
        nn.Conv2d(4, 6, (4, 2), padding="same"),
        nn.Conv2d(4, 6, 3, padding="valid"),
        *(nn.Conv2d(4, 6, 3, padding=2, padding_mode=mode) for mode in ("reflect", "replicate", "circular")),
    ),
    "convolution-of-rows": each(
        nn.Conv1d(4, 6, 3, stride=2, padding=1),
        nn.Conv1d(4, 6, 4, padding="same"),
        nn.ConvTranspose1d(4, 6, 3, stride=2),
        nn.ConvTranspose1d(4, 6, 3, padding=1, output_padding=1, dilation=2, groups=2),
        shape=(2, 4, 9),
    ),
    "transposed": each(
        nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2),
        nn.ConvTranspose2d(4, 6, 3, output_padding=1, dilation=2),
        nn.ConvTranspose2d(4, 6, 2, (1, 2), (2, 0), output_padding=(2, 1), dilation=3, groups=2, bias=False),
    ),
    "batch-norm": each(
        *(nn.BatchNorm2d(4), nn.BatchNorm2d(4, affine=False, eps=1e-2)), nn.InstanceNorm2d(4, affine=True)
    ),
    "batch-norm-of-vectors": (nn.BatchNorm1d(5), (3, 5)),
    "batch-norm-of-the-batch": (nn.BatchNorm2d(4, track_running_stats=False), IMAGE),
    "instance-norm": (nn.InstanceNorm2d(4, track_running_stats=True), IMAGE),
    "norms": each(nn.GroupNorm(2, 4), nn.LayerNorm((9, 7)), nn.RMSNorm(7), nn.LocalResponseNorm(3, alpha=0.5)),
    "activations": each(
        *(kind(inplace=True) for kind in (nn.ReLU, nn.ReLU6, nn.ELU, nn.SELU, nn.CELU, nn.SiLU, nn.Mish, nn.Hardswish)),
        *(
            kind()
            for kind in (nn.Sigmoid, nn.Tanh, nn.LogSigmoid, nn.Hardsigmoid, nn.Hardtanh, nn.Softplus, nn.Softsign)
        ),
        *(kind() for kind in (nn.Tanhshrink, nn.Hardshrink, nn.Softshrink, nn.RReLU, nn.GELU, nn.PReLU, nn.LeakyReLU)),
    ),
    "activations-with-settings": each(
        *(nn.GELU("tanh"), nn.LeakyReLU(0.2), nn.Threshold(0.1, 0.5), nn.Softplus(2.0), nn.PReLU(4), nn.GLU(1)),
        *(nn.CELU(0.5), nn.ELU(0.5), nn.Hardtanh(-0.3, 2), nn.Hardshrink(0.1)),
    ),
    "softmax": each(nn.Softmax(1), nn.LogSoftmax(-1), nn.Softmin(2), nn.Softmax2d()),
    "nothing-in-inference": each(nn.Identity(), nn.Dropout(0.5), nn.Dropout2d(0.5), nn.AlphaDropout(0.5), nn.Flatten()),
    "nothing-at-all": (nn.Identity(), (2, 3)),
    "picking": both(
        lambda x: torch.topk(x, 3, 2)[0],
        lambda x: torch.topk(x, 2, 1, largest=False)[0],
        lambda x: torch.sort(x, -1, descending=True)[0],
        lambda x: torch.gather(x, 3, torch.argsort(x, 3)[..., :2]),
        lambda x: torch.nn.functional.grid_sample(x, x[:, :2].permute(0, 2, 3, 1) * 2, align_corners=False),
        lambda x: torch.nn.functional.grid_sample(x, x[:, :2].permute(0, 2, 3, 1) * 2, "nearest", "border", False),
        lambda x: torch.nn.functional.grid_sample(x, x[:, :2].permute(0, 2, 3, 1) * 2, "bicubic", "reflection", True),
        lambda x: torch.nn.functional.affine_grid(x[:, 0, :2, :3], [*x.shape], align_corners=False),
        lambda x: torch.nn.functional.affine_grid(x[:, 0, :2, :3], [*x.shape[:3], 2], align_corners=True),
    ),
    "max-pooling": each(
        nn.MaxPool2d(2),
        nn.MaxPool2d(3, 2, 1, ceil_mode=True),
        nn.MaxPool2d(2, 3, ceil_mode=True),
        nn.MaxPool2d(3, 2, 1, dilation=2),
        nn.MaxPool2d((2, 1), 1, dilation=(3, 1), ceil_mode=True),
        nn.AdaptiveMaxPool2d((3, 2)),
    ),
    "average-pooling": each(
        *(nn.AvgPool2d(3, 2, 1), nn.AvgPool2d(3, 2, 1, count_include_pad=False), nn.AvgPool2d(2, 2, ceil_mode=True)),
        *(nn.AvgPool2d(3, 2, 1, ceil_mode=True), nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False)),
        *(nn.AvgPool2d(2, 3, ceil_mode=True), nn.AvgPool2d(2, divisor_override=3), nn.LPPool2d(2, 2)),
        *(nn.AdaptiveAvgPool2d(1), nn.AdaptiveAvgPool2d((3, 2)), nn.AdaptiveAvgPool2d((None, 2))),
    ),
    "pooling-of-rows": each(
        *(nn.MaxPool1d(3, 2, ceil_mode=True), nn.AvgPool1d(2), nn.AdaptiveAvgPool1d(4), nn.AdaptiveMaxPool1d(4)),
        *(nn.Upsample(scale_factor=2.0, mode="linear"), nn.ReflectionPad1d(2), nn.Upsample(size=5)),
        shape=(2, 4, 9),
    ),
    "upsampling": each(
        *(nn.Upsample(scale_factor=2, mode=mode) for mode in ("nearest", "bilinear", "bicubic", "nearest-exact")),
        *(nn.Upsample(size=(5, 11), mode=mode) for mode in ("nearest", "bilinear", "bicubic", "nearest-exact")),
        *(nn.Upsample(scale_factor=1.5, mode=mode, align_corners=True) for mode in ("bilinear", "bicubic")),
        *(nn.Upsample(scale_factor=(1.7, 0.6), mode=mode) for mode in ("nearest", "bilinear")),
    ),
    "shuffling": each(
        nn.PixelShuffle(2), nn.ChannelShuffle(2), nn.Unfold(3, padding=1, stride=2), nn.Unflatten(1, (2, 2))
    ),
    "unshuffling": (nn.PixelUnshuffle(3), (2, 4, 9, 6)),
    "padding": each(
        *(kind((1, 2, 0, 3)) for kind in (nn.ZeroPad2d, nn.ReflectionPad2d, nn.ReplicationPad2d, nn.CircularPad2d)),
        nn.ConstantPad2d((1, -2, -1, 3), 0.5),
    ),
    "parametrizations": each(
        nn.utils.parametrizations.weight_norm(nn.Conv2d(4, 3, 3)),
        nn.utils.parametrizations.weight_norm(nn.Linear(7, 5), dim=1),
        nn.utils.parametrizations.spectral_norm(nn.Conv2d(4, 3, 3)),
    ),
    "words": alone(lambda x, e: e((x * 3).long() % 10), nn.Embedding(10, 3)),
    "own-parameters": (Weighted(), IMAGE),
    "residual": alone(lambda x, c: F.relu(c(x) + x), nn.Conv2d(4, 4, 3, padding=1)),
    "branches": alone(lambda x, a, b: torch.cat([a(x), b(x), x], 1), nn.Conv2d(4, 2, 1), nn.Conv2d(4, 3, 3, padding=1)),
    "shared": alone(lambda x, c: c(F.relu(c(x))), nn.Conv2d(4, 4, 3)),
    "block": (Block(4, 6, 2), IMAGE),
    "small-network": alone(
        lambda x, c, n, d, f: f(d(F.max_pool2d(F.relu(n(c(x))), 2).flatten(1))),
        *(nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6), nn.Dropout(0.3), nn.Linear(36, 5)),
    ),
    "attention": alone(lambda x, q, k: F.scaled_dot_product_attention(q(x), k(x), x), nn.Linear(7, 7), nn.Linear(7, 7)),
    "multihead-attention": alone(
        lambda x, m: m(x, x, x, need_weights=False)[0], nn.MultiheadAttention(8, 2, batch_first=True), shape=(2, 5, 8)
    ),
    "written-into": both(write, lambda x: (x * 2).add_(1).mul_(x).clamp_(-1, 2)),
    "shapes": both(
        lambda x: x.view(x.size(0), x.size(1) * 9, -1).mean(2),
        lambda x: x.permute(0, 2, 3, 1).contiguous().transpose(1, 2).flatten(1, 2),
        lambda x: x[:, :, :1].squeeze(2).unsqueeze(-1).unsqueeze(1),
        lambda x: x[:, :1].expand(-1, 4, -1, -1) * x.repeat(1, 1, 1, 1) + x.repeat(1, 2, 1, 1)[:, 4:],
        lambda x: x.flip(1, 3) + x.roll((1, -2), (2, 3)),
    ),
    "the-rest-of-the-shape": alone(lambda x: x.reshape(-1, 4 * 9 * 7)),
    "parts": both(
        lambda x: x[:, 1:, ::2, -3:] + x[:, :1, ::2, 2:5],
        lambda x: x[:, 0] * x[:, -1],
        lambda x: x[:, [0, 2, 1]],
        lambda x: x.split([1, 1, 2], 1)[0] * x.split(2, 1)[1],
        lambda x: torch.cat(x.chunk(2, 2)[::-1], 2),
        lambda x: torch.stack(x.unbind(1)[::-1], -2),
    ),
    "arithmetic": both(
        lambda x: (1 - x * 2 + 3 / (x.abs() + 1)) ** 2 - (-x) / 4 + 2**x + torch.add(x, x, alpha=0.5),
        lambda x: x.square().sqrt() + (x.abs() + 0.1).rsqrt() + x.exp().log1p() + (x**2 + 1).log2(),
        lambda x: x.erf() + x.sign() + x.exp2() + x.expm1() + (x + 9).reciprocal() + (x + 9).log() + (x + 9).log10(),
        lambda x: torch.lerp(x, x * 2, 0.3) + torch.addcmul(x, x, x, value=0.5) + torch.addcdiv(x, x, x**2 + 1),
        lambda x: x // 2 + x % 2 + torch.div(x, 0.3, rounding_mode="trunc") + torch.div(x, 3, rounding_mode="floor"),
        lambda x: (
            x.sin()
            + x.cos()
            + x.sinh()
            + x.cosh()
            + x.atan()
            + x.asinh()
            + x.floor()
            + x.ceil()
            + x.round()
            + x.trunc()
        ),
        lambda x: (x * 3).long() // 2 + torch.div((x * 9).long(), 2, rounding_mode="trunc") + (x * 3).long() % 2,
        lambda x: torch.sub(x, 2, alpha=3) + torch.maximum(x, x * 2) - torch.minimum(x, -x),
        lambda x: x.clamp(0) + x.clamp(max=0.5) + x.clamp(-0.1, 0.1) + x.clamp_min(0.3),
    ),
    "choices": both(
        lambda x: torch.where(x > 0.2, x, 0.0) + x.masked_fill((x < 0) | (x > 1), 5.0),
        lambda x: ((x > 0) & ~(x >= 1)).float() + (x == x) * 2.0 + (x != x) + (x <= 0).to(torch.float32),
        lambda x: (
            x + torch.arange(7) + torch.zeros_like(x) + torch.full((7,), 2.0) + x.new_ones(7) + torch.tensor([2.0])
        ),
        lambda x: (x.double() * 2).float() + x.to(torch.float64).to(x.dtype),
    ),
    "sums": both(
        lambda x: x.sum((1, 2)) + x.mean(1)[:, 0] + x.amax((1, 2)) + x.amin((1, 2)),
        lambda x: (
            x.max(1)[0]
            + x.min(1).values
            + x.argmax(1)
            + x.argmin(1)
            + x.max(2, keepdim=True)[0].mean((1, 2, 3), keepdim=True)[0]
        ),
        lambda x: x.var(1) + x.std((1,), unbiased=False) + torch.var_mean(x, 1)[1] + x.logsumexp(1),
        lambda x: F.normalize(x, dim=1) + x.norm(dim=1, keepdim=True) + torch.linalg.vector_norm(x, 1, 2, True),
        lambda x: x @ x.transpose(-1, -2) + torch.bmm(x[:, 0], x[:, 1].mT)[:, None],
    ),
    "spellings": both(
        lambda x: x.sigmoid().acos() + (x.abs() + 1).acosh() + x.sigmoid().asin() + (x.sigmoid() / 2).atanh() + x.tan(),
        lambda x: (
            x
            + torch.arange(1, 8)
            + torch.arange(0, 3.5, 0.5)
            + torch.ones(7)
            + torch.zeros(7)
            + torch.scalar_tensor(2.0)
        ),
        lambda x: torch.baddbmm(x[:, 0], x[:, 1], x[:, 2, :7].mT[:, :7, :7], beta=0.5, alpha=2),
        lambda x: (
            torch.addmm(x[0, 0, 0], x[:, 1, 0], x[0, 2, :7]) + x[:, 1, 0].mm(x[0, 2, :7]) + x[0, 0, 0].dot(x[0, 0, 1])
        ),
        lambda x: (
            x.clamp_max(0.2) + (x == 0) * 1.0 + (x != 1) + (x >= x * 2) + (x > x * 2) + (x <= x * 2) + (x < x * 2)
        ),
        lambda x: torch.logical_and(x > 0, x < 1).float() + torch.logical_or(x > 0, x < 1) + torch.logical_not(x > 0),
        lambda x: torch.lerp(x, x * 2, x.sigmoid()) + x.masked_fill(x > 0, torch.tensor(2.0)) + torch.rsub(x, x * 3),
        lambda x: (
            x.abs() ** (x / 2)
            + x.remainder(x.abs() + 1)
            + x.new_full((7,), 2.0)
            + x.new_zeros(7)
            + torch.full_like(x, 3)
        ),
        lambda x: torch.ones_like(x) + torch.where(x > 0, 1.0, 2.0) + x.detach() + x.sigmoid().fill_(2),
        lambda x: x[:1, :1].squeeze() + x[:, :1, :1].squeeze((1, 2))[:, None] + x[0, 0].t().contiguous().t(),
        lambda x: x + x.std() * x.var(unbiased=False) + torch.var_mean(x, (1, 2), correction=0, keepdim=True)[1],
        lambda x: torch.split(x, [1, 3], 1)[1] + F.relu6(x[:, 1:]) + F.selu(x[:, 1:]) + x.sub(1)[:, 1:],
    ),
    "written-of-simpler-ones": both(
        lambda x: x.prod(1, keepdim=True) + (x * 0 + 1.001).prod() + (x > 0).prod(1, keepdim=True),
        lambda x: F.cosine_similarity(x, x.flip(1), 1) + x.norm(3, 1) + x.nansum(1) + x.isnan().sum(1),
        lambda x: F.pairwise_distance(x, x * 2) + F.one_hot(x.argmax(1), 4).sum(2).mT,
        lambda x: x.sigmoid().logit() + x.sinc() + x.frac() + torch.xlogy(x.abs(), x.abs() + 1) + x.deg2rad() + x.sgn(),
        lambda x: x.clamp(x * 2, x * 0 + 0.5) + torch.fmod(x, 0.3) + torch.fmod(x, x * 0 - 0.7),
        lambda x: (x > 0).any(1) * x[:, 0] + (x > -2).all(1) + (x > 0).any() + (x > -9).all() + x.aminmax(dim=1)[1],
        lambda x: (
            x.nan_to_num() + (x.log() * 0).nan_to_num(1.5).detach() + x.tril() + x.triu(1) + torch.linspace(0, 1, 7)
        ),
        lambda x: x.rot90(1, (2, 3)) + x.repeat_interleave(2, 1)[:, ::2].mT,
        lambda x: x.diagonal(0, 2, 3) + x.diagonal(-1, 2, 3).sum() + x.diagonal(1, 1, 2).mean() + torch.eye(7)[0],
        lambda x: x.unfold(3, 3, 2) + x.unfold(2, 3, 2).sum() + torch.std_mean(x, 1)[0][:, None, :, :3, None],
        lambda x: F.fold(F.unfold(x, 2, stride=2), (8, 6), 2, stride=2),
        lambda x: x + torch.outer(x[0, 0, :, 0], x[0, 0, 1]),
        lambda x: torch.tensordot(x, x[0], ([1, 2], [0, 1])) + torch.meshgrid(x[0, 0, 0], x[0, 0, 1], indexing="ij")[0],
        lambda x: (
            F.scaled_dot_product_attention(x, x * 2, x + 1, is_causal=True) + F.bilinear(x, x, torch.ones(7, 7, 7))
        ),
        lambda x: torch.cdist(x, x.flip(2)) + torch.cdist(x, x * 2, p=1),
    ),
    "bools-and-whole-numbers": both(
        lambda x: x / ((x > 0).sum(1, keepdim=True) + 1) + (x > 0).sum(),
        lambda x: x * ~x.long() + (~(x > 0)).float() + torch.logical_not(x.long()),
        lambda x: (
            torch.logical_and(x > 0, x) * x + torch.logical_or(x.long(), x > 0) + torch.logical_or(x > 0, x.round())
        ),
        lambda x: (
            x + ((x * 9).long() & x.long().abs()) + ((x * 9).long() | 5) + ((x > 0) & (x < 1)) + ((x > 1) | (x < 0))
        ),
        lambda x: F.softplus(x * 4, 1, 2) + F.softplus(x * 4, 2, 1) + F.softplus(x, 1, 20),
    ),
    "functions-of-whole-numbers": both(
        *(lambda x, of=of: of((x * 2).long().abs() + 1) for of in OF_FRACTIONS),
        lambda x: torch.asin(x > 0) + torch.acos(x.sign().long()) + torch.atanh((x > 9).long()),
        lambda x: torch.clamp((x * 3).long(), 0.5, 2) + torch.clamp_min((x * 3).long(), 1) + x.long().clamp(-1, 1),
    ),
    "sums-of-all": alone(lambda x: x.sum() + x.mean() + x.max() - x.min() + x.std() + x.var() + x.argmax()),
}


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def close(found: np.ndarray, expected: torch.Tensor) -> None:
    wanted = expected.detach().numpy()
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() <= 1e-4 * max(1.0, np.abs(wanted).max())


@pytest.mark.parametrize("name", CASES)
def test_values(name: str) -> None:
    module, shape = CASES[name]
    settle(module)
    net = pl.from_torch(module, (1, *shape[1:]))
    for batch in (3, 1):
        images = numbers(batch, *shape[1:])
        x = pl.input(images.shape)
        y = net(x)
        expected = module(torch.from_numpy(images.copy()))
        assert y.dtype == str(expected.dtype).removeprefix("torch.")
        for executor in EXECUTORS:
            close(run([y], {x: images}, executor)[0], expected)


def test_parameters_keep_their_names_and_values() -> None:
    module = settle(ResidualNet())
    net = pl.from_torch(module, (2, 3, 8, 8))
    state = {n: v for n, v in module.state_dict().items() if not n.endswith("num_batches_tracked")}
    assert {n: tuple(v.shape) for n, v in net.state_dict().items()} == {n: tuple(v.shape) for n, v in state.items()}
    for name, value in net.state_dict().items():
        np.testing.assert_array_equal(value, state[name].numpy(), strict=True)
    assert [n for n, p in net.named_parameters().items() if p.trainable] == [n for n, _ in module.named_parameters()]
    own = pl.from_torch(settle(Weighted()), IMAGE)
    parameters = own.named_parameters()
    assert not parameters["frozen"].trainable
    assert not parameters["shift"].trainable
    assert parameters["order"].dtype == "int64"
    assert vars(own.second)["weight"] is vars(own.first)["weight"]
    assert "second.weight" not in parameters or "first.weight" not in parameters


class ResidualNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU(inplace=True))
        self.block = Block(4, 6, 2)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(6, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.drop(self.pool(self.block(self.stem(x))).flatten(1)))


GRADIENTS = {
    "residual-network": (ResidualNet, (3, 3, 8, 8)),
    "own-parameters": (Weighted, IMAGE),
    "resizing": (
        lambda: nn.Sequential(nn.Conv2d(4, 4, 3), nn.Upsample(scale_factor=2, mode="bilinear"), nn.GroupNorm(2, 4)),
        IMAGE,
    ),
    "pooling": (
        lambda: nn.Sequential(
            nn.Conv2d(4, 4, 3), nn.MaxPool2d(3, 2, 1, ceil_mode=True), nn.AvgPool2d(2, ceil_mode=True), nn.PReLU()
        ),
        IMAGE,
    ),
    "activations": (
        lambda: nn.Sequential(
            nn.Conv2d(4, 8, 3), nn.SiLU(), nn.Conv2d(8, 4, 1), nn.GELU(), nn.Hardswish(), nn.Softmax(1)
        ),
        IMAGE,
    ),
    "normalizations": (
        lambda: nn.Sequential(nn.LayerNorm((9, 7)), nn.Conv2d(4, 4, 3), nn.InstanceNorm2d(4, affine=True)),
        IMAGE,
    ),
    "transposed": (
        lambda: nn.Sequential(nn.ConvTranspose2d(4, 3, 3, 2), nn.BatchNorm2d(3), nn.PixelUnshuffle(1), nn.ELU()),
        IMAGE,
    ),
    "attention": (
        lambda: Function(lambda x, m: m(x, x, x, need_weights=False)[0], nn.MultiheadAttention(8, 2, batch_first=True)),
        (2, 5, 8),
    ),
}


@pytest.mark.parametrize("name", GRADIENTS)
@pytest.mark.parametrize("training", [False, True])
def test_gradients_and_statistics(name: str, training: bool) -> None:
    make, shape = GRADIENTS[name]
    module = settle(make())
    for part in module.modules():
        if isinstance(part, nn.Dropout):
            part.p = 0.0
    net = pl.from_torch(module, shape).train(training)
    module.train(training)
    images = numbers(*shape)
    y = module(torch.from_numpy(images))
    shares = numbers(*y.shape, seed=1)
    (y * torch.from_numpy(shares)).sum().backward()
    x = pl.input(images.shape)
    with training_step() as step, pl.collect_updates() as updates:
        loss = (net(x) * pl.constant(shares)).sum()
    parameters = net.parameters()
    slopes = pl.gradients(loss, parameters)
    known = {p.name: p for p in parameters}
    expected = {n: p.grad for n, p in module.named_parameters(remove_duplicate=False) if p.requires_grad}
    for executor in EXECUTORS:
        program = pl.compile([*slopes, *updates.values()], executor=executor)
        found = program({node: np.int64(0) if node is step else images for node in program.graph.inputs})
        assert len(known) == len({id(g) for g in expected.values()})
        for parameter, value in zip(known, found[: len(slopes)], strict=True):
            close(value, expected[parameter])
        buffers = dict(module.named_buffers())
        for parameter, value in zip(updates, found[len(slopes) :], strict=True):
            close(value, buffers[parameter.name])
    batch_norms = [p for p in module.modules() if isinstance(p, nn.BatchNorm2d)]
    assert len(updates) == (2 * len(batch_norms) if training else 0)


@pytest.mark.parametrize("kind", [nn.Dropout, nn.Dropout2d, nn.AlphaDropout])
def test_dropout_in_training(kind: Callable[[float], nn.Module]) -> None:
    net = pl.from_torch(nn.Sequential(kind(0.25), kind(0.25)), (2, 40, 5, 5)).train()
    ones = np.ones((50, 40, 5, 5), np.float32)
    x = pl.input(ones.shape)
    with training_step(seed=3) as step:
        y = net(x)
    program = pl.compile([y])
    first, again, other = (program({x: ones, step: np.int64(n)})[0] for n in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    torch.manual_seed(0)
    expected = nn.Sequential(kind(0.25), kind(0.25)).train()(torch.from_numpy(ones)).numpy()
    assert first.mean() == pytest.approx(expected.mean(), abs=0.05)
    assert first.std() == pytest.approx(expected.std(), abs=0.05)
    per_channel = first.reshape(50, 40, 25)
    assert (per_channel.std(2).max() < 1e-6) == (kind is nn.Dropout2d)
    with pytest.raises(ModuleError, match=r"0: in training mode call the network inside `with nn.training_step"):
        net(x)


def test_trains_like_any_network() -> None:
    torch.manual_seed(1)
    parts = [nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Dropout(0.1)]
    net = pl.from_torch(nn.Sequential(*parts, nn.Linear(72, 10)), (2, 1, 8, 8))
    data = pl.load("digits").test
    digits, labels = data.images(np.arange(256)).astype(np.float32) / 128 - 1, data.labels[:256]
    x = pl.input(digits.shape)
    with training_step() as step, pl.collect_updates() as updates:
        loss = pl.cross_entropy(net.train()(x), pl.constant(labels))
    slopes = pl.gradients(loss, net.parameters())
    updates |= {p: p - s * 0.5 for p, s in zip(net.parameters(), slopes, strict=True)}
    program = pl.compile([loss], updates=updates)
    losses = [float(program({x: digits, step: np.int64(n)})[0]) for n in range(30)]
    assert losses[-1] < losses[0] / 3
    (scores,) = run([net.eval()(x)], {x: digits})
    assert (scores.argmax(1) == labels).mean() > 0.9


def test_as_a_part_of_a_network() -> None:
    backbone = pl.from_torch(settle(ResidualNet()), (1, 3, 8, 8))
    net = pl.nn.Sequential(backbone=backbone, relu=pl.nn.ReLU(), fc=pl.nn.Linear(5, 2))
    graph = net.eval().graph((2, 3, 8, 8))
    assert {"backbone.stem.0", "backbone.block.conv1", "backbone.head", "fc"} <= set(graph.names.values())
    assert "backbone.block.bn1.running_var" in net.named_parameters()
    rows = {row.name: row for row in backbone.summary((3, 8, 8)).rows}
    assert rows["block.conv2"].kind == "Conv2d"
    assert rows["block.conv2"].parameters == 6 * 6 * 9


def test_the_module_is_left_as_it_is() -> None:
    module = ResidualNet().train()
    module.block.bn1.eval()
    before = {n: v.clone() for n, v in module.state_dict().items()}
    net = pl.from_torch(module, (1, 3, 8, 8))
    assert [p.training for p in module.modules()] == [p is not module.block.bn1 for p in module.modules()]
    assert all(torch.equal(before[n], v) for n, v in module.state_dict().items())
    assert not net.training
    module.head.weight.data.zero_()
    assert vars(net.head)["weight"].value.any()
    with pl.collect_updates() as updates, training_step():
        net.train()(pl.input((4, 3, 8, 8)))
    names = {p.name for p in updates}
    assert "stem.1.running_mean" in names
    assert not any(n.startswith("block.bn1.") for n in names), "a part that PyTorch keeps in inference stays so"


def test_batches_of_one_size_where_the_module_wants_it() -> None:
    module = Function(lambda x: x.reshape(2, 3, 2).sum(0))
    net = pl.from_torch(module, (2, 6))
    with pytest.raises(ShapeError, match=r"Function: was converted for inputs \(2, 6\), got \(4, 6\)"):
        net(pl.input((4, 6)))
    one = pl.from_torch(Function(lambda x: x.reshape(1, 3, 2).sum(0)), (1, 6))
    close(
        run([one(x := pl.input((1, 6)))], {x: numbers(1, 6)})[0],
        torch.from_numpy(numbers(1, 6)).reshape(1, 3, 2).sum(0),
    )
    with pytest.raises(ShapeError, match=r"\(any, 4, 9, 7\), got \(2, 4, 9, 8\)"):
        pl.from_torch(nn.ReLU(), IMAGE)(pl.input((2, 4, 9, 8)))


@pytest.mark.parametrize(
    ("convert", "words"),
    [
        (
            lambda: pl.from_torch(Function(lambda x: x.cumsum(1).cumsum(2) + x.cummax(1)[0]), IMAGE),
            r"aten\.cummax\.default \(1\), aten\.cumsum\.default \(2\)",
        ),
        (
            lambda: pl.from_torch(Function(lambda x: x.sum().item() * x), IMAGE),
            "_local_scalar_dense|item|cannot follow",
        ),
        (
            lambda: pl.from_torch(Function(lambda x: x if x.sum() > 0 else -x), IMAGE),
            "torch.export cannot follow Function",
        ),
        (lambda: pl.from_torch(Function(lambda x: None), IMAGE), "gives no tensor"),
        (
            lambda: pl.from_torch(TwoAndMore(), IMAGE),
            r"several inputs a tuple .*TwoAndMore takes \(picture.*missing a required argument: 'about'",
        ),
        (
            lambda: pl.from_torch(TwoAndMore(), {"picture": IMAGE, "abuot": (2, 5)}),
            "missing a required argument: 'about'",
        ),
        (lambda: pl.from_torch(nn.Conv2d(3, 4, 3), IMAGE), "cannot follow Conv2d"),
        (lambda: pl.from_torch(nn.Conv3d(1, 1, 3), (1, 1, 5, 5, 5)), r"aten\.conv3d\.default \(1\)"),
        (lambda: pl.from_torch(nn.Linear(3, 3).half(), (1, 3)), "weight is float16; convert it first: module.float()"),
        (lambda: pl.from_torch(nn.Linear(3, 3, device="meta"), (1, 3)), "weight is on meta; move the module first"),
        (lambda: pl.from_torch(nn.ReLU(), "photo"), "must be the shape of an input"),
        (lambda: pl.from_torch(nn.ReLU(), (torch.ones(1), torch.ones(1))), "must be the shape of an input"),
        (lambda: pl.from_torch(nn.ReLU(), torch.ones(1).half()), "the example is float16"),
        (lambda: pl.from_torch(nn.ReLU(), (0, 3)), "a batch axis of at least 1"),
        (lambda: pl.from_torch(pl.nn.ReLU(), (1, 3)), "wants a torch.nn.Module, got ReLU"),
        (lambda: pl.from_torch(nn.Sequential(), IMAGE).train(), None),
        (
            lambda: pl.from_torch(nn.BatchNorm2d(4, momentum=None), IMAGE).train()(pl.input(IMAGE)),
            "was converted for inference alone, call net.eval",
        ),
        (
            lambda: pl.from_torch(nn.InstanceNorm2d(4, track_running_stats=True), IMAGE).train()(pl.input(IMAGE)),
            "an instance norm that keeps running statistics, in training, is not converted",
        ),
    ],
)
def test_what_is_refused(convert: Callable[[], Any], words: str | None) -> None:
    if words is None:
        convert()
        return
    with pytest.raises(ModuleError, match=words):
        convert()


def test_examples_may_be_shapes_arrays_or_tensors() -> None:
    for example in (IMAGE, list(IMAGE), numbers(*IMAGE), torch.ones(IMAGE), (torch.ones(IMAGE),), [numbers(*IMAGE)]):
        assert pl.from_torch(nn.ReLU(), example)(pl.input((5, *IMAGE[1:]))).shape == (5, *IMAGE[1:])


def flat(made: Any) -> dict[str, Any]:
    """The tensors that a module gives, by their places."""
    if isinstance(made, dict):
        return {(f"{k}.{n}" if n else k): t for k, v in made.items() for n, t in flat(v).items()}
    if isinstance(made, tuple | list):
        return {(f"{k}.{n}" if n else str(k)): t for k, v in enumerate(made) for n, t in flat(v).items()}
    return {} if made is None else {"": made}


PICTURE = {"picture": (2, 4, 9, 7), "about": (2, 5)}
MANY: dict[str, tuple[Callable[[], nn.Module], dict[str, Any], bool]] = {
    "by name": (TwoAndMore, PICTURE, True),
    "by name alone": (TwoAndMore, {**PICTURE, "scale": (2, 1)}, True),
    "in order": (TwoAndMore, PICTURE, False),
    "states": (Recurrent, {"signal": (1, 2, 8), "state": (3, 1, 4)}, False),
    "signal": (
        lambda: Function(lambda x, m: (m(x), [x, x[:, 0]]), nn.Conv1d(2, 4, 3, padding=1)),
        {"x": (2, 2, 8)},
        False,
    ),
    "numbers": (lambda: Function(lambda x, m: m(x).mean(1), nn.Embedding(6, 4)), {"x": np.array([[0, 5, 2]])}, False),
    "lstm": (lambda: nn.LSTM(3, 4, batch_first=True), {"input": (2, 5, 3)}, False),
}


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", MANY)
def test_several_inputs_and_outputs(name: str, training: bool) -> None:
    """Values, gradients, running statistics and names are PyTorch's."""
    make, examples, named = MANY[name]
    module = settle(make())
    net = pl.from_torch(module, examples if named else tuple(examples.values())).train(training)
    module.train(training)
    sizes = {n: np.shape(e) if isinstance(e, np.ndarray) else e for n, e in examples.items()}
    arrays = {n: e if isinstance(e, np.ndarray) else numbers(*e, seed=k) for k, (n, e) in enumerate(examples.items())}
    assert [(s.name, s.dtype) for s in net.input_specs()] == [(n, str(a.dtype)) for n, a in arrays.items()]
    tensors = {n: torch.from_numpy(a.copy()) for n, a in arrays.items()}
    expected = flat(module(**tensors) if named else module(*tensors.values()))
    inputs = [pl.input(sizes[n], str(a.dtype), n) for n, a in arrays.items()]
    with training_step() as step, pl.collect_updates() as updates:
        found = flat(net(*inputs))
    assert list(found) == list(expected)
    sum((y * y).sum() for y in expected.values()).backward()
    loss = sum((pl.sum(y * y) for y in found.values()), start=pl.constant(0.0))
    parameters = net.parameters()
    slopes = pl.gradients(loss, parameters)
    feeds = dict(zip(inputs, arrays.values(), strict=True))
    for executor in EXECUTORS:
        program = pl.compile([*found.values(), *slopes, *updates.values()], executor=executor)
        values = program({i: np.int64(0) if i is step else feeds[i] for i in program.graph.inputs})
        for value, y in zip(values, expected.values(), strict=False):
            close(value, y)
        known = dict(module.named_parameters())
        for value, parameter in zip(values[len(found) :], parameters, strict=False):
            close(value, known[parameter.name].grad)
        for value, parameter in zip(values[len(found) + len(slopes) :], updates, strict=True):
            close(value, module.get_buffer(parameter.name))


def test_several_inputs_are_explained() -> None:
    net = pl.from_torch(settle(TwoAndMore()), {"picture": (1, 4, 9, 7), "about": (1, 5)})
    example = {"picture": numbers(4, 9, 7), "about": numbers(5)}
    trace = pl.trace(net, example, "scores[1]")
    assert trace.graph.output_names == ("scores", "maps.0", "maps.1")
    assert pl.walk_back(trace, 5000).share == pytest.approx(1, rel=1e-3)
    assert [end.name for end in net.summary().inputs] == ["picture", "about"]
    assert pl.compare(net, net, example, executors=("reference", EXECUTORS[-1])).same


def test_batches_of_several_inputs() -> None:
    net = pl.from_torch(settle(TwoAndMore()), ((1, 4, 9, 7), (1, 5)))
    assert net(pl.input((3, 4, 9, 7)), pl.input((3, 5)))["scores"].shape == (3, 3)
    with pytest.raises(
        ShapeError, match=r"inputs picture \(any, 4, 9, 7\), about \(any, 5\), got \(3, 4, 9, 7\) .*\(2, 5\)"
    ):
        net(pl.input((3, 4, 9, 7)), pl.input((2, 5)))
    states = pl.from_torch(settle(Recurrent()), ((1, 2, 8), (3, 1, 4)))
    assert [y.shape for y in states(pl.input((1, 2, 8)), pl.input((3, 1, 4)))] == [(1, 4), (3, 1, 4)]
