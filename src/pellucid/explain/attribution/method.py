"""What a method of attribution is, what it gives, and the registry of all of them: `attribute`, `Attribution`, `METHODS`."""

from __future__ import annotations

import functools
import inspect
import textwrap
import typing
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from pellucid.data.image import ImageInput
from pellucid.data.photo import Photo
from pellucid.errors import suggest, unknown
from pellucid.inference.fed import Given
from pellucid.inference.scores import Build, Scores
from pellucid.inference.shown import as_ground
from pellucid.inference.target import ScoreError, Target, TargetLike
from pellucid.nn import Module
from pellucid.nn.card import carded
from pellucid.nn.required import require_net
from pellucid.op import Array, Shape
from pellucid.pictures import Answer, Chart, Maps, Overlay, Series
from pellucid.progress import long, progress

SHOWN = 0.98
"""Share of the places whose heat is told apart when a map is drawn; what is beyond is drawn as strong as these."""


LARGEST = 1e9
"""The size of a number that an option may be."""

MAPS = 64
"""Of what has more than two axes, so many maps are drawn."""


@dataclass(frozen=True)
class Attribution(Answer):
    """How much each place of a picture did for one number of a network, by one method.

    `place` says which number it is; where it is a class's score, `target` is the number of the class and `label` its name.
    `map` is what the method gives: (H, W), or (C, H, W) with a number for each value of the picture `image` (C, H, W), which
    was given for the input called `input`; of a signal (L) or (C, L) the same. `layer` is the layer that it was read off, ""
    for the picture itself; `note` says what was chosen on the way. `pixels`, uint8 (C, H, W), is the picture before
    preprocessing, to be drawn where it is known, and `photo` the whole file, which is drawn rather than it. `promised` is what
    the map's numbers should add up to, None where the method promises nothing of the kind. `channels` is the axis of the
    picture that counts its channels, None where it has none.
    """

    method: str
    target: int | None
    label: str
    score: float
    map: Array
    image: Array
    layer: str = ""
    note: str = ""
    pixels: Array | None = None
    promised: float | None = None
    place: Target = field(default_factory=Target)
    input: str = ""
    channels: int | None = 0
    photo: Photo | None = None

    def on(self, image: ImageInput) -> Attribution:
        """The same, to be drawn on the picture file that was read as `image`, as it is."""
        return replace(self, pixels=image.pixels, photo=image.original() if image.original else None)

    @property
    def completeness_gap(self) -> float | None:
        """How far the map's sum is from what is promised, relative to that; None where nothing is.

        Sundararajan et al. 2017, section 3, calls it completeness, Bach et al. 2015, equation 2, conservation.
        """
        if self.promised is None:
            return None
        return abs(float(self.map.sum(dtype=np.float64)) - self.promised) / max(abs(self.promised), 1e-12)

    @property
    def heat(self) -> Array:
        """One number for each place (H, W): the map, its channels taken together as the method's paper does."""
        together = METHODS[self.method].heat
        if together is as_it_is:
            return self.map
        if self.channels is None or self.map.ndim < self.image.ndim:
            return together(self.map[None])
        return together(np.moveaxis(self.map, self.channels, 0))

    @property
    def signed(self) -> bool:
        """Whether numbers below zero say that a place spoke against the class."""
        return METHODS[self.method].signed

    @property
    def told(self) -> str:
        """The layer and the note in one line."""
        return "; ".join(part for part in (self.layer and f"layer {self.layer}", self.note) if part)

    @property
    def paper(self) -> str:
        """Where the method comes from."""
        return METHODS[self.method].paper

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "method": self.method,
            "paper": self.paper,
            "target": self.target,
            "class": self.label,
            "place": str(self.place),
            "input": self.input,
            "score": self.score,
            "layer": self.layer,
            "note": self.note,
            "signed": self.signed,
            "sum": float(self.map.sum(dtype=np.float64)),
            "completeness_gap": self.completeness_gap,
            "heat": np.vectorize(lambda value: float(f"{value:z.6g}"), otypes=[float])(self.heat).tolist(),
        }

    def __str__(self) -> str:
        heat = self.heat
        strongest = tuple(int(i) for i in np.unravel_index(int(np.argmax(heat)), heat.shape))
        where = "row {}, column {}" if len(strongest) == 2 else ", ".join(["{}"] * len(strongest))
        lines = [
            f"{self.method}: score {self.score:z.6g} of {self.place.words}",
            f"strongest at {where.format(*strongest)}{_as_strong(heat)}; {_concentration(heat)}",
            *([self.told] if self.told else []),
            self.paper,
        ]
        return "\n".join(part for line in lines for part in textwrap.wrap(line, 80, subsequent_indent="  "))

    def picture(self) -> Overlay | Chart | Maps:
        """The heat drawn over the picture; of a signal as a curve, of anything else as maps."""
        title = f"{self.method}: {self.label or self.place.words}, score {self.score:z.4g}"
        note = "; ".join(part for part in (self.told, self.paper) if part)
        if self.image.ndim == 3 and self.heat.ndim == 2 and self.channels is not None:
            return self.overlay(title, note)
        if self.heat.ndim != 1:
            maps = self.heat.reshape(-1, *self.heat.shape[-2:])
            return Maps.first(title, maps, MAPS, signed=self.signed, note=note)
        curves = [Series("heat", range(self.heat.size), self.heat.tolist())]
        signal = self.image.reshape(-1)
        if signal.shape == self.heat.shape and signal.any():
            scaled = signal * (np.abs(self.heat).max() / np.abs(signal).max())
            curves.insert(0, Series("the signal, scaled", range(signal.size), scaled.tolist(), "dashed"))
        return Chart(title, "place", "heat", tuple(curves), note)

    def overlay(self, title: str = "", note: str = "") -> Overlay:
        """The heat (H, W) drawn over the picture (C, H, W), as it is where that is known."""
        limit = float(np.quantile(np.abs(self.heat), SHOWN))
        ends = (-limit, limit) if limit > 0 else None
        told = "blue: speaks against it, red: for it" if self.signed else "how much a place counts"
        if self.photo is None:
            picture = np.moveaxis(self.image, self.channels or 0, 0)
            ground = as_ground(picture) if self.pixels is None else self.pixels
            return Overlay(title, ground, self.heat, (), self.signed, note, ends, told)
        rows, columns = self.photo.rows, self.photo.columns
        if (rows[1] - rows[0], columns[1] - columns[0]) == self.photo.pixels.shape[1:]:
            return Overlay(title, self.photo.pixels, self.heat, (), self.signed, note, ends, told)
        note = "; ".join(part for part in ("framed: the part that the network is given", note) if part)
        return Overlay(title, self.photo.pixels, self.heat, (), self.signed, note, ends, told, rows, columns)


