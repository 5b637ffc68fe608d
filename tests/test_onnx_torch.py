"""What PyTorch exports, in old and new operator sets, opened again: a segmentation network and one with attention."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

import pellucid as pl
from pellucid.executors import TOLERANCE, available_executors
from pellucid.graph import Tensor

torch = pytest.importorskip("torch")
F = torch.nn.functional
EXECUTORS = [name for name, reason in available_executors().items() if name != "torch" and not reason]


class Segmenter(torch.nn.Module):
    """Dilated and transposed convolution, three kinds of normalization, three kinds of interpolation."""

    def __init__(self) -> None:
        super().__init__()
        self.down = torch.nn.Conv2d(3, 8, 3, 2, 1)
        self.norm = torch.nn.BatchNorm2d(8)
        self.wide = torch.nn.Conv2d(8, 8, 3, padding=4, dilation=4)
        self.groups = torch.nn.GroupNorm(2, 8)
        self.single = torch.nn.InstanceNorm2d(8, affine=True)
        self.up = torch.nn.ConvTranspose2d(8, 8, 3, 2, 1, output_padding=1)
        self.out = torch.nn.Conv2d(16, 5, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a = F.hardswish(self.norm(self.down(x)))
        b = F.silu(self.groups(self.wide(a)))
        up = self.up(b)
        linear = F.interpolate(a, size=up.shape[2:], mode="bilinear", align_corners=False)
        nearest = F.interpolate(self.single(b), scale_factor=2, mode="nearest")
        cubic = F.interpolate(nearest, size=x.shape[2:], mode="bicubic", align_corners=True)
        return self.out(torch.cat([up + cubic, F.relu6(linear)], 1)).softmax(1)


class Attentive(torch.nn.Module):
    """Squeeze and excitation, pixel shuffling, pooling over edges, attention; three outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 12, 3, padding="same")
        self.squeeze, self.excite = torch.nn.Linear(12, 4), torch.nn.Linear(4, 12)
        self.slope = torch.nn.PReLU(12)
        self.norm = torch.nn.LayerNorm(12)
        self.attention = torch.nn.MultiheadAttention(12, 3, batch_first=True)
        self.head = torch.nn.Linear(12, 7)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        y = self.slope(self.conv(x))
        gate = torch.sigmoid(self.excite(F.relu(self.squeeze(y.mean((2, 3))))))
        y = F.pixel_shuffle(F.pixel_unshuffle(y * gate[:, :, None, None], 2), 2)
        y = F.max_pool2d(y, 3, 2, 1, ceil_mode=True)
        y = F.avg_pool2d(y, 3, 2, 1, ceil_mode=True, count_include_pad=False)
        y = F.pad(y, (1, 2, 1, 0), mode="reflect")
        tokens = self.norm(y.flatten(2).transpose(1, 2))
        tokens = tokens + self.attention(tokens, tokens, tokens, need_weights=False)[0]
        return self.head(F.elu(tokens).mean(1)), F.adaptive_avg_pool2d(y, 1).flatten(1), y.argmax(1)


@pytest.mark.parametrize(
    ("network", "opset"),
    [*((Segmenter, opset) for opset in (11, 13, 17, 20)), *((Attentive, opset) for opset in (14, 17, 20))],
)
def test_exported_networks(network: type[torch.nn.Module], opset: int, tmp_path: Path) -> None:
    torch.manual_seed(0)
    theirs = network().eval()
    path = tmp_path / "net.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter tells what it guesses
        torch.onnx.export(
            theirs,
            (torch.randn(2, 3, 24, 32),),
            path,
            dynamo=False,
            input_names=["images"],
            opset_version=opset,
            dynamic_axes={"images": {0: "batch"}},
        )
    net = pl.load_onnx(path)
    kept = theirs.state_dict()
    for name, value in net.state_dict().items():
        if name in kept:
            np.testing.assert_array_equal(value, kept[name].numpy())
    assert {"conv.weight", "head.bias"} <= set(net.state_dict()) or {"out.weight", "up.bias"} <= set(net.state_dict())
    images = torch.randn(3, 3, 24, 32)
    with torch.no_grad():
        expected = theirs(images)
    made = net(pl.input(images.shape, name="images"))
    outputs = [made] if isinstance(made, Tensor) else made
    for executor in EXECUTORS:
        got = pl.run(outputs, {"images": images.numpy()}, executor)
        for value, want in zip(got, [expected] if len(outputs) == 1 else expected, strict=True):
            scale = max(1.0, float(want.abs().max()))
            np.testing.assert_allclose(value, want.numpy(), rtol=0, atol=TOLERANCE["float32"] * scale)
