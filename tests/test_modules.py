"""What belongs to a network, by which names, in which mode; layers that are called more than once in a step."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn
from pellucid.executors import available_executors

torch = pytest.importorskip("torch")


class Holder(nn.Module):
    """Layers kept as `keep` keeps them, called one after another."""

    def __init__(self, keep: Callable[[nn.Module, nn.Module], Any]) -> None:
        super().__init__()
        self.blocks = keep(nn.Linear(4, 4), nn.Sequential(fc=nn.Linear(4, 3), drop=nn.Dropout(0.5)))

    def forward(self, x: pl.Tensor) -> pl.Tensor:
        for _, layer in self.children():
            x = layer(x)
        return x


CONTAINERS = [
    ("list", lambda a, b: [a, b], ("blocks.0", "blocks.1")),
    ("tuple", lambda a, b: (a, b), ("blocks.0", "blocks.1")),
    ("dict", lambda a, b: {"stem": a, 7: b}, ("blocks.stem", "blocks.7")),
    ("nested", lambda a, b: [[a], {"deep": (b,)}], ("blocks.0.0", "blocks.1.deep.0")),
    ("among others", lambda a, b: ["text", a, None, 3, b], ("blocks.1", "blocks.4")),
]


@pytest.mark.parametrize(("keep", "paths"), [row[1:] for row in CONTAINERS], ids=[row[0] for row in CONTAINERS])
def test_layers_in_containers_belong_to_the_network(keep: Any, paths: tuple[str, str], tmp_path: Path) -> None:
    net = Holder(keep)
    names = [f"{paths[0]}.weight", f"{paths[0]}.bias", f"{paths[1]}.fc.weight", f"{paths[1]}.fc.bias"]
    assert list(net.state_dict()) == list(net.named_parameters()) == names
    assert [p.name for p in net.parameters()] == names
    assert net.num_parameters() == 4 * 4 + 4 + 3 * 4 + 3
    assert [path for path, _ in net.named_modules()] == ["", *paths, f"{paths[1]}.fc", f"{paths[1]}.drop"]
    assert all(not part.training for _, part in net.eval().named_modules())
    graph = net.graph((2, 4))
    assert paths[0] in [n.name for n in graph]
    net.initialize(1)
    before = net.state_dict()
    other = Holder(keep)
    other.load_state_dict(before)
    twin = copy.deepcopy(net)
    for loaded in (other, twin):
        assert all((loaded.state_dict()[n] == before[n]).all() for n in names)
    net.initialize(2)
    assert all((twin.state_dict()[n] == before[n]).all() for n in names)
    assert any((net.state_dict()[n] != before[n]).any() for n in names)


def test_parameters_in_containers_belong_to_the_network() -> None:
    class Weights(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scales = [pl.Parameter.of(np.ones(3, np.float32)), {"b": pl.Parameter.of(np.ones(3, np.float32))}]

        def forward(self, x: pl.Tensor) -> pl.Tensor:
            return x * self.scales[0] + self.scales[1]["b"]

    net = Weights()
    assert [p.name for p in net.parameters()] == ["scales.0", "scales.1.b"]
    assert [p.name for p in net.graph((2, 3)).parameters] == ["scales.0", "scales.1.b"]


def test_layers_in_a_list_are_trained() -> None:
    class Stack(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.blocks = [nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10)]

        def forward(self, x: pl.Tensor) -> pl.Tensor:
            for block in self.blocks:
                x = block(x)
            return x

    net = Stack()
    net.initialize(0)
    optimizer = pl.train.optimizers.Optimizer("sgd")
    step = pl.train.step.training_graph(net, (4, 1, 8, 8), optimizer, optimizer.state(net.parameters()))
    assert {p.name for p in step.updates} == {f"blocks.{i}.{w}" for i in (1, 3) for w in ("weight", "bias")}
    assert [row.name for row in net.summary((1, 8, 8)).rows] == [f"blocks.{i}" for i in range(4)]


def test_two_parameters_of_one_path_are_refused() -> None:
    net = Holder(lambda a, b: {"1": a, 1: nn.Linear(4, 4)})
    with pytest.raises(nn.ModuleError, match=r"two parameters have the path 'blocks\.1\.weight'"):
        net.state_dict()


def test_a_list_that_holds_itself_and_a_part_that_knows_its_network_end() -> None:
    net = Holder(lambda a, b: [a, b])
    net.blocks.append(net.blocks)
    vars(net.blocks[0])["network"] = net
    assert len(net.named_parameters()) == 4


LOOSE = nn.Linear(4, 4)


class Loose(nn.Module):
    """A network that computes with a parameter that it does not have."""

    def __init__(self, use: Callable[[pl.Tensor], pl.Tensor]) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.use = use

    def forward(self, x: pl.Tensor) -> Any:
        return self.use(self.fc(x))


UNOWNED = [
    ("a layer made in forward", lambda x: nn.Linear(4, 4)(x), "Linear.weight"),
    ("a layer kept elsewhere", lambda x: nn.ReLU()(LOOSE(x)), "Linear.weight"),
    ("a parameter made in forward", lambda x: x * pl.Parameter((4,), nn.initializers.ones(), name="gain"), "gain"),
    ("in one of several outputs", lambda x: (x, {"b": [LOOSE(x)]}), "Linear.weight"),
    (
        "a parameter behind a computed tensor",
        lambda x: x + pl.Parameter((4,), nn.initializers.ones(), name="b") * 2,
        "b",
    ),
]


@pytest.mark.parametrize(("use", "name"), [row[1:] for row in UNOWNED], ids=[row[0] for row in UNOWNED])
def test_a_trainable_parameter_of_nobody_is_an_error_that_names_it(use: Any, name: str) -> None:
    with pytest.raises(nn.ModuleError, match=rf"Loose: its output depends on '{name}' \(4.*not part of the network"):
        Loose(use).graph((2, 4))


def test_what_does_not_train_and_what_comes_in_may_be_anybodys() -> None:
    fixed = pl.Parameter((4,), nn.initializers.ones(), trainable=False)
    x = pl.input((2, 4))
    head = Loose(lambda x: nn.ReLU()(x) * fixed)
    assert head(LOOSE(x)).shape == (2, 4)
    picture = pl.Parameter((2, 4), nn.initializers.zeros(), name="picture")
    assert head(picture).shape == (2, 4)


def test_calling_a_part_renames_nothing() -> None:
    net = nn.Sequential(backbone=nn.Sequential(conv=nn.Conv2d(1, 2, 3)), fc=nn.Conv2d(2, 1, 1))
    graph = pl.Graph([net(pl.input((1, 1, 8, 8), name="x"))])
    names = {p: p.name for p in graph.parameters}
    part = net[0]
    part(pl.input((1, 1, 8, 8)))
    assert list(part.named_parameters()) == list(part.state_dict()) == ["conv.weight", "conv.bias"]
    part.summary((1, 8, 8))
    assert {p: p.name for p in graph.parameters} == names
    assert all(graph[name] is p for p, name in names.items())


def test_a_part_is_named_by_the_network_that_it_is_put_into() -> None:
    part = nn.Sequential(conv=nn.Conv2d(1, 2, 3))
    part(pl.input((1, 1, 8, 8)))
    assert [p.name for p in part.parameters()] == ["conv.weight", "conv.bias"]
    net = nn.Sequential(backbone=part)
    net(pl.input((1, 1, 8, 8)))
    assert [p.name for p in part.parameters()] == ["backbone.conv.weight", "backbone.conv.bias"]
    del net
    assert [p.name for p in part.parameters()] == ["conv.weight", "conv.bias"]


def test_the_mode_around_goes_before_what_a_network_was_switched_to() -> None:
    net = nn.Sequential(bn=nn.BatchNorm1d(3), drop=nn.Dropout(0.5))
    x = pl.input((4, 3), name="x")
    with nn.inference_mode():
        assert not net.training
        assert "step" not in [i.name for i in pl.Graph([net(x)]).inputs]
        with nn.training_mode(), nn.training_step():
            assert net[1].training
            assert "step" in [i.name for i in pl.Graph([net(x)]).inputs]
        assert not net.training
    assert net.training
    net.eval()
    with nn.training_mode():
        assert net.training
    assert not net.training


class Repeated(nn.Module):
    """A layer called again and again, each time on twice what it made the time before, plus `shift`."""

    def __init__(self, layer: nn.Module, calls: int, shift: float = 0.0) -> None:
        super().__init__()
        self.layer, self.calls, self.shift = layer, calls, shift

    def forward(self, x: pl.Tensor) -> pl.Tensor:
        for _ in range(self.calls):
            x = self.layer(x) * 2.0 + self.shift
        return x


@pytest.mark.parametrize("executor", ["reference", "native", "torch"])
@pytest.mark.parametrize("calls", [1, 2, 3])
@pytest.mark.parametrize(("kind", "shape"), [("BatchNorm1d", (6, 2)), ("BatchNorm2d", (3, 2, 4, 4))])
def test_running_statistics_follow_every_call(kind: str, shape: tuple[int, ...], calls: int, executor: str) -> None:
    if reason := available_executors()[executor]:
        pytest.skip(reason)
    net, theirs = Repeated(getattr(nn, kind)(2), calls, 1.0), getattr(torch.nn, kind)(2)
    values = (np.random.default_rng(0).standard_normal(shape) + 1).astype(np.float32)
    with pl.collect_updates() as updates:
        y = net(pl.input(shape, name="x"))
    (got,) = pl.compile([y], updates=updates, executor=executor)({"x": values})
    expected = torch.tensor(values)
    for _ in range(calls):
        expected = theirs(expected) * 2.0 + 1.0
    np.testing.assert_allclose(got, expected.detach().numpy(), rtol=1e-4, atol=1e-5)
    for name in ("running_mean", "running_var"):
        np.testing.assert_allclose(
            getattr(net.layer, name).value, getattr(theirs, name).numpy(), rtol=1e-5, atol=1e-6, err_msg=name
        )


def twice_from_torch() -> tuple[nn.Module, tuple[int, ...]]:
    module = torch.nn.Sequential(torch.nn.BatchNorm1d(2), torch.nn.Dropout(0.5))
    return pl.from_torch(module, (4, 2)).train(), (4, 2)


def twice_from_onnx(folder: Path) -> tuple[nn.Module, tuple[int, ...]]:
    onnx = pytest.importorskip("onnx")
    make = onnx.helper
    names = ("weight", "bias", "mean", "variance")
    arrays = [
        onnx.numpy_helper.from_array(np.array([a, a], np.float32), n) for a, n in zip((1, 0, 0, 1), names, strict=True)
    ]
    nodes = [
        make.make_node("BatchNormalization", ["x", *names], ["b"], momentum=0.9),
        make.make_node("Dropout", ["b"], ["y"]),
    ]
    value = make.make_tensor_value_info
    graph = make.make_graph(nodes, "g", [value("x", 1, (4, 2))], [value("y", 1, (4, 2))], arrays)
    onnx.save(make.make_model(graph, opset_imports=[make.make_opsetid("", 17)]), folder / "net.onnx")
    return pl.load_onnx(folder / "net.onnx").train(), (4, 2)


@pytest.mark.parametrize("source", ["own", "torch", "onnx"])
@pytest.mark.parametrize("outer", [False, True], ids=["two calls", "inside of a network"])
def test_a_network_called_twice_follows_both_and_draws_anew(source: str, outer: bool, tmp_path: Path) -> None:
    if source == "own":
        net, shape = nn.Sequential(bn=nn.BatchNorm1d(2), drop=nn.Dropout(0.5)), (4, 2)
    else:
        net, shape = twice_from_torch() if source == "torch" else twice_from_onnx(tmp_path)
    first, second = pl.input(shape, name="a"), pl.input(shape, name="b")

    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, a: pl.Tensor, b: pl.Tensor) -> Any:
            return self.net(a), self.net(b)

    with nn.training_mode(), nn.training_step() as step, pl.collect_updates() as updates:
        both = Both()(first, second) if outer else (net(first), net(second))
    random = np.random.default_rng(0)
    a, b = (random.standard_normal(shape).astype(np.float32) + shift for shift in (1, 5))
    pl.compile(both, updates=updates, executor="reference")({first: a, second: b, step: np.int64(0)})
    means = [p.value for p in updates if p.shape == (2,) and "var" not in p.name]
    expected = (0 * 0.9 + a.mean(0) * 0.1) * 0.9 + b.mean(0) * 0.1
    assert any(np.allclose(mean, expected, rtol=1e-4) for mean in means)
    assert len({n.op for n in pl.Graph(both) if type(n.op).__name__ == "Uniform"}) == 2


@pytest.mark.parametrize("calls", [1, 2, 3])
def test_dropout_draws_anew_at_every_call(calls: int) -> None:
    shape = (200, 200)
    with nn.training_step():
        program = pl.compile([Repeated(nn.Dropout(0.5), calls)(pl.input(shape, name="x"))])
    (kept,) = program({"x": np.ones(shape, np.float32), "step": np.int64(0)})
    assert abs((kept > 0).mean() - 0.5**calls) < 0.01


def test_batch_norm_of_a_single_value_names_itself() -> None:
    net = nn.Sequential(norm=nn.BatchNorm1d(3))
    with pytest.raises(
        pl.PellucidError, match=r"norm: in training wants more than one value per channel, got \(1, 3\)"
    ):
        net(pl.input((1, 3)))
    assert net.eval()(pl.input((1, 3))).shape == (1, 3)