@dataclass(frozen=True)
class Asked:
    """What a method is asked: of the `image` (1, C, H, W), for the score that `target` is."""

    scores: Scores
    image: Array
    target: Target
    seed: int

    @property
    def places(self) -> Shape:
        """How many places the picture has, axis by axis: (H, W); of a signal (L,)."""
        return places_of(self.image[0], self.channels)

    @property
    def channels(self) -> int | None:
        """The axis of the picture, without the batch's, that counts its channels."""
        return self.scores.graph(self.image.shape).channels

    def value(self, scores: Array) -> float:
        """The number that is asked about, of the scores of one picture."""
        return float(self.target.of(scores)[0])

    def score(self, images: Array | None = None) -> float:
        """That number for the picture, or for another one of its shape."""
        return self.value(self.scores.scores(self.image if images is None else images))

    def compute(self, key: Hashable, build: Build) -> tuple[Array, ...]:
        """What `build` makes of the graph of the scores, for the picture and the weights of what is asked about."""
        return self.scores.compute(self.image, self.scores.weights(self.image.shape, self.target), key, build)


@dataclass(frozen=True)
class Found:
    """What a method finds; see `Attribution`."""

    score: float
    map: Array
    layer: str = ""
    note: str = ""
    promised: float | None = None


def places_of(image: Array, channels: int | None) -> Shape:
    """The shape of a map with one number for each place of a picture (C, H, W), or of a signal (L) or (C, L)."""
    return tuple(size for axis, size in enumerate(image.shape) if axis != channels)


def signed_sum(values: Array) -> Array:
    """The sum over the channels: parts of a sum that add up."""
    return values.sum(0)


def _as_strong(heat: Array) -> str:
    """A word about other places with the same heat as the strongest one, which is the first of them."""
    others = int((heat == heat.max()).sum()) - 1
    return f", the first of {others + 1} places that are equal" if others > 0 else ""


def strongest(values: Array) -> Array:
    """The largest absolute value over the channels (Simonyan et al. 2014, section 3.1)."""
    return np.abs(values).max(0)


def as_it_is(values: Array) -> Array:
    """A map that has one number for each place."""
    return values


@dataclass(frozen=True)
class Method:
    """A method: `function` is its public function, `find` what it does, `heat` how channels are taken together."""

    name: str
    function: Callable[..., Attribution]
    find: Callable[..., Found]
    paper: str
    heat: Callable[[Array], Array]
    signed: bool

    @property
    def summary(self) -> str:
        """The first line of what its function says."""
        return (self.find.__doc__ or "").strip().partition("\n")[0]

    @property
    def options(self) -> dict[str, Any]:
        """Its own options and what they are unless given."""
        parameters = inspect.signature(self.find).parameters.values()
        return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}


