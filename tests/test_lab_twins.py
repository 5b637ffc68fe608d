"""The lab's views of two pictures, two checkpoints or two networks, of networks that take no picture, and what is sent to it."""

from __future__ import annotations

import base64
import io
import json
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from starlette.testclient import TestClient
from typer.testing import CliRunner

import pellucid as pl
from onnx_models import normal, save
from pellucid.cli import app as commands
from pellucid.examples import example_of
from pellucid.lab import Library
from pellucid.lab.app import create_app
from pellucid.lab.uploads import MOST_BYTES, Uploads
from pellucid.lab.wire import Problem
from test_inputs import recurrent

ONE, OTHER = "digits[143]", "digits[7]"


@contextmanager
def asking(subject: str) -> Iterator[TestClient]:
    with TestClient(create_app(Library(subject), "secret"), base_url="http://127.0.0.1:8000") as made:
        made.cookies.set("pellucid", "secret")
        yield made


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("twins") / "run"
    net = pl.nn.models.build("lenet", image_size=8, in_channels=1)
    pl.fit(net, pl.load("digits"), epochs=2, learning_rate=0.001, out=folder, report=False)
    return str(folder)


@pytest.fixture(scope="module")
def client(run: str) -> Iterator[TestClient]:
    with asking(run) as made:
        yield made


def view(client: TestClient, name: str, status: int = 200, **given: Any) -> Any:
    found = client.get(f"/api/v1/network/{name}", params=given)
    assert found.status_code == status, found.text
    return found.json()


def printed(command: str) -> Any:
    return json.loads(CliRunner().invoke(commands, [*shlex.split(command)[1:], "--json"]).stdout)


def unpacked(packed: dict[str, Any]) -> tuple[np.ndarray, float]:
    """The values of bytes, and how far these may be from them."""
    width = (packed["high"] - packed["low"]) / 254
    steps = np.frombuffer(base64.b64decode(packed["bytes"]), np.uint8).reshape(packed["shape"])
    return packed["low"] + width * steps, 0.51 * width + 1e-12


EDITS = ["conv1.weight[3]=0", "fc3.bias*=2", "conv1.bias[0]=9", "conv1.bias[0]=original"]
PAIRS: dict[str, dict[str, Any]] = {
    "pictures": {"against": OTHER},
    "checkpoints": {"other": "RUN/last.safetensors", "against": OTHER},
    "random": {"against": "random:1"},
    "edited pictures": {"against": OTHER, "edit": EDITS},
    "edited checkpoints": {"other": "RUN/last.safetensors", "against": OTHER, "edit": EDITS},
}


@pytest.mark.parametrize("pair", PAIRS)
def test_layers_beside_each_other_are_the_commands(client: TestClient, run: str, pair: str) -> None:
    given = {key: value.replace("RUN", run) if key == "other" else value for key, value in PAIRS[pair].items()}
    found = view(client, "twins", model=run, picture=ONE, **given)
    told = printed(found["command"])
    rows = [row for row in found["layers"] if not row["input"]]
    keys = ("error", "index", "first", "second", "beyond")
    assert [{key: row[key] for key in keys} for row in rows] == [
        {key: d[key] for key in keys} for d in told["divergences"]
    ]
    assert found["first"] == told["first"]["a"]
    assert told["notes"] == found["notes"] == []
    edits = {"edit": given["edit"]} if "edit" in given else {}
    other = view(client, "overview", model=given.get("other", run), picture=given["against"], **edits)
    assert found["looks"][1]["top"] == [{k: row[k] for k in row if k != "before"} for row in other["top"]]
    assert found["looks"][1]["score"] == other["score"]
    plain = view(client, "overview", model=given.get("other", run), picture=given["against"])
    assert (plain["score"] == other["score"]) == (not edits)


