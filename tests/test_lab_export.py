"""A copy of the lab shows what the lab shows, on any server and from the disk; the lab asked without a port answers the same."""
# ruff: noqa: F811 (fixtures are arguments)

from __future__ import annotations

import functools
import http.server
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner

import lab_run
import pellucid as pl
from many_networks import TwoAndTwo
from pellucid.cli import app as commands
from pellucid.errors import PellucidError
from pellucid.files import write_atomically
from pellucid.lab import Library, kept
from pellucid.lab.app import create_app, static_files
from pellucid.lab.desk import Desk, desk
from pellucid.lab.document import modules
from pellucid.lab.export import export, gather
from pellucid.lab.rooms import NEURON, ROOMS
from pellucid.lab.runs.trail import Trail
from pellucid.lab.wire import Problem
from test_lab import picture
from test_lab_pages import CHROMIUM, browser, small_run, until  # noqa: F401

drawn = pytest.mark.skipif(CHROMIUM is None, reason="NO BROWSER: install Debian's chromium to test the lab's pages")
SMALL = {
    "CELLS": 0,
    "MAPS": 30,
    "NUMBERS": 30,
    "PICTURES": 1,
    "REACH": 2,
    "PIECES": 0,
    "UNITS": (),
    "AT_ONCE": ("relu",),
    "SIZES": (10,),
}
VALUES = {"w0": 2, "x0": -1, "w1": -3, "x1": -2, "w2": -3}
DECK = urlencode([("expression", NEURON), *(("values", f"{name}={value}") for name, value in VALUES.items())])


