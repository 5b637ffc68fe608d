"""The lab's views of a network: the numbers are those of the command line, and only what is known can be looked at."""

from __future__ import annotations

import base64
import io
import json
import os
import shlex
import subprocess
import sys
import threading
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
from pellucid.explain import Activation
from pellucid.inference.fed import feed
from pellucid.inference.prepared import prepare
from pellucid.inference.ready import Ready
from pellucid.lab import Library
from pellucid.lab.answers import addresses
from pellucid.lab.app import create_app
from pellucid.lab.columns import MOST, blocks, columns, repeats
from pellucid.lab.holdings import USUAL
from pellucid.lab.maps import MISSING, LayerMaps, bytes_of
from pellucid.lab.server import first_address
from pellucid.lab.traces import Looked, Traces
from pellucid.lab.views import VIEWS, Views, view_addresses
from pellucid.lab.wire import Problem
from pellucid.pictures.colors import limits
from pellucid.plain import to_json
from pellucid.questions import all_questions

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


@pytest.mark.parametrize("number", ["nan", "inf"])
def test_every_view_shows_a_network_whose_numbers_are_none(client: TestClient, network: str, number: str) -> None:
    given = {"edit": f"conv1.weight[3]={number}", "layer": "conv1", "map": "3", "cell": "2,2", "against": "digits[0]"}
    for name, its in VIEWS.items():
        found = (
            view(client, name, network, **{key: text for key, text in given.items() if key in its.takes})
            if "picture" in its.takes
            else {}
        )
        if name == "overview":
            assert (found["score"], found["target"]) == ("NaN", 0)
        if name == "classes":
            assert found["top"] == [] and "not numbers" in found["note"]
            assert len(found["before"]["top"]) == 5
        if "what" in its.takes:
            view(
                client, name, network, what="gradient", **{key: text for key, text in given.items() if key in its.takes}
            )
    asked = {"model": network, "picture": PICTURE, "edit": given["edit"]}
    for name in ("trace", "activations", "walk-back"):
        assert client.get(f"/api/v1/{name}", params=asked).status_code == 200
    found = client.get("/api/v1/attribute", params=asked)
    assert (found.status_code, "name a class" in found.text) == (422, True)


