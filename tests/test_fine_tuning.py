"""Fine-tuning: given weights, frozen parts, features computed once, learning rates that differ from part to part."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

import pellucid as pl
from pellucid import nn
from pellucid.data import Preprocessing, Splits
from pellucid.executors import available_executors, explain_plan
from pellucid.graph import Parameter, Tensor
from pellucid.train import CheckpointError, TrainConfig, TrainError, fit, load_run
from pellucid.train import features as features_module
from pellucid.train.optimizers import Optimizer
from pellucid.train.step import cut, training_graph
from pellucid.train.tuning import Tuning
from test_train import _Stop, same

EXECUTORS = [name for name, reason in available_executors().items() if not reason]
SETTINGS = {"epochs": 3, "batch_size": 32, "seed": 7, "report": False}


class Residual(nn.Module):
    """A block with a shortcut, batch norms and dropout."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.bn = nn.BatchNorm2d(channels)
        self.shortcut = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return pl.relu(self.bn(self.conv(x)) + self.shortcut(x))


def network(classes: int = 10) -> nn.Sequential:
    return nn.Sequential(
        stem=nn.Conv2d(1, 8, 3, padding=1),
        block=Residual(8),
        pool=nn.MaxPool2d(2),
        flatten=nn.Flatten(),
        drop1=nn.Dropout(0.2),
        fc1=nn.Linear(128, 24),
        bn=nn.BatchNorm1d(24),
        relu=nn.ReLU(),
        drop2=nn.Dropout(0.2),
        fc2=nn.Linear(24, classes),
    )


def given(seed: int = 3, classes: int = 10) -> nn.Module:
    """A network with weights, running statistics among them, that no seed of a run draws."""
    net = network(classes)
    random = np.random.default_rng(seed)
    net.load_state_dict(
        {n: 0.1 + 0.3 * np.abs(random.standard_normal(p.shape)) for n, p in net.named_parameters().items()}
    )
    return net


@pytest.fixture(scope="module")
def digits() -> Splits:
    return few(200, 60)


def few(train: int, others: int, classes: int = 10) -> Splits:
    """Some of the digits."""
    whole = pl.load("digits")

    def part(of: pl.data.Dataset, count: int) -> pl.data.ArrayDataset:
        picks = np.flatnonzero(of.labels < classes)[:count]
        return pl.data.ArrayDataset(of.images(picks), of.labels[picks], whole.classes[:classes], of.name)

    return Splits(part(whole.train, train), part(whole.validation, others), part(whole.test, others), "digits")


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("freeze", ["backbone", "stem, block"])
def test_frozen_parts_stay_and_their_features_change_nothing(
    digits: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, executor: str, freeze: str
) -> None:
    """Anew in every epoch, kept in memory, kept in a file: the same run.

    The tolerance is for kernels that sum in another order for another number of images: the last batch of an epoch
    is smaller, features are computed in batches of one size.
    """
    computed = []
    monkeypatch.setattr(features_module, "_kept", lambda *a, kept=features_module._kept: computed.append(a) or kept(*a))
    for name, cached, room in (("anew", False, "1024"), ("memory", True, "1024"), ("file", True, "0")):
        monkeypatch.setenv("PELLUCID_CACHE_MB", room)
        settings = {**SETTINGS, "executor": executor, "freeze": freeze, "cache_features": cached}
        run = fit(given(), digits, out=tmp_path / name, **settings)
        assert run.config.pretrained
    assert len(computed) == 2
    assert {p.name for p in (tmp_path / "file").iterdir()} == {p.name for p in (tmp_path / "anew").iterdir()}
    same(tmp_path / "memory", tmp_path / "file")
    anew, kept = (load_file(tmp_path / name / "last.safetensors") for name in ("anew", "memory"))
    start, trained = given().state_dict(), ("fc2",) if freeze == "backbone" else ("fc1", "bn", "fc2")
    assert {n.rpartition(".")[0].rpartition("/")[2] for n in kept if n.startswith("optimizer/")} == set(trained)
    for name, value in anew.items():
        np.testing.assert_allclose(kept[name], value, rtol=1e-4, atol=1e-6, err_msg=name)
        if name in start and name.startswith(trained):
            assert not np.array_equal(value, start[name]), name
        elif name in start:
            assert value.tobytes() == start[name].tobytes() == kept[name].tobytes(), name