METHODS: dict[str, Method] = {}
"""Every method of attribution by name, with its options and its paper."""


def method(
    paper: str, *, name: str = "", heat: Callable[[Array], Array] = signed_sum
) -> Callable[[Callable[..., Found]], Callable[..., Attribution]]:
    """Register what a method does; gives its public function, which takes what `attribute` takes."""

    def register(find: Callable[..., Found]) -> Callable[..., Attribution]:
        known_as = name or find.__name__.replace("_", "-")

        @functools.wraps(find)
        def function(net: Module, image: Given, target: TargetLike = None, **options: Any) -> Attribution:
            return attribute(net, image, target, method=known_as, **options)

        ours = list(inspect.signature(attribute).parameters.values())
        own = [p for p in inspect.signature(find).parameters.values() if p.kind is p.KEYWORD_ONLY]
        shared = [p for p in ours if p.name not in ("method", "options", "layer")]
        function.__signature__ = inspect.Signature([*shared, *own], return_annotation="Attribution")  # type: ignore[attr-defined]
        METHODS[known_as] = Method(known_as, function, find, paper, heat, heat is signed_sum)
        return function

    return register


@carded
@long
def attribute(
    net: Module,
    image: Given,
    target: TargetLike = None,
    *,
    method: str = "grad-cam",
    layer: str | None = None,
    of: str = "",
    executor: str = "auto",
    seed: int = 0,
    **options: Any,
) -> Attribution:
    """Which places of a picture speak for a class: one of `METHODS`, on a float picture (C, H, W) as the network takes it.

    `target` is a class by number, or by its name on the network's card; or a place in any output or the sum over a region,
    as `"mask[1,10:20]"` or a `Target`. Unless given it is the class with the highest score, or the largest element where
    there are no classes. `image` may be a signal, or whatever floating numbers the network takes; for several inputs arrays
    by name, of which `of` says the one whose places are asked about. `layer` and `options` are the method's own
    (`METHODS[method].options`). Explained is the score before a final softmax. `net` is taken as it is in inference and left
    as it was. Raises `ScoreError` where the method is none for this network.
    """
    require_net(net)
    given = options if layer is None else {**options, "layer": layer}
    chosen = require_options(method, given)
    scores, picture, place = Scores.aimed(method, net, image, target, executor, of)
    with progress(method):
        found = chosen.find(Asked(scores, picture, place, seed), **given)
    final = scores.graph(picture.shape).final
    chose = f"{place} is {place.why} of the output" if place.why and place.class_number is None else ""
    note = "; ".join(part for part in (found.note, final and f"the score before the final {final}", chose) if part)
    return Attribution(
        method,
        place.class_number,
        place.label,
        found.score,
        found.map,
        picture[0],
        found.layer,
        note,
        promised=found.promised,
        place=place,
        input=scores.graph(picture.shape).image.name,
        channels=scores.graph(picture.shape).channels,
    )


def require_options(method: str, given: Mapping[str, Any]) -> Method:
    """The method called so. Raises for one that there is not, and for options that it has not, or that are of another kind."""
    if not isinstance(method, str) or method not in METHODS:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise unknown("method", method, METHODS)
    chosen = METHODS[method]
    kinds = typing.get_type_hints(chosen.find)
    for option, value in given.items():
        if option not in chosen.options:
            own = ", ".join(chosen.options) or "none"
            raise ScoreError(f"{method}: has no option {option!r}{suggest(option, chosen.options)}; its options: {own}")
        if not _is_of(kinds[option], value):
            raise ScoreError(f"{method}: {option} wants {_WANTED.get(kinds[option], 'a name')}, got {value!r}")
    return chosen


_WANTED = {bool: "True or False (yes or no)", int: "a whole number", float: f"a finite number within {LARGEST:g} of 0"}


def _is_of(kind: Any, value: Any) -> bool:
    """Whether a value is of the kind that an option has: a number is finite, at most `LARGEST` in size, and no True or False."""
    truth, whole = isinstance(value, bool | np.bool), isinstance(value, int | np.integer)
    if kind is bool or truth:
        return kind is bool and truth
    if kind is int:
        return whole
    if kind is float:
        return (whole or isinstance(value, float | np.floating)) and bool(abs(value) <= LARGEST)
    return isinstance(value, str | None)


def _concentration(heat: Array) -> str:
    weights = np.sort(np.abs(heat), axis=None)[::-1]
    if not weights.any():
        return "the map is zero everywhere"
    half = int(np.searchsorted(np.cumsum(weights, dtype=np.float64), weights.sum(dtype=np.float64) / 2)) + 1
    return f"half of the heat lies on {half / weights.size:.1%} of the picture"
