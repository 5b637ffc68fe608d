"""Receptive fields: what theory says is what gradients reach, through branches, strides, dilation and rearrangement."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn
from pellucid.explain import FieldError


class Net(nn.Module):
    """Layers in a row, or as `forward` joins them; all weights positive, so that no gradient cancels."""

    def __init__(self, layers: dict[str, nn.Module], join: Callable[..., pl.Tensor]) -> None:
        super().__init__()
        for name, layer in layers.items():
            setattr(self, name, layer)
        self._join = join
        self.initialize(1)
        for parameter in self.named_parameters().values():
            parameter.value = np.abs(parameter.value) + 0.01

    def forward(self, x: pl.Tensor) -> pl.Tensor:
        return self._join(self, x)


def _conv(kernel: int = 3, **options: int) -> nn.Conv2d:
    return nn.Conv2d(2, 2, kernel, **options)


NETS: dict[str, tuple[dict[str, nn.Module], Callable[..., pl.Tensor]]] = {
    "row": ({"a": _conv(stride=2), "b": _conv(5, padding=2), "c": _conv(dilation=3)}, lambda n, x: n.c(n.b(n.a(x)))),
    "branches": (
        {"a": _conv(1), "b": _conv(5, padding=2), "c": _conv(padding=2, dilation=2)},
        lambda n, x: pl.concat([n.a(x), n.b(x) + n.c(x)], 1),
    ),
    "pools": (
        {"a": nn.AvgPool2d(2), "b": _conv(), "c": nn.AvgPool2d(3, 2, 1)},
        lambda n, x: n.c(n.b(n.a(x))),
    ),
    "up": ({"a": _conv(stride=2), "b": nn.ConvTranspose2d(2, 2, 4, 2, 1), "c": _conv()}, lambda n, x: n.c(n.b(n.a(x)))),
    "twice": ({"a": _conv(padding=1)}, lambda n, x: n.a(n.a(n.a(x)))),
    "flat": ({"a": _conv(), "b": nn.AvgPool2d(2), "c": nn.Flatten()}, lambda n, x: pl.relu(n.c(n.b(n.a(x))))),
}  # fmt: skip


@pytest.mark.parametrize("name", NETS)
def test_theory_is_what_gradients_reach(name: str) -> None:
    net = Net(*NETS[name])
    image = np.random.default_rng(0).random((2, 24, 21)) + 0.5
    for parameter in net.named_parameters().values():
        assert parameter.dtype == "float32"
    graph = net.graph((1, 2, 24, 21), name="image")
    output = graph.names[graph.outputs[0]]
    shape = graph.outputs[0].shape[1:]
    random = np.random.default_rng(1)
    for _ in range(12):
        place = tuple(int(random.integers(0, n)) for n in shape)
        found = pl.receptive_field(net, image.astype(np.float32), output, place)
        rows, columns = np.nonzero(found.effective.sum(1))[0], np.nonzero(found.effective.sum(0))[0]
        assert found.rows == (rows[0], rows[-1] + 1)
        assert found.columns == (columns[0], columns[-1] + 1)
        assert found.effective_size <= found.theoretical_size


def test_effect_is_smaller_than_theory_and_is_averaged() -> None:
    """With many layers the effective field is a small part of the theoretical one (Luo et al. 2016)."""
    net = nn.Sequential(*(nn.Conv2d(1, 1, 3, padding=1) for _ in range(10)))
    net.initialize(0)
    for name, parameter in net.named_parameters().items():
        parameter.value = np.full(parameter.shape, 1 / 9 if name.endswith("weight") else 0)
    images = np.random.default_rng(0).random((3, 1, 41, 41)).astype(np.float32)
    found = pl.receptive_field(net, images, "9")
    assert found.size == (21, 21)
    assert found.index == (0, 20, 20)
    assert found.num_pictures == 3
    assert found.effective_size < 0.75 * found.theoretical_size
    assert found.effective.sum() == pytest.approx(1, rel=1e-5)
    rows = np.arange(41)
    spread = float((found.effective.sum(1) * (rows - 20) ** 2).sum())
    assert spread == pytest.approx(10 * 2 / 3, rel=1e-4), "ten uniform windows of three: variance 2/3 each"


def test_what_has_no_field() -> None:
    net = nn.models.build("lenet", image_size=8, in_channels=1)
    image = np.zeros((1, 8, 8), np.float32)
    with pytest.raises(FieldError, match="made of parameters alone"):
        pl.receptive_field(net, image, "conv1.weight")
    with pytest.raises(FieldError, match="wants an index of 3 numbers"):
        pl.receptive_field(net, image, "conv1", (99, 0, 0))
    with pytest.raises(pl.PellucidError, match="wants pictures, float"):
        pl.receptive_field(net, image.astype(np.uint8), "conv1")