@pytest.fixture(scope="module")
def copies(small_run: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a copy in a folder (site/lab) and one in a file (lab.html), smaller ones than usual."""
    folder = tmp_path_factory.mktemp("copies")
    with pytest.MonkeyPatch.context() as patched:
        for name, value in SMALL.items():
            patched.setattr(kept, name, value)
        copy = gather(small_run)
    for name, raw in {**{f"site/lab/{k}": v for k, v in copy.as_folder().items()}, **copy.as_file("lab.html")}.items():
        write_atomically(folder / name, raw, folders=True)
    yield folder


class Silent(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module", params=["folder", "file"])
def copy(request: pytest.FixtureRequest, copies: Path) -> Iterator[Any]:
    """Gives the address of a room of a copy: in a folder below a plain web server's own, or in a file on the disk."""
    handler = functools.partial(Silent, directory=copies / "site")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        place = f"http://127.0.0.1:{server.server_port}/lab"
        if request.param == "folder":
            yield lambda room, query="": f"{place}/{room}/{query and '?'}{query}"
        else:
            yield lambda room, query="": f"{(copies / 'lab.html').as_uri()}{query and '?'}{query}#{room}"
        server.shutdown()
        thread.join()


@pytest.fixture
def page(browser: Any, copy: Any) -> Iterator[Any]:
    """A page that may say nothing on its console, and ask nothing of elsewhere."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    made = context.new_page()
    said: list[str] = []
    own = copy("graph").split("/graph/")[0].split("#")[0]
    made.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    made.on("pageerror", lambda error: said.append(str(error)))
    made.on("request", lambda one: None if one.url.startswith((own, "data:", "blob:")) else said.append(one.url))
    yield made
    context.close()
    assert said == []


def numbers(page: Any, place: str) -> list[float]:
    return page.eval_on_selector_all(f"{place}[data-value]", "found => found.map(e => Number(e.dataset.value))")


@drawn
@pytest.mark.parametrize("room", [room.name for room in ROOMS])
def test_every_room_of_a_copy_is_whole(page: Any, copy: Any, room: str) -> None:
    page.goto(copy(room))
    page.wait_for_selector(".held")
    page.wait_for_load_state("networkidle")
    assert "answers for this room" in page.locator(".held").inner_text()
    assert page.locator("#room").inner_text() != ""
    page.wait_for_timeout(300)
    assert not page.locator("#problem").is_visible(), page.locator("#problem").inner_text()


@drawn
def test_a_copys_formula_follows_its_handles(page: Any, copy: Any) -> None:
    page.goto(copy("graph"))
    page.wait_for_selector("svg.drawn *", state="attached")

    def wanted(**given: float) -> list[float]:
        trace = pl.trace_expression(pl.expression(NEURON, **{**VALUES, **given}))
        return [edge.value for gate in trace.gates for edge in gate.edges]

    assert numbers(page, ".edge .value") == wanted()
    slider = page.get_by_label("w0, slider")
    until(page, lambda: slider.get_attribute("step") == "0.25")
    slider.focus()
    slider.press("ArrowRight")
    until(page, lambda: numbers(page, ".edge .value") == wanted(w0=2.25))
    until(page, lambda: "w0%3D2.25" in page.url)
    page.get_by_label("x1", exact=True).fill("-2.4")  # the nearest is -2.5, where w0 is 2 again
    until(page, lambda: numbers(page, ".edge .value") == wanted(x1=-2.5))
    assert "the nearest" in page.locator(".held").inner_text()
    page.keyboard.press("Control+z")
    until(page, lambda: numbers(page, ".edge .value") == wanted(w0=2.25))
    assert page.locator("#formula").is_disabled()
    assert "pellucid lab" in page.locator("#formula").get_attribute("title")
    page.get_by_label("Examples").select_option(label="A sum times a number")
    until(page, lambda: page.locator(".box").count() == 5)
    page.locator("#rail a[href^=activations]").click()
    page.wait_for_selector(".chips [aria-pressed=true]")
    assert page.locator("#rail a").count() == len(ROOMS)


@drawn
def test_a_handle_without_answers_is_gray(page: Any, copy: Any) -> None:
    page.goto(copy("why-convolution"))
    page.wait_for_selector(".held")
    for name, gray in (("picture size", False), ("down", False), ("seed", False)):
        assert page.get_by_label(name, exact=True).is_disabled() == gray, name
    down = page.get_by_label("down", exact=True)
    down.fill("2")
    off = page.locator("[data-name='convolution off']")
    until(page, lambda: "shift_=2%2C1" in page.url and numbers(page, "[data-name='convolution off']") == [0.0])
    assert off.count() == 1
    image = pl.data.read_image(Path("digits[143]"), 1)[0]
    share = pl.shift_test(image, seed=3).to_dict()["layers"]["fully connected"]["off"]
    for link in ("", urlencode({"seed_": "5", "picture_": "digits[5]"})):
        page.goto(copy("why-convolution", link))
        page.wait_for_selector(".held")
        page.get_by_label("seed", exact=True).fill("5")
        until(page, lambda: page.get_by_label("seed", exact=True).input_value() == "3")
        until(page, lambda: page.locator("[data-name='fully connected off']").count() == 1)
        until(page, lambda: numbers(page, "[data-name='fully connected off']") == [share])
        until(page, lambda: "seed_=3" in page.url)
        assert page.locator("#shift-picture").input_value() == "digits[143]"
    assert not page.locator("#problem").is_visible()
    page.goto(copy("descent"))
    page.wait_for_selector(".handle [data-uncopied]")
    assert "pellucid lab" in page.locator(".handle [data-uncopied]").first.get_attribute("title")


@drawn
def test_a_copys_functions_and_kernels(page: Any, copy: Any) -> None:
    page.goto(copy("activations"))
    page.wait_for_selector("svg.drawn *", state="attached")
    page.get_by_role("button", name="gelu", exact=True).click()
    until(page, lambda: page.locator(".chips [aria-pressed=true]").all_inner_texts() == ["gelu"])
    assert numbers(page, "[aria-label='What they are'] td") == [pl.activation_curve("gelu").steepest]
    page.go_back()
    page.goto(copy("convolution", urlencode({"picture": "digits[143]", "kernel": "blur"})))
    image = pl.data.read_image(Path("digits[143]"), 1)[0]
    result = page.locator(".said b")
    until(page, lambda: result.count() == 1 and numbers(page, ".said b") == [pl.convolve(image, "blur").value])
    page.locator("#kernel").select_option("laplacian")
    until(page, lambda: numbers(page, ".said b") == [pl.convolve(image, "laplacian").value])
    assert page.get_by_label("A picture of your own").is_disabled()
    page.locator("#kernel").select_option("sobel-x")
    until(page, lambda: page.get_by_role("link", name="CSV").get_attribute("aria-disabled") is None)
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    assert download.value.suggested_filename == "convolve.csv"
    assert Path(download.value.path()).read_text().startswith("map,row,column,value")


@drawn
def test_a_copys_network_down_to_a_number(page: Any, copy: Any, copies: Path, small_run: str) -> None:
    page.goto(copy("network"))
    page.wait_for_selector(".strip .column")
    opened = pl.open_model(small_run)
    traced = pl.trace(opened.net, opened.input("test[3]").values)
    shown = lambda name: numbers(page, f"[data-name='{name}']")[:1]  # noqa: E731
    assert shown("score") == [traced.score]
    page.locator(".column[data-layer=conv2]").click()
    tiles = page.locator(".tiles [data-map]")
    until(page, lambda: tiles.count() == 48)
    index = json.loads((copies / "site" / "lab" / "answers" / "network" / "index.json").read_text())
    held = {
        dict(pairs)["map"]
        for pairs, _, _ in index["found"]["network/map"]
        if ["layer", "conv2"] in pairs and ["what", "value"] in pairs
    }
    until(page, lambda: page.locator(".tiles [data-uncopied]").count() == 48 - len(held))
    number = int(page.locator(".tiles :not([data-uncopied])[data-map]").first.get_attribute("data-map"))
    assert not page.locator(f".tiles [data-map='{number}'][data-uncopied]").count()
    page.locator(".tiles [data-uncopied]").first.click(force=True)
    assert "map=" not in page.url
    page.locator(f".tiles [data-map='{number}']").click()
    until(page, lambda: bool(page.locator(".large .caption").first.inner_text()))
    page.locator(".large canvas").click(position={"x": 2, "y": 2})
    until(page, lambda: page.locator("[data-name=sum]").count() == 1)
    page.wait_for_url(re.compile("cell="))
    place = re.findall(r"cell=(\d+)%2C(\d+)", page.url)[-1]
    neuron = traced["conv2"][number, int(place[0]), int(place[1])]
    assert (shown("value"), shown("sum")) == ([neuron.value], [neuron.total])
    assert not page.locator("#problem").is_visible()
    for name in ("model", "target"):
        assert page.locator(f"#{name}").is_disabled()


def test_a_copy_holds_what_the_lab_answers(copies: Path, small_run: str) -> None:
    import base64
    import gzip

    folder = copies / "site" / "lab" / "answers"
    with desk(
        Library(small_run, copies / "runs")
    ) as asked:  # none: a copy names no other runs of the folder it was made in
        for room in ("graph", "activations", "why-convolution", "convolution", "network"):
            index = json.loads((folder / room / "index.json").read_text())
            assert index["count"] == sum(map(len, index["found"].values())) > 20
            for name, entries in index["found"].items():
                for pairs, pack, place in entries[:: max(1, len(entries) // 4)]:
                    stored = json.loads(gzip.decompress((folder / room / f"{pack}.pack").read_bytes()))[place]
                    raw = stored.encode() if isinstance(stored, str) else base64.b64decode(stored["base64"])
                    assert raw == asked.ask(f"/api/v1/{name}?{urlencode([*map(tuple, pairs)])}").body
    text = (copies / "lab.html").read_text()
    assert text.count("<template data-room=") == len(ROOMS)
    assert not re.search(r'(src|href)="(?!data:|#|[a-z-]+["?]|api/)', text)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lab_run.train(tmp_path_factory.mktemp("elsewhere") / "digits-run")


def test_a_copy_holds_how_its_run_was_trained(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = Trail(trained).snapshots()
    for network in (trained, trained / "best.safetensors"):
        copy = gather(str(network), ["training"])
        found = copy.held["training"].found
        assert {f"runs/{trained.name}/snapshots/{step}" for step in steps} < {*found}
        assert {f"runs/{trained.name}", "curves", "training/look", "learning-curves.svg", "learning-curves"} < {*found}
        asked = lab_run.SMALL, "3", "0.01", trained.name
        look = dict(
            json.loads(copy.pages["training"].html.partition('id="data">')[2].partition("</script>")[0])["copy"]["look"]
        )
        assert tuple(look[name] for name in ("network", "seed", "learning_rate", "run_")) == asked
    monkeypatch.setattr(kept, "SNAPSHOTS", 1)
    held = [name for name in gather(str(trained), ["training"]).held["training"].found if "/snapshots/" in name]
    assert held == [f"runs/{trained.name}/snapshots/{step}" for step in (steps[0], steps[-1])]


@drawn
def test_a_copys_run_is_looked_back_at(browser: Any, trained: Path, tmp_path: Path) -> None:
    for name, raw in gather(str(trained), ["training"]).as_file("lab.html").items():
        write_atomically(tmp_path / name, raw)
    page = browser.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    page.goto((tmp_path / "lab.html").as_uri())
    steps = Trail(trained).snapshots()
    until(page, lambda: page.locator("[data-name=snapshots]").get_attribute("max") == str(len(steps) - 1))
    for key, step in (("Home", steps[0]), ("End", steps[-1])):
        page.locator("[data-name=snapshots]").focus()
        page.keyboard.press(key)
        taken = json.loads(Trail(trained).snapshot(step) or b"")
        (weight,) = (
            one["weight"] for layer in taken["layers"] for one in layer["parameters"] if one["name"] == "conv1.weight"
        )
        until(page, lambda step=step: f"after {step} steps" in page.locator(".scrub").inner_text())
        until(page, lambda weight=weight: numbers(page, "[data-name='conv1.weight/weight']") == [weight])
    assert numbers(page, "[data-name=loss]") == [taken["loss"]]
    for name in ("start", "step", "rewind", "stop", "find-rate"):
        handle = page.locator(f"[data-name={name}]")
        assert handle.get_attribute("aria-disabled") == "true"
        assert "start `pellucid lab`" in handle.get_attribute("title")
    page.close()
    assert said == []


def test_every_script_is_found_by_its_name_in_one_file() -> None:
    texts = modules()
    assert {name for name in static_files() if name.endswith(".js")} == {*texts}
    for name, text in texts.items():
        for path in re.findall(r'(?:from|import\()\s*["`]((?:\.|lab/).*?)["`]', text):
            assert path.startswith("lab/"), (name, path)
            assert "${" in path or path.removeprefix("lab/") in texts, (name, path)


REFUSED = [
    (["--export", "there"], "there: has files in it|is there already"),
    (["--export", "there", "--overwrite"], "no copy of the lab"),
    (["--export", "file.html"], "is a file; name a folder, or say --single-file"),
    (["--export", "file.html", "--single-file"], "is there already"),
    (["--export", "there", "--single-file"], "ends in .html"),
    (["--export", "new", "--room", "grph"], "did you mean 'graph'"),
    (["--export", "/proc/nope/copy"], "/proc/nope/copy: cannot be written"),
    (["--export", "/proc/copy.html", "--single-file"], "/proc/copy.html: cannot be written"),
    (["--export", "x" * 300], "cannot be written"),
    (["--export", "file.html/copy"], "cannot be written"),
    (["--single-file"], "name where: --export PLACE"),
]


@pytest.mark.parametrize(("words", "said"), REFUSED)
def test_what_is_not_written(words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("there").mkdir()
    Path("there", "mine.txt").touch()
    Path("file.html").touch()
    found = CliRunner().invoke(commands, ["lab", *words])
    told = " ".join((found.output + str(found.exception or "")).replace("│", " ").split())
    assert re.search(said, told), told
    assert told.count("cannot be written") == said.count("cannot be written"), told
    assert found.exit_code != 0
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file.html", "mine.txt", "there"]


@pytest.mark.parametrize(("pictures", "kept_of"), [(1, 1), (3, 1)])
def test_a_network_that_takes_no_picture_of_the_samples(
    pictures: int, kept_of: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Is copied with the numbers that it is begun with."""
    for name, value in {**SMALL, "PICTURES": pictures}.items():
        monkeypatch.setattr(kept, name, value)
    net = TwoAndTwo()
    net.initialize(0)
    pl.save_onnx(net, tmp_path / "two.onnx", shape={"picture": (3, 8, 10), "about": (5,)})
    held = gather(str(tmp_path / "two.onnx"), ["network"]).held["network"]
    asked = [dict(query) for query, *_ in held.found["network/overview"]]
    assert len({query["picture"] for query in asked}) == kept_of
    assert {query["input"] for query in asked} == {"about=random:0"}, "as the page asks it"


@pytest.mark.parametrize(
    ("subject", "words"), [("damaged.onnx", "not an ONNX file, or damaged"), ("lenett", "did you mean 'lenet'")]
)
def test_a_network_of_which_nothing_can_be_copied(
    subject: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("damaged.onnx").write_bytes(b"no network")
    with pytest.raises(pl.lab.LabError, match=rf"the room 'Network' cannot be copied: .*{words}"):
        export(subject, tmp_path / "lab", rooms=["network"])
    assert not (tmp_path / "lab").exists()


def test_a_copy_is_written_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "REACH", 1)
    words = ["lab", "x*y", "--export", str(tmp_path / "lab"), "--room", "graph"]
    first = CliRunner().invoke(commands, words)
    assert re.search(r"lab: \d+ files, [\d.]+ [KM]iB\n  graph: \d+ answers", first.stdout), first.stdout
    (tmp_path / "lab" / "answers" / "graph" / "9.pack").touch()
    assert CliRunner().invoke(commands, [*words, "--overwrite"]).stdout == first.stdout
    assert not (tmp_path / "lab" / "answers" / "graph" / "9.pack").exists()
    index = json.loads((tmp_path / "lab" / "answers" / "graph" / "index.json").read_text())
    assert index["found"]["formula"][0][0] == [["expression", "x*y"], ["values", "x=1"], ["values", "y=1"]]


def test_a_copy_of_fewer_rooms_leaves_nothing_of_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "REACH", 1)
    export("x*y", tmp_path / "lab", rooms=["graph"])
    for old in ("network/index.html", "answers/network/index.json", "answers/network/0.pack", "static/old/old.js"):
        (tmp_path / "lab" / old).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "lab" / old).touch()
    (tmp_path / "lab" / "CNAME").touch()
    made = export("x*y", tmp_path / "lab", rooms=["graph"], overwrite=True)
    there = [path for path in (tmp_path / "lab").rglob("*") if path.is_file()]
    assert len(there) == made.files + 1
    assert {path.name for path in (tmp_path / "lab").iterdir()} == {"CNAME", "answers", "graph", "index.html", "static"}
    assert not (tmp_path / "lab" / "static" / "old").exists()


