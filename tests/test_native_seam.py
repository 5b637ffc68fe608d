"""Where Python meets C++: the stub says what the module has, names are C++'s own, and no step touches what is not there."""

from __future__ import annotations

import ast
import copy
import enum
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pellucid as pl
from pellucid.executors.contract import Signature

pytest.importorskip("pellucid.executors._native", reason="the native executor is not built here")

from pellucid.executors import compiled
from pellucid.executors.compiled import _native
from pellucid.executors.native import NativeError, NativeProgram
from pellucid.executors.plan import buffers
from pellucid.executors.plan.memory import ALIGNMENT
from test_native_runtime import step

STUB = ast.parse(Path(compiled.__file__).with_name("_native.pyi").read_text(encoding="utf-8"))


# The stub


ALIASES = {
    i.targets[0].id: i.value for i in STUB.body if isinstance(i, ast.Assign) and isinstance(i.targets[0], ast.Name)
}


class Expanded(ast.NodeTransformer):
    """Annotations as the module spells them: the stub's short names for tuples written out."""

    def visit_Name(self, name: ast.Name) -> ast.AST:
        return self.visit(copy.deepcopy(ALIASES[name.id])) if name.id in ALIASES else name


def spelled(node: ast.AST) -> str:
    return ast.unparse(Expanded().visit(copy.deepcopy(node)))


def said(body: list[ast.stmt], owner: str = "") -> Iterator[tuple[str, str]]:
    """What the stub says, by dotted name."""
    for item in body:
        if isinstance(item, ast.ClassDef):
            members = [i for i in item.body if isinstance(i, ast.Assign)]
            values = {ast.unparse(m.targets[0]): ast.literal_eval(m.value) for m in members}
            yield item.name, f"class({ast.unparse(item.bases[0]) if item.bases else ''}) {values or ''}".strip()
            yield from said([i for i in item.body if i not in members], f"{item.name}.")
        elif isinstance(item, ast.FunctionDef):
            kind = "property " if item.decorator_list else ""
            arguments = spelled(item.args)
            yield owner + item.name, f"{kind}({arguments}) -> {spelled(item.returns)}"
        elif isinstance(item, ast.AnnAssign):
            yield owner + ast.unparse(item.target), ast.unparse(item.annotation)


def signature(function: Any) -> str:
    """A function's signature as the stub would have it."""
    ((text, _, defaults),) = function.__nb_signature__
    text = re.sub(r"\\(\d+)", lambda found: repr(defaults[int(found[1])]), text)
    text = re.sub(r"(pellucid\.executors\._native|collections\.abc)\.", "", text)
    text = re.sub(r"^def \w*", "def it", text) + ": ..."
    (made,) = ast.parse(text).body
    assert isinstance(made, ast.FunctionDef)
    assert made.returns is not None
    return f"({ast.unparse(made.args)}) -> {ast.unparse(made.returns)}"


def found() -> Iterator[tuple[str, str]]:
    """What the module has, by dotted name."""
    for name, value in vars(_native).items():
        if name.startswith("__"):
            continue
        if isinstance(value, enum.EnumType):
            yield name, f"class(Enum) { ({member.name: member.value for member in value}) }"
        elif isinstance(value, type):
            base = value.__base__.__name__
            yield name, f"class({'' if base == 'object' else base})"
            for inside, member in vars(value).items():
                if isinstance(member, property):
                    yield f"{name}.{inside}", f"property {signature(member.fget)}"
                elif hasattr(member, "__nb_signature__"):
                    yield f"{name}.{inside}", signature(member)
        else:
            yield name, signature(value) if callable(value) else type(value).__name__


def test_the_stub_says_what_the_module_has() -> None:
    in_stub, in_module = dict(said(STUB.body)), dict(found())
    assert len(in_module) > 40
    assert in_stub == in_module


