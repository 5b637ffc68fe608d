"""A convolution with fixed scales and shifts per channel (a batch norm that stays as it is) is one convolution, forward and backward.

conv(x, w) * k + b = conv(x, w * k) + b. Of a slope g behind it the weight's slope(x, g * k) = slope(x, g) * k, and the image's
conv_transpose(g * k, w) = conv_transpose(g, w * k): weights are scaled instead of images, and once where they stay, too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from pellucid.graph import Parameter, Tensor, apply
from pellucid.op import Op
from pellucid.ops.convolution import Conv2d, Conv2dWeight, ConvTranspose2d
from pellucid.ops.elementwise import Add, Divide, Multiply, Subtract
from pellucid.ops.shape import Reshape
from pellucid.walks import Outputs, constant_nodes, rewrite, users

_SCALES = (Multiply, Divide)
_STEPS = (Add, Subtract, *_SCALES)
_RESULT = -1
_IMAGES: dict[type[Op], tuple[int, int]] = {Conv2d: (_RESULT, 0), ConvTranspose2d: (0, _RESULT), Conv2dWeight: (1, 0)}
"""Which inputs of a convolution, or its result, have channels that lie along the first and the second axis of its weight."""


def fold_norm(outputs: Outputs, changing: Sequence[Parameter] = ()) -> Outputs:
    """Fold scales and shifts by values that never change into a convolution's weight and one bias.

    Parameters in `changing` are not such values. A weight among them takes a scale in where it is no larger than the image.
    """
    return rewrite(outputs, _Folding(outputs, changing).rule)


class _Folding:
    """What folds in the graph of `outputs`."""

    def __init__(self, outputs: Outputs, changing: Sequence[Parameter]) -> None:
        self.readers = users(outputs)
        self.fixed = constant_nodes(outputs, changing)
        self._products: dict[object, tuple[Tensor, Tensor, Tensor]] = {}
        """Scaled weights, with the weight and the scale: as long as these are kept, nothing else has their ids."""

    def rule(self, node: Tensor, inputs: tuple[Tensor, ...]) -> Tensor | None:
        if type(node.op) in _IMAGES:
            return self._of_scaled(node, inputs)
        return None if self._step(node) is None or self._continues(node) else self._chain(node, inputs)

    def _step(self, node: Tensor) -> Tensor | None:
        """The value that `node` scales or shifts by something fixed, of shape (1, C, 1, 1)."""
        if not isinstance(node.op, _STEPS) or node.ndim != 4:
            return None
        a, b = node.inputs
        per_channel = (1, node.shape[1], 1, 1)
        if b in self.fixed and b.shape == per_channel and a.shape == node.shape and a not in self.fixed:
            return a
        commutes = isinstance(node.op, Add | Multiply) and a in self.fixed and a.shape == per_channel
        return b if commutes and b.shape == node.shape and b not in self.fixed else None

    def _continues(self, node: Tensor) -> bool:
        """Whether the only reader of `node` goes on with a fixed value per channel."""
        first, *others = self.readers[node]
        return not others and first is not node and self._step(first) is not None

    def _takes(self, convolution: Tensor, image: Tensor, position: int) -> bool:
        """Whether a convolution's weight can take in the scale of an image that it reads or makes, and is no more work than this."""
        weight = convolution if isinstance(convolution.op, Conv2dWeight) else convolution.inputs[1]
        return _axis(convolution.op, position) is not None and (weight in self.fixed or weight.size <= image.size)

    def _chain(self, node: Tensor, inputs: tuple[Tensor, ...]) -> Tensor | None:
        """A convolution and the steps up to `node`, which nothing else reads, as a convolution and one shift."""
        steps: list[Tensor] = []
        value = node
        while (step := self._step(value)) is not None and len(self.readers[step]) == 1:
            steps.append(value)
            value = step
        if not isinstance(value.op, Conv2d | ConvTranspose2d) or not any(isinstance(s.op, _SCALES) for s in steps):
            return None
        if not self._takes(value, value, _RESULT):
            return None
        x, weight = _chain_start(dict(zip(node.inputs, inputs, strict=True)), steps).inputs
        shift: Tensor | None = None
        for step in reversed(steps):
            other = _other(step)
            if isinstance(step.op, _SCALES):
                weight = self._scaled(weight, step.op, other, _axis(value.op, _RESULT))
                shift = None if shift is None else apply(step.op, shift, other)
            elif shift is not None:
                shift = apply(step.op, shift, other)
            else:
                shift = other if isinstance(step.op, Add) else 0.0 - other
        convolved = apply(value.op, x, weight, name=node.name)
        return convolved if shift is None else apply(Add(), convolved, shift, name=node.name)

    def _of_scaled(self, node: Tensor, inputs: tuple[Tensor, ...]) -> Tensor | None:
        """A convolution of images that are scaled for convolutions alone, as one of the images before."""
        bare, scales = list(inputs), list[tuple[Op, Tensor, int | None]]()
        for position, image in enumerate(node.inputs):
            while self._vanishes(image) and bare[position].op == image.op:  # which what makes it has not taken in
                by = _other(image)
                before = 0 if by is image.inputs[1] else 1
                scales.append((image.op, by, _axis(node.op, position)))
                image, bare[position] = image.inputs[before], bare[position].inputs[before]
        if not scales:
            return None
        if not isinstance(node.op, Conv2dWeight):
            for scale in scales:
                bare[1] = self._scaled(bare[1], *scale)
            return node.made_of(node.op, tuple(bare))
        slope = node.made_of(node.op, tuple(bare))
        for op, by, axis in scales:
            slope = apply(op, slope, _along(by, axis), name=node.name)
        return slope

    def _vanishes(self, image: Tensor) -> bool:
        """Whether an image is made by a fixed scale, and read by nothing but convolutions that take it in."""
        if (
            not isinstance(image.op, _SCALES)
            or self._step(image) is None
            or any(r is image for r in self.readers[image])
        ):
            return False
        return all(
            all(self._takes(r, image, position) for position, i in enumerate(r.inputs) if i is image)
            if type(r.op) in _IMAGES
            else self._vanishes(r)
            for r in self.readers[image]
        )

    def _scaled(self, weight: Tensor, op: Op, by: Tensor, axis: int | None) -> Tensor:
        """The scaled weight, one for forward and backward, which multiply in another order what the scale is made of."""
        key = id(weight), op, frozenset(Counter(map(id, _factors(by))).items()), axis
        if key not in self._products:
            self._products[key] = apply(op, weight, _along(by, axis)), weight, by
        return self._products[key][0]


