"""Training on real pictures: it learns, it can be killed and resumed bit for bit, and it says what went wrong."""

from __future__ import annotations

import csv
import errno
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

import pellucid as pl
from pellucid import files, nn
from pellucid.data import Splits, Subset
from pellucid.errors import WriteError
from pellucid.executors import available_executors, computed_by, default_executor, default_threads
from pellucid.train import Callback, CheckpointError, DivergedError, StepReport, TrainError, fit, load_run
from pellucid.train.checkpoint import step_of
from pellucid.train.optimizers import Optimizer
from pellucid.train.optimizers import names as optimizer_names
from pellucid.train.schedules import SCHEDULES, factor
from precisions import PRECISIONS

EXECUTORS = [name for name, reason in available_executors().items() if not reason]
SETTINGS = {"epochs": 3, "batch_size": 32, "shift": 1, "seed": 7, "report": False}


@pytest.fixture(scope="module")
def digits() -> Splits:
    whole = pl.load("digits")
    parts = [Subset(p, range(n), p.name) for p, n in ((whole.train, 200), (whole.validation, 60), (whole.test, 60))]
    return Splits(*parts, "digits")


def small(**options: object) -> nn.Module:
    return nn.models.build("lenet", num_classes=10, in_channels=1, image_size=8, width=4, **options)


def same(a: Path, b: Path) -> None:
    """Two runs ended with the same bytes, apart from the clock."""
    for name in ("last.safetensors", "best.safetensors"):
        one, other = load_file(a / name), load_file(b / name)
        assert one.keys() == other.keys()
        for key in one:
            assert one[key].tobytes() == other[key].tobytes(), key
    rows = [
        [
            {k: v for k, v in row.items() if k != "seconds"}
            for row in csv.DictReader((f / "metrics.csv").read_text().splitlines())
        ]
        for f in (a, b)
    ]
    assert rows[0] == rows[1]


@pytest.mark.parametrize("optimizer", optimizer_names())
def test_every_optimizer_learns(digits: Splits, tmp_path: Path, optimizer: str) -> None:
    run = fit(
        small(),
        digits,
        out=tmp_path / "run",
        optimizer=optimizer,
        epochs=12,
        batch_size=20,
        report=False,
    )
    assert run.metrics[-1]["loss"] < run.metrics[0]["loss"] * 0.98


def test_a_run_is_whole(digits: Splits, tmp_path: Path) -> None:
    run = fit(small(), digits, out=tmp_path / "run", epochs=2, batch_size=32)
    names = {p.name for p in run.folder.iterdir()}
    assert {"config.toml", "metrics.csv", "test.json", "report.html", "last.safetensors", "best.safetensors"} <= names
    page = (run.folder / "report.html").read_text()
    for heading in (
        "Training",
        "Which class",
        "First-layer filters",
        "What the layers make",
        "The network",
        "Settings",
    ):
        assert heading in page
    assert not re.search(r'(?:src|href)="(?!data:|#)', page)
    loaded = load_run(run.folder)
    assert loaded.classes == run.classes
    assert run.test is not None
    assert loaded.evaluate(digits.test).accuracy == run.test.accuracy
    assert len(loaded.metrics) == 2
    image = loaded.preprocessing.normalize(digits.test.image(0)[None])
    probabilities = pl.predict(loaded.net, image)
    assert probabilities.shape == (1, 10)
    assert probabilities.sum() == pytest.approx(1)