WRONG: dict[str, tuple[dict[str, str], str]] = {
    "another network": ({"other": "nope"}, "other"),
    "another picture": ({"against": "nope"}, "against"),
    "the picture": ({"picture": "nope", "against": "digits[3]"}, "picture"),
    "the network": ({"model": "nope", "other": ""}, "model"),
    "an input": ({"input": "age=nope"}, "input"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_the_parameter_at_fault_is_named(client: TestClient, network: str, wrong: str) -> None:
    given, where = WRONG[wrong]
    found = client.get("/api/v1/network/twins", params={"model": network, "picture": PICTURE, **given})
    assert (found.status_code, found.json()["where"]) == (404, where), found.text


def test_what_was_sent_is_called_by_its_name(client: TestClient, network: str) -> None:
    raw = io.BytesIO()
    np.save(raw, np.zeros((3, 5, 5), np.float32))
    sent = client.post("/api/v1/pictures", content=raw.getvalue()).json()["picture"]
    found = client.get("/api/v1/convolve", params={"picture": sent, "kernel": "sobel-x"})
    assert found.status_code == 422
    assert found.json()["detail"].startswith(f"{sent}: not a readable picture")


def test_an_edit_of_a_network_without_numbers_says_what_it_was_before(network: str, tmp_path: Path) -> None:
    pl.save_onnx(pl.nn.edited(pl.open_model(network).net, ["conv1.weight[3]=nan"]), tmp_path / "nan.onnx")
    with TestClient(create_app(Library(str(tmp_path / "nan.onnx")), "secret"), base_url="http://127.0.0.1:8000") as own:
        own.cookies.set("pellucid", "secret")
        found = view(own, "classes", str(tmp_path / "nan.onnx"), edit="fc3.bias*=2")
        assert (found["top"], found["before"]["top"], found["before"]["score"]) == ([], [], "NaN")


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


def test_an_effective_field_is_the_mean_over_the_pictures(client: TestClient, network: str) -> None:
    query = [("model", network), ("picture", PICTURE), ("picture", "digits[7]"), ("at", "conv2[5,1,1]")]
    found = client.get("/api/v1/receptive-field", params=query)
    assert found.status_code == 200, found.text
    told = found.json()
    assert printed(told["command"]) == told["answer"]
    space: dict[str, Any] = {}
    exec(told["python"].replace("print(answer)", ""), space)  # noqa: S102 what the page lets one copy
    assert json.loads(space["answer"].to_json()) == told["answer"]
    one = client.get("/api/v1/receptive-field", params=query[:2] + query[3:]).json()
    assert one["answer"] != told["answer"]
    nameless = client.get("/api/v1/receptive-field", params=[query[0], query[3]])
    assert (nameless.status_code, nameless.json()["where"]) == (400, "picture")


NEEDED = {"model": "", "a": "", "b": "", "picture": PICTURE, "at": "conv1", "formula": "x*x", "expression": "x"}
NEEDED |= {"network": "Linear 4, Tanh", "data": "digits", "values": "x=2"}
"""What is named where a question wants more than it has by default; "" is the network."""
SMALL = {"limit": "32", "epochs": "1", "size": "3"}
"""Of long work little."""
WANTING = {
    "explain-box": 400,
    "find-objects": 400,
    "history": 400,
    "learning-curves": 400,
    "maximize": 422,
    "runs": 422,
}
"""Questions about what is not there here, or that want one of two parameters."""


@pytest.mark.parametrize("name", all_questions())
def test_every_question_answers_a_plain_call(
    client: TestClient, network: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (asked,) = (one for one in addresses() if one["address"] == f"/api/v1/{name}")
    known = {p["name"]: p for p in asked["parameters"]}
    given = {n: NEEDED[n] or network for n, p in known.items() if n in NEEDED and (p["required"] or n == "values")}
    if "model" in known and "data" in known:
        given["data"] = NEEDED["data"]
    little = {n: few for n, few in SMALL.items() if asked["long"] and n in known}
    found = client.get(f"/api/v1/{name}", params={**given, **little})
    assert found.status_code == WANTING.get(name, 200), found.text


def test_numbers_typed_as_a_picture_are_not_looked_for_on_the_disk(client: TestClient, network: str) -> None:
    typed = json.dumps(np.full((1, 8, 8), 0.015625).tolist())
    assert len(typed) > 500
    found = client.get("/api/v1/trace", params={"model": network, "picture": typed})
    assert found.status_code == 200, found.text
    assert printed(f"pellucid trace {shlex.quote(network)} {shlex.quote(typed)}") == found.json()["answer"]
    given = client.get("/api/v1/trace", params={"model": network, "picture": "random:3", "input": f"x={typed}"})
    assert (given.status_code, given.json()["title"]) == (422, "OpeningError")
    nothing = client.get("/api/v1/data", params={"source": f"points {'0,0,a;' * 99} 1,1,b"})
    assert (nothing.status_code, nothing.json()["title"]) == (422, "DataError")
    long = "x + " * 99 + "x"
    assert first_address(long)[1].startswith("/graph?")
    with pytest.raises(pl.PellucidError):
        pl.open_model(long)


OPTIONS = {
    "integrated-gradients": [
        "steps=2.5", "steps=nan", "steps=1e400", "steps=yes", "steps=100000", "steps=0", "steps=-1", "baseline=nan", "baseline=yes", "baseline=1e300",
        "seed=2", "target=2", "method=2", "executor=2", "of=2", "image=2", "net=2", "steps",
    ],
    "smoothgrad": ["samples=2.5", "samples=nan", "samples=inf", "samples=100000", "noise=inf", "noise=nan", "noise=-1"],
    "occlusion": ["window=2.5", "window=99999", "window=-3", "stride=yes", "fill=nan", "fill=inf"],
    "grad-cam": ["layer=3", "upsample=1", "layer=yes"],
    "lrp-epsilon": ["epsilon=nan", "epsilon=-inf", "epsilon=-1"],
    "lrp-composite": ["epsilon=nan"],
}  # fmt: skip


@pytest.mark.parametrize(("method", "setting"), [(method, one) for method, all in OPTIONS.items() for one in all])
def test_an_option_of_a_method_that_makes_no_sense_is_named(
    client: TestClient, network: str, method: str, setting: str
) -> None:
    given = {"model": network, "picture": PICTURE, "method": method, "setting": setting}
    for more in ({}, {"randomize": "true"}):
        found = client.get("/api/v1/attribute", params={**given, **more})
        assert (found.status_code, found.headers["content-type"]) == (422, "application/problem+json"), found.text
        assert setting.partition("=")[0] in found.json()["detail"]


def test_an_option_of_a_method_is_given_once(client: TestClient, network: str) -> None:
    given = [("model", network), ("picture", PICTURE), ("method", "smoothgrad")]
    found = client.get("/api/v1/attribute", params=[*given, ("setting", "samples=2"), ("setting", "samples=3")])
    assert (found.status_code, "samples is given twice, 2 and 3" in found.json()["detail"]) == (422, True)
    good = client.get("/api/v1/attribute", params=[*given, ("setting", "samples=2"), ("setting", "noise=0")])
    assert good.status_code == 200, good.text


NUMBERS = {
    "maximize?layer=conv1&jitter=inf": (422, "jitter must be at most 1, got inf"),
    "maximize?layer=conv1&jitter=1e308": (422, "jitter must be at most 1"),
    "maximize?layer=conv1&blur=nan": (400, "blur wants at least 0, got nan"),
    "maximize?layer=conv1&rate=inf": (422, "rate must be at most"),
    "maximize?layer=conv1&rate=nan": (422, "above 0"),
    "maximize?layer=conv1&l2=1e308": (422, "l2 must be at most"),
    "landscape?data=digits&size=3&span=1e200": (422, "span must be a positive number, at most"),
    "embed?data=digits&limit=40&edit=conv1.weight[3]=nan": (422, "NaN or infinity for 40 of 40 pictures"),
    "filters?limit=-1": (400, "limit wants at least 1, got -1"),
    "embed?data=digits&limit=-1": (400, "limit wants at least 0"),
    "units?data=digits&limit=-5": (400, "limit wants at least 0"),
    "activations?picture=digits[143]&limit=0": (400, "limit wants at least 1"),
    "compare?a={}&b={}&tolerance=nan": (422, "tolerance: must be a finite number"),
    "compare?a={}&b={}&tolerance=-1": (422, "got -1"),
    "compare?a={}&b={}&tolerance=inf&layer=conv1&picture=digits[143]": (422, "tolerance: must be"),
}


@pytest.mark.parametrize("address", NUMBERS)
def test_a_number_that_makes_no_sense_is_named(client: TestClient, network: str, address: str) -> None:
    status, words = NUMBERS[address]
    model = "" if "a={}" in address else f"&model={network}"
    found = client.get(f"/api/v1/{address.replace('{}', network)}{model}")
    assert (found.status_code, found.headers["content-type"]) == (status, "application/problem+json"), found.text
    assert words in found.json()["detail"]


@pytest.mark.parametrize("data", ["circles", "xor", "circles noise=0.2", "points 0,0,a; 1,1,b; 2,2,c"])
@pytest.mark.parametrize("asked", ["data?source={}", "why-convolution?epochs=1&data={}", *(
    f"{name}?model={{model}}&data={{}}" for name in ("landscape", "units", "embed", "shift-robustness")
)])  # fmt: skip
def test_points_are_no_pictures(client: TestClient, network: str, data: str, asked: str) -> None:
    found = client.get(f"/api/v1/{asked.format(data, model=network)}")
    assert (found.status_code, found.headers["content-type"]) == (422, "application/problem+json"), found.text
    assert any(word in found.json()["detail"] for word in ("pictures", "images", "knows the classes"))


def test_what_the_subjects_page_begins_with_is_there_before_it_asks(
    network: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    views = Views(Library(network, ""))
    views.prepare()
    assert len(views.held.traces) == 1
    begun = views.answer("begin", [])
    look = [("model", begun["model"]), ("picture", begun["picture"])]
    with monkeypatch.context() as patched:
        patched.setattr(Activation, "to_dict", None)  # the ranges are known
        before = views.answer("overview", look)
    assert len(views.held.traces) == 1
    assert list(before["memory"]) == ["activations"]
    views.answer("at", [*look, ("layer", "conv1"), ("what", "gradient")])
    after = views.answer("overview", look)
    assert after["memory"].pop("gradients") > 0  # what the trace holds by now is asked anew
    assert after == before
    (broken := tmp_path / "broken.onnx").write_bytes(b"nothing")
    Views(Library(str(broken))).prepare()  # its page says what is wrong
    Views(Library(str(tmp_path / "none.onnx"))).prepare()


def test_a_look_into_a_network_waits_for_no_detector(network: str) -> None:
    told = (
        "import sys; from pellucid.lab import Library; from pellucid.lab.views import Views; "
        "Views(Library(sys.argv[1])).prepare(); print('pellucid.detect.detector' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", told, network], check=True, capture_output=True, text=True).stdout
    assert found == "False\n"


@pytest.mark.parametrize("edit", [[], ["conv1.bias[3]=9"]], ids=["plain", "edited"])
def test_the_classes_apart_are_those_of_the_overview(client: TestClient, network: str, edit: list[str]) -> None:
    whole, apart, said = (
        view(client, name, network, edit=edit, **more)
        for name, more in (("overview", {}), ("overview", {"classes": "apart"}), ("classes", {}))
    )
    assert set(said) == {"top", "scores", "before"}
    assert {**apart, **said} == whole
    assert len(whole) == len(apart) + len(said)
    assert (said["before"] is None) == (not edit)


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


def of_onnx(file: Path, x: list[int], y: list[int], nodes: list[tuple[Any, ...]], **values: Any) -> None:
    """A file of nodes (kind, inputs, output, attributes), whose weights are random arrays of the shapes in `values`."""
    onnx = pytest.importorskip("onnx")
    h, random = onnx.helper, np.random.default_rng(0)
    made = [h.make_node(kind, ins.split(), [out], out, **dict(*more)) for kind, ins, out, *more in nodes]
    arrays = {k: np.asarray(v) if isinstance(v, list) else random.random(v, np.float32) for k, v in values.items()}
    value = h.make_tensor_value_info
    given = [onnx.numpy_helper.from_array(array, name) for name, array in arrays.items()]
    graph = h.make_graph(made, "g", [value("x", 1, x)], [value("y", 1, y)], given)
    onnx.save(h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8), file)


PAD, TWICE = {"pads": [1] * 4}, {"strides": [2, 2]}
NETS: dict[str, tuple[Any, ...]] = {
    "a signal": ([1, 3, 12], [1, 4], [("Conv", "x w b", "c", {"pads": [1, 1]}), ("Relu", "c", "r"),
        ("BatchNormalization", "r s s s s", "bn"), ("MaxPool", "bn", "p", {"kernel_shape": [2]}), ("GlobalAveragePool", "p", "g"),
        ("Flatten", "g", "f"), ("Gemm", "f l", "d", {"transB": 1}), ("Softmax", "d", "y")], {"w": (6, 3, 3), "b": 6, "s": 6, "l": (4, 6)}),
    "a volume": ([1, 2, 4, 4, 4], [1, 3], [("Conv", "x w", "c", {"pads": [1] * 6}), ("MaxPool", "c", "p", {"kernel_shape": [2] * 3}),
        ("Flatten", "p", "f"), ("Gemm", "f l", "y", {"transB": 1})], {"w": (3, 2, 3, 3, 3), "l": (3, 81)}),
    "attention": ([1, 5, 8], [1, 5, 8], [("MatMul", "x w", "q"), ("Reshape", "q four", "r"), ("Transpose", "r", "t", {"perm": [0, 2, 1, 3]}),
        ("Transpose", "r", "k", {"perm": [0, 2, 3, 1]}), ("MatMul", "t k", "s"), ("Softmax", "s", "a"), ("MatMul", "a t", "o"),
        ("Transpose", "o", "u", {"perm": [0, 2, 1, 3]}), ("Reshape", "u three", "v"), ("Add", "v x", "z"),
        ("LayerNormalization", "z g g", "y")], {"w": (8, 8), "four": [1, 5, 2, 4], "three": [1, 5, 8], "g": 8}),
    "groups": ([1, 4, 6, 6], [1, 5], [("Conv", "x w", "c", {"group": 2, **PAD}), ("Conv", "c d", "dw", {"group": 8, **PAD}),
        ("ConvTranspose", "dw t", "up", {"group": 2, **TWICE}), ("AveragePool", "up", "ap", {"kernel_shape": [2, 2], **TWICE}),
        ("Concat", "ap x", "cat", {"axis": 1}), ("Add", "cat cat", "ad"), ("LRN", "ad", "lrn", {"size": 3}), ("Sigmoid", "lrn", "sg"),
        ("Mul", "sg ad", "se"), ("GlobalMaxPool", "se", "gm"), ("Flatten", "gm", "f"), ("Gemm", "f l", "n", {"transB": 1}),
        ("LogSoftmax", "n", "y")], {"w": (8, 2, 3, 3), "d": (8, 1, 3, 3), "t": (8, 3, 2, 2), "l": (5, 10)}),
    "channels last": ([1, 6, 6, 3], [1, 4], [("Transpose", "x", "n", {"perm": [0, 3, 1, 2]}), ("Conv", "n w", "c", PAD),
        ("Transpose", "c", "t", {"perm": [0, 2, 3, 1]}), ("ReduceMean", "t", "m", {"axes": [1, 2], "keepdims": 0}),
        ("Gemm", "m l", "y", {"transB": 1})], {"w": (6, 3, 3, 3), "l": (4, 6)}),
    "places": ([1, 3, 4, 4], [1, 2], [("Conv", "x w", "c"), ("ArgMax", "c", "am", {"axis": 1}), ("Cast", "am", "k", {"to": 1}),
        ("Flatten", "k", "f"), ("Gemm", "f l", "y", {"transB": 1})], {"w": (2, 3, 1, 1), "l": (2, 16)}),
    "a number": ([1, 7], [], [("ReduceSum", "x", "s", {"keepdims": 0}), ("Exp", "s", "y")], {}),
}  # fmt: skip


@pytest.mark.parametrize("case", NETS)
def test_every_layer_of_any_rank_can_be_looked_at(case: str, tmp_path: Path) -> None:
    x, y, nodes, values = NETS[case]
    of_onnx(tmp_path / "net.onnx", x, y, nodes, **values)
    library = Library(str(tmp_path / "net.onnx"))
    views = Views(library)
    look = [("model", library.subject), ("picture", "random:0")]
    traced = pl.trace(
        library.network(library.subject).net, views.held.traces.of(library.subject, "random:0").example.values
    )
    for row in views.answer("overview", look)["layers"]:
        layer, own = [*look, ("layer", row["layer"])], traced[row["layer"]]
        assert (row["maps"], row["size"]) == (LayerMaps(own).count, LayerMaps(own).size)
        for what in ("value", "gradient") if own.node.dtype == "float32" else ("value",):
            asked = [*layer, ("what", what)]
            views.answer("maps", [*asked, ("scale", "each"), ("order", "strongest")])
            for number in {0, row["maps"] - 1}:
                cell = ",".join(str(n - 1) for n in row["size"])
                shown = views.answer("map", [*asked, ("map", str(number))])
                found = views.answer("at", [*asked, ("map", str(number)), ("cell", cell)])
                assert found["answer"]["value"] == shown["values"][-1][-1]
                size = sum(abs(term["value"]) for term in found["answer"]["terms"])
                assert abs(found["rounding"]) <= 1e-5 * max(size, float(np.abs(own.value).max()))
                for source in shown["reads"]["shown"]:
                    assert source["layer"] in shown["reads"]["layers"]
                assert json.loads(to_json(found))
    library.close()


PARTS = {
    ("a volume", "c"): ["w[1]"],
    ("groups", "c"): ["w[1]"],
    ("groups", "dw"): ["d[1]"],
    ("groups", "up"): ["t[0:4,1]"],
    ("channels last", "t"): [],
    ("channels last", "c"): ["w[1]"],
    ("attention", "q"): ["w"],
    ("places", "y"): ["l[1]"],
}


@pytest.mark.parametrize(("case", "layer"), PARTS)
def test_an_edit_of_a_map_is_of_this_map_alone(case: str, layer: str, tmp_path: Path) -> None:
    x, y, nodes, values = NETS[case]
    of_onnx(tmp_path / "net.onnx", x, y, nodes, **values)
    library = Library(str(tmp_path / "net.onnx"))
    views = Views(library)
    look = [("model", library.subject), ("picture", "random:0"), ("layer", layer)]
    number = min(1, views.answer("maps", look)["total"] - 1)
    parts = [part["at"] for part in views.answer("numbers", [*look, ("map", str(number))])["parts"]]
    assert parts == PARTS[case, layer]
    edits = [("edit", f"{part}=0") for part in parts]
    before, after = (
        LayerMaps(views.held.traces.of(*(v for _, v in look[:2]), edits=e).trace[layer]).maps
        for e in ((), [t for _, t in edits])
    )
    assert not parts or not after[number].any()
    assert np.array_equal(np.delete(before, number, 0), np.delete(after, number, 0))
    library.close()


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
    with pytest.raises(Problem, match="No room") as refused:
        Traces(library, most=one // 4).of(network, PICTURE)
    assert (refused.value.status, refused.value.response().headers["retry-after"]) == (503, "10")
    library.close()


def test_what_is_held_is_counted_while_others_begin_to_look(network: str, monkeypatch: pytest.MonkeyPatch) -> None:
    library = Library(network)
    traces = Traces(library)
    for number in range(2):
        traces.begun(network, f"digits[{number}]")
    others: list[threading.Thread] = []

    def counted(_: Any) -> int:
        other = threading.Thread(target=traces.begun, args=(network, f"digits[{5 + len(others)}]"))
        others.append(other)
        other.start()
        other.join(0.2)
        return 0

    monkeypatch.setattr(Looked, "nbytes", property(counted))
    traces.of(network, PICTURE)
    for other in others:
        other.join()
    assert len(traces) == 3 + len(others) > 5
    library.close()


@pytest.mark.parametrize("shape", [(1, 4, 5, 6), (1, 7), (1, 4, 5), (4, 5)])
def test_every_cell_has_a_place_and_every_place_a_cell(shape: tuple[int, ...]) -> None:
    layer = list(pl.trace(pl.nn.ReLU(), np.zeros(shape, np.float32)).values())[-1]
    maps = LayerMaps(layer)
    for flat in range(maps.maps.size):
        number, row, column = (int(k) for k in np.unravel_index(flat, maps.maps.shape))
        assert maps.cell_of(maps.place(number, (row, column))) == (number, (row, column))


def test_layers_are_told_before_anything_is_computed(network: str) -> None:
    views = Views(Library(network))
    look = [("model", network), ("picture", PICTURE)]
    found = views.answer("layers", look)
    assert "trace" not in vars(views.held.traces.begun(network, PICTURE))
    whole = views.answer("overview", look)
    assert {key: whole[key] for key in found if key != "layers"} == {k: v for k, v in found.items() if k != "layers"}
    spread = {"min", "max", "mean", "zeros"}
    assert [{k: v for k, v in row.items() if k not in spread} for row in whole["layers"]] == found["layers"]


@pytest.mark.parametrize("name", ["deck", "resnet18", "googlenet", "densenet121", "mobilenet_v2"])
def test_what_layers_read_is_what_leads_to_them_in_the_graph(name: str) -> None:
    net = pl.nn.models.build(name, image_size=32).eval()
    ready = Ready(net)
    prepared = prepare(ready, feed(ready, np.zeros((3, 32, 32), np.float32), "test"))
    rows = columns(net, prepared)
    layers = {node: prepared.graph.names[node] for node in prepared.kept}
    leading: dict[pl.Tensor, set[str]] = {}
    for node in prepared.graph.nodes:
        below = ({layers[one]} if one in layers else leading[one] for one in node.inputs)
        leading[node] = set().union(*below)
    assert {row["layer"]: set(row["reads"]) for row in rows} == {name: leading[node] for node, name in layers.items()}
    assert all(len(row["reads"]) == len(set(row["reads"])) for row in rows)
    passing = [read for k, row in enumerate(rows[1:]) for read in row["reads"] if read != rows[k]["layer"]]
    assert len(passing) >= {"deck": 0, "resnet18": 8, "googlenet": 45, "densenet121": 58, "mobilenet_v2": 10}[name]


def test_many_layers_are_folded() -> None:
    names = ["image", "conv1", *(f"layer{k}.{j}" for k in (1, 2) for j in range(12)), "fc"]
    found = blocks([{"layer": name, "shape": [1, 2, 2]} for name in names])
    assert found == ["", "", *["layer1"] * 12, *["layer2"] * 12, ""]
    assert blocks([{"layer": "layer1.a", "shape": [1]}] * 3) == [""] * 3
    plain = [{"layer": f"op{k}", "shape": [8, 4 >> (k // 10), 4]} for k in range(30)]
    assert blocks(plain) == ["4x4"] * 10 + ["2x4"] * 10 + ["1x4"] * 10


def chain(names: str, count: int, *built: str) -> list[dict[str, Any]]:
    """`count` times the operations in `built`, each reading the one before, and the last the first too; called as `names` says."""
    rows: list[dict[str, Any]] = [{"layer": "image", "operation": "Input", "reads": [], "shape": [1]}]
    for k in range(count):
        first = rows[-1]["layer"]
        for j, operation in enumerate(built):
            reads = [rows[-1]["layer"], *([first] if j == len(built) - 1 else [])]
            name = names.format(k=k, j=j, n=k * len(built) + j)
            rows.append({"layer": name, "operation": operation, "reads": reads, "shape": [1 + k]})
    return rows


BUILT = ("conv", "relu", "conv", "add")
RUNS: dict[str, tuple[list[dict[str, Any]], set[tuple[str, int]], int]] = {
    "by names": (chain("blocks.{k}.op{j}", 16, *BUILT), {("", 0), ("blocks.0 to blocks.15", 16)}, 2),
    "within parts": (chain("stage.{k}.part.{j}.conv", 9, *BUILT), {("", 0), ("stage.0 to stage.8", 9)}, 2),
    "names that say nothing": (chain("node_{n}", 10, *BUILT), {("", 0), ("node_0 to node_39", 10)}, 2),
    "few": (chain("blocks.{k}.op{j}", 5, *BUILT), {("", 0)}, 21),
    "none alike": (chain("blocks.{k}.op{j}", 12, *BUILT)[:13] + chain("parts.{k}.op{j}", 5, "pool", "relu", "add")[1:],
                   {("", 0), ("blocks.0 to blocks.2", 3), ("parts.0 to parts.4", 5)}, 3),
}  # fmt: skip


@pytest.mark.parametrize("case", RUNS)
def test_blocks_that_come_again_are_one_column(case: str) -> None:
    rows, runs, columns = RUNS[case]
    blocked = blocks(rows)
    found = repeats(rows, blocked)
    assert set(found) == runs
    names = [run or block or row["layer"] for row, block, (run, _) in zip(rows, blocked, found, strict=True)]
    assert len([k for k, name in enumerate(names) if name != names[k - 1]]) == columns


FINITE = {
    "signed": ([-3, 1, 2], True, (-3, 3)),
    "infinite": ([-3, np.inf, 2, -np.inf], False, (-3, 2)),
    "missing": ([np.nan, 1, -4], True, (-4, 4)),
    "all missing": ([np.nan, np.inf], True, (0, 0)),
    "none": ([], False, (0, 0)),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", FINITE)
def test_a_scale_ends_at_what_is_finite(case: str, dtype: str) -> None:
    values, signed, ends = FINITE[case]
    assert limits(np.array(values, dtype), signed) == ends


@pytest.mark.parametrize("ends", [(-3.0, 3.0), (0.0, 2.0), (1.0, 1.0)])
def test_what_is_not_finite_is_no_color(ends: tuple[float, float]) -> None:
    """255 is hatched; infinities are no values at the ends of a scale."""
    found = np.frombuffer(
        base64.b64decode(bytes_of(np.array([np.nan, np.inf, -np.inf, *ends]), ends)["bytes"]), np.uint8
    )
    assert found[:3].tolist() == [MISSING] * 3
    assert max(found[3:]) < MISSING


def test_no_more_columns_than_can_be_drawn() -> None:
    rows = [{"layer": f"n{k}", "operation": f"op{k}", "reads": [f"n{k - 1}"], "shape": [k]} for k in range(5000)]
    found = repeats(rows, blocks(rows))
    assert 100 < len({run for run, _ in found}) <= MOST
    assert {times for _, times in found} == {0}


@pytest.mark.parametrize(
    ("name", "size", "columns"), [("deck", 32, 18), ("resnet18", 32, 14), ("mobilenet_v2", 32, 18)]
)
def test_models_by_their_files(name: str, size: int, columns: int, tmp_path: Path) -> None:
    net = pl.nn.models.build(name, image_size=size)
    net.initialize(0)
    pl.save_onnx(net, tmp_path / "net.onnx", shape=(3, size, size))
    library = Library(str(tmp_path / "net.onnx"), preprocessing="unit")
    views = Views(library)
    look = [("model", library.subject), ("picture", "sample:china")]
    rows = views.answer("overview", look)["layers"]
    names = [row["repeat"] or row["block"] or row["layer"] for row in rows]
    assert len([k for k, own in enumerate(names) if own != names[k - 1]]) == columns
    for row in (rows[1], rows[len(rows) // 2], rows[-1]):
        for what in ("value", "gradient"):
            asked = [*look, ("layer", row["layer"]), ("map", "0"), ("what", what)]
            found = views.answer("at", [*asked, ("cell", "0,0")])
            assert found["answer"]["value"] == views.answer("map", asked)["values"][0][0]
            size_ = sum(abs(term["value"]) for term in found["answer"]["terms"])
            assert abs(found["rounding"]) <= 1e-4 * max(size_, 1e-3)
    library.close()