@pytest.mark.parametrize("edit", ["conv1.weight[3]=0", "fc3.weight*=2", "fc3.bias=[[1]]", "nothing.bias=0"])
def test_edits_hold_in_both_where_both_have_the_parameter(
    client: TestClient, run: str, edit: str, tmp_path: Path
) -> None:
    """The other network has none of some parameters, and another shape of others."""
    small = pl.nn.Sequential(pl.nn.Flatten(), pl.nn.Linear(64, 10))
    small.initialize(0)
    pl.save_onnx(small, tmp_path / "small.onnx", shape=(1, 8, 8))
    library = Library(run)
    library.networks = lambda: {run: run, "small": str(tmp_path / "small.onnx")}  # type: ignore[method-assign]
    with TestClient(create_app(library, "secret"), base_url="http://127.0.0.1:8000") as other:
        other.cookies.set("pellucid", "secret")
        asked = {"model": run, "picture": ONE, "other": "small", "edit": [edit]}
        if edit.startswith(("nothing", "fc3.bias")):  # which the first cannot take either
            assert edit.partition("=")[0] in view(other, "twins", 422, **asked)["detail"]
            return
        found = view(other, "twins", **asked)
        (note,) = found["notes"]
        assert note.startswith(f"In the second network {edit} is left out: ")
        assert "has no parameter" in note
        assert found["edits"] == [[edit], []]
        assert found["looks"][0]["score"] == view(other, "overview", model=run, picture=ONE, edit=[edit])["score"]
        plain = view(other, "twins", model=run, picture=ONE, other="small")
        assert found["looks"][1]["score"] == plain["looks"][1]["score"]


@pytest.mark.parametrize("what", ["value", "gradient"])
@pytest.mark.parametrize("scale", ["shared", "each"])
def test_maps_beside_each_other_are_the_commands(client: TestClient, run: str, what: str, scale: str) -> None:
    given: dict[str, Any] = {
        "model": run,
        "picture": ONE,
        "against": OTHER,
        "layer": "conv2",
        "what": what,
        "edit": EDITS,
    }
    found = view(client, "twin-maps", **given, count=3, scale=scale)
    told = printed(found["command"])
    first, second = (np.array(told[key]) for key in ("first", "second"))
    assert [one["map"] for one in found["maps"]] == np.argsort(-np.array(told["largest"]), kind="stable")[:3].tolist()
    for one in found["maps"]:
        number = one["map"]
        assert one["largest"] == told["largest"][number]
        for key, wanted in (("first", first), ("second", second), ("difference", second - first)):
            values, near = unpacked(one[key])
            assert np.abs(values - wanted[number]).max() <= near, key
        whole = view(client, "twin-map", **given, map=number)
        assert whole["edits"] == [EDITS, EDITS]
        assert (whole["first"], whole["second"]) == (first[number].tolist(), second[number].tolist())
        assert whole["difference"] == (second[number] - first[number]).tolist()
        assert (one["first"]["low"], one["first"]["high"]) == (one["second"]["low"], one["second"]["high"])


def test_a_network_beside_its_own_file(client: TestClient, run: str, tmp_path: Path) -> None:
    pl.save_onnx(pl.load_run(run), tmp_path / "same.onnx")
    with asking(str(tmp_path / "same.onnx")) as other:
        found = view(other, "twins", model=str(tmp_path / "same.onnx"), picture=ONE)
        assert found["first"] == ""
        assert all(row["error"] == 0 for row in found["layers"])
        assert [row["layer"] for row in found["layers"]] == [row["other"] for row in found["layers"]]


BAD = {
    "twins?model=RUN&picture=digits[1]&other=/etc/passwd": (404, "No such network"),
    "twins?model=RUN&picture=digits[1]&against=gone": (404, "No such picture"),
    "twin-maps?model=RUN&picture=digits[1]&layer=nothing": (422, "no layer is called"),
    "twin-map?model=RUN&picture=digits[1]&layer=conv1&map=99": (422, "there is no map 99"),
    "pixel?model=RUN&picture=digits[1]&cell=-1,0": (422, "there is no"),
    "pixel?model=RUN&picture=digits[1]&cell=x": (400, "a row and a column"),
    "overview?model=RUN&picture=random:x": (404, "No such picture"),
    "overview?model=RUN&picture=random:1&input=x=digits[1]": (422, "Give it once"),
    "overview?model=RUN&picture=random:1&input=age=/etc/passwd": (404, "No such picture"),
    "overview?model=RUN&picture=random:1&input=age=[1,[2]]": (422, "not of one length"),
}