def _axis(op: Op, position: int) -> int | None:
    """The axis of a convolution's weight along the channels of an image; None for what is none, or where groups share the axis."""
    images = _IMAGES[type(op)]
    if position == images[0]:
        return 0
    whole = isinstance(op, Conv2d | ConvTranspose2d | Conv2dWeight) and op.groups == 1
    return 1 if position == images[1] and whole else None


def _along(by: Tensor, axis: int | None) -> Tensor:
    """One number per channel (1, C, 1, 1), along an axis of a weight."""
    return by if axis == 1 else apply(Reshape((by.size, 1, 1, 1)), by)


def _other(step: Tensor) -> Tensor:
    """What a step scales or shifts by."""
    a, b = step.inputs
    return b if b.shape != step.shape else a


def _factors(by: Tensor) -> list[Tensor]:
    """What a product is made of."""
    return [f for i in by.inputs for f in _factors(i)] if isinstance(by.op, Multiply) else [by]


def _chain_start(rewritten: dict[Tensor, Tensor], steps: list[Tensor]) -> Tensor:
    """The rewritten convolution below the rewritten inputs of the last step, the first of `steps`."""
    place = None
    for step in steps:
        before = 0 if step.inputs[0].shape == step.shape else 1
        place = rewritten[step.inputs[before]] if place is None else place.inputs[before]
    assert place is not None
    return place
