"""What is learned of mixed examples whose targets are classes: the loss of both classes, each by its share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pellucid import ops
from pellucid.data.mixing import UNITS, Mixing
from pellucid.graph import Tensor, input
from pellucid.op import Array
from pellucid.train.task import Objective


def mixed(task: Objective, mixing: Mixing) -> Objective:
    """What a step learns of batches mixed so: `task` itself where they are not, or where its targets are means."""
    return Mixed(task) if mixing.active and task.target_input(1).dtype == "int64" else task


@dataclass(frozen=True)
class Mixed:
    """`task` on targets int64 (N, 3), see `Mix.targets`; all in a batch have the same share.

    What is counted is by the class that has the greater share.
    """

    task: Objective

    def target_input(self, count: int) -> Tensor:
        return input((count, 3), "int64", self.task.target_input(count).name)

    def scores(self, output: Tensor) -> Tensor:
        return self.task.scores(output)

    def loss(self, output: Tensor, targets: Tensor) -> Tensor:
        return _by_share(lambda classes: self.task.loss(output, classes), targets)

    def plain_loss(self, output: Tensor, targets: Tensor) -> Tensor | None:
        if self.task.plain_loss(output, targets[:, 0]) is None:
            return None

        def plain(classes: Tensor) -> Tensor:
            found = self.task.plain_loss(output, classes)
            assert found is not None
            return found

        return _by_share(plain, targets)

    def weight(self, targets: Array) -> float:
        return self.task.weight(np.ascontiguousarray(targets[:, 0]))

    def counts(self, output: Tensor, targets: Tensor) -> dict[str, Tensor]:
        most = ops.where(ops.less(targets[:, 2], UNITS // 2), targets[:, 1], targets[:, 0])
        return self.task.counts(output, most)


def _by_share(loss: Callable[[Tensor], Tensor], targets: Tensor) -> Tensor:
    share = ops.cast(targets[0, 2], "float32") * (1 / UNITS)
    return loss(targets[:, 0]) * share + loss(targets[:, 1]) * (1 - share)
