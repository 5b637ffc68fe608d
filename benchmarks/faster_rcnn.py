"""Faster R-CNN on EfficientNet-Lite0: a training step here, from pixels to new weights, and the same step in PyTorch without proposals.

    python benchmarks/faster_rcnn.py [--size 384] [--steps 12]

2 pictures, 256 anchors and 64 regions of each, four losses, momentum; batch norms and the first layers stay. Here a step also moves the
anchors, suppresses, and chooses regions by their overlap with objects; PyTorch is spared that and given regions, so that its number is
the least that a user's code could take. It runs in its usual layout and in channels_last, and the faster one counts. Steps of
both alternate, and medians are compared. First both are found to have the same losses of anchors.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from common import OURS, compare
from fast_rcnn import CLASSES, THREADS, WIDTH, Peer
from pellucid.detect.canvas import Canvas
from pellucid.detect.config import DetectionConfig
from pellucid.detect.fast_rcnn.network import fixed_parameters
from pellucid.detect.fast_rcnn.sampling import REGIONS
from pellucid.detect.faster_rcnn.detector import network
from pellucid.detect.faster_rcnn.step import FasterStepper, SeenObjects
from pellucid.detect.faster_rcnn.targets import sampled, targets_of
from pellucid.graph import input
from pellucid.train.optimizers import Optimizer


class FasterPeer(Peer):
    """The same detector in PyTorch: Fast R-CNN's, and a layer that proposes with its two heads."""

    def __init__(self, weights: dict[str, Any]) -> None:
        super().__init__(weights)
        channels, width = 112, len(weights["propose.look.bias"])
        self.look = nn.Conv2d(channels, width, 3, padding=1)
        self.objectness = nn.Conv2d(width, len(weights["propose.objectness.bias"]), 1)
        self.offsets = nn.Conv2d(width, len(weights["propose.offsets.bias"]), 1)
        for name in ("look", "objectness", "offsets"):
            module = getattr(self, name)
            given = {n: torch.from_numpy(np.array(weights[f"propose.{name}.{n}"])) for n in module.state_dict()}
            module.load_state_dict(given)

    def said(self, maps: Any) -> tuple[Any, Any]:
        """Logits (N, A) and offsets (N, A, 4) of all anchors."""
        seen = F.relu(self.look(maps))
        logits, moves = self.objectness(seen), self.offsets(seen)
        n, shapes, rows, columns = logits.shape
        each = moves.reshape(n, shapes, 4, rows * columns).transpose(2, 3)
        return logits.reshape(n, -1), each.reshape(n, -1, 4)


def losses_of_anchors(logits: Any, moves: Any, told: dict[str, Any]) -> tuple[Any, Any]:
    """Both losses of the proposal network."""
    each = F.binary_cross_entropy_with_logits(logits, told["sure"], reduction="none")
    goals = F.smooth_l1_loss(moves, told["moves"], reduction="none", beta=1 / 9)
    return (each * told["sure_share"]).sum(), (goals * told["moves_share"]).sum()


def peer_step(peer: FasterPeer, layout: Any, told: dict[str, Any]) -> Callable[[], float]:
    """A training step of the peer, on regions that it is given."""
    optimizer = torch.optim.SGD(
        [p for p in peer.parameters() if p.requires_grad], lr=1e-4, momentum=0.9, weight_decay=5e-4
    )
    peer.train().to(memory_format=layout)
    images = told["images"].contiguous(memory_format=layout)

    def step() -> float:
        optimizer.zero_grad()
        maps = peer.maps(images)
        sure, placed = losses_of_anchors(*peer.said(maps), told)
        scores, offsets = peer.heads(maps, told["boxes"], told["pictures"])
        own = offsets.view(len(scores), -1, 4)[torch.arange(len(scores)), told["labels"]]
        moved = (F.smooth_l1_loss(own, told["goals"], reduction="none") * told["on"]).sum() / len(scores)
        loss = sure + placed + F.cross_entropy(scores, told["labels"]) + moved
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=384)
    parser.add_argument("--steps", type=int, default=12)
    args = parser.parse_args()
    torch.set_num_threads(THREADS)
    config = DetectionConfig(width=WIDTH, image_size=args.size, threads=THREADS)
    net, _ = network(config, CLASSES)
    net.initialize(0, keep_given=True)
    for layer in (net.propose.objectness, net.propose.offsets):  # which begin nearly at 0, where all losses are alike
        layer.weight.value = np.asarray(layer.weight.value) * 30
    numbers = np.random.default_rng(0)
    rows, columns = args.size * 3 // 4, args.size
    images = numbers.normal(size=(2, 3, rows, columns)).astype(np.float32)

    fixed = fixed_parameters(net, input((1, 3, rows, columns), name="images"))
    trained = [p for p in net.parameters() if p not in fixed and p.trainable]
    stepper = FasterStepper(
        net, trained, Optimizer("momentum", 5e-4, 0.9), factors=[1.0] * len(trained), seed=0, threads=THREADS, pictures=2, objects=3
    )  # fmt: skip
    anchors, extent = (
        stepper.anchors((rows, columns)),
        Canvas((rows, columns), 1.0).onto(np.array([columns - 1.0, rows - 1.0])),
    )
    seen: list[SeenObjects] = []
    for _ in range(2):
        corners = numbers.uniform(0, [columns - 140, rows - 140], (3, 2))
        boxes = np.concatenate([corners, corners + numbers.uniform(60, 130, (3, 2))], 1)
        targets = sampled(targets_of(anchors, boxes, extent), numbers)
        chances = numbers.random(stepper.regions((rows, columns)), np.float32)
        seen.append(SeenObjects(targets, boxes, numbers.integers(1, CLASSES + 1, 3), extent, chances))
    count = 2 * REGIONS
    corners = np.sort(numbers.uniform(0, 1, (count, 2, 2)) * [columns - 9, rows - 9], 1).reshape(count, 4)
    labels = np.where(np.arange(count) % REGIONS < REGIONS // 4, numbers.integers(1, CLASSES + 1, count), 0)
    told = {
        **stepper.told((rows, columns), seen),
        "images": images,
        "boxes": corners.astype(np.float32),
        "pictures": np.repeat([0, 1], REGIONS),
        "labels": labels,
        "goals": numbers.normal(size=(count, 4)).astype(np.float32),
        "on": (labels > 0).astype(np.float32)[:, None],
    }
    tensors = {name: torch.from_numpy(np.asarray(value)) for name, value in told.items() if value.ndim}
    peers = {layout: FasterPeer(net.state_dict()) for layout in (torch.contiguous_format, torch.channels_last)}
    first = next(iter(peers.values())).eval()
    with torch.no_grad():
        theirs = losses_of_anchors(*first.said(first.maps(tensors["images"])), tensors)
    ours = stepper(images, seen, 0.0, 0)
    gap = max(abs(float(t) - o) for t, o in zip(theirs, list(ours.values())[:2], strict=True))
    print(f"largest difference of the losses of anchors: {gap:.1e}")
    assert gap < 1e-4

    ways: dict[str, Callable[[], Any]] = {OURS: lambda: stepper(images, seen, 1e-4, 0)}
    for layout, peer in peers.items():
        ways[f"torch, {str(layout).removeprefix('torch.')}"] = peer_step(peer, layout, tensors)
    compare("training step of 2 pictures", ways, args.steps, 1, 1.2)


if __name__ == "__main__":
    main()
