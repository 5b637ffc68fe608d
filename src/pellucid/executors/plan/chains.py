"""Chains: which nodes are arithmetic on tiles, and the instructions that compute a chain's roots."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from pellucid.executors.compiled import _native
from pellucid.executors.plan.buffers import ARENA, BLOCK, TYPES, View
from pellucid.executors.plan.steps import ChainStep, Root, Value
from pellucid.graph import Constant, Tensor
from pellucid.op import Op, Shape
from pellucid.ops.activation import Relu, masked_by
from pellucid.ops.comparison import Cast, Clip, StopGradient
from pellucid.ops.elementwise import Add, Multiply

COSTLY = {"exp", "expm1", "log", "log1p", "erf", "power", "tanh", "sigmoid", "softplus"}
"""Operations that cost more than reading their result again."""
_CHEAPER_THAN_READING = 3
_COMPUTED = {"float32", "int64", "bool"}
_CASTS = {
    ("float32", "bool"): "to_bool",
    ("float32", "int64"): "to_int",
    ("bool", "int64"): "to_int",
    ("bool", "float32"): "",
    ("int64", "float32"): "to_float",
}


def is_arithmetic(node: Tensor) -> bool:
    """Whether chains can compute `node`: an elementwise op that operations of the kernels make up."""
    if not node.op.elementwise or not _COMPUTED.issuperset([node.dtype, *[i.dtype for i in node.inputs]]):
        return False
    if len({i.dtype for i in node.inputs[node.op.alike()]}) > 1:
        return False
    condition = _CONDITIONS.get(type(node.op))
    return _name(node) in _native.Operation.__members__ if condition is None else condition(node)


_CONDITIONS: dict[type[Op], Callable[[Tensor], bool]] = {
    Cast: lambda node: node.inputs[0].dtype == node.dtype or (node.inputs[0].dtype, node.dtype) in _CASTS,
    Clip: lambda node: node.dtype == "float32",
    StopGradient: lambda node: True,
}
"""When chains can compute ops that are no operation of the kernels by their name."""


_WHOLE = 2**53
"""Whole numbers up to here are doubles."""


def is_number(node: Tensor) -> bool:
    """Whether `node` is one fixed number, which instructions hold themselves: as a double, so no larger whole number."""
    if not isinstance(node.op, Constant) or node.size != 1 or node.dtype == "float64":
        return False
    return node.dtype != "int64" or -_WHOLE <= int(node.op.value.reshape(())) <= _WHOLE


def _name(node: Tensor) -> str:
    integers = "int64" in [i.dtype for i in node.inputs]
    return node.op.kind + ("_i64" if integers else "")


@dataclass(frozen=True)
class Instruction:
    """to = operation(a, b, c); `to` is the number of the result among the chain's results until registers are given."""

    operation: str
    to: int
    arguments: tuple[Value, ...]


