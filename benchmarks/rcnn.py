"""R-CNN on EfficientNet-Lite0: regions described, and a step of fine-tuning, here and in PyTorch, with the same weights.

    python benchmarks/rcnn.py [--side 128] [--regions 256] [--batch 128] [--repeats 7] [--threads 2]

Both cut regions out of a picture of 500 x 375 pixels with 16 pixels of context, warp each to a square by bilinear interpolation,
and compute the vector before the last layer and the last maps, averaged to 2 x 2. PyTorch warps by `interpolate`, looks at 64
regions at a time, in its usual layout and in channels_last, and the faster one counts. A step of fine-tuning changes all weights
but those of batch norms, whose statistics stay. Proposals and decoding are not in the times. Turns alternate, and medians are
compared. First both are found to say the same of the same regions.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from efficientnet_lite_pytorch import EfficientNet
from torch import nn
from torch.nn import functional as F

from common import OURS, compare, machine
from pellucid.detect.config import DetectionConfig
from pellucid.detect.pictures_with_boxes import Objects, PicturesWithBoxes
from pellucid.detect.rcnn.crops import crops_of
from pellucid.detect.rcnn.features import backbone_of
from pellucid.detect.rcnn.fine_tuning import FineTuning

CLASSES, AT_ONCE = 20, 64


class Peer(nn.Module):
    """The same network in PyTorch."""

    def __init__(self, weights: dict[str, Any]) -> None:
        super().__init__()
        net = EfficientNet.from_name("efficientnet-lite0")
        self.body = nn.Sequential(
            net._conv_stem, net._bn0, nn.ReLU6(), *net._blocks, net._conv_head, net._bn1, nn.ReLU6()
        )
        self.last = nn.Linear(1280, len(weights["_fc.bias"]))
        net.load_state_dict(
            {n: torch.from_numpy(np.array(v)) for n, v in weights.items() if not n.startswith("_fc")}, strict=False
        )
        self.last.load_state_dict({n: torch.from_numpy(np.array(weights[f"_fc.{n}"])) for n in ("weight", "bias")})
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.requires_grad_(False)

    def train(self, mode: bool = True) -> Peer:
        """Batch norms keep their statistics."""
        super().train(mode)
        self.body.eval()
        return self

    def described(self, images: Any) -> tuple[Any, Any]:
        """Vectors and maps."""
        maps = self.body(images)
        return maps.mean((2, 3)), F.adaptive_avg_pool2d(maps, 2).flatten(1)

    def forward(self, images: Any) -> Any:
        return self.last(F.dropout(self.body(images).mean((2, 3)), 0.2, self.training))


def squares(image: Any, crops: Any, side: int, mean: Any, std: Any) -> Any:
    """Regions as the network sees them."""
    found = torch.zeros(len(crops), 3, side, side)
    for number, (top, bottom, left, right, y, x, height, width) in enumerate(crops):
        part = image[None, :, top:bottom, left:right].float()
        warped = F.interpolate(part, (height, width), mode="bilinear", align_corners=False)[0]
        found[number, :, y : y + height, x : x + width] = (warped / 255 - mean) / std
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=128)
    parser.add_argument("--regions", type=int, default=256)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    print(machine())
    config = DetectionConfig(
        crop_size=args.side, threads=args.threads, fine_tune=10**6, fine_tune_batch=args.batch, learning_rate=1e-4
    )
    backbone = backbone_of(config, CLASSES)
    numbers = np.random.default_rng(0)
    image = numbers.integers(0, 256, (3, 375, 500)).astype(np.uint8)
    corners = numbers.uniform(0, 1, (args.regions, 2, 2)) * [480, 355]
    boxes = np.sort(corners, 1).reshape(-1, 4) + np.array([0, 0, 19, 19])
    objects = Objects(boxes[:8], np.arange(8), np.zeros(8, bool))
    names = tuple(map(str, range(CLASSES)))
    pictures = PicturesWithBoxes("noise", names, ("one",), (objects,), ((500, 375),), lambda k: image)
    tuning = FineTuning(backbone, pictures, [boxes])
    weights = backbone.net.state_dict()

    way = backbone.preprocessing
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (way.mean, way.std))
    picture, crops = torch.from_numpy(image), crops_of(boxes, (375, 500), backbone.crop).tolist()
    peers = {
        layout: Peer(weights).to(memory_format=layout) for layout in (torch.contiguous_format, torch.channels_last)
    }

    def described(peer: Peer, layout: Any) -> Any:
        with torch.inference_mode():
            found = [
                peer.described(
                    squares(picture, crops[start : start + AT_ONCE], args.side, mean, std).contiguous(
                        memory_format=layout
                    )
                )
                for start in range(0, len(crops), AT_ONCE)
            ]
            return torch.cat([vectors for vectors, _ in found]), torch.cat([maps for _, maps in found])

    ours = backbone.described(image, boxes)
    theirs = described(peers[torch.contiguous_format].eval(), torch.contiguous_format)
    gap = max(float(np.abs(a - b.numpy()).max() / np.abs(a).max()) for a, b in zip(ours, theirs, strict=True))
    print(f"largest difference of what {len(boxes)} regions are described by, of the largest number: {gap:.1e}")
    assert gap < 1e-3

    asked: dict[str, Callable[[], Any]] = {OURS: lambda: backbone.described(image, boxes)}
    for layout, peer in peers.items():
        peer.eval()
        asked[_named(layout)] = lambda peer=peer, layout=layout: described(peer, layout)
    compare(f"{args.regions} regions of {args.side} pixels", asked, args.repeats, 1, 1.3)
    cut: dict[str, Callable[[], Any]] = {
        OURS: lambda: backbone.crops(image, boxes),
        "torch, interpolate": lambda: squares(picture, crops, args.side, mean, std),
    }
    compare("of which cutting them out", cut, args.repeats, 1, 1.0)

    keys, labels = tuning.pool.drawn(numbers, args.batch)
    chosen = [crops[region] for _, region in keys.tolist()]
    steps: dict[str, Callable[[], Any]] = {OURS: lambda: tuning.step(0)}
    for layout, peer in peers.items():
        steps[_named(layout)] = _step(
            peer.train(), layout, lambda: squares(picture, chosen, args.side, mean, std), labels
        )
    compare(f"fine-tuning step of {args.batch} regions", steps, args.repeats, 1, 1.3)


def _named(layout: Any) -> str:
    return f"torch, {str(layout).removeprefix('torch.')}"


def _step(peer: Peer, layout: Any, images: Callable[[], Any], labels: Any) -> Callable[[], float]:
    """A step of fine-tuning of the peer."""
    trained = [p for p in peer.parameters() if p.requires_grad]
    optimizer, wanted = torch.optim.SGD(trained, lr=1e-4, momentum=0.9, weight_decay=5e-4), torch.from_numpy(labels)

    def step() -> float:
        optimizer.zero_grad()
        loss = F.cross_entropy(peer(images().contiguous(memory_format=layout)), wanted)
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return step


if __name__ == "__main__":
    main()
