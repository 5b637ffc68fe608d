"""What a network says of pictures, as a list that draws itself in notebooks: each picture with bars for its classes."""

from __future__ import annotations

from typing import Any

from pellucid.op import Array
from pellucid.pictures import Grid, Page, Picture, Tile, Tiles
from pellucid.pictures.picture import in_notebook

SHOWN, WIDTH = 12, 20
"""Pictures that are drawn, and blocks of a bar for the probability 1."""


class Predictions(list[dict[str, Any]]):
    """The predictions of each picture as plain data; `images` are the first pictures, uint8 (C, H, W), by position."""

    def __init__(self) -> None:
        super().__init__()
        self.images: dict[int, Array] = {}

    def keep(self, place: int, image: Array | None) -> None:
        """Have the picture of an answer drawn beside it, if it is one of the first."""
        if image is not None and place < SHOWN:
            self.images[place] = image

    def _repr_html_(self) -> str:
        return in_notebook(self.picture().fragment())

    def picture(self) -> Page:
        """Each of the first pictures with what it is taken for."""
        more = (f"and {len(self) - SHOWN} more",) if len(self) > SHOWN else ()
        return Page("Predictions", (*(self._one(k) for k in range(min(SHOWN, len(self)))), *more))

    def _one(self, place: int) -> Page:
        answer, image = self[place], self.images.get(place)
        shown: list[Picture | str] = [] if image is None else [Tiles("", (Tile(image),), 1)]
        if "error" in answer:
            shown.append(answer["error"])
        else:
            rows = [_row(guess) for guess in answer["predictions"]]
            shown.append(Grid(["", "", ""], rows, "lrl"))
        return Page(str(answer["image"]), tuple(shown))


def _row(guess: dict[str, Any]) -> list[str]:
    """A guess in words, and as a bar where it is a probability."""
    if "probability" in guess:
        share = guess["probability"]
        return [guess["class"], f"{share:.1%}", "█" * round(WIDTH * share) or "▏"]
    value = guess.get("score", guess.get("value"))
    return [str(guess.get("class") or guess.get("target") or ""), f"{value:.4g} {guess.get('unit', '')}".strip(), ""]
