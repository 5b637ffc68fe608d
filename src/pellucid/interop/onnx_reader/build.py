"""From nodes of an ONNX file to nodes of a graph: runs handlers, folds constants, expands functions."""

from __future__ import annotations

import dataclasses
from collections import ChainMap
from collections.abc import Generator, Iterable, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from typing import Any

from pellucid.budget import Budget, BudgetError
from pellucid.errors import PellucidError
from pellucid.graph import Constant, Input, Parameter, Tensor, constant, topological
from pellucid.interop.errors import OnnxError, require_onnx, schema_of
from pellucid.interop.onnx_reader.branches import BRANCHES, Entrance, choose, is_branching, is_loop
from pellucid.interop.onnx_reader.loops import LoopSite, entering, unroll, varying
from pellucid.interop.onnx_reader.model import (
    MAX_DEPTH,
    Body,
    Function,
    Model,
    Node,
    Reference,
    Typed,
    completed,
    function_of,
)
from pellucid.interop.onnx_reader.operators.registry import Call, Handler, find_handler
from pellucid.interop.onnx_reader.ragged import Lengths, Ragged
from pellucid.interop.onnx_reader.sequences import Held, Items, Maker, Rule, described, rule_of
from pellucid.interop.onnx_reader.whole import in_one_type, in_whole
from pellucid.op import Array
from pellucid.ops.convolution import Conv2d, ConvTranspose2d, Fold, Unfold
from pellucid.ops.pooling import AveragePool2d, MaxPool2d
from pellucid.scopes import qualified, scope
from pellucid.walks import evaluate

MAX_NODES = 50_000
"""Operators of a model after its functions are expanded, and its loops."""

Values = MutableMapping[str, Held]

_KEEP_ELEMENT = {
    "Identity", "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten", "Slice", "Split", "Concat", "Expand", "Gather",
    "Tile", "Pad", "DepthToSpace", "SpaceToDepth", "MaxPool", "GlobalMaxPool", "Relu", "Max", "Min", "Clip",
}  # fmt: skip
"""Operators that move or pick elements of their first input, in whatever type they lie."""


