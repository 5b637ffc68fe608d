"""`trace`: every layer's output."""

from __future__ import annotations

from typing import Annotated, Any

from pellucid.questions.kinds import Executor, Image, Network, Target, class_asked
from pellucid.questions.question import Option, question


def loss_names() -> list[str]:
    """Losses that a trace may go on to, by name."""
    from pellucid.inference.losses import LOSSES

    return list(LOSSES)


Loss = Annotated[str, Option("Go on to this loss, --target being the true class.", choices=loss_names)]


@question("trace", "pellucid.explain:trace", pictures="page", group="look inside", page="explain")
def trace(subject: Network, image: Image, target: Target = "", loss: Loss = "", executor: Executor = "auto") -> Any:
    """Run a network on a picture: every layer's values.

    `explain` asks where one of the numbers comes from.

    Example: pellucid trace runs/digits-lenet three.png

    Example: pellucid trace runs/digits-lenet three.png --edit "conv1.weight[3]=0" --edit "conv1.bias[3]=0"
    """
    from pellucid.explain import trace as trace_image

    chosen = class_asked(target, subject.classes)
    return trace_image(subject.net, image.values, chosen, loss=loss or None, executor=executor, any_score=True)
