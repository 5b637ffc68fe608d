"""`load_onnx` and the network it gives: parameters under the file's names, and a graph rebuilt for any inputs."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeGuard
from weakref import WeakKeyDictionary

import numpy as np

from pellucid.budget import Budget
from pellucid.graph import Constant, Parameter, Tensor, input
from pellucid.interop.errors import OnnxError, UnsupportedError
from pellucid.interop.onnx_reader.branches import in_place, is_branching, is_loop, lift_arrays
from pellucid.interop.onnx_reader.build import NodeBuilder, Values
from pellucid.interop.onnx_reader.given import with_given
from pellucid.interop.onnx_reader.head import find_head
from pellucid.interop.onnx_reader.model import Body, Model, Node, Value, model_of, read_model
from pellucid.interop.onnx_reader.original import Original, restate
from pellucid.interop.onnx_reader.roles import roles_of
from pellucid.interop.onnx_reader.sequences import Held, described
from pellucid.interop.onnx_reader.sizes import by_symbol, open_names, shapes_of
from pellucid.interop.onnx_reader.stated import of_metadata
from pellucid.interop.onnx_reader.unsupported import unsupported
from pellucid.interop.onnx_reader.values import INTEGERS, dtype_of
from pellucid.interop.onnx_reader.whole import in_whole
from pellucid.nn import Card
from pellucid.nn.axes import LAYOUTS, PICTURE, layout_in, layout_of
from pellucid.nn.initializers import fan_in_uniform
from pellucid.nn.interface import InputSpec
from pellucid.nn.module import Module
from pellucid.nn.score_kind import SIGMOID, kind_of_scores
from pellucid.op import Array, Shape
from pellucid.plain import PlainError
from pellucid.scopes import inference_mode
from pellucid.text import amount
from pellucid.walks import evaluate


class OnnxNetwork(Module):
    """The network of an ONNX file. Floating weights are parameters under the names that they have in the file.

    `net(*inputs)` builds the file's graph on tensors of any shapes that it can take. `input_shapes` has the declared
    shape of each input, `output_names` the outputs. In training mode batch normalization and dropout behave as in
    training. `initialize` gives the weights their values in the file again.
    """

    def __init__(
        self, model: Model, dimensions: Mapping[str, int] | None = None, preset: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__()
        _require_known(model)
        self._budget = Budget()
        self._dimensions, self._preset = dict(dimensions or {}), dict(preset or {})
        known = model.body.inputs
        model = with_given(lift_arrays(model), preset or {}, dimensions or {}, self._budget)
        self.input_shapes: dict[str, Shape] = shapes_of(model.body.inputs, dimensions or {}, known)
        self.output_names: tuple[str, ...] = tuple(v.name for v in model.body.outputs)
        self._input_elements = {v.name: v.element or "FLOAT" for v in model.body.inputs}
        self._fixed, self._nodes, elements = _fold(model, preset or {}, self._budget)
        lightened = Body(model.body.inputs, (), (), {})  # lets go of the arrays
        self._model = dataclasses.replace(model, elements=elements, body=lightened, proto=None, numbers={})
        self._weights: dict[str, str] = {}
        roles = roles_of(self._nodes)
        starts: dict[str, Array] = {}
        ours = model.producer == "pellucid"  # which writes parameters as initializers, and nothing else
        for name, tensor in [*self._fixed.items()]:
            role = roles.get(name, "")
            assert isinstance(tensor.op, Constant)
            if (ours and name not in model.body.arrays) or name in (preset or {}):
                continue
            given = name in model.body.arrays and tensor.ndim > 0
            if tensor.dtype.startswith("float") and (role == "weight" or (given and role == "value")):
                self._keep(name, tensor.op.value, trainable=True)
                starts[name] = tensor.op.value
            elif tensor.dtype.startswith("float") and role == "statistic":
                self._keep(name, tensor.op.value, trainable=False)
                starts[name] = tensor.op.value
        given = {name: model.body.arrays[name] for name in preset or {}}
        self._original = Original.of(model, starts, given)

    def _keep(self, name: str, value: Array, trainable: bool) -> None:
        """Make a parameter of an array of the file; a name that means something else here gets `_` behind it."""
        attribute = name
        while hasattr(self, attribute) or (attribute != name and attribute in self._fixed):
            attribute += "_"
        vars(self)[attribute] = Parameter(
            value.shape, lambda shape, generator: value, str(value.dtype), attribute, trainable
        )
        self._weights[name] = attribute
        del self._fixed[name]

    def forward(self, *inputs: Tensor) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The outputs for tensors in the order of `input_shapes`; a tuple if the file has several."""
        if len(inputs) != len(self.input_shapes):
            raise OnnxError(
                f"wants {amount(len(self.input_shapes), 'input')} ({', '.join(self.input_shapes)}), got {len(inputs)}"
            )
        values: Values = {**self._fixed, **{name: getattr(self, own) for name, own in self._weights.items()}}
        for (name, element), tensor in zip(self._input_elements.items(), inputs, strict=True):
            if tensor.dtype != dtype_of(name, element):
                raise OnnxError(
                    f"input {name!r}: expected {dtype_of(name, element)}, got {tensor.dtype} (from {tensor.name!r})"
                )
            values[name] = tensor
        builder = NodeBuilder(self._model, self.training, self._budget.copy())
        builder.run(self._nodes, values)
        outputs: list[Tensor] = []
        for name in self.output_names:
            output = values.get(name)
            if not isinstance(output, Tensor):
                why = "is not computed" if output is None else f"is {described(output)}"
                raise OnnxError(f"the output {name!r} {why}; a network gives tensors alone")
            outputs.append(in_whole(builder.lengths.whole(output), builder.elements.get(name, "")))
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    @property
    def head(self) -> tuple[str, ...]:
        """Names of the parameters of the last layer, which makes the scores; an `OnnxError` where there is no such layer."""
        found = find_head(self._nodes, self.output_names[0], self._weights)
        return tuple(self._weights[name] for name in (found.weight, found.bias) if name)

    def set_classes(self, num_classes: int) -> None:
        """Draw a new last layer for another number of classes; nothing happens where the number is the same.

        One score with a sigmoid is that of two classes.
        """
        found = find_head(self._nodes, self.output_names[0], self._weights)
        old: Parameter = getattr(self, self._weights[found.weight])
        have = old.shape[found.axis]
        if have == num_classes or ((have, num_classes) == (1, 2) and self._tells_two_apart()):
            return
        start = fan_in_uniform(old.size // old.shape[found.axis])
        for name, shape in found.shapes(old.shape, num_classes).items():
            attribute = self._weights[name]
            vars(self)[attribute] = Parameter(shape, start, old.dtype, attribute)

    def _tells_two_apart(self) -> bool:
        """Whether the output is one probability, of the second of two classes."""
        output = self(*self.example_inputs())
        return isinstance(output, Tensor) and kind_of_scores(output).name == SIGMOID

    def proto(self) -> Any:
        """The file that it came from, as a ModelProto with the weights that the network has now; None where it cannot be."""
        parameters = {name: getattr(self, own) for name, own in self._weights.items()}
        proto = self._original.filled(parameters)
        if proto is not None and self._original.are_resized(parameters):
            with inference_mode():
                made = self.named_outputs(self(*self.example_inputs()))
            restate(proto, [y.shape for y in made.values()])
        return proto

    def without_numbers(self, known: Collection[str] = ()) -> bytes:
        """The file that it came from, with all but the numbers of parameters, which a reader must have from elsewhere.

        So it must have the values of inputs that were given some, of which those are `known`.
        """
        if missing := [name for name in self._original.given if name not in known]:
            raise OnnxError(f"inputs have fixed values: {', '.join(missing)}; the file alone does not have them")
        return self._original.named()

    def fixed_names(self) -> list[str]:
        """The values that the file states beside parameters."""
        return [*self._original.others]

    def fixed_value(self, name: str) -> tuple[Array, tuple[int, int] | None]:
        """What the file states under a name, and of whole numbers the ends that its element type has."""
        value, element = self._original.value(name)
        return value, INTEGERS.get(element)

    def with_fixed(self, values: Mapping[str, Array]) -> OnnxNetwork:
        """The network of the file with other values in it, on the same parameters; what is computed of the values is new."""
        parameters = {name: getattr(self, own) for name, own in self._weights.items()}
        proto = self._original.with_values(values).filled(parameters)
        if proto is None:
            raise OnnxError(f"{', '.join(values)}: its branches compute with parameters that have changed")
        twin = OnnxNetwork(model_of(proto), self._dimensions, self._preset)
        for name, own in twin._weights.items():
            if name in self._original.places:
                vars(twin)[own] = parameters[name]
        twin.card = self.card
        twin.train(vars(self)["training"])
        return twin

    @property
    def file_names(self) -> dict[str, str]:
        """What each parameter is called in the file, by its name here."""
        return {own: name for name, own in self._weights.items()}

    def takes_batches(self, name: str) -> bool:
        """Whether the file leaves open the first axis of an input."""
        return 0 in self.open_axes(name)

    def open_axes(self, name: str) -> tuple[int, ...]:
        """The axes of an input whose sizes the file leaves open."""
        shape = next((v.shape for v in self._model.body.inputs if v.name == name), None)
        return tuple(axis for axis, size in enumerate(shape or ()) if not isinstance(size, int))

    @property
    def opset(self) -> int:
        """The version of ONNX's operator set that the file is written for."""
        return self._model.opsets.get("", 0)

    @property
    def metadata(self) -> dict[str, str]:
        """What the file says of itself, by name: `save_onnx` writes classes and preprocessing as JSON."""
        return dict(self._model.metadata)

    def example_inputs(self) -> tuple[Tensor, ...]:
        """Inputs of the declared shapes, to be fed under the names that they have in the file."""
        types = self._input_elements
        return tuple(input(shape, dtype_of(name, types[name]), name) for name, shape in self.input_shapes.items())

    def input_specs(self) -> tuple[InputSpec, ...]:
        """The file's inputs."""
        types = self._input_elements
        return tuple(InputSpec(n, shape, dtype_of(n, types[n])) for n, shape in self.input_shapes.items())

    def layer_kinds(self) -> dict[str, str]:
        """The file's nodes by name, and their operators."""
        return {node.name: node.kind for node in self._nodes}

    def describe(self) -> str:
        """Inputs and outputs, as text."""
        shapes = ", ".join(f"{name} {shape}" for name, shape in self.input_shapes.items())
        return f"{shapes} -> {', '.join(self.output_names)}"


def load_onnx(path: Path | str, *, set: Mapping[str, Any] | None = None, **dimensions: int) -> OnnxNetwork:
    """The network in an ONNX file, in inference mode: `net = pl.load_onnx("model.onnx", height=224, width=224)`.

    Sizes that the file leaves open take their values from keywords, by the file's symbol, by place (`x_2` is the axis 2 of
    the input x), or, of pictures, as `height`, `width`, `channels` and `batch`; a leading batch axis is 1 unless given.
    Inputs named in `set` have the values that it gives, a number or an array, and are inputs no more: `set={"sr": 16000}`.
    What is wrong with the file, or asks for an operator that there is not, is an `OnnxError`.
    """
    net = load_in_layout(Path(path), lambda inputs, layout: by_symbol(inputs, dimensions, layout), set)
    try:
        found = of_metadata(net.metadata)
    except PlainError as error:
        raise OnnxError(
            f"{path}: its metadata states classes or a preprocessing that make no sense ({error})"
        ) from error
    net.card = Card(found.classes or (), found.preprocessing)
    return net


def load_in_layout(
    path: Path,
    choose: Callable[[Sequence[Value], str], Mapping[str, int]],
    preset: Mapping[str, Any] | None = None,
    left_out: Mapping[str, Array] | None = None,
) -> OnnxNetwork:
    """The network in an ONNX file, for whose open sizes `choose` gives values, by the layout of pictures that the graph has.

    It gets the inputs that `preset` gives no value, and a layout, `NCHW` or `NHWC`. What `preset` names that is no input but
    an open size is the value of that. Numbers of parameters that the file leaves out are those in `left_out`.
    """
    with _named(path):
        model = read_model(path, left_out)
        _require_known(model)
    taken = {value.name for value in model.body.inputs}
    open_here = {name for name in open_names(model.body.inputs) if name not in taken}
    given = {name: _as_size(path, name, value) for name, value in (preset or {}).items() if name in open_here}
    preset = {name: value for name, value in (preset or {}).items() if name not in given}
    inputs = [value for value in model.body.inputs if value.name not in preset]
    tried: list[Mapping[str, int]] = []
    loaded: list[OnnxNetwork] = []
    refused: dict[str, OnnxError] = {}
    for layout in LAYOUTS:
        try:
            with _named(path):
                sizes = {**choose(inputs, layout), **given}
                if sizes in tried:
                    continue
                tried.append(sizes)
                net = OnnxNetwork(model, sizes, preset)
                net.eval()
                outputs = net.named_outputs(net(*net.example_inputs()))
        except OnnxError as error:
            refused[layout] = error
            continue
        _LAYOUTS[net] = layout_in(outputs) or PICTURE
        if not sizes or layout_of_file(net) == layout:
            return net
        loaded.append(net)
    own = layout_of_file(loaded[0]) if loaded else next(iter(refused))
    if own in refused:
        raise refused[own]
    return loaded[0]


_LAYOUTS: WeakKeyDictionary[OnnxNetwork, str] = WeakKeyDictionary()


def layout_of_file(net: OnnxNetwork) -> str:
    """`layout_of`, found once, when the file is loaded: its graph stays as it is."""
    if net not in _LAYOUTS:
        _LAYOUTS[net] = layout_of(net)
    return _LAYOUTS[net]


def _as_size(path: Path, name: str, value: Any) -> int:
    """The number of places that an open axis is given."""
    array = np.asarray(value)
    if array.ndim or array.dtype.kind not in "iu" or array < 1:
        raise OnnxError(f"{path}: {name} is an open size of the inputs and wants a whole number, got {value!r:.40}")
    return int(array)


def load_with(
    path: Path, choose: Callable[[Sequence[Value]], Mapping[str, int]], preset: Mapping[str, Any] | None = None
) -> OnnxNetwork:
    """The same where what is chosen has nothing to do with the layout."""
    return load_in_layout(path, lambda inputs, layout: choose(inputs), preset)


@contextmanager
def _named(path: Path) -> Generator[None]:
    """Errors inside name the file."""
    try:
        yield
    except OnnxError as error:
        if str(path) not in str(error):
            error.args = (f"{path}: {error}", *error.args[1:])  # of whatever kind it is
        raise


def _require_known(model: Model) -> None:
    if counts := unsupported(model):
        names = ", ".join(f"{name} ({count})" for name, count in counts.items())
        raise UnsupportedError(f"operators that cannot be opened, with how often they occur: {names}")


def _fold(
    model: Model, preset: Mapping[str, Any], budget: Budget
) -> tuple[dict[str, Tensor], tuple[Node, ...], dict[str, str]]:
    """What the file gives or depends on that alone, by name; the nodes that are left; and the elements' types."""
    values: Values = {name: typed.tensor(name) for name, typed in model.body.arrays.items()}
    floating = {
        n for n, typed in model.body.arrays.items() if typed.array.dtype.kind == "f" and typed.array.ndim
    } - preset.keys()
    roles = roles_of(model.body.nodes)
    weights = {name for name in floating if roles.get(name) != "setting"}
    builder = NodeBuilder(model, False, budget)
    taken = {*values, *model.body.own, *(node.name for node in model.body.nodes)}
    left: list[Node] = []
    waiting = deque(model.body.nodes)
    while waiting:
        node = waiting.popleft()
        read = node.reads() if is_loop(node) else filter(None, node.inputs)
        known = all(name in values and name not in weights for name in read)
        if is_branching(node) and known and _is_constant(condition := values.get(node.inputs[0])):
            waiting.extendleft(reversed(in_place(node, bool(evaluate(condition, ()).all()), taken)))
            continue
        if known and node.kind not in _NEVER_FIXED:
            builder.run([node], values)
        if not known or any(n and not _is_constant(values.get(n)) for n in node.outputs):
            left.append(node)
    fixed = {n: t for n, t in values.items() if _is_constant(t)}
    return fixed, tuple(left), builder.elements


_NEVER_FIXED = ("Dropout", "If")
"""Operators that depend on more than their inputs: on the mode, on values around them."""


def _is_constant(held: Held) -> TypeGuard[Tensor]:
    return isinstance(held, Tensor) and isinstance(held.op, Constant)