class ChainCompiler:
    """Turns the roots of one chain into operands, instructions and outputs for C++."""

    def __init__(self, step: ChainStep, leaf: Callable[[Tensor], View | None], may_recompute: bool) -> None:
        self.step, self.leaf = step, leaf
        self.recomputed = self._recomputed() if may_recompute else set[Tensor]()
        self.operands: list[View | float] = []
        self.operand_types: list[str] = []
        self.instructions: list[Instruction] = []
        self._values: dict[Tensor, Value] = {}
        self._numbers: dict[tuple[float, str], Value] = {}
        self.results = [self.value(root.source) for root in step.roots]

    def value(self, node: Tensor) -> Value:
        """Where the chain has the value of `node`: an operand, or the result of an instruction."""
        if node in self._values:
            return self._values[node]
        if is_number(node):
            assert isinstance(node.op, Constant)
            value = self.number(float(node.op.value.reshape(())), node.dtype)
        elif (view := self._leaf(node)) is not None:
            value = self._operand(view, node.dtype)
        else:
            value = self._compute(node)
        self._values[node] = value
        return value

    def _leaf(self, node: Tensor) -> View | None:
        return None if node in self.recomputed or self._computed_here(node) else self.leaf(node)

    def _computed_here(self, node: Tensor) -> bool:
        stored = any(r.node is node and r.source is node and r.write == "store" for r in self.step.roots)
        return stored and is_arithmetic(node)

    def _recomputed(self) -> set[Tensor]:
        """Stored values that take fewer operations than reading them costs, from what the chain reads anyway."""
        stored: dict[Tensor, None] = {}
        stack = [root.source for root in self.step.roots]
        while stack:
            node = stack.pop()
            if is_number(node):
                continue
            if self.leaf(node) is not None and not self._computed_here(node):
                stored[node] = None
            elif is_arithmetic(node):
                stack.extend(node.inputs)
        chosen: set[Tensor] = set()
        for node in stored:
            read = stored.keys() - chosen - {node}
            view = self.leaf(node)
            whole = node.shape == self.step.loops and view is not None and view.buffer.base == ARENA
            if whole and is_arithmetic(node) and self._operations(node, read) <= _CHEAPER_THAN_READING:
                chosen.add(node)
        return chosen

    def _operations(self, node: Tensor, read: AbstractSet[Tensor]) -> int:
        """Operations that make `node` out of values in `read` and smaller ones; many if it takes anything else."""
        count = 1
        for value in node.inputs:
            view = self.leaf(value)
            small = value.size < node.size and view is not None and view.buffer.base == ARENA
            if is_number(value) or value in read or small:
                continue
            if view is not None or not is_arithmetic(value) or value.op.kind in COSTLY:
                return _CHEAPER_THAN_READING + 1
            count += self._operations(value, read)
        return count if node.op.kind not in COSTLY else _CHEAPER_THAN_READING + 1

    def replaceable(self) -> list[View]:
        """Operands that are read once, by instructions alone: their memory may take a result of the same form."""
        buffers = [o.buffer for o in self.operands if isinstance(o, View)]
        kept = {self.operands[-1 - r] for r in self.results if r < 0}
        return [o for o in self.operands if isinstance(o, View) and o not in kept and buffers.count(o.buffer) == 1]

    def _operand(self, view: View | float, dtype: str) -> Value:
        self.operands.append(view)
        self.operand_types.append(dtype)
        return -len(self.operands)

    def number(self, number: float, dtype: str) -> Value:
        """A number that the instructions hold themselves."""
        key = (number, dtype)
        if number != number or key not in self._numbers:
            self._numbers[key] = self._operand(number, dtype)
        return self._numbers[key]

    def _compute(self, node: Tensor) -> Value:
        special = _SPECIAL.get(type(node.op))
        value = None if special is None else special(self, node)
        return self.emit(_name(node), *map(self.value, node.inputs)) if value is None else value

    def computed_only_for(self, value: Tensor) -> bool:
        """Whether nothing has needed `value` before, and the chain must compute it."""
        return value not in self._values and is_arithmetic(value) and self._leaf(value) is None

    def emit(self, operation: str, *arguments: Value) -> Value:
        """The result of one more instruction."""
        number = len(self.instructions)
        self.instructions.append(Instruction(operation, number, arguments))
        return number

    @property
    def blocked(self) -> bool:
        """Whether the loops go over blocks of channels."""
        views = [o for o in self.operands if isinstance(o, View)] + [r.to for r in self.step.roots if r.to is not None]
        return any(v.blocked for v in views)

    def add_to(self, program: _native.Program) -> None:
        """Add the finished chain to a C++ program; places must be known."""
        blocked = self.blocked
        shape = self.step.loops
        loops = (shape[0], shape[1] // BLOCK, shape[2], shape[3], BLOCK) if blocked else shape
        order = self._loop_order(shape, blocked, len(loops))
        operands: list[_native.Operand] = []
        for operand, dtype in zip(self.operands, self.operand_types, strict=True):
            if isinstance(operand, View):
                strides = operand.strides(shape, blocked)
                operands.append((operand.place, TYPES[operand.buffer.dtype], [strides[d] for d in order], False, 0.0))
            else:
                operands.append(((0, 0), TYPES[dtype], [0] * len(loops), True, operand))
        registers, number, direct = self._registers()
        outputs: list[_native.Output] = []
        for root, result in zip(self.step.roots, self.results, strict=True):
            assert root.to is not None
            to = root.to
            strides = to.strides(shape, blocked)
            value = registers[result] if result >= 0 else result
            outputs.append((
                to.place, TYPES[to.buffer.dtype], [strides[d] for d in order], value, _native.Write[root.write],
                to.array.size, result in direct and root is direct[result],
            ))  # fmt: skip
        instructions: list[_native.Instruction] = []
        for i in self.instructions:
            given = [registers[a] if a >= 0 else a for a in i.arguments]
            a, b, c = [*given, *[given[0]] * (3 - len(given))]
            instructions.append((_native.Operation[i.operation], registers[i.to], a, b, c))
        program.add_chain(self.step.name, [loops[d] for d in order], operands, instructions, outputs, max(1, number))

    def _loop_order(self, shape: Shape, blocked: bool, count: int) -> list[int]:
        """Outermost first: as the largest thing the chain writes or reads lies in memory."""
        views = [r.to for r in self.step.roots if r.write == "store" and r.to is not None]
        views += [o for o in self.operands if isinstance(o, View)]
        whole = [
            v
            for v in views
            if v.shape == shape and all(s > 0 for s, n in zip(v.array.strides, v.array.shape, strict=True) if n > 1)
        ]
        if blocked or not whole:
            return list(range(count))
        strides = whole[0].strides(shape, blocked)
        return sorted(range(count), key=lambda d: (-strides[d], d))

    def _registers(self) -> tuple[dict[int, int], int, dict[int, Root]]:
        """A register for every result; how many there are; and the results that may live in their output itself."""
        read = [o.buffer.place if isinstance(o, View) else None for o in self.operands]
        direct: dict[int, Root] = {}
        for root, result in zip(self.step.roots, self.results, strict=True):
            plain = root.write == "store" and root.to is not None and root.to.buffer.dtype == "float32"
            if not plain or result < 0 or root.to is None or result in direct:
                continue
            overwritten = {-1 - number for number, place in enumerate(read) if place == root.to.buffer.place}
            later = self.instructions[result + 1 :]
            if not overwritten & {*self.results, *(a for i in later for a in i.arguments)}:
                direct[result] = root
        last = {i.to: n for n, i in enumerate(self.instructions)}
        for n, instruction in enumerate(self.instructions):
            for argument in instruction.arguments:
                if argument >= 0:
                    last[argument] = n
        for result in self.results:
            if result >= 0:
                last[result] = len(self.instructions)
        registers: dict[int, int] = {}
        free: list[int] = []
        count = 0
        for n, instruction in enumerate(self.instructions):
            if free and instruction.to not in direct:
                registers[instruction.to] = free.pop()
            else:
                registers[instruction.to] = count
                count += 1
            for value in {*instruction.arguments, instruction.to}:
                if value >= 0 and last[value] == n and value not in direct:
                    free.append(registers[value])
        return registers, count, direct


def _multiply(chain: ChainCompiler, node: Tensor) -> Value | None:
    """One instruction for a slope and the mask of a ReLU, which is on where what the ReLU is given is positive."""
    y = masked_by(node)
    if y is None or y.shape != node.shape:
        return None
    source = y.inputs[0] if isinstance(y.op, Relu) and chain.computed_only_for(y) else y
    return chain.emit("relu_mask", chain.value(node.inputs[0]), chain.value(source))


def _add(chain: ChainCompiler, node: Tensor) -> Value | None:
    return _with_product(chain, node, "multiply_add")


def _relu(chain: ChainCompiler, node: Tensor) -> Value | None:
    (total,) = node.inputs
    return _with_product(chain, total, "multiply_add_relu") if chain.computed_only_for(total) else None


def _with_product(chain: ChainCompiler, total: Tensor, operation: str) -> Value | None:
    """One instruction for a sum and a product that nobody has needed before, if `total` is such a sum."""
    if not isinstance(total.op, Add) or total.dtype != "float32":
        return None
    for product, other in (total.inputs, reversed(total.inputs)):
        if isinstance(product.op, Multiply) and chain.computed_only_for(product) and masked_by(product) is None:
            return chain.emit(operation, *map(chain.value, (*product.inputs, other)))
    return None


def _cast(chain: ChainCompiler, node: Tensor) -> Value:
    (x,) = node.inputs
    operation = "" if x.dtype == node.dtype else _CASTS[x.dtype, node.dtype]
    return chain.emit(operation, chain.value(x)) if operation else chain.value(x)


def _clip(chain: ChainCompiler, node: Tensor) -> Value:
    op = node.op
    assert isinstance(op, Clip)
    above = chain.emit("maximum", chain.value(node.inputs[0]), chain.number(op.low, "float32"))
    return chain.emit("minimum", above, chain.number(op.high, "float32"))


_SPECIAL: dict[type[Op], Callable[[ChainCompiler, Tensor], Value | None]] = {
    Multiply: _multiply,
    Add: _add,
    Relu: _relu,
    Cast: _cast,
    Clip: _clip,
    StopGradient: lambda chain, node: chain.value(node.inputs[0]),
}
"""Ops that are more, or less, than the one operation of their name; where None comes back they are that operation."""
