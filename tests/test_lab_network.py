"""The lab's views of a network: the numbers are those of the command line, and only what is known can be looked at."""

from __future__ import annotations

import base64
import json
import os
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner

import pellucid as pl
from pellucid.cli import app as commands
from pellucid.examples import example_of
from pellucid.lab import Library
from pellucid.lab.app import create_app
from pellucid.lab.columns import blocks
from pellucid.lab.holdings import USUAL
from pellucid.lab.maps import LayerMaps
from pellucid.lab.traces import Traces
from pellucid.lab.views import VIEWS, view_addresses
from pellucid.lab.wire import Problem

PICTURE = "digits[143]"


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An ONNX file of a run on digits."""
    folder = tmp_path_factory.mktemp("network")
    net = pl.nn.models.build("lenet", image_size=8, in_channels=1)
    run = pl.fit(net, pl.load("digits"), epochs=1, out=folder / "run", report=False)
    pl.save_onnx(run, folder / "digits.onnx")
    return str(folder / "digits.onnx")


@pytest.fixture(scope="module")
def client(network: str) -> Iterator[TestClient]:
    with TestClient(create_app(Library(network), "secret"), base_url="http://127.0.0.1:8000") as made:
        made.cookies.set("pellucid", "secret")
        yield made


def view(client: TestClient, name: str, network: str, **given: Any) -> Any:
    found = client.get(f"/api/v1/network/{name}", params={"model": network, "picture": PICTURE, **given})
    assert found.status_code == 200, found.text
    return found.json()


def printed(command: str) -> Any:
    return json.loads(CliRunner().invoke(commands, [*shlex.split(command)[1:], "--json"]).stdout)


def test_the_overview_is_the_trace_and_the_prediction(client: TestClient, network: str) -> None:
    found = view(client, "overview", network, target="3")
    told = printed(found["command"])
    rows = told.pop("layers")
    assert {key: found[key] for key in told} == told
    assert [{key: row[key] for key in rows[0]} for row in found["layers"]] == rows
    assert found["class"] == "3"
    predicted = printed(f"pellucid predict {shlex.quote(network)} '{PICTURE}' --top 5")
    assert found["top"] == predicted[0]["predictions"]
    assert found["given"]["png"].startswith("data:image/png;base64,")
    layers = [row["layer"] for row in found["layers"]]
    assert all(read in layers for row in found["layers"] for read in row["reads"])
    assert [row["reads"] for row in found["layers"][1:3]] == [layers[:1], layers[1:2]]


@pytest.mark.parametrize("what", ["value", "gradient"])
def test_every_number_is_the_command_lines(client: TestClient, network: str, what: str) -> None:
    layers = view(client, "overview", network)["layers"][1:]
    for row in layers:
        cell = ",".join(str(n // 2) for n in row["size"])
        found = view(client, "at", network, layer=row["layer"], map=row["maps"] - 1, cell=cell, what=what)
        told = printed(found["command"])
        terms = told.pop("terms")
        shown = [
            {**t, "factors": [{k: f[k] for k in f if k not in ("place", "edit")} for f in t["factors"]]}
            for t in found["answer"].pop("terms")
        ]
        assert found["answer"] == told
        assert found["count"] == len(terms)
        assert what == "gradient" or found["field"] == told["receptive_field"]
        assert found["field"] is not None
        assert shown == sorted(terms, key=lambda term: -abs(term["value"]))[: len(shown)]
        assert abs(sum(t["value"] for t in shown) + found["rest"] - told["sum"]) <= 1e-12 * max(1, abs(told["sum"]))
        sums = [channel["sum"] for patch in found["patches"] for channel in patch["channels"]]
        products = [np.nansum(c["products"]) for patch in found["patches"] for c in patch["channels"]]
        assert np.allclose(sums, products, rtol=1e-12, atol=1e-15)
        for factor in (f for t in found["answer"].get("terms", []) for f in t["factors"] if f["place"]):
            there = view(client, "at", network, **factor["place"], what="value")
            assert there["answer"]["value"] == factor["value"]


@pytest.mark.parametrize(("what", "order"), [("value", "first"), ("gradient", "strongest")])
def test_maps_are_the_activations_between_their_ends(client: TestClient, network: str, what: str, order: str) -> None:
    layer = view(client, "overview", network)["layers"][1]["layer"]
    found = view(client, "maps", network, layer=layer, what=what, order=order, count=5, **{"from": 2})
    opened = pl.open_model(network)
    traced = pl.trace(opened.net, example_of(opened, PICTURE).values)
    values = pl.explain.activation_maps(traced, layer, gradient=what == "gradient").values
    peaks = np.abs(values).reshape(len(values), -1).max(1)
    numbers = np.argsort(-peaks, kind="stable") if order == "strongest" else np.arange(len(values))
    assert found["numbers"] == numbers[2:7].tolist()
    assert found["total"] == len(values)
    steps = np.frombuffer(base64.b64decode(found["bytes"]), np.uint8).reshape(found["shape"])
    width = (found["high"] - found["low"]) / 254
    assert np.abs(found["low"] + width * steps - values[found["numbers"]]).max() <= width * 0.51
    one = view(client, "map", network, layer=layer, map=found["numbers"][0], what=what)
    assert one["values"] == values[found["numbers"][0]].tolist()
    weights = pl.explain.filters(opened.net, opened.shapes(), layer).values
    for source in one["reads"]["shown"]:
        assert source["kernel"] == weights[one["map"], source["map"]].tolist()


def test_an_edit_changes_all_later_numbers_and_no_file(client: TestClient, network: str) -> None:
    plain = view(client, "overview", network)
    conv = view(client, "numbers", network, layer=plain["layers"][1]["layer"], map=3)
    filter_, bias = conv["parts"]
    assert (filter_["at"], bias["at"]) == ("conv1.weight[3]", "conv1.bias[3]")
    assert filter_["values"] == pl.open_model(network).net.named_parameters()["conv1.weight"].value[3].tolist()
    edits = [f"{filter_['at']}=0", f"{bias['at']}=0.25", "fc3.weight*=2"]
    before = Path(network).read_bytes()
    found = view(client, "overview", network, edit=edits)
    assert {"name": "conv1.bias", "edited": True, "values": 0.25}.items() <= view(
        client, "numbers", network, layer=conv["layer"], map=3, edit=edits
    )["parts"][1].items()
    told = printed(found["command"])
    assert found["command"].count("--edit") == 3
    assert (
        (found["score"], found["probability"])
        == (told["score"], told["probability"])
        != (plain["score"], plain["probability"])
    )
    assert found["layers"][1]["mean"] == told["layers"][1]["mean"] != plain["layers"][1]["mean"]
    base = view(client, "overview", network, target=found["class"])
    assert (found["before"]["score"], found["before"]["class"]) == (base["score"], plain["class"])
    assert found["before"]["probability"] == pytest.approx(base["probability"], rel=1e-6)
    assert found["before"]["top"] == plain["top"]
    known = {
        row["class"]: row["probability"]
        for row in printed(f"pellucid predict {shlex.quote(network)} '{PICTURE}' --top 10")[0]["predictions"]
    }
    assert [row["before"] for row in found["top"]] == [known[row["class"]] for row in found["top"]]
    for what in ("value", "gradient"):
        at = view(client, "at", network, layer=conv["layer"], map=3, cell="2,2", what=what, edit=edits)
        assert at["answer"]["value"] == printed(at["command"])["value"]
    weights = [
        f
        for t in view(client, "at", network, layer=conv["layer"], map=3, cell="2,2", edit=edits)["answer"]["terms"]
        for f in t["factors"]
        if f["edit"]
    ]
    assert {f["edit"].partition("[")[0] for f in weights} == {"conv1.weight", "conv1.bias"}
    assert {f["value"] for f in weights} == {0, 0.25}
    drawn = client.get("/api/v1/attribute.json", params={"model": network, "picture": PICTURE, "edit": edits}).json()
    assert printed(drawn["command"]) == drawn["answer"]
    assert "edits=['conv1.weight[3]=0'" in drawn["python"]
    assert view(client, "overview", network) == plain
    assert Path(network).read_bytes() == before


BAD = {
    "overview?model=MODEL&picture=digits[1]&edit=conv1.wieght=0": (422, "did you mean 'conv1.weight'?"),
    "overview?model=MODEL&picture=digits[1]&edit=conv1.weight[99]=0": (422, "axis 0 goes from 0 to"),
    "overview?model=MODEL&picture=digits[1]&edit=conv1.weight": (422, "an edit is NAME[INDEX]=NUMBER"),
    f"overview?model=MODEL&picture=digits[1]&edit={'x' * 1500}=0&edit={'y' * 1500}=0": (400, "together"),
    "overview?picture=digits[1]": (400, "wants model"),
    "overview?model=/etc/passwd&picture=digits[1]": (404, "No such network"),
    "overview?model=MODEL&picture=/etc/passwd": (404, "No such picture"),
    "overview?model=MODEL&picture=digits[1]&layer=x": (400, "No such parameter"),
    "overview?model=MODEL&picture=digits[1]&target=cat": (422, "cat"),
    "overview?model=MODEL&model=MODEL&picture=digits[1]": (400, "given once"),
    "overview?model=lenet&picture=digits[1]": (422, "no published weights"),
    "overvew?model=MODEL": (404, "did you mean 'overview'?"),
    "maps?model=MODEL&picture=digits[1]&layer=nothing": (422, "no layer is called 'nothing'"),
    "maps?model=MODEL&picture=digits[1]&layer=LAYER&what=both": (400, "what is value or gradient"),
    "maps?model=MODEL&picture=digits[1]&layer=LAYER&count=-1": (400, "a whole number"),
    "map?model=MODEL&picture=digits[1]&layer=LAYER&map=999": (422, "there is no map 999"),
    "at?model=MODEL&picture=digits[1]&layer=LAYER&map=0&cell=1": (400, "a row and a column"),
    "at?model=MODEL&picture=digits[1]&layer=LAYER&map=0&cell=1,99": (422, "there is no cell"),
    "at?model=MODEL&picture=digits[1]&layer=LAYER&map=0&cell=-1,0": (422, "there is no cell"),
}


@pytest.mark.parametrize("address", BAD)
def test_what_is_not_there_is_a_problem(client: TestClient, network: str, address: str) -> None:
    layer = view(client, "overview", network)["layers"][1]["layer"]
    status, words = BAD[address]
    found = client.get(f"/api/v1/network/{address}".replace("MODEL", network).replace("LAYER", layer))
    assert (found.status_code, found.headers["content-type"]) == (status, "application/problem+json")
    assert words in " ".join(map(str, found.json().values()))


def test_every_view_is_listed(client: TestClient) -> None:
    assert client.get("/api/v1").json()["views"] == json.loads(json.dumps(view_addresses()))
    assert len(view_addresses()) == len(VIEWS)


def test_what_it_begins_with(network: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library, empty = Library(network), Library("", tmp_path)
    assert library.usual() == network
    library.close()
    installed = "installed"
    monkeypatch.setattr("pellucid.models.weights_of", lambda name: (installed if name == USUAL else "none", ""))
    assert empty.usual() == USUAL
    installed = "not installed"
    with pytest.raises(Problem) as told:
        empty.usual()
    assert "pellucid train" in told.value.remedy
    for age, name in enumerate(("new", "old")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.toml").touch()
        os.utime(tmp_path / name, (1e9 - age, 1e9 - age))
    assert empty.usual() == str(tmp_path / "new")
    empty.close()


def test_a_file_that_does_not_say_how_pictures_become_its_input(tmp_path: Path) -> None:
    file = str(tmp_path / "plain.onnx")
    pl.save_onnx(pl.nn.models.build("lenet", image_size=8, in_channels=1), file, shape=(1, 8, 8))
    for preprocessing, status in (("", 422), ("unit", 200)):
        app = create_app(Library(file, preprocessing=preprocessing), "secret")
        with TestClient(app, base_url="http://127.0.0.1:8000", cookies={"pellucid": "secret"}) as client:
            found = client.get("/api/v1/network/overview", params={"model": file, "picture": PICTURE})
            assert found.status_code == status
            assert preprocessing == "" or printed(found.json()["command"])["score"] == found.json()["score"]


def test_traces_are_kept_as_far_as_they_fit(network: str) -> None:
    library = Library(network)
    one = Traces(library).of(network, PICTURE).nbytes
    traces = Traces(library, most=2 * one)
    first = traces.of(network, PICTURE)
    assert traces.of(network, PICTURE) is first
    for number in range(3):
        traces.of(network, f"digits[{number}]")
    assert len(traces) == 2
    assert traces.of(network, PICTURE) is not first
    library.close()


@pytest.mark.parametrize("shape", [(1, 4, 5, 6), (1, 7), (1, 4, 5), (4, 5)])
def test_every_cell_has_a_place_and_every_place_a_cell(shape: tuple[int, ...]) -> None:
    layer = list(pl.trace(pl.nn.ReLU(), np.zeros(shape, np.float32)).values())[-1]
    maps = LayerMaps(layer)
    for flat in range(maps.maps.size):
        number, row, column = (int(k) for k in np.unravel_index(flat, maps.maps.shape))
        assert maps.cell_of(maps.place(number, (row, column))) == (number, (row, column))


def test_many_layers_are_folded() -> None:
    names = ["image", "conv1", *(f"layer{k}.{j}" for k in (1, 2) for j in range(12)), "fc"]
    found = blocks([{"layer": name, "shape": [1, 2, 2]} for name in names])
    assert found == ["", "", *["layer1"] * 12, *["layer2"] * 12, ""]
    assert blocks([{"layer": "layer1.a", "shape": [1]}] * 3) == [""] * 3
    plain = [{"layer": f"op{k}", "shape": [8, 4 >> (k // 10), 4]} for k in range(30)]
    assert blocks(plain) == ["4x4"] * 10 + ["2x4"] * 10 + ["1x4"] * 10