class NodeBuilder:
    """Builds one graph. Everything that depends on constants alone is computed on the way."""

    def __init__(self, model: Model, training: bool, budget: Budget) -> None:
        self.functions = model.functions
        self.opsets = model.opsets
        self.training = training
        self.elements = dict(model.elements)
        self._fixed: dict[Tensor, bool] = {}
        self._budget = budget
        self._count = 0
        self.lengths = Lengths()
        self._definitions: dict[tuple[str, str, int], Function] = {}

    def run(self, nodes: Iterable[Node], values: Values) -> None:
        """Compute the nodes' outputs from `values`, and add them there, within the budget of the file."""
        with self._budget.open():
            self._run(nodes, values, 0)

    def _run(self, nodes: Iterable[Node], values: Values, depth: int) -> None:
        for node in nodes:
            self._count += 1
            if self._count > MAX_NODES:
                raise OnnxError(f"more than {MAX_NODES} operators after functions and loops are expanded")
            inputs: list[Held] = []
            for name in node.inputs:
                if name and name not in values:
                    raise OnnxError(
                        f"{node}: its input {name!r} is not computed before it: nothing in the file makes it"
                    )
                inputs.append(values[name] if name else None)
            try:
                outputs = self.call(node, inputs, values, depth)
            except BudgetError as error:
                raise OnnxError(f"{node}: {error}") from error
            for name, output in zip(node.outputs, outputs, strict=False):
                if name:
                    values[name] = output

    def call(self, node: Node, inputs: Sequence[Held], values: Values, depth: int) -> Sequence[Held]:
        """The outputs of one node."""
        if depth > MAX_DEPTH:
            raise OnnxError(f"{node}: functions and graphs are nested more than {MAX_DEPTH} deep")
        function = self.functions.get((node.domain, node.kind))
        if function is not None:
            return self.expand(node, function, inputs, depth)
        if is_branching(node):
            return self._branch(node, inputs, values, depth)
        if is_loop(node):
            return self._loop(node, inputs, values, depth)
        if (rule := rule_of(node)) is not None:
            return [self._of_sequence(node, rule, inputs, depth)]
        if (node.kind, node.domain) == ("Identity", "") and isinstance(inputs[0], Items):
            return inputs
        handler = find_handler(node)
        if handler is None:
            return self.expand(node, self._definition(node, inputs), inputs, depth)
        return self._handled(node, handler, _tensors(node, inputs), depth)

    def _handled(
        self, node: Node, handler: Handler, inputs: Sequence[Tensor | None], depth: int
    ) -> Sequence[Tensor | None]:
        """The outputs of an operator that is made of ours."""
        elements = tuple(self.elements.get(name, "") for name in node.inputs)
        if handler.defaults:
            node = dataclasses.replace(node, attributes={**handler.defaults, **node.attributes})
        call = Call(node, elements, self.training, self._count)
        with _told(node):
            with scope(node.name):
                handler.require(call, inputs)
                if not handler.whole:
                    inputs = in_one_type(inputs, elements, not node.domain and node.kind in _KEEP_ELEMENT)
                outputs = self.lengths.outputs(call, handler, inputs)
            self.elements.update({node.outputs[k]: e for k, e in call.made.items() if k < len(node.outputs)})
            self._remember_elements(node, elements, outputs)
            return [self._finished(node, number, output, inputs, depth) for number, output in enumerate(outputs)]

    def expand(self, node: Node, function: Function, inputs: Sequence[Held], depth: int) -> Sequence[Held]:
        """The outputs of an operator that is defined by others."""
        attributes = {**function.defaults, **node.attributes}
        values: Values = dict.fromkeys(function.inputs)
        values.update(zip(function.inputs, inputs, strict=False))
        outside = self.elements
        known = (outside.get(name, "") for name in node.inputs)
        self.elements = dict(zip(function.inputs, known, strict=False))
        with scope(node.name):
            self._run((_resolved(n, attributes) for n in function.nodes), values, depth + 1)
        inside, self.elements = self.elements, outside
        outside.update({o: inside[i] for o, i in zip(node.outputs, function.outputs, strict=False) if i in inside})
        made = [values.get(name) for name in function.outputs]
        return [v if isinstance(v, Items) else self._finished(node, k, v, inputs, depth) for k, v in enumerate(made)]

    def _branch(self, node: Node, inputs: Sequence[Held], values: Values, depth: int) -> Sequence[Held]:
        """The outputs of the branch that a constant condition takes; else of both, of which the condition picks."""
        (condition,) = _tensors(node, inputs)
        if condition is None:
            raise OnnxError(f"{node}: has no condition")

        def run(branch: str, seen: Mapping[str, Held]) -> Sequence[Held]:
            body: Body = node.attributes[branch]
            with scope(node.name):
                inside = self._inside(body, body.nodes, {**_arrays(body), **seen}, values, depth)
            return self._given(body, inside, node.outputs)

        if not isinstance(condition.op, Constant):
            return choose(node, condition, values, run, self.lengths)
        return run(BRANCHES[not condition.op.value.all()], {})

    def _loop(self, node: Node, inputs: Sequence[Held], values: Values, depth: int) -> Sequence[Held]:
        """The outputs of a loop, whose trips are written one behind the other; what is the same in each is written once."""
        body: Body = node.attributes["body"]
        names, rows = [value.name for value in body.inputs], varying(body)
        for name, outer in zip(names, entering(node), strict=False):
            if outer in self.elements:
                self.elements.setdefault(name, self.elements[outer])
        shared: dict[str, Held] = _arrays(body)
        settled = {name for each in body.nodes for name in each.outputs}.difference(*(each.outputs for each in rows))
        nodes: Sequence[Node] = body.nodes

        def run(trip: str, given: Sequence[Held], happens: Tensor | None) -> list[Held]:
            nonlocal nodes
            with scope(node.name), scope(trip), self.lengths.inside(happens):
                around = {} if happens is None else Entrance(happens, self.lengths).seen(body, values)
                own = {**shared, **around, **dict(zip(names, given, strict=True))}
                inside = self._inside(body, nodes, own, values, depth)
            shared.update({name: inside[name] for name in settled if name in inside})
            nodes = rows
            return self._given(body, inside, ())

        call = Call(node, (), self.training, self._count)
        whole = [self._in_whole(held, name) for held, name in zip(inputs, node.inputs, strict=True)]
        site = LoopSite(call, whole, run, self._maker(node, depth), values, self.lengths, MAX_NODES - self._count)
        with _told(node), scope(node.name):
            made = unroll(site)
        skipped = len(body.outputs) - len(made)
        known = (self.elements.get(value.name, "") for value in body.outputs[skipped:])
        self.elements.update(zip(node.outputs, known, strict=False))
        return [self._finished(node, 1, held, (), depth) if isinstance(held, Ragged) else held for held in made]

    def _inside(
        self, body: Body, nodes: Iterable[Node], own: dict[str, Held], values: Values, depth: int
    ) -> MutableMapping[str, Held]:
        """The values of a graph inside of a node, which sees those around it."""
        inside: Values = ChainMap(own, values)
        self._run((_resolved(n, body.given) for n in nodes), inside, depth + 1)
        return inside

    def _given(self, body: Body, inside: Mapping[str, Held], outputs: Sequence[str]) -> list[Held]:
        """What such a graph gives, whole numbers as int64; the types of its outputs are those of its node's."""
        names = [value.name for value in body.outputs]
        self.elements.update(zip(outputs, (self.elements.get(name, "") for name in names), strict=False))
        return [self._in_whole(inside.get(name), name) for name in names]

    def _in_whole(self, held: Held, name: str) -> Held:
        return in_whole(held, self.elements.get(name, "")) if isinstance(held, Tensor) else held

    def _of_sequence(self, node: Node, rule: Rule, inputs: Sequence[Held], depth: int) -> Held:
        """What an operator on sequences gives."""
        call = Call(node, (), self.training, self._count)
        with _told(node), scope(node.name):
            made = rule(
                call,
                self._maker(node, depth),
                [self._in_whole(*pair) for pair in zip(inputs, node.inputs, strict=True)],
            )
        known = [self.elements[name] for name in node.inputs if self.elements.get(name)]
        counts = {"SequenceLength": "INT64", "OptionalHasElement": "BOOL"}
        if node.outputs and (element := counts.get(node.kind, known[0] if known else "")):
            self.elements[node.outputs[0]] = element
        return made

    def _maker(self, node: Node, depth: int) -> Maker:
        """What computes other operators where a node stands."""

        def make(kind: str, *inputs: Tensor, outputs: int = 1, **attributes: int) -> list[Tensor]:
            other = Node(
                kind, "", max(node.opset, _MAKERS_OPSET), kind.lower(), ("",) * len(inputs), ("",) * outputs, attributes
            )
            return [made for made in self.call(other, inputs, {}, depth + 1) if isinstance(made, Tensor)]

        return make

    def _definition(self, node: Node, inputs: Sequence[Held]) -> Function:
        """ONNX's own definition of an operator, for inputs of these types."""
        onnx = require_onnx()
        if not onnx.defs.has(node.kind, node.domain):
            raise OnnxError(f"{node}: there is no such operator in {node.domain or 'ONNX'!r}")
        schema = schema_of(node.kind, node.opset, node.domain)
        if schema.has_function:
            place = node.kind, node.domain, node.opset
            if place not in self._definitions:
                version = _latest(schema.function_opset_versions, node.opset)
                self._definitions[place] = function_of(schema.get_function_with_opset_version(version), self.opsets)
            return self._definitions[place]
        if not schema.has_context_dependent_function:
            raise OnnxError(f"{node}: {node.kind} cannot be opened")
        types: list[bytes] = []
        for name, tensor in zip(node.inputs, _tensors(node, inputs), strict=True):
            if tensor is None:
                types.append(onnx.TypeProto().SerializeToString())
                continue
            element = self.elements.get(name) or _ELEMENTS[tensor.dtype]
            number = onnx.TensorProto.DataType.Value(element)
            types.append(onnx.helper.make_tensor_type_proto(number, tensor.shape).SerializeToString())
        if held := [n for n, a in node.attributes.items() if isinstance(a, Typed | Body)]:
            raise OnnxError(f"{node}: {node.kind} with {', '.join(held)} cannot be opened")
        proto = onnx.helper.make_node(node.kind, node.inputs, node.outputs, node.name, **node.attributes)
        version = _latest(schema.context_dependent_function_opset_versions, node.opset)
        data = schema.get_context_dependent_function_with_opset_version(version, proto.SerializeToString(), types)
        if not data:
            raise OnnxError(f"{node}: {node.kind} cannot be opened with inputs of these types")
        return function_of(data, self.opsets)

    def _remember_elements(
        self, node: Node, elements: Sequence[str], outputs: Sequence[Tensor | Ragged | None]
    ) -> None:
        """Note the element types of outputs that keep the type of the first input, or state it."""
        to = node.attributes.get("to")
        for name, output in zip(node.outputs, outputs, strict=False):
            if not name or name in self.elements or output is None:
                continue
            if node.kind == "Cast":
                self.elements[name] = require_onnx().TensorProto.DataType.Name(to)
            elif node.kind in ("Constant", "ConstantOfShape"):
                value = node.attributes.get("value")
                self.elements[name] = value.element if isinstance(value, Typed) else ""
            elif node.kind in _KEEP_ELEMENT and elements:
                self.elements[name] = elements[0]

    def _finished(
        self, node: Node, number: int, output: Tensor | Ragged | None, inputs: Sequence[Held], depth: int
    ) -> Tensor | None:
        """An output folded if it is constant, and under the node's name if the node made it, within what it is inside of."""
        if output is None:
            return None
        if isinstance(output, Ragged):
            finished = self._finished(node, number, output.tensor, inputs, depth)
            assert finished is not None
            count = self._folded(node, output.count) if self._is_fixed(output.count) else output.count
            kept = self.lengths.keep(
                finished, Ragged(finished, output.axis, count), [i for i in inputs if isinstance(i, Tensor)]
            )
            self._fixed[kept] = isinstance(kept.op, Constant)
            return kept
        if self._is_fixed(output):
            output = self._folded(node, output)
        made = bool(output.inputs) or isinstance(output.op, Constant)
        if number == 0 and made and not any(output is i for i in inputs):
            output = output.named(qualified(node.name) if depth else node.name)
        self._fixed[output] = isinstance(output.op, Constant)
        return output

    def _is_fixed(self, output: Tensor) -> bool:
        """Whether a tensor depends on constants alone."""
        stack = [output]
        while stack:
            node = stack[-1]
            if node in self._fixed:
                stack.pop()
                continue
            if isinstance(node.op, Input) or isinstance(node, Parameter):
                self._fixed[node] = False
                stack.pop()
                continue
            waiting = [i for i in node.inputs if i not in self._fixed]
            if waiting:
                stack.extend(waiting)
                continue
            self._fixed[node] = all(self._fixed[i] for i in node.inputs)
            stack.pop()
        return self._fixed[output]

    def _folded(self, node: Node, output: Tensor) -> Tensor:
        """The value of a tensor that depends on constants alone."""
        if isinstance(output.op, Constant):
            return output
        order = topological([output])
        made = [n for n in order if not isinstance(n.op, Constant)]
        held = sum(n.nbytes for n in made)
        self._budget.take(passing=held)
        operations = sum(max(n.op.cost(n).flops, n.size) for n in made)
        self._budget.take(passing=held + max(map(_working_memory, made)), operations=operations)
        found: dict[Tensor, Array] = {}
        for part in order:
            found[part] = evaluate(part, [found[i] for i in part.inputs])
        return constant(found[output].astype(output.dtype, copy=False), name=node.name)


