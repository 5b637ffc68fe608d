"""`receptive-field`: what an element sees of the picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pellucid.questions.kinds import Executor, Network, picture_names
from pellucid.questions.question import Option, question

if TYPE_CHECKING:
    from pellucid.data import ImageInput


@question(
    "receptive-field", "pellucid.explain:receptive_field", pictures="overlay", group="look inside", page="explain"
)
def receptive_field(
    subject: Network,
    images: Annotated[
        list[ImageInput],
        Option(
            "Pictures, as files or names, or arrays (.npy); the effective field is the mean over them.",
            choices=picture_names,
            place=True,
            kind="images",
        ),
    ],
    at: Annotated[str, Option("A layer, conv2 (its middle), or a place in it, conv2[5,3,2].")],
    of: Annotated[str, Option("Of several inputs the one that is looked at; the picture unless given.")] = "",
    executor: Executor = "auto",
) -> Any:
    """Show what an element of a layer sees of the picture.

    In theory, and in effect by its gradient.

    Example: pellucid receptive-field runs/digits-lenet three.png --at "conv2[5,1,1]" --out field.svg
    """
    from pellucid.explain import parse_place
    from pellucid.explain import receptive_field as find
    from pellucid.inference.ready import Ready

    layer, place = parse_place(at, Ready(subject.net).graph(subject.shapes()).graph.names.values())
    examples = [image.values for image in images]
    shown = None if of else images[0].pixels
    return find(subject.net, examples, layer, place or None, shown=shown, of=of, executor=executor)
