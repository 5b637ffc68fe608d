"""The lab's answers are those of the command line; who may ask, and what may not be asked, is settled before any work."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from PIL import Image
from starlette.testclient import TestClient
from typer.testing import CliRunner

import pellucid as pl
from pellucid.cli import app as commands
from pellucid.errors import PellucidError
from pellucid.lab import LabError, Library
from pellucid.lab.answers import addresses, kinds_of
from pellucid.lab.app import create_app
from pellucid.lab.place import listening
from pellucid.lab.rooms import NEURON, ROOMS
from pellucid.lab.server import first_address
from pellucid.questions import all_questions

TOKEN = "secret"
VALUES = {"w0": 2, "x0": -1, "w1": -3, "x1": -2, "w2": -3}
DECK = urlencode([("expression", NEURON), *(("values", f"{name}={value}") for name, value in VALUES.items())])


@pytest.fixture
def client() -> Iterator[TestClient]:
    with TestClient(create_app(Library(), TOKEN), base_url="http://127.0.0.1:8000") as made:
        made.cookies.set("pellucid", TOKEN)
        yield made


@pytest.mark.parametrize(
    ("question", "query", "words"),
    [
        ("formula", DECK, ["formula", NEURON, *(f"{name}={value}" for name, value in VALUES.items())]),
        ("formula", "expression=2*3", ["formula", "2*3"]),
        ("formula", "expression=1/x&values=x%3D0", ["formula", "1/x", "x=0"]),
        ("activation", "names=elu&names=alpha%3D0.5&low=-2&points=9", ["activation", "elu", "alpha=0.5", "--low", "-2", "--points", "9"]),
        ("activation", "names=elu&names=relu&names=elu.alpha%3D2", ["activation", "elu", "relu", "elu.alpha=2"]),
        ("loss", "names=huber&names=hinge&names=huber.delta%3D2&points=9", ["loss", "huber", "hinge", "huber.delta=2", "--points", "9"]),
        ("surface", "formula=x*y&box=-1,1,-2,2", ["surface", "x*y", "--box", "-1,1,-2,2"]),
        ("descend", "formula=bowl&start=-1,1&optimizers=sgd,rate%3D2&optimizers=adam", ["descend", "bowl", "sgd,rate=2", "adam", "--start", "-1,1"]),
        ("neuron", "weights=-1,1&points=1,1,1&points=-1,0,0", ["neuron", "--weights", "-1,1", "--point", "1,1,1", "--point", "-1,0,0"]),
        ("maxout", "pieces=-1,0&pieces=1,1&at=-1", ["maxout", "--piece", "-1,0", "--piece", "1,1", "--at", "-1"]),
        ("approximate", "formula=x*x&tolerance=0.2", ["approximate", "x*x", "--tolerance", "0.2"]),
        ("approximation-steps", "formula=0,1,0.5&units=3&step=2", ["approximation-steps", "0,1,0.5", "--units", "3", "--step", "2"]),
    ],
)  # fmt: skip
def test_answers_are_those_of_the_command_line(client: TestClient, question: str, query: str, words: list[str]) -> None:
    found = client.get(f"/api/v1/{question}?{query}")
    assert found.status_code == 200, found.text
    printed = CliRunner().invoke(commands, [*words, "--json"])
    assert found.json()["answer"] == json.loads(printed.stdout)
    import shlex

    again = CliRunner().invoke(commands, [*shlex.split(found.json()["command"])[1:], "--json"])
    assert json.loads(again.stdout) == json.loads(printed.stdout)
    told: dict[str, object] = {}
    exec(found.json()["python"].replace("print(answer)", ""), told)  # noqa: S102 what the page lets one copy
    assert json.loads(told["answer"].to_json()) == found.json()["answer"]  # type: ignore[attr-defined]


def test_a_command_whose_first_word_begins_with_a_minus_can_be_run(client: TestClient) -> None:
    import shlex

    for question, query in (("formula", "expression=-1"), ("approximate", "formula=-abs(x)&method=relu&tolerance=0.2")):
        found = client.get(f"/api/v1/{question}?{query}").json()
        words = shlex.split(found["command"])[1:]
        printed = CliRunner().invoke(commands, [words[0], "--json", *words[1:]])
        assert json.loads(printed.stdout) == found["answer"]


def test_every_question_has_an_address(client: TestClient) -> None:
    listed = client.get("/api/v1").json()
    assert [q["address"] for q in listed["questions"]] == [f"/api/v1/{name}" for name in all_questions()]
    assert listed["questions"] == json.loads(json.dumps(addresses()))
    assert [room["name"] for room in listed["rooms"]] == [room.name for room in ROOMS]


BAD = {
    "formula?expression=1/(x&values=x%3D1": (422, "position 5"),
    "formula?values=x%3D1": (400, "formula wants expression"),
    "formula?expression=x&expression=y": (400, "given 2 times"),
    "formula?expresion=x": (400, "did you mean 'expression'?"),
    "formulas": (404, "did you mean 'formula'?"),
    "activation?names=relu&points=ten": (400, "wants a whole number, got 'ten'"),
    "activation?names=relu&points=100000000": (400, "at most 100,000"),
    "activation?names=relu&low=wide": (400, "wants a number"),
    "formula?expression=" + "x" * 5000: (400, "at most 4000"),
    "formula?expression=x&" + "&".join(["values=x%3D1"] * 201): (400, "at most 200"),
    "formula.exe?expression=1": (404, "svg, png, pdf, csv, json"),
    "filters?model=/etc/passwd": (404, "No such network"),
    "history?run=/etc": (404, "No such network"),
    "compare?a=lenet&b=/etc/passwd": (404, "No such network"),
    "compare?a=lenet&b=lenet&inputs=x%3D/etc/passwd": (400, "No such parameter"),
    "units?model=lenet&data=/etc": (404, "No such data"),
    "why-convolution?data=/etc&epochs=1": (404, "No such data"),
    "why-convolution?download=true": (400, "No such parameter"),
    "formula?expression=x&values=x%3D2&values=x%3D3": (422, "x is given twice, 2 and 3"),
    "activation?names=relu&names=low%3D1": (422, "relu has no setting 'low'"),
    "activation?names=relu&names=high%3D1": (422, "relu has no setting 'high'"),
    "activation?names=relu&names=points%3D1": (422, "relu has no setting 'points'"),
    "activation?names=relu&names=name%3D1": (422, "relu has no setting 'name'"),
    "activation?names=relu&names=elu&names=relu.low%3D1": (422, "relu has no setting 'low'"),
    "activation?names=elu&names=alpha%3D1&names=alpha%3D3": (422, "alpha is given twice, 1 and 3"),
    "activation?names=relu&points=100000": (422, "2 to 5001 points"),
    "activation?names=relu&low=-1e308&high=1e308": (422, "a finite way apart"),
    "loss?names=huber&low=-1e308&high=1e308": (422, "a finite way apart"),
    "loss?names=huber&names=low%3D1": (422, "huber has no setting 'low'"),
    "loss?names=huber&names=delta%3D1&names=delta%3D1": (422, "delta is given twice"),
    **{f"neuron?settings={name}%3D1": (422, f"sigmoid has no setting '{name}'")
       for name in ("at", "bias", "weights", "box", "points", "activation")},
    "neuron?activation=elu&settings=alpha%3D1&settings=alpha%3D2": (422, "alpha is given twice"),
    "descend?formula=bowl&optimizers=sgd,rate%3D1,rate%3D2": (422, "rate is given twice"),
    **{f"convolve?picture=digits[3]&{name}={far}": (422, f"--{name}: expected two whole numbers")
       for name in ("at", "shift") for far in ("inf,0", "0,nan", "1e300,0", "0.5,1")},
    "shift-test?picture=digits[3]&shift=inf,0": (422, "--shift: expected two whole numbers"),
    "decision-plane?batch_size=-1": (400, "batch_size wants at least 1, got -1"),
    **{f"approximation-steps?formula=abs(x)&method={method}&tolerance={far}": (422, "tolerance: must be a number above 0, and finite")
       for method in ("lattice", "relu") for far in ("nan", "inf", "0", "-1")},
    "convolve?picture=/etc/passwd": (404, "No such picture"),
    "convolve?picture=/etc[3]": (404, "No such picture"),
    "trace?model=lenet&picture=../../etc/passwd": (404, "No such picture"),
}  # fmt: skip


@pytest.mark.parametrize("address", BAD)
def test_what_makes_no_sense_is_a_problem(client: TestClient, address: str) -> None:
    status, words = BAD[address]
    found = client.get(f"/api/v1/{address}")
    assert found.status_code == status
    assert found.headers["content-type"] == "application/problem+json"
    assert words in " ".join(map(str, found.json().values()))


TEXTS = {
    "activation": {"names"},
    "activations": {"layer", "scale", "target", "executor"},
    "approximate": {"formula", "domain", "method"},
    "approximation-steps": {"formula", "domain", "method"},
    "attribute": {"method", "target", "layer", "setting", "of", "executor"},
    "compare": {"executors", "layer", "target", "size", "preprocessing", "set"},
    "convolve": {"kernel", "at", "pooling", "shift"},
    "decision-plane": {"network", "optimizer", "executor"},
    "design": {"network", "shape"},
    "descend": {"formula", "optimizers", "start", "box"},
    "embed": {"layer", "method", "executor"},
    "explain": {"at", "target", "loss", "executor"},
    "explain-box": {"at", "kind"},
    "filters": {"layer"},
    "formula": {"expression", "values"},
    "landscape": {"split", "executor"},
    "loss": {"names"},
    "maximize": {"layer", "target", "executor"},
    "maxout": {"pieces", "at", "box"},
    "neuron": {"weights", "at", "activation", "settings", "points", "box"},
    "receptive-field": {"at", "of", "executor"},
    "runs": {"by", "where", "state"},
    "shift-robustness": {"shifts", "executor"},
    "shift-test": {"shift"},
    "surface": {"formula", "at", "box"},
    "trace": {"target", "loss", "executor"},
    "units": {"layer", "executor"},
    "walk-back": {"target", "executor"},
    "why-convolution": {"shifts", "executor"},
}
"""Texts that a question takes and never opens as a file: a new one is to be looked at before it is put here."""


def test_no_text_names_a_file() -> None:
    for question in all_questions().values():
        texts = {
            p.name
            for p in question.parameters
            if p.option.kind in ("", "settings") and not {bool, int, float} & {*kinds_of(p.type)}
        }
        assert texts == TEXTS.get(question.name, set()), question.name


def test_every_address_says_what_it_answers(client: TestClient) -> None:
    listed = {one["address"]: one for one in client.get("/api/v1").json()["addresses"]}
    app: Any = client.app
    assert {route.path for route in app.routes if route.path.startswith("/api/")} == {*listed}
    assert [name for name, one in listed.items() if not one["says"].endswith(".")] == []
    assert listed["/api/v1/pictures"]["methods"] == ["POST"]


TAGGED = ["api/v1", "api/v1/networks", f"api/v1/formula?{DECK}", f"api/v1/formula.svg?{DECK}", "static/lab.js"]


@pytest.mark.parametrize("known", ["{}", "W/{}", '"other", {}', "*"])
@pytest.mark.parametrize("address", TAGGED)
def test_what_is_known_is_not_sent_again(client: TestClient, address: str, known: str) -> None:
    first = client.get(f"/{address}")
    assert first.content
    again = client.get(f"/{address}", headers={"if-none-match": known.format(first.headers["etag"])})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
    other = client.get(f"/{address}", headers={"if-none-match": '"other"'})
    assert other.content == first.content


def test_a_fault_of_ours_is_a_problem(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise ZeroDivisionError("by hand")

    monkeypatch.setattr("pellucid.lab.app.answer", fails)
    quiet: Any = TestClient(client.app, "http://127.0.0.1:8000", False, cookies={"pellucid": TOKEN})
    found = quiet.get(f"/api/v1/formula?{DECK}")
    assert (found.status_code, found.headers["content-type"]) == (500, "application/problem+json")
    assert "ZeroDivisionError: by hand" in found.json()["detail"]
    refused = client.delete("/api/v1")
    assert (refused.status_code, refused.json()["status"]) == (405, 405)
    assert "GET" in refused.headers["allow"]


def test_a_page_is_there_whatever_its_first_question_comes_to(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = {"sec-fetch-dest": "document"}
    quiet: Any = TestClient(client.app, "http://127.0.0.1:8000", False, cookies={"pellucid": TOKEN})
    for error, status in ((PellucidError("by hand"), 200), (ZeroDivisionError("by hand"), 500)):

        def fails(*_: object, error: Exception = error) -> None:
            raise error

        monkeypatch.setattr("pellucid.lab.app.answer", fails)
        found = quiet.get("/graph", headers=browser)
        assert (found.status_code, "by hand" in found.text) == (status, True)
        assert found.headers["content-type"].startswith("text/html")


NAMED: dict[str, tuple[str, dict[str, Any] | None, str]] = {
    "networks?foo=1": ("GET", None, "foo"),
    "jobs?foo": ("GET", None, "foo"),
    "curves": ("GET", None, "runs"),
    "curves?runs=a&runs=b": ("GET", None, "runs"),
    "jobs/1/result.svg?figur=0": ("GET", None, "figur"),
    "training/look?data=circles&data=xor": ("GET", None, "data"),
    f"training/look?network={'x' * 5000}": ("GET", None, "network"),
    "training/look?size=8": ("GET", None, "size"),
    "pictures?passing=maybe": ("POST", None, "passing"),
    "jobs": ("POST", {"question": "formula", "foo": 1}, "foo"),
    "jobs?foo=1": ("POST", {"question": "formula"}, "foo"),
    "runs/one": ("PATCH", {"do": "pause", "foo": 1}, "foo"),
    "runs/two": ("PATCH", {"do": "step", "stages": 1}, "stages"),
}


@pytest.mark.parametrize("address", NAMED)
def test_what_is_not_known_or_given_twice_is_named(client: TestClient, address: str) -> None:
    method, body, where = NAMED[address]
    found = client.request(method, f"/api/v1/{address}", json=body)
    assert (found.status_code, found.json()["where"]) == (400, where), found.text


@pytest.mark.parametrize("ending", ["svg", "png", "pdf", "csv", "json"])
def test_figures_are_files(client: TestClient, ending: str) -> None:
    found = client.get(f"/api/v1/formula.{ending}?{DECK}")
    starts = {"svg": b"<svg", "png": b"\x89PNG", "pdf": b"%PDF", "csv": b"source,target", "json": b"{"}
    assert found.content.startswith(starts[ending])
    assert found.headers["content-disposition"] == f'attachment; filename="formula.{ending}"'


def test_a_table_holds_the_numbers_and_no_formulas(client: TestClient) -> None:
    rows = list(csv.reader(io.StringIO(client.get("/api/v1/activation.csv?names=relu&points=3").text)))
    places = ("-6.0", "0.0", "6.0")
    wanted = [
        (name, x, y)
        for name, ys in (("relu", places), ("derivative", ("0.0", "0.0", "1.0")))
        for x, y in zip(places, ys, strict=True)
    ]
    wanted[0] = ("relu", "-6.0", "0.0")
    assert [tuple(row) for row in rows] == [("series", "x", "y"), *wanted]
    steered = client.get("/api/v1/formula.csv?expression=x*(-1)%2B2&values=x%3D1").text
    assert not any(cell.startswith(("=", "@", "+")) for row in csv.reader(io.StringIO(steered)) for cell in row)


@pytest.mark.parametrize("room", [room.name for room in ROOMS if room.question])
def test_a_page_begins_with_its_answer(client: TestClient, room: str) -> None:
    page = client.get(f"/{room}")
    assert page.status_code == 200
    data = json.loads(page.text.partition('id="data">')[2].partition("</script>")[0])
    query = urlencode([tuple(pair) for pair in data["begun"]])
    assert data["first"]["answer"] == client.get(f"/api/v1/{data['first']['question']}?{query}").json()["answer"]
    assert "{{" not in page.text
    assert "<script>" not in page.text


def test_a_page_tells_what_is_wrong_with_its_link_and_breaks_out_of_nothing(client: TestClient) -> None:
    page = client.get("/graph", params={"expression": "</script><img src=x onerror=alert(1)>{{TITLE}}"})
    assert page.status_code == 200
    assert "<img" not in page.text
    data = json.loads(page.text.partition('id="data">')[2].partition("</script>")[0])
    assert "position" in data["first"]["problem"]["detail"]


REFUSED = {
    "no token": ({"cookie": ""}, "GET", 403),
    "another token": ({"cookie": "pellucid=guess"}, "GET", 403),
    "another host": ({"host": "evil.example"}, "GET", 421),
    "rebound": ({"host": "127.0.0.1.evil.example:8000"}, "GET", 421),
    "another origin": ({"origin": "http://evil.example"}, "GET", 403),
    "another site": ({"sec-fetch-site": "cross-site"}, "POST", 403),
    "same site, other port": ({"sec-fetch-site": "same-site"}, "POST", 403),
    "null": ({"origin": "null"}, "POST", 403),
}


@pytest.mark.parametrize("name", REFUSED)
def test_who_may_not_ask(client: TestClient, name: str) -> None:
    headers, method, status = REFUSED[name]
    if "cookie" in headers:
        client.cookies.clear()
    found = client.request(method, "/api/v1/pictures" if method == "POST" else "/api/v1", headers=headers)
    assert found.status_code == status
    assert found.headers["content-type"] == "application/problem+json"


def test_the_token_becomes_a_cookie(client: TestClient) -> None:
    client.cookies.clear()
    query = "expression=x*y&values=x%3D1&values=y%3D2&open="
    met = client.get(f"/graph?{query}&token={TOKEN}", follow_redirects=False)
    assert (met.status_code, met.headers["location"]) == (303, f"/graph?{query.replace('*', '%2A')}")
    assert all(word in met.headers["set-cookie"].lower() for word in ("httponly", "samesite=strict"))
    assert TOKEN not in client.get("/graph").text
    away = client.get(f"/%2F%2Fevil.example?token={TOKEN}", follow_redirects=False)
    assert away.headers["location"] == "/evil.example"


def test_every_answer_says_what_a_page_may_do(client: TestClient) -> None:
    for address in ("/graph", "/api/v1", "/static/lab.js", "/static/none.js", "/api/v1/nothing"):
        headers = client.get(address).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self';" in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "path", ["/static/../app.py", "/static/%2e%2e/app.py", "/static//etc/passwd", "/static/", "/nowhere"]
)
def test_nothing_else_can_be_read(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


def picture(form: str = "PNG", size: tuple[int, int] = (6, 4)) -> bytes:
    raw = io.BytesIO()
    Image.new("RGB", size, (200, 30, 90)).save(raw, form)
    return raw.getvalue()


def test_pictures_are_kept_by_their_bytes(client: TestClient) -> None:
    names = [client.post("/api/v1/pictures", content=picture()).json()["picture"] for _ in range(2)]
    assert names[0] == names[1]
    assert client.get("/api/v1/networks").json()["pictures"] == names[:1]
    large = b"\x89PNG" + b"0" * (21 * 2**20)
    for raw, status in ((b"text", 415), (b"", 415), (picture("TIFF"), 415), (picture()[:45], 422), (large, 413)):
        assert client.post("/api/v1/pictures", content=raw).status_code == status


def test_what_the_lab_is_started_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert first_address("lenet") == ("lenet", "/network")
    asked = urlencode([("expression", "(x + y) * z"), *(("values", f"{name}=1") for name in "xyz")])
    assert first_address("(x + y) * z") == ("", f"/graph?{asked}")
    monkeypatch.chdir(tmp_path)
    Path("a+b").mkdir()
    assert first_address("a+b") == ("a+b", "/network")


def test_a_taken_port_is_told() -> None:
    with listening("127.0.0.1", 0) as made:
        assert made.family == socket.AF_INET
        with pytest.raises(LabError, match=rf"is taken by process {os.getpid()} \(.+\); take a free one: --port 0"):
            listening("127.0.0.1", made.getsockname()[1])


def test_data_for_training_is_named_or_sent(
    client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("circles").mkdir()
    Path("secret.csv").write_text("1,2,a\n3,4,b\n")

    def plane(data: str) -> Any:
        return client.get("/api/v1/decision-plane", params={"data": data, "side": 4})

    assert plane("circles").json()["answer"]["parts"]["train"]["count"] == 350
    for data in ("secret.csv", "runs", "/etc/passwd", "circle", ""):
        assert plane(data).status_code == (404 if data else 422), data
    few = client.post("/api/v1/points", content="x,y,kind\n0,0,a\n1,1,b\n").json()["data"]
    assert few == "points 0,0,a; 1,1,b"
    assert plane(few).json()["answer"]["parts"]["train"]["points"] == [[0.0, 0.0], [1.0, 1.0]]
    rows = "\n".join(f"{k / 7:.3f},{k % 5},{'ab'[k % 2]}" for k in range(400))
    many = client.post("/api/v1/points", content=rows).json()["data"]
    assert re.fullmatch("[0-9a-f]{20}", many)
    assert plane(many).json()["answer"]["parts"]["train"]["count"] == 280
    assert "POINTS.csv" in plane(many).json()["command"]
    assert plane(many).json()["answer"]["data"] == many
    for ending in ("", ".svg", ".html", ".csv", ".drawn"):
        told = client.get(f"/api/v1/decision-plane{ending}", params={"data": many, "side": 4}).text
        assert "pellucid-lab-" not in told, ending
    near = client.post("/api/v1/points", content="100001,0.1,a\n100002,1e-7,b\n").json()["data"]
    assert near == "points 100001,0.1,a; 100002,1e-07,b"
    for named in ('0,1,"a, b"\n1,0,c\n', "0,1,a;1\n1,0,c\n", '0,1,"""a"\n1,0,c\n'):
        own = client.post("/api/v1/points", content=named).json()["data"]
        assert len(own) == 20
        assert plane(own).json()["answer"]["parts"]["train"]["points"] == [[0.0, 1.0], [1.0, 0.0]]
    refused = client.post("/api/v1/points", content="1,2\n")
    assert (refused.status_code, refused.json()["detail"].partition("; got")[0]) == (
        422, "the table: line 1: wants x, y and a class, as in 0.5,-1.2,blue"
    )  # fmt: skip
    assert client.post("/api/v1/points", content="1,2,a\n" * 800_000).status_code == 413