def _working_memory(node: Tensor) -> int:
    """Bytes that computing a node may need besides its inputs and its output, from above."""
    windows = isinstance(node.op, Conv2d | ConvTranspose2d | Unfold | Fold | MaxPool2d | AveragePool2d)
    return (8 * node.op.cost(node).flops if windows else 0) + 3 * node.nbytes + 2 * sum(i.nbytes for i in node.inputs)


_ELEMENTS = {"float32": "FLOAT", "float64": "DOUBLE", "int64": "INT64", "bool": "BOOL"}


_MAKERS_OPSET = 13
"""The operator set of operators that others are made of."""


@contextmanager
def _told(node: Node) -> Generator[None]:
    """Whatever goes wrong inside names the node."""
    try:
        yield
    except OnnxError:
        raise
    except (PellucidError, ArithmeticError, LookupError, MemoryError, TypeError, ValueError) as error:
        raise OnnxError(f"{node}: {error}") from error


def _tensors(node: Node, inputs: Sequence[Held]) -> list[Tensor | None]:
    """Inputs that must not be sequences."""
    held = [(k, i) for k, i in enumerate(inputs) if isinstance(i, Items)]
    if held:
        number, items = held[0]
        raise OnnxError(f"{node}: its input {number} must be a tensor, it is {described(items)}")
    return [i for i in inputs if not isinstance(i, Items)]


def _arrays(body: Body) -> dict[str, Held]:
    """The arrays that a graph inside of a node has of its own."""
    return {name: typed.tensor(name) for name, typed in body.arrays.items()}


def _latest(versions: Sequence[int], opset: int) -> int:
    """The newest of several versions of a definition that an operator set knows."""
    return max((v for v in versions if v <= opset), default=min(versions))


def _resolved(node: Node, attributes: Mapping[str, Any]) -> Node:
    """A node of a function with the function's attributes put where it refers to them."""
    found: dict[str, Any] = {}
    for name, value in node.attributes.items():
        if isinstance(value, Reference):
            if attributes.get(value.name) is not None:
                found[name] = attributes[value.name]
        elif isinstance(value, Body):
            found[name] = dataclasses.replace(value, given={**value.given, **attributes})
        else:
            found[name] = value
    return completed(dataclasses.replace(node, attributes=found))