def test_names_of_python_are_names_of_the_module() -> None:
    assert {buffers.PLAIN, buffers.CHANNELS_LAST, buffers.BLOCKED} == {layout.name for layout in _native.Layout}
    assert set(buffers.TYPES.values()) == set(_native.DType)
    assert buffers.SIZES == {"float32": 4, "bfloat16": 2, "int64": 8, "float64": 8, "bool": 1, "uint8": 1}
    assert (buffers.BLOCK, ALIGNMENT) == (16, 64)


# Steps that do not fit


class Recorder:
    """Stands for a C++ program: takes note of the steps that are added."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, list[Any]]] = []

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *arguments: self.calls.append((name, list(arguments)))


def recorded(program: NativeProgram) -> list[tuple[str, list[Any]]]:
    recorder: Any = Recorder()
    for planned in program.plan.steps:
        if planned.add is not None:
            planned.add(recorder)
    return recorder.calls


def places(name: str, arguments: list[Any]) -> Iterator[tuple[int, ...]]:
    """Where in the arguments of a step the places stand that it is given, by the stub."""
    if name == "add_chain":
        _, _, operands, _, outputs, _ = arguments
        yield from ((2, number, 0) for number, operand in enumerate(operands) if not operand[3])
        yield from ((4, number, 0) for number in range(len(outputs)))
        return
    (program,) = (item for item in STUB.body if isinstance(item, ast.ClassDef) and item.name == "Program")
    (function,) = (item for item in program.body if isinstance(item, ast.FunctionDef) and item.name == name)
    for number, argument in enumerate(function.args.args[1:]):
        if argument.annotation is not None and ast.unparse(argument.annotation) == "Place":
            yield (number,)


def put(argument: Any, at: tuple[int, ...], value: Any) -> Any:
    """The argument with something else at one place in it."""
    if not at:
        return value
    parts = [put(part, at[1:], value) if number == at[0] else part for number, part in enumerate(argument)]
    return tuple(parts) if isinstance(argument, tuple) else parts


def one_of_each(program: NativeProgram) -> dict[str, tuple[str, list[Any]]]:
    """A step of each kind that the program has; of chains one that stores and one that reduces."""
    kinds: dict[str, tuple[str, list[Any]]] = {}
    for name, arguments in recorded(program):
        kind = f"{name} {arguments[1].name}" if name in ("add_pool", "add_picking") else name
        if name == "add_chain":
            kind += " " + "+".join(sorted({output[4].name for output in arguments[4]}))
        kinds.setdefault(kind, (name, arguments))
    return kinds


def _programs() -> Iterator[NativeProgram]:
    yield step()
    x = pl.input((2, 16, 12, 12), name="x")
    weight = pl.Parameter.of(np.ones((16, 16, 3, 3), np.float32), name="w")
    row = pl.Parameter.of(np.ones((5, 16), np.float32), name="row")
    y = pl.conv2d(x, weight, stride=2, padding=1)
    filters = pl.Parameter.of(np.ones((16, 1, 3, 3), np.float32), name="filters")
    own = pl.gradients(pl.conv2d(x, filters, padding=1, groups=16), [filters])
    pooled = pl.average_pool2d(pl.relu(y), 2)
    one = pl.matmul(pl.input((1, 16), name="one"), pl.transpose(row)) + pl.Parameter.of(
        np.ones(5, np.float32), name="b"
    )
    grid = pl.input((2, 3, 4, 2), name="grid")
    read = pl.grid_sample(x, grid)
    maps = pl.roi_align(x, pl.input((5, 4), name="boxes"), np.zeros(5, np.int64), 2)
    rows = pl.non_max_suppression(pl.input((1, 5, 4), name="corners"), pl.input((1, 2, 5), name="scores"), 2)
    largest = pl.roi_max_pool(x, pl.input((5, 4), name="regions"), np.zeros(5, np.int64), 2)
    backward = (*pl.gradients(read, [x, grid]), *pl.gradients(maps, [x]), *pl.gradients(largest, [x]))
    picked = [*backward, read, maps, largest, pl.top_k(x, 3)[1], rows]
    outputs = [pooled, one, *own, *pl.gradients(pooled, [x, weight]), pl.max(x, (0, 2, 3)), *picked]
    yield NativeProgram(Signature(outputs, (), {}, guard=False), threads=2)


Calls = dict[str, tuple[NativeProgram, str, list[Any]]]
CHAINS = ("add_chain store", "add_chain sum", "add_chain store+sum", "add_chain max")
WIDE = (
    "add_weight_gradient",
    "add_depthwise_gradient",
    "add_winograd",
    "add_winograd_weight",
    "add_winograd_weight_gradient",
)
POOLS = tuple(f"add_pool {kind.name}" for kind in _native.Pooling)
PICKS = tuple(f"add_picking {kind.name}" for kind in _native.Picking)
KINDS = (*CHAINS, *WIDE, *POOLS, *PICKS, "add_convolution", "add_weight_reorder", "add_product", "add_vector_product")


@pytest.fixture(scope="module")
def calls() -> Calls:
    return {kind: (program, *call) for program in _programs() for kind, call in one_of_each(program).items()}


def test_there_is_a_step_of_every_kind(calls: Calls) -> None:
    assert {kind.split()[0] for kind in KINDS} == {name for name in vars(_native.Program) if name.startswith("add_")}
    assert set(KINDS) - set(calls) <= (set() if _native.has_wide_kernels() else set(WIDE))


@pytest.mark.parametrize("kind", KINDS)
def test_no_step_touches_what_is_not_there(kind: str, calls: Calls) -> None:
    """Each place of a step in turn: behind the end, before the start, in an array that is not, inside of an element."""
    if kind not in calls:
        pytest.skip("this processor has no such kernels")
    program, name, arguments = calls[kind]
    sizes = program.plan.arrays.nbytes(program.plan.flat)

    def refusal(changed: list[Any]) -> str:
        made = _native.Program(program.plan.arena_bytes, sizes, 1)
        try:
            getattr(made, name)(*changed)
        except _native.StepError as error:
            assert len(made) == 0
            return str(error)
        assert len(made) == 1
        return ""

    assert refusal(arguments) == ""
    touched = 0
    for at in places(name, arguments):
        base, offset = _at(arguments, at)
        whole = sizes[base - 1] if base else program.plan.arena_bytes
        wrong = {
            (base, -64): "takes",
            (base, whole + 64): "takes",
            (len(sizes) + 1, 0): f"lies in array {len(sizes)}, expected one of {len(sizes)}",
            (-1, 0): "lies in array -2",
        }
        refused = {place: refusal(put(arguments, at, place)) for place in wrong}
        if not any(refused.values()):
            assert (base, offset) == (0, 0), "a place that the step does without"
            continue
        touched += 1
        for place, words in wrong.items():
            assert re.match(rf"[\w/. ]+: its [\w' ()]+ {words}", refused[place]), (at, place, refused[place])
        inside = refusal(put(arguments, at, (base, offset + 1)))
        assert not inside or "expected a multiple of" in inside or "takes" in inside
    assert touched >= 1 + (name != "add_chain")


def _at(argument: Any, at: tuple[int, ...]) -> Any:
    return _at(argument[at[0]], at[1:]) if at else argument


@pytest.mark.parametrize("kind", CHAINS)
def test_a_chain_has_no_registers_but_its_own(kind: str, calls: Calls) -> None:
    program, _, (name, loops, operands, instructions, outputs, registers) = calls[kind]
    made = _native.Program(program.plan.arena_bytes, program.plan.arrays.nbytes(program.plan.flat), 1)
    operation = _native.Operation.add
    for wrong in (
        (operation, registers, -1, -1, -1),
        (operation, 0, registers, -1, -1),
        (operation, 0, -1, -1 - len(operands), 0),
    ):
        with pytest.raises(
            _native.StepError, match=rf"^{re.escape(name)}: an instruction has no such operand or register"
        ):
            made.add_chain(name, loops, operands, [*instructions, wrong], outputs, registers)
    with pytest.raises(_native.StepError, match="an output has no such value"):
        made.add_chain(name, loops, operands, instructions, [(*outputs[0][:3], registers, *outputs[0][4:])], registers)
    with pytest.raises(_native.StepError, match="strides for another number of loops"):
        made.add_chain(name, [*loops, 2], operands, instructions, outputs, registers)


def test_a_plan_that_does_not_fit_names_its_step(monkeypatch: pytest.MonkeyPatch) -> None:
    x = pl.input((3, 4), name="x")
    program = NativeProgram(Signature([pl.exp(x)], (), {}, guard=False))
    program.plan.arrays.outputs[0] = pl.input((3, 3))
    with pytest.raises(
        _native.StepError, match=r"^exp: its result takes 48 bytes from byte 0 of array 1 on, which has 36$"
    ):
        program.plan.build()
    monkeypatch.setattr(type(program.plan.arrays), "nbytes", lambda self, flat: [48, 0])
    with pytest.raises(NativeError, match=r"^exp: its result takes 48 bytes from byte 0 of array 1 on, which has 0$"):
        NativeProgram(Signature([pl.exp(x)], (), {}, guard=False))


@pytest.mark.parametrize("number", [-1, 2])
def test_a_context_has_the_arrays_of_its_program(number: int) -> None:
    context = _native.Program(64, [4, 8], 1).acquire()
    with pytest.raises(IndexError, match=f"there is no array {number}, but 2"):
        context.set_array(number, 64)


NOWHERE, F32 = (0, 0), _native.DType.f32
WINDOWS = (2, 2), (2, 2), (0, 0), True


@pytest.mark.parametrize(
    ("kind", "arguments", "error", "words"),
    [
        ("add_pool", (7, (1, 2, 2, 1, 1, 1), *WINDOWS, F32, *[NOWHERE] * 3, False), TypeError, "incompatible"),
        ("add_pool", (_native.Pooling.max, (1, 2, 2, 1, 1, 1), *WINDOWS, 9, *[NOWHERE] * 3, False), TypeError, "incompatible"),
        ("add_pool", (_native.Pooling.max, (1, 20, 20, 1, 1, 1), (16, 16), *WINDOWS[1:], F32, *[NOWHERE] * 3, False), None, "its window is too"),
        ("add_pool", (_native.Pooling.max_gradient, (1, 2, 2, 1, 1, 1), *WINDOWS, F32, *[NOWHERE] * 3, False), None, "a gradient of maxima needs"),
        ("add_picking", (_native.Picking.blend, [1, 2], [], *[NOWHERE] * 4), None, "it wants another number of sizes"),
        ("add_picking", (_native.Picking.blend, [1, 2, -3, 4, 5], [], *[NOWHERE] * 4), None, "its sizes must not be negative"),
        ("add_picking", (_native.Picking.ranks, [1, 4, 1, 5, 1], [], *[NOWHERE] * 4), None, "it asks for more elements than there are"),
        ("add_picking", (_native.Picking.region_average, [1, 1, 1, 0, 4, 2, 2, 1, 1], [1.0], *[NOWHERE] * 4), None, "its image or its bins"),
        ("add_picking", (_native.Picking.blend, [1 << 40, 1 << 40, 1, 1, 1], [], *[NOWHERE] * 4), None, "its images has a size that no memory has"),
        ("add_winograd_weight", (_native.DType.bf16, 5, 16, 16, False, NOWHERE, NOWHERE), None, "there is no such filter"),
        ("add_winograd_weight", (F32, 3, 17, 16, False, NOWHERE, NOWHERE), None, "its channels do not fill blocks"),
        ("add_vector_product", (-1, 4, *[NOWHERE] * 4, False, False), None, "its weight has a size that no memory has"),
        ("add_vector_product", (1 << 40, 1 << 40, *[NOWHERE] * 4, False, False), None, "its weight has a size that no memory has"),
    ],
)  # fmt: skip
def test_steps_that_cannot_be(kind: str, arguments: tuple[Any, ...], error: type[Exception] | None, words: str) -> None:
    program = _native.Program(1 << 16, [], 1)
    with pytest.raises(error or _native.StepError, match=words if error else f"^conv1: {words}"):
        getattr(program, kind)("conv1", *arguments)
    assert len(program) == 0