@pytest.mark.parametrize("address", BAD)
def test_what_is_not_there_is_a_problem(client: TestClient, run: str, address: str) -> None:
    status, words = BAD[address]
    found = client.get(f"/api/v1/network/{address}".replace("RUN", run))
    assert (found.status_code, found.headers["content-type"]) == (status, "application/problem+json")
    assert words in " ".join(map(str, found.json().values()))


def test_what_the_network_got_at_a_place(client: TestClient, run: str) -> None:
    example = pl.open_model(run).input(ONE)
    found = view(client, "pixel", model=run, picture=ONE, cell="3,4")
    assert found["values"] == example.values[:, 3, 4].tolist()
    assert found["pixel"] == example.pixels[:, 3, 4].tolist()


def test_checkpoints_of_runs_may_be_named(client: TestClient, run: str) -> None:
    networks = client.get("/api/v1/networks").json()["networks"]
    assert {f"{run}/best.safetensors", f"{run}/last.safetensors"} <= {*networks}


def words(path: Path, length: int | str = 5) -> Path:
    """Whole numbers looked up in a table of rows, and scores of their mean."""
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["rows"], "rows"),
        helper.make_node("ReduceMean", ["rows"], ["mean"], "mean", axes=[1], keepdims=0),
        helper.make_node("MatMul", ["mean", "w"], ["scores"], "scores"),
    ]
    ids = helper.make_tensor_value_info("ids", TensorProto.INT64, (1, length))
    scores = helper.make_tensor_value_info("scores", TensorProto.FLOAT, (1, 3))
    arrays = [numpy_helper.from_array(normal(9, 4), "table"), numpy_helper.from_array(normal(4, 3), "w")]
    graph = helper.make_graph(nodes, "words", [ids], [scores], arrays)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    path.write_bytes(model.SerializeToString())
    return path


def signal(path: Path) -> Path:
    nodes = [
        helper.make_node("Conv", ["wave", "w"], ["a"], "conv", pads=[1, 1]),
        helper.make_node("Relu", ["a"], ["y"], "relu"),
    ]
    return save(path, nodes, {"wave": (1, 2, 12)}, arrays={"w": normal(3, 2, 3)})


