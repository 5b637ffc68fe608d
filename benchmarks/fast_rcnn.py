"""Fast R-CNN on EfficientNet-Lite0: a training step and a detection, here and in PyTorch, with the same weights.

    python benchmarks/fast_rcnn.py [--size 384] [--steps 12] [--regions 1000]

Both train what the paper trains: batch norms and the first layers stay, 2 pictures and 64 regions of each a step, both losses,
momentum. PyTorch pools regions by its adaptive max pooling of each crop, whose bins are RoI pooling's; it runs in its usual
layout and in channels_last, and the faster one counts. Proposals are not in the times. Steps of both alternate, and medians
are compared. First both are found to say the same of the same regions.
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

from common import OURS, compare
from pellucid.detect.config import DetectionConfig
from pellucid.detect.fast_rcnn.detector import FastRCNNDetector, network
from pellucid.detect.fast_rcnn.network import fixed_parameters
from pellucid.detect.fast_rcnn.sampling import REGIONS, Normalization, SampledRegions
from pellucid.detect.fast_rcnn.step import DetectionStepper
from pellucid.graph import input
from pellucid.train.optimizers import Optimizer

CLASSES, WIDTH, FIXED = 20, 1024, 3
THREADS = len(os.sched_getaffinity(0))


class Peer(nn.Module):
    """The same detector in PyTorch."""

    def __init__(self, weights: dict[str, Any]) -> None:
        super().__init__()
        whole = EfficientNet.from_name("efficientnet-lite0")
        self.stem = nn.Sequential(whole._conv_stem, whole._bn0, nn.ReLU6(), *whole._blocks[:FIXED])
        self.blocks = nn.Sequential(*whole._blocks[FIXED:11])
        self.head = nn.Sequential(
            nn.Linear(112 * 49, WIDTH), nn.ReLU(), nn.Dropout(), nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Dropout()
        )
        self.score, self.move = nn.Linear(WIDTH, CLASSES + 1), nn.Linear(WIDTH, 4 * (CLASSES + 1))
        own = whole.state_dict()
        given = {name: weights[f"backbone.{name}"] for name in own if f"backbone.{name}" in weights}
        whole.load_state_dict({n: torch.from_numpy(np.array(v)) for n, v in given.items()}, strict=False)
        for part, module in {"head": self.head, "score": self.score, "move": self.move}.items():
            module.load_state_dict({n: torch.from_numpy(np.array(weights[f"{part}.{n}"])) for n in module.state_dict()})
        for parameter in self.stem.parameters():
            parameter.requires_grad_(False)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.requires_grad_(False)

    def train(self, mode: bool = True) -> Peer:
        """Batch norms keep their statistics."""
        super().train(mode)
        for part in (self.stem, self.blocks):
            part.eval()
        return self

    def forward(self, images: Any, boxes: Any, pictures: Any) -> tuple[Any, Any]:
        return self.heads(self.maps(images), boxes, pictures)

    def maps(self, images: Any) -> Any:
        """Maps of the pictures."""
        with torch.no_grad():
            maps = self.stem(images)
        return self.blocks(maps)

    def heads(self, maps: Any, boxes: Any, pictures: Any) -> tuple[Any, Any]:
        """Scores and offsets of regions."""
        corners = torch.floor(boxes / 16 + 0.5).long().tolist()
        pooled = [
            F.adaptive_max_pool2d(maps[n, :, y1 : max(y2, y1) + 1, x1 : max(x2, x1) + 1], 7)
            for n, (x1, y1, x2, y2) in zip(pictures.tolist(), corners, strict=True)
        ]
        y = self.head(torch.stack(pooled).flatten(1))
        return self.score(y), self.move(y)


def peer_step(peer: Peer, layout: Any) -> Callable[[Any, Any, Any, Any, Any, Any], float]:
    """A training step of the peer."""
    trained = [p for p in peer.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=1e-4, momentum=0.9, weight_decay=5e-4)

    def step(images: Any, boxes: Any, pictures: Any, labels: Any, goals: Any, on: Any) -> float:
        optimizer.zero_grad()
        scores, offsets = peer(images.contiguous(memory_format=layout), boxes, pictures)
        own = offsets.view(len(labels), -1, 4)[torch.arange(len(labels)), labels]
        moved = (F.smooth_l1_loss(own, goals, reduction="none") * on).sum() / len(labels)
        loss = F.cross_entropy(scores, labels) + moved
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=384)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--regions", type=int, default=1000)
    args = parser.parse_args()
    torch.set_num_threads(THREADS)
    config = DetectionConfig(width=WIDTH, image_size=args.size, threads=THREADS)
    net, preprocessing = network(config, CLASSES)
    net.initialize(0, keep_given=True)
    numbers = np.random.default_rng(0)
    rows, columns = args.size * 3 // 4, args.size
    images = numbers.normal(size=(2, 3, rows, columns)).astype(np.float32)

    def regions(count: int) -> Any:
        corners = numbers.uniform(0, 1, (count, 2, 2)) * [
            columns - 9,
            rows - 9,
        ]  # a crop that is cut at the edge has other bins in PyTorch
        return np.sort(corners, 1).reshape(count, 4)

    peers = {layout: Peer(net.state_dict()) for layout in (torch.contiguous_format, torch.channels_last)}
    detector = FastRCNNDetector(net, tuple(map(str, range(CLASSES))), preprocessing, config)
    looked = regions(args.regions)

    first = next(iter(peers.values())).eval()
    with torch.no_grad():
        theirs, _ = first(
            torch.from_numpy(images[:1]),
            torch.from_numpy(looked.astype(np.float32)),
            torch.zeros(len(looked), dtype=torch.long),
        )
    ours, _ = detector._run(images[:1], looked)
    gap = float(np.abs(ours - torch.softmax(theirs, 1).numpy()).max())
    print(f"largest difference of probabilities on {len(looked)} regions: {gap:.1e}")
    assert gap < 1e-3

    fixed = fixed_parameters(net, input((1, 3, rows, columns), name="images"))
    trained = [p for p in net.parameters() if p not in fixed and p.trainable]
    count = 2 * REGIONS
    stepper = DetectionStepper(
        net, trained, Optimizer("momentum", 5e-4, 0.9), Normalization(np.zeros((CLASSES, 4)), np.ones((CLASSES, 4))),
        factors=[1.0] * len(trained), pictures=2, seed=0, threads=THREADS,
    )  # fmt: skip
    boxes = regions(count)
    labels = np.where(np.arange(count) % REGIONS < REGIONS // 4, numbers.integers(1, CLASSES + 1, count), 0)
    goals = numbers.normal(size=(count, 4)) * 0.1
    halves = [slice(0, REGIONS), slice(REGIONS, count)]
    samples = [SampledRegions(boxes[h], labels[h], goals[h]) for h in halves]
    on = torch.from_numpy((labels > 0).astype(np.float32))[:, None]
    tensors = [
        torch.from_numpy(np.asarray(v))
        for v in (images, boxes.astype(np.float32), np.repeat([0, 1], REGIONS), labels, goals.astype(np.float32))
    ]
    ways: dict[str, Callable[[], Any]] = {OURS: lambda: stepper(images, samples, 1e-4, 0)}
    for layout, peer in peers.items():
        step = peer_step(peer.train(), layout)
        peer.to(memory_format=layout)
        ways[f"torch, {str(layout).removeprefix('torch.')}"] = lambda step=step: step(*tensors, on)
    compare("training step of 2 pictures", ways, args.steps, 1, 1.5)

    regions_of = torch.from_numpy(looked.astype(np.float32))
    zeros = torch.zeros(len(looked), dtype=torch.long)
    asked: dict[str, Callable[[], Any]] = {OURS: lambda: detector._run(images[:1], looked)}
    for layout, peer in peers.items():
        peer.eval()
        shown = torch.from_numpy(images[:1]).contiguous(memory_format=layout)

        def ask(peer: Peer = peer, shown: Any = shown) -> Any:
            with torch.inference_mode():
                scores, offsets = peer(shown, regions_of, zeros)
                return torch.softmax(scores, 1), offsets

        asked[f"torch, {str(layout).removeprefix('torch.')}"] = ask
    compare(f"detection, {args.regions} regions", asked, args.steps, 1, 1.3)


if __name__ == "__main__":
    main()