def test_what_training_may_begin_with(client: TestClient) -> None:
    found = client.get("/api/v1/training/look", params={"data": "digits", "network": "Conv2d 4 3, ReLU"}).json()
    assert (found["shape"], len(found["classes"]), found["parts"]["train"]["count"]) == ([1, 8, 8], 10, 1258)
    assert found["examples"]["shape"] == [24, 8, 8]
    assert found["network"]["parameters"] == pl.design("Conv2d 4 3, ReLU", (1, 8, 8), 10).parameters
    wrong = client.get("/api/v1/training/look", params={"data": "digits", "network": "ReLU, Conv2d 4 30"})
    assert (wrong.status_code, wrong.json()["where"]) == (422, "layer 2")
    for name, value in {"data": "secret", "image_size": "x", "model": "lenet"}.items():
        assert client.get("/api/v1/training/look", params={name: value}).status_code in (400, 404)


@pytest.mark.parametrize("room", [room.name for room in ROOMS])
def test_a_page_names_the_scripts_and_the_style_that_its_room_needs(client: TestClient, room: str) -> None:
    page = client.get(f"/{room}").text
    named = re.findall(r'<link rel="modulepreload" href="static/([^"]+)">', page)
    texts = {path: client.get(f"/static/{path}").text for path in named}
    assert set(named[:2]) == {"lab.js", f"rooms/{room}.js"} and len(texts) == len(named)
    for path, text in texts.items():
        for other in re.findall(r'^(?:import|export) .*?from "([^"]+)";', text, re.MULTILINE):
            assert os.path.normpath(os.path.join(os.path.dirname(path), other)) in texts, (path, other)
    styles = re.findall(r'<link rel="stylesheet" href="static/([^"]+)">', page)
    assert styles == ["lab.css", *(["rooms/network.css"] if room == "network" else [])]
    assert all(client.get(f"/static/{style}").status_code == 200 for style in styles)
