"""Runs of the lab: a process that is steered, followed and resumed leaves what `pl.fit` leaves; what is not right is a problem."""

from __future__ import annotations

import json
import math
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from safetensors.numpy import load_file

import pellucid as pl
from lab_server import TOKEN, Lab, running
from pellucid.lab import Library

SMALL = {"model": "mlp"}
SETTINGS = {"epochs": 2, "batch_size": 200, "executor": "reference", "watch_every": 0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lab") / "runs"


@pytest.fixture(scope="module")
def lab(folder: Path) -> Iterator[Lab]:
    folder.mkdir()
    with running(Library(folder=folder)) as made:
        yield made


@pytest.fixture(scope="module")
def client(lab: Lab) -> Iterator[httpx.Client]:
    with client_of(lab) as made:
        yield made


def client_of(lab: Lab) -> httpx.Client:
    return httpx.Client(base_url=f"{lab.place}/api/v1/", cookies={"pellucid": TOKEN}, timeout=60)


def started(client: httpx.Client, **body: Any) -> dict[str, Any]:
    asked = {"network": SMALL, **body, "settings": {**SETTINGS, **body.get("settings", {})}}
    found = client.post("runs", json=asked)
    assert found.status_code == 201, found.text
    return found.json()


def until(
    client: httpx.Client, run: str, wanted: Callable[[dict[str, Any]], bool], seconds: float = 30
) -> dict[str, Any]:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        state = client.get(f"runs/{run}").json()
        if wanted(state):
            return state
        time.sleep(0.03)
    raise AssertionError(f"{run} stays {state}")


def events(
    client: httpx.Client, address: str, enough: Callable[[list[dict[str, Any]]], bool], since: str = ""
) -> list[dict[str, Any]]:
    """What a stream says, each with its id and kind, until that is enough or it ends."""
    found: list[dict[str, Any]] = []
    now: dict[str, Any] = {}
    with client.stream("GET", address, headers={"last-event-id": since} if since else {}) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        for line in stream.iter_lines():
            key, _, value = line.partition(": ")
            if key:
                now[key] = value
            elif now:
                found.append({"id": now.get("id", ""), "kind": now.get("event"), **json.loads(now.get("data", "{}"))})
                now = {}
                if enough(found):
                    break
    return found


def ended(found: list[dict[str, Any]]) -> bool:
    return found[-1].get("state") in ("finished", "stopped", "diverged", "killed")


def fitted(folder: Path, **settings: Any) -> Path:
    net = pl.models.build("mlp", num_classes=10, in_channels=1, image_size=8)
    with pl.quiet():
        return pl.fit(net, pl.load("digits"), out=folder, model="mlp", **{**SETTINGS, **settings}).folder


def test_a_run_is_steered_and_followed_and_leaves_what_fit_leaves(
    client: httpx.Client, folder: Path, tmp_path: Path
) -> None:
    begun = started(client, paused=True)
    run = begun["run"]
    state = until(client, run, lambda one: one["state"] == "paused")
    assert (state["step"], state["steps"], state["batches"], state["snapshots"]) == (0, 14, 7, [0])
    client.patch(f"runs/{run}", json={"do": "step", "stages": True})
    state = until(client, run, lambda one: one["state"] == "paused" and one["step"] == 1)
    assert state["snapshots"] == [0, 1]

    slow = client.get(f"runs/{run}/stages").json()
    assert [one["name"] for one in slow["stages"]] == ["forward", "loss", "backward", "update"]
    assert [row["layer"] for row in slow["stages"][0]["layers"]][1:] == [
        "flatten",
        "fc1",
        "relu1",
        "fc2",
        "relu2",
        "output",
    ]
    assert slow["stages"][1]["loss"] == pytest.approx(state["loss"], rel=1e-6)
    assert slow["stages"][2]["gradient_norm"] == pytest.approx(state["gradient_norm"], rel=1e-5)
    one = slow["stages"][3]["one"]
    assert one["before"] + one["update"] == pytest.approx(one["after"], rel=1e-6)
    picture = client.get(f"runs/{run}/snapshots/1").json()
    own = {p["name"]: p for layer in picture["layers"] for p in layer["parameters"]}
    for row in slow["stages"][3]["parameters"]:
        assert own[row["name"]]["update"] == pytest.approx(row["update"], rel=1e-4)

    assert client.patch(f"runs/{run}", json={"do": "resume"}).json()["run"] == run
    seen = events(client, f"runs/{run}/events", ended)
    assert seen[-1]["state"] == "finished"
    assert [row["epoch"] for row in seen[-1]["rows"]] == [1, 2]
    curve = client.get("curves", params={"runs": run}).json()["runs"][0]["curve"]
    assert curve["step"] == [*range(14)]
    assert sum(len(one["points"]["step"]) for one in seen) == 14

    whole = fitted(tmp_path / "whole")
    for name in ("best.safetensors", "last.safetensors"):
        mine, theirs = load_file(folder / run / name), load_file(whole / name)
        assert all(np.array_equal(mine[key], theirs[key]) for key in theirs), name
    again = pl.runs(folder).runs
    assert (run, "finished") in [(one.name, one.state) for one in again]
    last = client.get(f"runs/{run}/snapshots/latest").json()
    assert last["step"] == 14
    assert {layer["layer"] for layer in last["layers"]} >= {"fc1", "relu1", "output"}
    assert client.get(f"runs/{run}/snapshots/7").json()["step"] <= 7


def test_a_stopped_and_a_killed_run_go_on_to_the_same_end(client: httpx.Client, folder: Path, tmp_path: Path) -> None:
    whole = fitted(tmp_path / "whole", checkpoint_every=1)
    for how in ("stopped", "killed"):
        run = started(client, pace=40, settings={"checkpoint_every": 1})["run"]
        until(client, run, lambda one: one["step"] > 2)
        if how == "stopped":
            assert client.patch(f"runs/{run}", json={"do": "stop"}).json()["state"] == "stopping"
        else:
            os.kill(int((folder / run / ".lock").read_text().split()[1]), signal.SIGKILL)
        state = until(client, run, lambda one: one["state"] not in ("running", "stopping"))
        assert state["state"] == how
        assert state["step"] < 14
        if how == "killed":
            assert "SIGKILL" in state["problem"]["detail"]
            assert isinstance(state["log"], list)
        assert client.patch(f"runs/{run}", json={"do": "resume"}).status_code == 200
        assert until(client, run, lambda one: one["state"] == "finished")["step"] == 14
        mine, theirs = load_file(folder / run / "last.safetensors"), load_file(whole / "last.safetensors")
        assert all(np.array_equal(mine[key], theirs[key]) for key in theirs)
        assert client.get("curves", params={"runs": run}).json()["runs"][0]["curve"]["step"] == [*range(14)]


def test_a_nan_is_named(client: httpx.Client) -> None:
    run = started(client, settings={"optimizer": "sgd", "learning_rate": 1e30, "schedule": "constant"})["run"]
    problem = until(client, run, lambda one: one["state"] == "diverged")["problem"]
    assert problem["title"] == "DivergedError"
    assert problem["where"]
    assert problem["rate"] == 1e30
    assert problem["step"] >= 1
    assert problem["gradient"]["norm"] > 0
    assert math.isfinite(client.get(f"runs/{run}/snapshots/latest").json()["layers"][0]["range"][1])
