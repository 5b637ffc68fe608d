"""Runs of the lab: a process that is steered, followed and resumed leaves what `pl.fit` leaves; what is not right is a problem."""

from __future__ import annotations

import asyncio
import json
import math
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
from safetensors.numpy import load_file

import pellucid as pl
from lab_server import TOKEN, Lab, running
from pellucid.lab import Library
from pellucid.lab.events import Hub, stream
from pellucid.lab.jobs import Jobs
from pellucid.lab.place import LOCK
from pellucid.lab.runs.trail import Trail
from pellucid.lab.wire import Problem
from pellucid.progress import Cancelled, progress

DATA, NETWORK = "circles", "Linear 4, Tanh"
SMALL = {"data": {"name": DATA}, "network": {"model": NETWORK}}
SETTINGS = {"epochs": 2, "batch_size": 50, "executor": "reference", "watch_every": 0}
"""14 steps."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lab") / "runs"


@pytest.fixture(scope="module")
def lab(folder: Path) -> Iterator[Lab]:
    folder.mkdir()
    with running(Library(folder=folder)) as made:
        yield made


@pytest.fixture(scope="module")
def client(lab: Lab) -> Iterator[httpx2.Client]:
    with client_of(lab) as made:
        yield made


@pytest.fixture(scope="module")
def ended_run(client: httpx2.Client) -> dict[str, Any]:
    """A run on points of a plane that has finished."""
    asked = {"data": {"name": "circles"}, "network": {"model": "Linear 2, Tanh"}, "settings": {"epochs": 2}}
    run = client.post("runs", json=asked).json()["run"]
    return until(client, run, lambda one: one["state"] == "finished")


def client_of(lab: Lab) -> httpx2.Client:
    return httpx2.Client(base_url=f"{lab.place}/api/v1/", cookies={"pellucid": TOKEN}, timeout=60)


def started(client: httpx2.Client, **body: Any) -> dict[str, Any]:
    asked = {**SMALL, **body, "settings": {**SETTINGS, **body.get("settings", {})}}
    found = client.post("runs", json=asked)
    assert found.status_code == 201, found.text
    return found.json()


def until(
    client: httpx2.Client, run: str, wanted: Callable[[dict[str, Any]], bool], seconds: float = 30
) -> dict[str, Any]:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        state = client.get(f"runs/{run}").json()
        if wanted(state):
            return state
        time.sleep(0.03)
    raise AssertionError(f"{run} stays {state}")


def events(
    client: httpx2.Client, address: str, enough: Callable[[list[dict[str, Any]]], bool], since: str = ""
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
    net = pl.models.build(NETWORK, num_classes=2, in_channels=2, image_size=1)
    with pl.quiet():
        return pl.fit(net, pl.load(DATA), out=folder, model=NETWORK, **{**SETTINGS, **settings}).folder


def test_a_run_is_steered_and_followed_and_leaves_what_fit_leaves(
    client: httpx2.Client, folder: Path, tmp_path: Path
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
    assert [row["operation"] for row in slow["stages"][0]["layers"]] == ["", "Linear", "Tanh", "Linear"]
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
    assert {layer["layer"] for layer in last["layers"]} >= {"output"}
    assert client.get(f"runs/{run}/snapshots/7").json()["step"] <= 7


def test_a_stopped_and_a_killed_run_go_on_to_the_same_end(client: httpx2.Client, folder: Path, tmp_path: Path) -> None:
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


def test_a_nan_is_named(client: httpx2.Client) -> None:
    wild = {"optimizer": "sgd", "learning_rate": 1e30, "schedule": "constant"}
    run = started(client, network={"model": "Linear 4, ReLU, Linear 4, ReLU"}, settings=wild)["run"]
    problem = until(client, run, lambda one: one["state"] == "diverged")["problem"]
    assert problem["title"] == "DivergedError"
    assert problem["where"]
    assert problem["rate"] == 1e30
    assert problem["step"] >= 1
    assert problem["gradient"]["norm"] > 0
    assert math.isfinite(client.get(f"runs/{run}/snapshots/latest").json()["layers"][0]["range"][1])


def test_a_run_keeps_the_table_that_it_learns_of(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    runs.mkdir()
    rows = "\n".join(f"{k / 7:.3f},{k % 5},{'ab'[k % 2]}" for k in range(400))
    with running(Library(folder=runs)) as made, client_of(made) as client:
        table = client.post("points", content=rows).json()["data"]
        run = started(client, data={"name": table}, paused=True)["run"]
        client.patch(f"runs/{run}", json={"do": "step"})
        until(client, run, lambda told: told["step"] == 1)
        client.patch(f"runs/{run}", json={"do": "stop"})
        until(client, run, lambda told: told["state"] == "stopped")
    with running(Library(folder=runs)) as made, client_of(made) as client:
        resumed = client.patch(f"runs/{run}", json={"do": "resume"})
        assert resumed.status_code == 200, resumed.text
        until(client, run, lambda told: told["state"] == "finished")
        again = client.post("runs", json={"again": run})
        assert again.status_code == 201, again.text
        until(client, again.json()["run"], lambda told: told["state"] == "finished")
        assert (
            client.get("training/look", params={"data": table, "network": NETWORK}).json()["parts"]["train"]["count"]
            == 280
        )
    with running(Library(folder=runs)) as made, client_of(made) as client:
        job = client.post("jobs", json={"question": "evaluate", "run": run}).json()["job"]
        state = events(client, f"jobs/{job}/events", lambda found: found[-1].get("state") in ("done", "failed"))[-1]
        assert state["state"] == "done", state


REFUSED: dict[str, tuple[Any, int, str]] = {
    "no object": ([], 400, "by an object"),
    "a setting that is none": ({"settings": {"epoch": 3}}, 422, "did you mean 'epochs'"),
    "a setting of another type": ({"settings": {"epochs": "ten"}}, 422, "epochs"),
    "a setting out of range": ({"settings": {"epochs": 0}}, 422, "at least 1"),
    "data among the settings": ({"settings": {"data": "/etc"}}, 422, "no setting here"),
    "data elsewhere": ({"data": {"name": "/etc"}}, 404, "No such data"),
    "data that is no name": ({"data": {"name": "a\0b"}}, 404, "No such data"),
    "a long name": ({"data": {"name": "x" * 100_000}}, 404, "No such data"),
    "data above": ({"data": {"name": ".."}}, 404, "No such data"),
    "weights elsewhere": ({"settings": {"start_from": "/etc/passwd"}}, 404, "No such network"),
    "a network that is none": ({"network": {"model": "lenett"}}, 404, "did you mean 'lenet'"),
    "a network in a file": ({"network": {"model": "/tmp/x.onnx"}}, 404, "No such network"),
    "a name that leads away": ({"name": "../x"}, 422, "letters, digits"),
    "a negative seed": ({"seed": -1}, 422, "seed"),
    "something unknown": ({"colour": "red"}, 422, "colour"),
    "no earlier run": ({"again": "nothing"}, 404, "No such run"),
    "a network that does not fit": ({"data": {"name": "circles"}, "network": {"model": "resnet18"}}, 422, "resnet18"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_trained_is_a_problem_and_leaves_nothing(client: httpx2.Client, folder: Path, name: str) -> None:
    body, status, words = REFUSED[name]
    before = {*folder.iterdir()}
    found = client.post("runs", json=body)
    assert found.status_code == status, found.text
    assert found.headers["content-type"] == "application/problem+json"
    assert words in " ".join(map(str, found.json().values()))
    assert {*folder.iterdir()} == before


def test_work_waits_its_turn_tells_how_far_it_is_and_ends_when_asked() -> None:
    hub, go, came = Hub(), threading.Event(), threading.Event()

    def slow() -> bytes:
        with progress("counting") as tell:
            for k in range(10_000):
                tell(k, 10_000)
                came.set()
                go.wait(0.001)
        return b"[]"

    def wrong() -> bytes:
        raise pl.train.TrainError("no")

    work = {"slow": slow, "quick": lambda: b"[1]", "wrong": wrong, "late": lambda: b"[2]"}
    jobs = Jobs(lambda body: (body, work[body]), hub)
    slow_one, quick, bad, late = (jobs.add(name)["job"] for name in work)
    assert came.wait(10)
    assert (jobs.told(slow_one)["state"], [jobs.told(one)["place"] for one in (quick, bad, late)]) == (
        "working",
        [1, 2, 3],
    )
    assert jobs.cancel(late)["state"] == "cancelled"
    with pytest.raises(Problem, match="No result"):
        jobs.result(quick)
    jobs.cancel(slow_one)
    end = time.monotonic() + 10
    while jobs.told(bad)["state"] != "failed" and time.monotonic() < end:
        time.sleep(0.01)
    assert [jobs.told(one)["state"] for one in (slow_one, quick, bad, late)] == [
        "cancelled",
        "done",
        "failed",
        "cancelled",
    ]
    assert jobs.told(slow_one)["title"] == "counting"
    assert jobs.result(quick) == b"[1]"
    assert jobs.told(bad)["problem"] == {"status": 422, "title": "TrainError", "detail": "no"}
    jobs.close()


@pytest.mark.parametrize("work", ["why_convolution", "decision_plane"])
def test_work_that_trains_is_cancelled_as_other_work_is(work: str) -> None:
    told = []
    with pytest.raises(Cancelled), pl.followed(lambda *so_far: told.append(so_far), cancelled=lambda: len(told) > 3):
        pl.why_convolution(pl.load("digits"), 3) if work == "why_convolution" else pl.decision_plane(
            "circles", epochs=9
        )


def test_jobs_answer_as_questions_do(client: httpx2.Client, lab: Lab, folder: Path) -> None:
    query = [["formula", "x*x"], ["tolerance", "0.2"]]
    told = client.post("jobs", json={"question": "approximate", "query": query})
    assert told.status_code == 202
    seen = events(client, f"events?jobs={told.json()['job']}", lambda found: found[-1].get("state") == "done")
    assert {one["kind"] for one in seen} == {"job"}
    found = client.get(f"jobs/{told.json()['job']}/result").json()
    assert found == client.get("approximate", params=query).json()
    for body, status in (
        ({"question": "x"}, 404),
        ({"question": "approximate"}, 400),
        ({}, 400),
        ({"question": "approximate", "query": "x"}, 400),
    ):
        assert client.post("jobs", json=body).status_code == status
    assert client.get("jobs/99").status_code == 404


def test_a_run_is_measured_and_a_rate_is_found(client: httpx2.Client, folder: Path, ended_run: dict[str, Any]) -> None:
    run = ended_run["run"]
    asked = {"data": {"name": "circles"}, "network": {"model": "Linear 2"}}
    bodies = {"evaluate": {"run": run}, "find-rate": {"training": asked}}
    for name, body in bodies.items():
        job = client.post("jobs", json={"question": name, **body}).json()["job"]
        state = events(client, f"jobs/{job}/events", lambda found: found[-1].get("state") in ("done", "failed"))[-1]
        assert state["state"] == "done", state
        found = client.get(f"jobs/{job}/result").json()
        assert {"answer", "picture", "part", "text", "command", "python"} <= found.keys()
        starts = {"svg": b"<svg", "png": b"\x89PNG", "csv": b"series," if name == "find-rate" else b"", "json": b"{"}
        files = {ending: client.get(f"jobs/{job}/result.{ending}") for ending in starts}
        assert {
            ending for ending, one in files.items() if one.status_code == 200 and one.content.startswith(starts[ending])
        } == {*starts}
        assert files["json"].json() == {key: value for key, value in found.items() if key != "part"}
        assert client.get(f"jobs/{job}/result.gif").status_code == 404
        if name == "evaluate":
            assert found["answer"]["accuracy"] == json.loads((folder / run / "test.json").read_text())["accuracy"]
            assert np.sum(found["answer"]["confusion"]) > 0
            each_figure(client, job, found, folder)


def each_figure(client: httpx2.Client, job: str, found: dict[str, Any], folder: Path) -> None:
    """Every figure of a measured run is a file of its own, and what its command says; its Python says the same."""
    titles = [one["title"] for one in found["figures"]]
    assert len(titles) > 1
    assert all(titles)
    for number, one in enumerate(found["figures"]):
        alone = client.get(f"jobs/{job}/result.json?figure={number}").json()
        assert found["part"].count(f'data-figure="{number}"') == 1
        assert client.get(f"jobs/{job}/result.svg?figure={number}").text.startswith("<svg")
        words = [sys.executable, "-m", *one["command"].split()]
        if number == 0:
            told = [
                subprocess.run(words, cwd=folder, capture_output=True, text=True, check=True).stdout
                for words in ([*words, "--json"], words, [sys.executable, "-c", one["python"]])
            ]
            assert json.loads(told[0]) == alone
            assert told[1] == told[2] != ""
    for wrong in (len(titles), "-1", "x", "\u0660"):
        assert client.get(f"jobs/{job}/result.svg?figure={wrong}").status_code == 404
    assert client.get(f"jobs/{job}/result.json?figure={'9' * 3000}").status_code == 404


def test_streams_go_on_where_they_ended_and_skip_what_is_old(client: httpx2.Client, ended_run: dict[str, Any]) -> None:
    run, steps = ended_run["run"], ended_run["steps"]
    whole = events(client, f"events?runs={run}", ended)[-1]
    assert (whole["points"]["step"], whole["id"], whole["missed"]) == ([*range(steps)], f"{run}:{steps}", 0)
    rest = events(client, f"events?runs={run}", ended, since=f"{run}:9 other:3")[-1]
    assert (rest["from"], rest["points"]["step"]) == (9, [*range(9, steps)])
    for address, status in (
        ("events", 400),
        ("events?runs=none", 404),
        ("events?jobs=none", 404),
        ("runs/none/events", 404),
    ):
        assert client.get(address).status_code == status
    for name in (".lock", "a%00b", "x" * 3000):
        assert client.get(f"runs/{name}").status_code == 404
        assert client.patch(f"runs/{name}", json={"do": "stop"}).status_code == 404
    names = ",".join(f"r{k}" for k in range(17))
    assert client.get(f"events?runs={names}").status_code == 400


def test_a_stream_that_is_read_slowly_gets_the_newest_and_holds_nothing_up() -> None:
    """A look is made when the one before was taken: between them a thousand changes are one."""

    class Counted:
        name, kind = "run:x", "run"

        def __init__(self) -> None:
            self.count = self.seen = self.looks = 0

        def look(self) -> dict[str, Any] | None:
            self.looks += 1
            missed, self.seen = self.count - self.seen, self.count
            return {"count": self.count, "missed": missed}

        def place(self) -> str:
            return f"x:{self.seen}"

    async def read() -> tuple[Counted, list[str]]:
        hub, one = Hub(), Counted()
        frames = stream(hub, [one]).body_iterator
        got = [str(await anext(frames))]
        for _ in range(1000):
            one.count += 1
            hub.changed("run:x")
        got.append(str(await anext(frames)))
        assert len(hub) == 1
        hub.close()
        got += [str(frame) async for frame in frames]
        assert len(hub) == 0
        return one, got

    one, got = asyncio.run(read())
    assert one.looks <= 3
    assert '"count": 1000, "missed": 1000' in got[1]
    assert "id: x:1000" in got[1]
    assert got[-1].startswith("event: end")


def test_who_leaves_in_the_middle_leaves_the_lab_well(
    lab: Lab, client: httpx2.Client, ended_run: dict[str, Any]
) -> None:
    host, port = lab.place.removeprefix("http://").split(":")
    asked = "GET /api/v1/{} HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: pellucid=" + TOKEN + "\r\n\r\n"
    run = ended_run["run"]
    hub = lab.app.state.hub
    for address in (
        f"events?runs={run}",
        "approximate?formula=sin(9*x)&tolerance=0.001",
        f"runs/{run}/snapshots/latest",
    ):
        for _ in range(8):
            with socket.create_connection((host, int(port))) as one:
                one.sendall(asked.format(address).encode())
    half = socket.create_connection((host, int(port)))
    half.sendall(b"POST /api/v1/runs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 900\r\n\r\n{")
    assert client.get("approximate", params={"formula": "x*x", "tolerance": "0.3"}).status_code == 200
    half.close()
    end = time.monotonic() + 20
    while len(hub) and time.monotonic() < end:
        time.sleep(0.05)
    assert len(hub) == 0
    assert client.get("training").status_code == 200


def test_a_folder_has_one_lab_which_ends_in_two_seconds_with_its_runs_kept(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pellucid", "lab", "--no-browser"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        address = first.stdout.readline().split()[-1]
        place, token = address.partition("/graph")[0], address.rpartition("token=")[2]
        assert (tmp_path / LOCK).stat().st_mode & 0o777 == 0o600
        second = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert second.returncode != 0
        assert f"{place}/?token={token}" in second.stderr
        assert f"process {first.pid}" in second.stderr
        with httpx2.Client(base_url=f"{place}/api/v1/", cookies={"pellucid": token}, timeout=60) as client:
            asked = {"data": {"name": "circles"}, "network": {"model": "Linear 2, Tanh"}, "settings": {"epochs": 500}}
            run = client.post("runs", json={**asked, "pace": 50}).json()["run"]
            until(client, run, lambda one: one["step"] > 3)
            with client.stream("GET", f"events?runs={run}") as follow:
                lines = follow.iter_lines()
                next(lines)
                began = time.monotonic()
                first.send_signal(signal.SIGINT)
                assert any(line == "event: end" for line in lines)
        first.wait(20)
        assert time.monotonic() - began < 3  # two seconds, and what a busy machine adds
        assert first.stderr is not None
        assert "Traceback" not in first.stderr.read()
    assert not (tmp_path / LOCK).exists()
    trail, end = Trail(tmp_path / "runs" / run), time.monotonic() + 20
    while trail.get("end") is None and time.monotonic() < end:
        time.sleep(0.05)
    assert trail.get("end") == {"state": "stopped"}
    assert load_file(tmp_path / "runs" / run / "last.safetensors")


def test_runs_are_trained_in_the_folder_that_the_lab_looks_in(tmp_path: Path) -> None:
    """Whatever it is called, as in a notebook whose run lies elsewhere."""
    (folder := tmp_path / "experiments").mkdir()
    with running(Library(folder=folder)) as made, client_of(made) as client:
        run = started(client)["run"]
        assert until(client, run, lambda one: one["state"] == "finished")["seed"] == 0
        assert client.patch(f"runs/{run}", json={"do": "resume"}).status_code == 409
    assert [path.name for path in tmp_path.iterdir()] == ["experiments"]
    assert (folder / run / "last.safetensors").exists()


def test_a_run_that_was_not_begun_here_tells_its_seed(client: httpx2.Client, folder: Path) -> None:
    net = pl.nn.models.build("Linear 2, Tanh", num_classes=2, in_channels=2, image_size=1)
    pl.fit(net, pl.load("circles count=40"), epochs=1, seed=7, out=folder / "by-hand", report=False)
    assert client.get("runs/by-hand").json()["seed"] == 7


def test_a_run_that_is_stopped_as_it_begins_has_a_checkpoint(client: httpx2.Client, folder: Path) -> None:
    """A stop that comes while data and network are still made waits for them."""
    for _ in range(3):
        run = started(client, paused=True)["run"]
        client.patch(f"runs/{run}", json={"do": "stop"})
        until(client, run, lambda one: one["state"] == "stopped")
        assert client.patch(f"runs/{run}", json={"do": "resume"}).status_code == 200
        until(client, run, lambda one: one["state"] == "finished")
        assert (folder / run / "last.safetensors").exists() and Trail(folder / run).get("end") == {"state": "finished"}
