"""`connectivity`: what it takes to connect a layer to a picture in three ways."""

from __future__ import annotations

from typing import Annotated, Any

from pellucid.questions.question import Option, question


@question("connectivity", "pellucid.studies:connectivity", pictures="page", group="learn", page="why-convolution")
def connectivity(
    size: Annotated[int, Option("Rows and columns of the picture.", low=1)] = 10,
    channels: Annotated[int, Option("Its channels: 1 for gray, 3 for color.", low=1)] = 1,
    maps: Annotated[int, Option("Maps of the picture's size that each layer makes.", low=1)] = 2,
    kernel: Annotated[int, Option("Rows and columns of a window, an odd number.", low=1)] = 3,
    layers: Annotated[int, Option("Layers, one after another.", low=1)] = 1,
) -> Any:
    """Count parameters of three ways to connect a layer.

    Fully connected, locally connected, and by convolution, which shares weights: exact counts, for any size of picture.

    Example: pellucid connectivity --size 10 --layers 3

    Example: pellucid connectivity --size 100 --out connectivity.html
    """
    from pellucid.studies import connectivity as count

    return count(size, channels, maps, kernel, layers)