def test_augmented_pictures_go_through_the_whole_network(
    digits: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features_module, "_kept", None)
    fit(given(), digits, out=tmp_path / "run", freeze="backbone", **{**SETTINGS, "epochs": 1, "shift": 1})


def test_no_room_for_features_is_said(digits: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    fit(given(), digits, out=tmp_path / "whole", freeze="backbone", cache_features=False, **SETTINGS)
    monkeypatch.setattr(features_module, "_kept", full)
    with pytest.warns(UserWarning, match=r"no room for the features of 260 pictures \(No space left on device\)"):
        fit(given(), digits, out=tmp_path / "run", freeze="backbone", **SETTINGS)
    same_weights(tmp_path / "whole", tmp_path / "run")


def same_weights(a: Path, b: Path) -> None:
    one, other = (load_file(folder / "last.safetensors") for folder in (a, b))
    assert {n: v.tobytes() for n, v in one.items()} == {n: v.tobytes() for n, v in other.items()}


@pytest.mark.parametrize("room", ["1024", "0"], ids=["memory", "file"])
def test_training_on_features_resumes_bit_for_bit(
    digits: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: str
) -> None:
    monkeypatch.setenv("PELLUCID_CACHE_MB", room)
    settings = {**SETTINGS, "freeze": "stem,block", "learning_rates": {"fc1": 0.5}, "learning_rate_decay": 0.9}
    fit(given(), digits, out=tmp_path / "whole", **settings)
    stop = _Stop(10, signal.SIGINT)
    assert fit(given(), digits, out=tmp_path / "cut", callbacks=[stop], **settings).status == "interrupted"
    assert fit(network(), digits, out=tmp_path / "cut", resume=True, **settings).status == "finished"
    same(tmp_path / "whole", tmp_path / "cut")


def test_a_stop_while_features_are_computed(digits: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {**SETTINGS, "freeze": "backbone"}
    fit(given(), digits, out=tmp_path / "whole", **settings)
    normalize = Preprocessing.normalize

    def interrupted(self: Preprocessing, images: np.ndarray) -> np.ndarray:
        os.kill(os.getpid(), signal.SIGTERM)
        return normalize(self, images)

    with monkeypatch.context() as patch:
        patch.setattr(Preprocessing, "normalize", interrupted)
        assert fit(given(), digits, out=tmp_path / "cut", **settings).status == "interrupted"
    assert load_run(tmp_path / "cut", net=network()).metrics == ()
    assert fit(network(), digits, out=tmp_path / "cut", resume=True, **settings).status == "finished"
    same(tmp_path / "whole", tmp_path / "cut")


@pytest.mark.parametrize(
    ("freeze", "expected"),
    [
        ("backbone", "flatten"),
        ("stem", "stem"),
        ("stem, block", "flatten"),
        ("block", None),  # the stem is trained
        ("stem,block.conv", "stem"),  # two values lead on from here, so the cut is before them
        ("stem,block.conv*,block.shortcut,block.bn.weight,block.bn.bias", "stem"),  # its running statistics go on
        ("*.weight", "stem/conv2d"),
        ("", None),
    ],
)
def test_where_a_network_is_cut(freeze: str, expected: str | None) -> None:
    """At the last value that never changes and that all after it needs; what dropout makes changes in every step."""
    net = given()
    shape = (4, 1, 8, 8)
    output = net.eval().graph(shape).outputs[0]
    halves = cut(Tuning.of(net, output, freeze), shape)
    assert (None if halves is None else halves.features.name) == expected
    if halves is None:
        return
    images = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    (features,) = pl.run([halves.features], {"images": images}, "reference")
    (scores,) = pl.run([halves.scores], {"features": features}, "reference")
    np.testing.assert_array_equal(scores, pl.run([output], {"x": images}, "reference")[0])


@pytest.mark.parametrize("name", ["own", "lenet", "alexnet", "resnet18", "vgg11"])
def test_the_backbone_is_all_but_the_head(name: str) -> None:
    heads = {"own": "fc2", "lenet": "fc3", "alexnet": "classifier.6", "resnet18": "fc", "vgg11": "classifier.6"}
    size = {"own": 8, "lenet": 28, "alexnet": 224, "resnet18": 32, "vgg11": 32}[name]
    net = network() if name == "own" else nn.models.build(name, num_classes=5, in_channels=1, image_size=size)
    output = net.eval().graph((1, 1, size, size)).outputs[0]
    tuning = Tuning.of(net, output, "backbone")
    assert [p.name for p in tuning.parameters] == [f"{heads[name]}.weight", f"{heads[name]}.bias"]


def test_nothing_is_differentiated_below_the_trained_parts() -> None:
    net = given()
    output = net.eval().graph((4, 1, 8, 8)).outputs[0]
    tuning = Tuning.of(net, output, "backbone")
    optimizer = Optimizer("adam")
    step = training_graph(net, (4, 1, 8, 8), optimizer, optimizer.state(tuning.parameters), tuning=tuning)
    names = [n for n in pl.Graph(list(step.updates.values())).names.values() if n.startswith("grad/")]
    assert names
    assert not [n for n in names if n.startswith(("grad/stem", "grad/block", "grad/fc1", "grad/bn", "grad/drop2"))]


def test_a_backbone_in_an_onnx_file_stays_as_it_is(digits: Splits, tmp_path: Path) -> None:
    """Its layers are parts of no module: what is frozen goes by the parameters."""
    pytest.importorskip("onnx")
    pl.save_onnx(given(), tmp_path / "net.onnx", shape=(1, 8, 8))
    net = pl.load_onnx(tmp_path / "net.onnx")
    before = net.state_dict()
    fit(net, digits, out=tmp_path / "run", freeze="backbone", **{**SETTINGS, "epochs": 1})
    after = net.state_dict()
    assert {n for n, v in before.items() if v.tobytes() != after[n].tobytes()} == {"fc2.weight", "fc2.bias"}


def test_a_backbone_made_of_a_pytorch_module_stays_as_it_is(digits: Splits, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    parts = (torch.nn.Conv2d(1, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.Flatten(), torch.nn.Linear(144, 10))
    net = pl.from_torch(torch.nn.Sequential(*parts), (2, 1, 8, 8))
    before = net.state_dict()
    fit(net, digits, out=tmp_path / "run", freeze="backbone", **{**SETTINGS, "epochs": 1})
    after = net.state_dict()
    assert {n for n, v in before.items() if v.tobytes() != after[n].tobytes()} == {"3.weight", "3.bias"}


def test_frozen_statistics_of_a_trained_batch_norm(digits: Splits, tmp_path: Path) -> None:
    run = fit(given(), digits, out=tmp_path / "run", freeze="block.bn.running_*", **{**SETTINGS, "epochs": 1})
    before, after = given().state_dict(), run.net.state_dict()
    same_bits = {n for n, v in before.items() if v.tobytes() == after[n].tobytes()}
    assert same_bits == {"block.bn.running_mean", "block.bn.running_var"}


def test_a_network_without_a_backbone(digits: Splits) -> None:
    net = nn.Sequential(flatten=nn.Flatten(), fc=nn.Linear(64, 10))
    with pytest.raises(TrainError, match="no layer of this network is known to be its head"):
        fit(net, digits, freeze="backbone", **SETTINGS)


FACTORS = [
    ({"learning_rates": {"fc2": 0.5}}, {"fc2.weight": 0.5}),
    ({"learning_rates": {"block": 0.5, "block.conv": 0.1}}, {"block.conv.bias": 0.05, "block.shortcut.bias": 0.5}),
    ({"learning_rates": {"*.bias": 3.0}}, {"stem.bias": 3.0, "stem.weight": 1.0}),
    ({"learning_rate_decay": 0.5}, {"fc2.bias": 1.0, "bn.weight": 0.5, "fc1.weight": 0.5, "stem.bias": 1 / 16}),
    ({"learning_rate_decay": 0.5, "learning_rates": {"stem": 16.0}}, {"stem.weight": 1.0, "block.bn.bias": 1 / 8}),
]


@pytest.mark.parametrize(("settings", "factors"), FACTORS, ids=lambda v: str(v)[:60])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_learning_rates_of_parts(
    digits: Splits, tmp_path: Path, settings: dict, factors: dict[str, float], optimizer: str
) -> None:
    """In the first step a weight moves by the factor times as far as without it."""
    moved = []
    for name, more in (("plain", {}), ("parts", settings)):
        run = fit(
            given(), few(32, 32), out=tmp_path / name, optimizer=optimizer, learning_rate=0.01, weight_decay=0.1,
            **{**SETTINGS, "epochs": 1}, **more,
        )  # fmt: skip
        last = load_file(run.folder / "last.safetensors")
        moved.append({n: last[n].astype(np.float64) - v for n, v in given().state_dict().items()})
    for name, factor in factors.items():
        scale = np.abs(moved[0][name]).max()
        assert scale > 0, name
        np.testing.assert_allclose(moved[1][name], factor * moved[0][name], atol=2e-3 * scale * max(factor, 1), rtol=0)


@pytest.mark.skipif(bool(available_executors()["native"]), reason="the native executor is not built here")
@pytest.mark.parametrize("optimizer", ["momentum", "adam", "adamw"])
def test_one_update_for_all_that_learn_alike(optimizer: str) -> None:
    net = nn.models.build("mlp", num_classes=10, in_channels=1, image_size=8)
    output = net.eval().graph((8, 1, 8, 8)).outputs[0]
    counts = []
    for rates in ({}, {"fc1": 0.1, "fc2": 0.5}):
        tuning = Tuning.of(net, output, rates=rates)
        chosen = Optimizer(optimizer, weight_decay=0.01)
        step = training_graph(net, (8, 1, 8, 8), chosen, chosen.state(tuning.parameters), tuning=tuning)
        steps = explain_plan(step.outputs, step.updates).to_dict()["steps"]
        counts.append(sum(s["phase"] == "update" for s in steps))
    assert counts == [1, 3]


def test_given_weights_are_where_training_starts(digits: Splits, tmp_path: Path) -> None:
    settings = {**SETTINGS, "epochs": 1, "optimizer": "sgd", "learning_rate": 1e-9}

    def trained(net: nn.Module, name: str, **more: object) -> tuple[dict[str, np.ndarray], TrainConfig]:
        run = fit(net, digits, out=tmp_path / name, **settings, **more)
        return {n: v for n, v in run.net.state_dict().items() if "running" not in n}, run.config

    def near(a: dict[str, np.ndarray], b: dict[str, np.ndarray], names: tuple[str, ...] = ("",)) -> bool:
        return all(np.allclose(v, b[n], atol=1e-6) for n, v in a.items() if n.startswith(names))

    drawn = network()
    drawn.initialize(SETTINGS["seed"])
    fresh, config = trained(network(), "fresh")
    assert not config.pretrained
    assert near(fresh, drawn.state_dict())
    loaded, config = trained(given(), "loaded")
    assert config.pretrained
    assert near(loaded, given().state_dict())
    assert not near(loaded, drawn.state_dict())
    some = network()
    some.load_state_dict({n: v for n, v in given().state_dict().items() if not n.startswith("fc")}, strict=False)
    mixed, _ = trained(some, "mixed", pretrained=True)
    assert near(mixed, given().state_dict(), ("stem", "block"))
    assert near(mixed, drawn.state_dict(), ("fc1", "fc2"))
    some.initialize(SETTINGS["seed"])
    again, _ = trained(some, "again")
    assert near(again, drawn.state_dict())


def test_profiling_and_training_give_no_weights() -> None:
    for executor in EXECUTORS:
        weight = Parameter.of(np.ones(3, np.float32), "w")
        pl.compile([weight * 1.0], updates={weight: weight * 2.0}, executor=executor)()
        assert not weight.given
        if executor == "native":
            explain_plan([weight * 1.0], {weight: weight * 2.0}, {})
            assert not weight.given
        weight.value = np.zeros(3)
        assert weight.given
        weight.initialize((0,))
        assert not weight.given


def test_starting_from_a_run_with_other_classes(tmp_path: Path) -> None:
    settings = {**SETTINGS, "optimizer": "sgd", "learning_rate": 1e-9}
    seven = nn.models.build("lenet", num_classes=7, in_channels=1, image_size=8, width=4)
    first = fit(seven, few(100, 40, 7), out=tmp_path / "first", **SETTINGS)

    def ten() -> nn.Module:
        return nn.models.build("lenet", num_classes=10, in_channels=1, image_size=8, width=4)

    run = fit(ten(), few(100, 40), out=tmp_path / "second", start_from=str(first.folder), **settings)
    before, drawn, after = first.net.state_dict(), ten(), run.net.state_dict()
    drawn.initialize(SETTINGS["seed"])
    for name, value in after.items():
        start = drawn.state_dict() if name.startswith("fc3") else before
        np.testing.assert_allclose(value, start[name], atol=1e-6, err_msg=name)
    assert run.preprocessing == first.preprocessing
    assert load_run(run.folder).config.start_from == str(first.folder)
    same_classes = fit(seven, few(100, 40, 7), out=tmp_path / "third", start_from=str(first.folder), **settings)
    np.testing.assert_allclose(same_classes.net.state_dict()["fc3.weight"], before["fc3.weight"], atol=1e-6)
    with pytest.raises(
        CheckpointError, match=r"first.best.safetensors: cannot be started from: .* missing: stem\.weight"
    ):
        fit(network(), few(100, 40), out=tmp_path / "x", start_from=str(first.folder), **SETTINGS)


def test_given_weights_keep_their_preprocessing(digits: Splits, tmp_path: Path) -> None:
    known = Preprocessing((224, 224), 1, (0.5,), (0.25,))
    run = fit(given(), digits, out=tmp_path / "run", preprocessing=known, **{**SETTINGS, "epochs": 1})
    assert load_run(run.folder, net=network()).preprocessing == Preprocessing((8, 8), 1, (0.5,), (0.25,))
    again = fit(network(), digits, out=tmp_path / "run", resume=True, **{**SETTINGS, "epochs": 1})
    assert again.preprocessing == run.preprocessing
    with pytest.raises(TrainError, match=r"used to pictures of 3 channels, those of .* have 1"):
        fit(given(), digits, preprocessing=Preprocessing((8, 8), 3, (0.5,) * 3, (0.5,) * 3), **SETTINGS)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"freeze": "*"}, "freeze '\\*' takes in every parameter; there is nothing to train"),
        ({"freeze": "backbone, fc2"}, "there is nothing to train"),
        ({"freeze": "blok"}, r"below 'blok' \(did you mean 'block'\?\); the network has: stem, block, fc1, bn, fc2"),
        ({"freeze": "block.con"}, "did you mean 'block.conv'"),
        ({"learning_rates": {"fc3": 0.1}}, r"learning_rates: no parameter .* 'fc3' \(did you mean 'fc"),
        ({"learning_rates": {"fc1": 0.0}}, "factor of 'fc1' must be a positive number, got 0.0"),
        ({"learning_rates": {"stem": 0.1}, "freeze": "stem"}, "all that 'stem' names is frozen"),
        ({"learning_rate_decay": 1.5}, r"learning_rate_decay must lie in \(0, 1\]"),
        ({"pretrained": True}, "the network has no weights to start from"),
        ({"start_from": "nowhere"}, "nowhere: there is no such run"),
    ],
    ids=lambda v: str(v)[:50],
)
def test_bad_settings_leave_no_folder(digits: Splits, tmp_path: Path, settings: dict, words: str) -> None:
    with pytest.raises(pl.PellucidError, match=words):
        fit(network(), digits, out=tmp_path / "run", **SETTINGS, **settings)
    assert not (tmp_path / "run").exists()


def test_settings_are_stored_and_compared(digits: Splits, tmp_path: Path) -> None:
    import tomllib

    settings = {**SETTINGS, "epochs": 1, "freeze": "stem", "learning_rates": {"block.conv": 0.5}}
    run = fit(given(), digits, out=tmp_path / "run", learning_rate_decay=0.9, **settings)
    stored = tomllib.loads((run.folder / "config.toml").read_text())
    assert stored["learning_rates"] == {"block.conv": 0.5}
    assert (stored["freeze"], stored["pretrained"], stored["learning_rate_decay"]) == ("stem", True, 0.9)
    assert TrainConfig.from_dict(stored) == run.config
    for more, words in (({"freeze": ""}, "freeze was 'stem', is ''"), ({"learning_rates": {}}, "learning_rates was")):
        with pytest.raises(TrainError, match=words):
            fit(given(), digits, out=run.folder, resume=True, **{"learning_rate_decay": 0.9, **settings, **more})