class _Stop(Callback):
    """Sends this process a signal after some steps."""

    def __init__(self, step: int, number: int) -> None:
        self.step, self.number = step, number

    def on_step(self, report: object) -> None:
        if report.step == self.step:  # type: ignore[attr-defined]
            os.kill(os.getpid(), self.number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_stop_and_resume_bit_for_bit(digits: Splits, tmp_path: Path, number: int) -> None:
    fit(small(), digits, out=tmp_path / "whole", **SETTINGS)
    before = signal.getsignal(number)
    run = fit(small(), digits, out=tmp_path / "cut", callbacks=[_Stop(10, number)], **SETTINGS)
    assert run.status == "interrupted"
    assert signal.getsignal(number) == before
    again = fit(small(), digits, out=tmp_path / "cut", resume=True, **SETTINGS)
    assert again.status == "finished"
    same(tmp_path / "whole", tmp_path / "cut")


def test_a_run_stopped_after_the_last_batch_of_an_epoch_goes_on(digits: Splits, tmp_path: Path) -> None:
    class AtTheEnd(Callback):
        def on_step(self, report: StepReport) -> None:
            if report.epoch == 0 and report.batch + 1 == report.num_batches:
                os.kill(os.getpid(), signal.SIGINT)

    fit(small(), digits, out=tmp_path / "whole", **SETTINGS)
    assert fit(small(), digits, out=tmp_path / "cut", callbacks=[AtTheEnd()], **SETTINGS).status == "interrupted"
    assert len(load_run(tmp_path / "cut").metrics) == 1
    assert fit(small(), digits, out=tmp_path / "cut", resume=True, **SETTINGS).status == "finished"
    same(tmp_path / "whole", tmp_path / "cut")


@pytest.mark.parametrize("executor", ["reference", "torch"])
def test_kill_9_and_resume_bit_for_bit(tmp_path: Path, executor: str) -> None:
    """A real process is killed in the middle of an epoch; the resumed run ends as if nothing had happened."""
    if executor == "torch":
        pytest.importorskip("torch")
    command = [sys.executable, "-m", "pellucid", "train", "--epochs", "3", "--shift", "1", "--executor", executor]
    command += ["--checkpoint-every", "3", "--out"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    subprocess.run([*command, str(tmp_path / "whole")], check=True, capture_output=True, env=environment)
    process = subprocess.Popen(
        [*command, str(tmp_path / "cut")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment
    )
    last = tmp_path / "cut" / "last.safetensors"
    deadline = time.monotonic() + 60
    while not step_of(last) and time.monotonic() < deadline:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "the process was to be killed while it trained"
    assert not (tmp_path / "cut" / "test.json").exists()
    resumed = [sys.executable, "-m", "pellucid", "train", "--resume", "--out", str(tmp_path / "cut")]
    subprocess.run(resumed, check=True, capture_output=True, env=environment)
    same(tmp_path / "whole", tmp_path / "cut")


def test_a_full_disk_keeps_the_last_checkpoint(digits: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fit(small(), digits, out=tmp_path / "whole", **SETTINGS)
    synced = []

    def full(descriptor: int) -> None:
        synced.append(descriptor)
        if len(synced) > 12:
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(files.os, "fsync", full)
        with pytest.raises(WriteError, match="No space left on device"):
            fit(small(), digits, out=tmp_path / "cut", checkpoint_every=2, **SETTINGS)
    assert not list((tmp_path / "cut").glob(".*part"))
    fit(small(), digits, out=tmp_path / "cut", resume=True, **SETTINGS)
    same(tmp_path / "whole", tmp_path / "cut")


def test_divergence_names_the_node_and_keeps_the_weights(digits: Splits, tmp_path: Path) -> None:
    class Burst(nn.Module):
        """log of a sum that becomes negative: a NaN with a known first place."""

        def __init__(self) -> None:
            super().__init__()
            self.flatten = nn.Flatten()
            self.fc = nn.Linear(64, 10)

        def forward(self, x: pl.Tensor) -> pl.Tensor:
            return pl.log(self.fc(self.flatten(x)))

    with pytest.raises(DivergedError, match=r"epoch 1, step 0: log is the first node .*NaN .*made by log\(fc\)"):
        fit(Burst(), digits, out=tmp_path / "run", **SETTINGS)
    with pytest.raises(DivergedError, match="lower learning rate"):
        fit(small(), digits, out=tmp_path / "wild", optimizer="sgd", learning_rate=1e30, **SETTINGS)


class Far(nn.Module):
    """Its weights may be huge and its scores are not: `how` they are kept from the loss."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how, self.flatten, self.fc, self.bn = how, nn.Flatten(), nn.Linear(64, 10), nn.BatchNorm1d(10)

    def forward(self, x: pl.Tensor) -> pl.Tensor:
        y = self.fc(self.flatten(x))
        return pl.tanh(y) if self.how == "bounded" else self.bn(y * 1e25)


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize(
    ("how", "optimizer", "rate", "words"),
    [
        ("bounded", "sgd", 3e38, r"fc\.weight became (infinity|NaN) in \d+ of 640 elements"),
        ("bounded", "momentum", 3e38, r"fc\.weight became (infinity|NaN)"),
        ("bounded", "adam", 3e38, r"fc\.weight became (infinity|NaN)"),
        ("normalized", "sgd", 1e-19, r"bn\.running_var became infinity in 10 of 10 elements"),
    ],
)
def test_an_update_that_diverges_reaches_no_checkpoint(
    digits: Splits, tmp_path: Path, executor: str, how: str, optimizer: str, rate: float, words: str
) -> None:
    """Also where it is the last step of the run, and whatever the step after it makes of infinite weights."""
    settings = {
        **SETTINGS,
        "epochs": 1,
        "optimizer": optimizer,
        "learning_rate": rate,
        "learning_rates": {"fc": 1e10},
        "schedule": "constant",
        "executor": executor,
    }
    for batch in (200, 50):
        for every in (0, 1):
            folder = tmp_path / f"{batch}-{every}"
            with pytest.raises(DivergedError, match=rf"epoch 1, step \d: .*(not finite|{words})"):
                fit(Far(how), digits, out=folder, **{**settings, "batch_size": batch, "checkpoint_every": every})
            for file in folder.glob("*.safetensors"):
                assert all(np.isfinite(value).all() for value in load_file(file).values())
    assert not list(tmp_path.glob("*/best*"))


def test_a_validation_that_is_not_finite_is_no_best_epoch(digits: Splits, tmp_path: Path) -> None:
    class Blind(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.flatten, self.fc = nn.Flatten(), nn.Linear(64, 10)

        def forward(self, x: pl.Tensor) -> pl.Tensor:
            y = self.fc(self.flatten(x))
            return y if x.shape[0] == 50 else pl.log(y)

    with pytest.raises(DivergedError, match="epoch 1, step 3: the loss of the validation pictures is nan"):
        fit(Blind(), digits, out=tmp_path / "run", **{**SETTINGS, "batch_size": 50})
    assert not (tmp_path / "run" / "best.safetensors").exists()


def test_a_run_resumed_by_other_threads_or_instructions_says_so(digits: Splits, tmp_path: Path) -> None:
    with pytest.raises(TrainError, match="threads must be at most 1024"):
        fit(small(), digits, out=tmp_path / "many", threads=5000, **SETTINGS)
    folder = tmp_path / "run"
    fit(small(), digits, out=folder, callbacks=[_Stop(10, signal.SIGINT)], **SETTINGS)
    began = computed_by(default_executor(), default_threads())
    words = rf"computed by '{re.escape(began)}' and goes on by 'native on 9 threads, avx': its last bits"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pellucid.train.setup.computed_by", lambda executor, threads: "native on 9 threads, avx")
        patch.setattr("pellucid.train.setup.computing_threads", lambda executor, threads: 9)
        with pytest.warns(UserWarning, match=words):
            fit(small(), digits, out=folder, resume=True, **SETTINGS)
    assert load_run(folder).config.threads == 9


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("activation", [nn.ReLU, nn.ReLU6])
@pytest.mark.parametrize("name", ["first.weight", "first.bias", "second.weight", "fc.weight"])
def test_one_weight_that_is_nan_stops_training(
    digits: Splits, tmp_path: Path, name: str, activation: type[nn.Module], precision: str
) -> None:
    """Though ReLU follows: the largest of 0 and a NaN is a NaN."""
    net = nn.Sequential(
        first=nn.Conv2d(1, 16, 3), relu1=activation(), second=nn.Conv2d(16, 16, 3), relu2=activation(),
        flatten=nn.Flatten(), fc=nn.Linear(256, 16), relu3=activation(), scores=nn.Linear(16, 10),
    )  # fmt: skip
    net.initialize(0)
    with pytest.raises(DivergedError, match=rf"epoch 1, step 1: .*\b{name.split('.')[0]}\b"):
        fit(
            net,
            digits,
            out=tmp_path / "run",
            precision=precision,
            callbacks=[_Spoil(net.named_parameters()[name])],
            **SETTINGS,
        )


class _Spoil(Callback):
    """Makes the last number of a parameter a NaN after the first step."""

    def __init__(self, parameter: pl.Parameter) -> None:
        self.parameter = parameter

    def on_step(self, report: StepReport) -> None:
        if report.step == 0:
            spoilt = self.parameter.value.copy()
            spoilt.reshape(-1)[-1] = np.nan
            self.parameter.value = spoilt


def test_early_stop(digits: Splits, tmp_path: Path) -> None:
    run = fit(
        small(),
        digits,
        out=tmp_path / "run",
        epochs=30,
        patience=1,
        batch_size=50,
        learning_rate=1e-9,
        report=False,
    )
    assert run.status == "stopped early"
    assert len(run.metrics) == 2


def test_damaged_checkpoints(digits: Splits, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    fit(small(), digits, out=folder, **SETTINGS)
    last = folder / "last.safetensors"
    shutil.copy(last, folder / "last.previous.safetensors")  # which earlier versions kept
    last.write_bytes(last.read_bytes()[:1000])
    with pytest.warns(UserWarning, match=r"using last\.previous\.safetensors instead"):
        load_run(folder, "last")
    (folder / "last.previous.safetensors").write_bytes(b"garbage")
    with pytest.raises(CheckpointError, match="not a readable checkpoint"):
        load_run(folder, "last")
    with pytest.raises(CheckpointError, match="there is no such run"):
        load_run(tmp_path / "nowhere")


def test_a_kill_between_the_two_renames(digits: Splits, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    fit(small(), digits, out=folder, **SETTINGS)
    os.replace(folder / "last.safetensors", folder / "last.previous.safetensors")
    with pytest.warns(UserWarning, match="no such checkpoint; using last"):
        fit(small(), digits, out=folder, resume=True, **SETTINGS)
    assert (folder / "last.safetensors").exists() or (folder / "test.json").exists()


def test_a_network_of_ones_own(digits: Splits, tmp_path: Path) -> None:
    def build() -> nn.Module:
        return nn.Sequential(
            flatten=nn.Flatten(), fc1=nn.Linear(64, 16), drop=nn.Dropout(0.2), relu=nn.ReLU(), fc2=nn.Linear(16, 10)
        )

    net = build()
    run = fit(net, digits, out=tmp_path / "run", **{**SETTINGS, "report": True})
    assert run.net is net
    again = build()
    assert load_run(run.folder, net=again).net is again
    for name, value in net.state_dict().items():
        assert value.tobytes() == again.state_dict()[name].tobytes()
    with pytest.raises(CheckpointError, match="a Sequential of your own"):
        load_run(shutil.copy(run.folder / "best.safetensors", tmp_path))  # without the graph beside it
    with pytest.raises(CheckpointError, match=r"missing: fc\.weight"):
        load_run(run.folder, net=nn.Sequential(flatten=nn.Flatten(), fc=nn.Linear(64, 10)))


TORCH_OPTIMIZERS = {
    "sgd": ("SGD", {"weight_decay": 0.01}),
    "momentum": ("SGD", {"momentum": 0.9, "weight_decay": 0.01}),
    "nesterov": ("SGD", {"momentum": 0.9, "nesterov": True, "weight_decay": 0.01}),
    "rmsprop": ("RMSprop", {"weight_decay": 0.01}),
    "adam": ("Adam", {"weight_decay": 0.01}),
    "adamw": ("AdamW", {"weight_decay": 0.01}),
}


@pytest.mark.parametrize("name", optimizer_names())
def test_optimizers_are_torchs(name: str) -> None:
    torch = pytest.importorskip("torch")
    start = np.random.default_rng(0).standard_normal((3, 4))
    weight = pl.Parameter.of(start, "w")
    rate, step = pl.input((), "float64", "rate"), pl.input((), "float64", "step")
    factors = np.arange(12.0).reshape(3, 4) / 5
    loss = (pl.tanh(weight) * factors).sum()
    optimizer = Optimizer(name, weight_decay=0.01)
    state = optimizer.state([weight])
    updates = optimizer.updates([weight], pl.gradients(loss, [weight]), state, rate, step)
    program = pl.compile([loss], updates=updates)
    theirs = torch.nn.Parameter(torch.tensor(start))
    kind, options = TORCH_OPTIMIZERS[name]
    peer = getattr(torch.optim, kind)([theirs], lr=0.05, **options)
    for number in range(6):
        feeds = {"rate": np.float64(0.05), "step": np.float64(number + 1)}
        program({k: v for k, v in feeds.items() if k in {i.name for i in program.graph.inputs}})
        peer.zero_grad()
        (torch.tanh(theirs) * torch.tensor(factors)).sum().backward()
        peer.step()
    np.testing.assert_allclose(weight.value, theirs.detach().numpy(), rtol=1e-6)


def test_another_architecture_or_setting_is_named(digits: Splits, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    fit(small(), digits, out=folder, **{**SETTINGS, "epochs": 1})
    with pytest.raises(CheckpointError, match="width is 4, expected 6"):
        other = nn.models.build("lenet", num_classes=10, in_channels=1, image_size=8, width=6)
        fit(other, digits, out=folder, resume=True, **{**SETTINGS, "epochs": 1})
    with pytest.raises(TrainError, match="seed was 7, is 8"):
        fit(small(), digits, out=folder, resume=True, **{**SETTINGS, "epochs": 1, "seed": 8})
    with pytest.raises(TrainError, match="exists and is not empty"):
        fit(small(), digits, out=folder, **SETTINGS)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"epochs": 0}, "epochs must be at least 1"),
        ({"batch_size": -1}, "batch_size must be at least 1"),
        ({"learning_rate": float("nan")}, "learning_rate must be"),
        ({"optimizer": "adma"}, "did you mean 'adam'"),
        ({"schedule": "cosin"}, "did you mean 'cosine'"),
        ({"executor": "refrence"}, "did you mean 'reference'"),
        ({"epoch": 3}, "did you mean 'epochs'"),
    ],
)
def test_bad_settings_leave_no_folder(digits: Splits, tmp_path: Path, settings: dict, words: str) -> None:
    with pytest.raises((pl.PellucidError, ValueError), match=words):
        fit(small(), digits, out=tmp_path / "run", **settings)
    assert not (tmp_path / "run").exists()


def test_classes_must_fit(digits: Splits, tmp_path: Path) -> None:
    net = nn.models.build("lenet", num_classes=7, in_channels=1, image_size=8)
    with pytest.raises(TrainError, match="10 classes"):
        fit(net, digits, out=tmp_path / "run")


@pytest.mark.parametrize("name", sorted(SCHEDULES))
def test_schedules_stay_within_bounds(name: str) -> None:
    values = [factor(name, step, 100) for step in range(101)]
    assert all(0 <= v <= 1 for v in values)
    assert max(values) == pytest.approx(1, abs=0.01)


def test_tensorboard_events(digits: Splits, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    fit(small(), digits, out=tmp_path / "run", tensorboard=True, **{**SETTINGS, "epochs": 1})
    events = list((tmp_path / "run" / "tensorboard").glob("events*"))
    assert events
    assert events[0].stat().st_size > 200
    assert b"ratio/conv1.weight" in events[0].read_bytes()