def indices(path: Path) -> Path:
    """Gives the number of the likeliest class and nothing else."""
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], "conv", pads=[1, 1, 1, 1]),
        helper.make_node("GlobalAveragePool", ["a"], ["g"], "gap"),
        helper.make_node("Flatten", ["g"], ["f"], "flat"),
        helper.make_node("ArgMax", ["f"], ["y"], "argmax", axis=1, keepdims=0),
    ]
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 1, 8, 8))
    found = helper.make_tensor_value_info("y", TensorProto.INT64, (1,))
    graph = helper.make_graph(nodes, "indices", [given], [found], [numpy_helper.from_array(normal(4, 1, 3, 3), "w")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    path.write_bytes(model.SerializeToString())
    return path


def unsaid(path: Path) -> Path:
    pl.save_onnx(pl.nn.models.build("lenet", image_size=8, in_channels=1), path, shape=(1, 8, 8))
    return path


OTHERS: dict[str, tuple[Any, dict[str, Any], str]] = {
    "several": (recurrent, {"input": ["sr=16000", "state=random:1"]}, "takes no pictures but input float32"),
    "ids": (words, {"picture": None}, "takes no pictures but ids int64"),
    "signal": (signal, {}, "takes no pictures but wave float32"),
    "unsaid": (unsaid, {}, "does not say how pictures become its input"),
    "indices": (indices, {}, "does not say how pictures become its input"),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_any_network_opens(kind: str, tmp_path: Path) -> None:
    make, given, note = OTHERS[kind]
    file = str(make(tmp_path / f"{kind}.onnx"))
    with asking(file) as client:
        begun = view(client, "begin")
        assert note in begun["note"]
        assert begun["picture"] == "random:0"
        asked = {"model": file, "picture": begun["picture"], **{k: v for k, v in given.items() if v is not None}}
        usual = [f"{one['name']}={one['usual']}" for one in begun["inputs"]]
        assert {one.partition("=")[0] for one in asked.get("input", [])} == {one.partition("=")[0] for one in usual}
        found = view(client, "overview", **asked)
        told = printed(found["command"])
        assert {key: found[key] for key in told if key not in ("layers", "memory")} == {
            k: told[k] for k in told if k not in ("layers", "memory")
        }
        assert found["top"]
        layer = found["layers"][-1]["layer"]
        assert view(client, "maps", **asked, layer=layer)["total"]
        at = view(client, "at", **asked, layer=layer)
        assert at["answer"]["value"] == printed(at["command"])["value"]
        asked_again = client.get("/api/v1/trace", params=asked).json()
        assert asked_again["answer"]["score"] == found["score"]
        script = asked_again["python"].replace("print(answer)", "print(answer.score)")
        if kind == "several":
            told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
            assert float(told.stdout) == found["score"], told.stderr


WITHOUT = {
    "network/maps": {"layer": "conv", "what": "gradient"},
    "network/at": {"layer": "conv", "what": "gradient"},
    "network/walk": {},
    "attribute": {},
    "walk-back": {},
    "network/overview": {"target": "y[5]"},
}


def test_what_gives_whole_numbers_alone_has_maps_and_no_gradients(tmp_path: Path) -> None:
    file = str(indices(tmp_path / "indices.onnx"))
    with asking(file) as client:
        asked = {"model": file, "picture": "random:3"}
        found = view(client, "overview", **asked)
        opened = pl.open_model(file)
        traced = pl.trace(opened.net, example_of(opened, "random:3").values)
        assert found["score"] == traced.score == traced["gap"].value.ravel().argmax()
        assert "let the network give what they are made of as an output, too: flat" in found["no_gradient"]
        assert [row["layer"] for row in found["layers"]] == [*traced]
        at = view(client, "at", **asked, layer="conv", map=1, cell="2,2")
        assert (at["answer"]["value"], at["gradient"]) == (traced["conv"].value[1, 2, 2], None)
        assert view(client, "twins", **asked, against="random:4")["first"] == "conv"
        for address, more in WITHOUT.items():
            refused = client.get(f"/api/v1/{address}", params={**asked, **more})
            assert refused.status_code == 422, address
            assert any(words in refused.text for words in ("no output is floating", "is not one of")), refused.text
        assert view(client, "overview", **asked, target="y[]")["score"] == found["score"]
    with pytest.raises(pl.PellucidError, match="there are no gradients: no output is floating"):
        _ = traced["conv"].gradient
    assert "a whole number, which has no gradient" in str(traced)


def test_an_array_of_ones_own(tmp_path: Path) -> None:
    file, array = str(words(tmp_path / "words.onnx")), np.array([[1, 2, 3, 4, 8]])
    kept = io.BytesIO()
    np.save(kept, array)
    with asking(file) as client:
        name = client.post("/api/v1/pictures", content=kept.getvalue()).json()["picture"]
        typed = "[[1, 2, 3, 4, 8]]"
        found = [view(client, "overview", model=file, picture=p)["score"] for p in (name, typed, "random:0")]
        wanted = pl.trace(pl.open_model(file).net, array).score
        assert found[:2] == [wanted, wanted]
        assert found[2] != wanted
        bad = client.post("/api/v1/pictures", content=b"\x93NUMPY nothing")
        assert (bad.status_code, "no array" in bad.text) == (422, True)


def drawn(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def read_as(client: TestClient, run: str, raw: bytes) -> np.ndarray:
    """The first row and column of a picture that was sent, as the network got it."""
    sent = client.post("/api/v1/pictures", content=raw)
    assert sent.status_code == 201, sent.text
    found = view(client, "overview", model=run, picture=sent.json()["picture"])
    png = base64.b64decode(found["original"]["png"].partition(",")[2])
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP"])
def test_pictures_of_every_kind_are_taken(client: TestClient, run: str, kind: str) -> None:
    ramp = Image.fromarray(np.repeat(np.arange(0, 240, 10, np.uint8)[None], 24, 0)).convert("RGB")
    found = read_as(client, run, drawn(ramp, kind))
    assert np.abs(found.astype(int) - np.asarray(ramp).astype(int)).max() <= 12


def test_pictures_are_upright_on_white_and_the_first_of_many(client: TestClient, run: str) -> None:
    high = np.zeros((30, 20, 3), np.uint8)
    high[:15] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # turned right
    assert read_as(client, run, drawn(Image.fromarray(high), "PNG", exif=exif)).shape[:2] == (20, 30)
    clear = Image.fromarray(np.zeros((20, 20, 4), np.uint8))
    assert read_as(client, run, drawn(clear, "PNG")).min() == 255
    frames = [Image.fromarray(np.full((20, 20, 3), k, np.uint8)) for k in (250, 10)]
    for kind in ("GIF", "WEBP", "PNG"):
        found = read_as(client, run, drawn(frames[0], kind, save_all=True, append_images=frames[1:]))
        assert found.min() > 240, kind


def test_what_is_too_large_or_no_picture_is_refused(tmp_path: Path) -> None:
    kept = Uploads()
    wide = Image.new("1", (8000, 5001))
    cut = drawn(Image.effect_noise((64, 64), 90), "PNG")[:-200]
    for raw, status in (
        (b"\0" * (MOST_BYTES + 1), 413),
        (drawn(wide, "PNG"), 413),
        (b"%PDF-1.7", 415),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415),
        (drawn(Image.new("L", (8, 8)), "TIFF"), 415),
        (b"", 415),
    ):
        with pytest.raises(Problem) as told:
            kept.keep(raw)
        assert told.value.status == status
    with pytest.raises(pl.PellucidError):
        kept.keep(cut)
    assert kept.names() == []
    kept.close()


def test_what_was_sent_ends_with_the_server(run: str) -> None:
    library = Library(run)
    path = library.picture(library.keep(drawn(Image.new("L", (8, 8)), "PNG")))
    assert Path(path).exists()
    library.close()
    assert not Path(path).parent.exists()


def test_both_see_what_the_first_reads(run: str, tmp_path: Path) -> None:
    """A picture that the two networks would read in other ways."""
    net = pl.load_run(run).net
    opened = pl.open_model(run)
    net.card = replace(net.card, preprocessing=replace(opened.preprocessing, mean=(0.1,), std=(0.9,)))
    pl.save_onnx(net, tmp_path / "other.onnx")
    library = Library(run)
    library.networks = lambda: {run: run, "other.onnx": str(tmp_path / "other.onnx")}  # type: ignore[method-assign]
    with TestClient(create_app(library, "secret"), base_url="http://127.0.0.1:8000") as client:
        client.cookies.set("pellucid", "secret")
        found = view(client, "twins", model=run, picture=ONE, other="other.onnx")
        assert found["first"] == ""
        assert found["looks"][0]["top"] == found["looks"][1]["top"]
        again = view(client, "twins", model="other.onnx", picture=ONE, other=run)
        assert again["looks"][0]["score"] != found["looks"][0]["score"]
        assert again["first"] == ""


def test_a_file_that_leaves_sizes_open(tmp_path: Path) -> None:
    file = str(words(tmp_path / "words.onnx", "length"))
    with asking(file) as client:
        assert "--set length=NUMBER" in view(client, "begin", 422)["detail"]
    app = create_app(Library(file, set=("length=7",)), "secret")
    with TestClient(app, base_url="http://127.0.0.1:8000", cookies={"pellucid": "secret"}) as client:
        asked = {"model": file, "picture": "[1, 2, 3, 4, 5, 6, 7]"}
        found = view(client, "overview", **asked)
        assert "--set length=7" in found["command"]
        assert printed(found["command"])["score"] == found["score"]
        assert "set={'length': 7}" in found["python"]
        pair = view(client, "twins", **asked, against="random:0")
        assert printed(pair["command"])["first"]["a"] == pair["first"]
