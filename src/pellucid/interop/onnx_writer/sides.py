"""What a network takes and gives in its file: names, shapes and types of inputs, as asked for or as it knows them itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from pellucid.data.image import shape_for
from pellucid.graph import Tensor, input
from pellucid.interop.errors import OnnxError
from pellucid.interop.onnx_reader import OnnxNetwork
from pellucid.nn.interface import InputSpec, floating_type
from pellucid.nn.module import Module
from pellucid.op import Shape

if TYPE_CHECKING:
    from pellucid.data import Preparation

Shapes = Sequence[int] | Mapping[str, Sequence[int]] | Sequence[Sequence[int]]
"""The shape of an input without the batch axis, or those of several."""
Example = npt.ArrayLike | Mapping[str, npt.ArrayLike]
"""An array with the batch axis, or those of several inputs by name."""
LIMIT = 2**31 - 2**20
"""Bytes of weights that one file can hold: protobuf's 2 GiB, less what surrounds them."""
_USUAL = "images", "logits"
"""What the only input and the only output of a network are called that has no names for them."""


@dataclass(frozen=True)
class AskedSides:
    """An input to build a network for: `shape` is without the batch axis where it has one."""

    name: str
    shape: Shape
    dtype: str
    has_batch: bool

    def tensor(self, batch: int) -> Tensor:
        """The input for batches of this size."""
        return input((batch, *self.shape) if self.has_batch else self.shape, self.dtype, self.name)


@dataclass(frozen=True)
class Sides:
    """What is asked of a network's inputs; what is None is as the network knows it, and `batch` of any size."""

    shapes: Shapes | None
    example: Example | None
    batch: int | None
    preprocessing: Preparation | None

    def __post_init__(self) -> None:
        if self.batch is not None and (isinstance(self.batch, bool) or not isinstance(self.batch, int | np.integer)):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise OnnxError(f"batch must be a whole number, got {self.batch!r}")
        if self.batch is not None and self.batch < 1:
            raise OnnxError(f"batch must be at least 1, got {self.batch}")
        if self.shapes is not None and self.example is not None:
            raise OnnxError("shape and example both say what the inputs are; give one of them")

    def shapes_of(self, names: Sequence[str]) -> dict[str, Sequence[int]]:
        """The shapes that are given for inputs called `names`, without the batch axis."""
        if self.example is not None:
            arrays = self.example if isinstance(self.example, Mapping) else dict.fromkeys(names[:1], self.example)
            return by_name({name: np.shape(array)[1:] for name, array in arrays.items()}, names)
        return by_name(self.shapes, names)

    def inputs(self, net: Module) -> list[AskedSides]:
        """The inputs to build a network for."""
        if isinstance(net, OnnxNetwork):
            return self._of_file(net)
        specs = self._specs(net)
        given = self.shapes if self.example is None else self.example
        plain = len(specs) == 1 and not isinstance(given, Mapping)
        floating = floating_type(net)
        return [
            AskedSides(_USUAL[0] if plain else s.name, (s.shape or ())[1:], s.dtype or floating, bool(s.shape))
            for s in specs
        ]

    def _of_file(self, net: OnnxNetwork) -> list[AskedSides]:
        specs = net.input_specs()
        given = self.shapes_of([spec.name for spec in specs])
        found: list[AskedSides] = []
        for spec in specs:
            has_batch = spec.name in given or net.takes_batches(spec.name)
            shape = given.get(spec.name, (spec.shape or ())[has_batch:])
            found.append(AskedSides(spec.name, tuple(shape), spec.dtype, has_batch))
        return found

    def _specs(self, net: Module) -> Sequence[InputSpec]:
        """The inputs of a network of our own or of PyTorch's, with the batch axis."""
        specs = net.input_specs()
        if self.example is not None:
            arrays = self.example if isinstance(self.example, Mapping) else {_USUAL[0]: self.example}
            return [_like(name, array) for name, array in arrays.items()]
        if self.shapes is None and specs and all(spec.shape for spec in specs):
            return specs
        shapes = _own_shapes(specs, self._known_shape(net) if self.shapes is None else self.shapes)
        types = {spec.name: spec.dtype for spec in specs}
        return [InputSpec(name, (1, *shape), types.get(name, "")) for name, shape in shapes.items()]

    def _known_shape(self, net: Module) -> tuple[int, ...]:
        if self.preprocessing is not None:
            return shape_for(self.preprocessing, self.preprocessing.shape)
        config = net.card.config
        if config is None:
            raise OnnxError(f"{type(net).__name__}: give the shape of one image: save_onnx(net, path, shape=(C, H, W))")
        return config["in_channels"], config["image_size"], config["image_size"]


def named_outputs(net: Module, made: Any) -> dict[str, Tensor]:
    """What a network gives, by the names that it knows; one without a name is called `logits`."""
    found = net.named_outputs(made)
    if not found:
        raise OnnxError(f"{type(net).__name__}: must give a tensor, or a tuple, list or dict of tensors")
    return {_USUAL[1]: made} if isinstance(made, Tensor) and not net.output_names else found


def _like(name: str, array: npt.ArrayLike) -> InputSpec:
    """An input like an array; floating numbers are of the network's type."""
    value = np.asarray(array)
    kinds = {"f": "", "i": "int64", "u": "int64", "b": "bool"}
    if value.dtype.kind not in kinds:
        raise OnnxError(f"example: {name!r} must be an array of numbers, got {value.dtype}")
    return InputSpec(name, value.shape, kinds[value.dtype.kind])


def _own_shapes(specs: Sequence[InputSpec], shapes: Shapes) -> dict[str, Sequence[int]]:
    """Shapes by the names of the inputs of `forward`, in its order; any names where it takes any number of tensors."""
    if isinstance(shapes, Mapping) and not specs:
        return dict(shapes)
    names = [spec.name for spec in specs if not spec.optional] or [f"input_{i}" for i in range(len(shapes))]
    if isinstance(shapes, Mapping):
        found = by_name(shapes, [spec.name for spec in specs])
        if missing := [name for name in names if name not in found]:
            raise OnnxError(f"shape: that of the input {missing[0]!r} is missing")
        return {spec.name: found[spec.name] for spec in specs if spec.name in found}
    if any(not isinstance(size, int) for size in shapes):
        names += [spec.name for spec in specs if spec.optional][: max(0, len(shapes) - len(names))]
    return by_name(shapes, names)


def by_name(shapes: Shapes | None, names: Sequence[str]) -> dict[str, Sequence[int]]:
    """The shapes that are given for inputs called `names`."""
    if shapes is None:
        return {}
    if not isinstance(shapes, Mapping):
        several = [shapes] if all(isinstance(size, int) for size in shapes) else shapes
        if len(several) != len(names):
            raise OnnxError(
                f"shape: has the shapes of {len(several)} inputs; they are {len(names)}: {', '.join(names)}"
            )
        shapes = dict(zip(names, cast(Sequence[Sequence[int]], several), strict=True))
    if wrong := [name for name in shapes if name not in names]:
        raise OnnxError(f"shape: there is no input {wrong[0]!r}; the inputs are {', '.join(names)}")
    return dict(shapes)