@pytest.fixture(scope="module")
def asked(small_run: str) -> Iterator[Desk]:
    with desk(Library(small_run)) as made:
        yield made


ADDRESSES = [
    ("GET", f"/api/v1/formula?{DECK}"),
    ("GET", f"/api/v1/formula.png?{DECK}"),
    ("GET", "/api/v1/formula?expression=1/(x"),
    ("GET", "/api/v1/networks"),
    ("GET", "/graph"),
    ("POST", "/api/v1/pictures"),
    ("DELETE", "/api/v1"),
]


@pytest.mark.parametrize(("method", "address"), ADDRESSES)
def test_a_desk_answers_as_a_server_does(asked: Desk, small_run: str, method: str, address: str) -> None:
    found = asked.ask(address, method, picture())
    with TestClient(create_app(Library(small_run), "t"), "http://127.0.0.1", cookies={"pellucid": "t"}) as client:
        served = client.request(method, address, content=picture())
    assert (found.status, found.kind) == (served.status_code, served.headers["content-type"].partition(";")[0])
    assert found.body == served.content
    if found.status >= 400:
        with pytest.raises(Problem):
            found.json()


def test_every_room_says_what_a_copy_holds(asked: Desk) -> None:
    from pellucid.lab.copies import hold

    for room in ROOMS:
        held = next(hold(room, room.first, asked))
        assert held.count == 1, room.name
    assert issubclass(pl.lab.LabError, PellucidError)
