"""Models of parts: histograms of gradients, where parts go, what windows score, and the files of the authors' models."""

from __future__ import annotations

import contextlib
import json
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat
from typer.testing import CliRunner

import pellucid as pl
from part_models import cells, part_model, structures, told
from pellucid.cli import app
from pellucid.detect.boxes import areas, intersections, overlaps
from pellucid.detect.dpm import histograms as hog
from pellucid.detect.dpm import mat_file, scanning
from pellucid.detect.dpm.detector import DPMDetector
from pellucid.detect.dpm.glyphs import glyphs
from pellucid.detect.dpm.mat_file import parse_mat, read_mat
from pellucid.detect.dpm.model import PlacedPart
from pellucid.detect.dpm.pyramid import Level, pyramid, resized
from pellucid.detect.dpm.reading import parse_model
from pellucid.detect.dpm.scanning import bounded_transform, padded, went

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
AUTHORS = SHARED / "voc-dpm-models.zip" / "voc-dpm-models"


def picture(size: tuple[int, int] = (112, 144), seed: int = 0) -> np.ndarray:
    """Noise in blocks of several sizes, so that there are edges of every direction."""
    numbers = np.random.default_rng(seed)
    whole = np.zeros((3, *size))
    for block in (3, 7, 16):
        rows, columns = -(-size[0] // block), -(-size[1] // block)
        coarse = numbers.uniform(0, 85, (3, rows, columns))
        whole += coarse.repeat(block, 1).repeat(block, 2)[:, : size[0], : size[1]]
    return whole.astype(np.uint8)


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> DPMDetector:
    return pl.detect.load_dpm(part_model(tmp_path_factory.mktemp("models") / "box_final.mat"))


def slowly(image: np.ndarray, cell: int) -> np.ndarray:
    """Histograms pixel by pixel, as the paper's code says."""
    height, width = image.shape[1:]
    rows, columns = int(height / cell + 0.5), int(width / cell + 0.5)
    votes = np.zeros((rows, columns, 18))
    across = [1.0, 0.9397, 0.7660, 0.500, 0.1736, -0.1736, -0.5000, -0.7660, -0.9397]
    down = [0.0, 0.3420, 0.6428, 0.8660, 0.9848, 0.9848, 0.8660, 0.6428, 0.3420]
    for y in range(1, rows * cell - 1):
        for x in range(1, columns * cell - 1):
            i, j = min(y, height - 2), min(x, width - 2)
            slopes = [(c[i, j + 1] - c[i, j - 1], c[i + 1, j] - c[i - 1, j]) for c in image]
            dx, dy = max(slopes, key=lambda s: s[0] ** 2 + s[1] ** 2)
            best, found = 0.0, 0
            for o in range(9):
                along = across[o] * dx + down[o] * dy
                if abs(along) > best:
                    best, found = abs(along), o if along > 0 else o + 9
            v, u = (y + 0.5) / cell - 0.5, (x + 0.5) / cell - 0.5
            for row in (int(np.floor(v)), int(np.floor(v)) + 1):
                for column in (int(np.floor(u)), int(np.floor(u)) + 1):
                    if 0 <= row < rows and 0 <= column < columns:
                        share = (1 - abs(v - row)) * (1 - abs(u - column))
                        votes[row, column, found] += share * np.hypot(dx, dy)
    energy = ((votes[..., :9] + votes[..., 9:]) ** 2).sum(2)
    out = np.zeros((rows - 2, columns - 2, 32))
    for y in range(rows - 2):
        for x in range(columns - 2):
            own = votes[y + 1, x + 1]
            for k, (j, i) in enumerate([(x + 1, y + 1), (x + 1, y), (x, y + 1), (x, y)]):
                n = 1 / np.sqrt(energy[i : i + 2, j : j + 2].sum() + 0.0001)
                out[y, x, :18] += 0.5 * np.minimum(own * n, 0.2)
                out[y, x, 18:27] += 0.5 * np.minimum((own[:9] + own[9:]) * n, 0.2)
                out[y, x, 27 + k] = 0.2357 * np.minimum(own * n, 0.2).sum()
    return out


@pytest.mark.parametrize(("size", "cell"), (((24, 32), 8), ((27, 35), 8), ((29, 36), 8), ((21, 18), 4)))
def test_histograms_are_those_of_the_paper(size: tuple[int, int], cell: int) -> None:
    image = picture(size).astype(float)
    wanted = slowly(image, cell)
    for found in (hog.histograms(image, cell), hog.in_python(image, cell)):
        assert found.shape == wanted.shape and found.dtype == np.float32
        assert np.allclose(found, wanted, rtol=0, atol=1e-6)


def test_histograms_of_a_mirror_and_of_nothing() -> None:
    image = np.random.default_rng(0).uniform(0, 255, (3, 48, 64))  # without directions that are equally near
    for of in (hog.histograms, hog.in_python):
        assert np.allclose(of(image[:, :, ::-1], 8), hog.mirrored(of(image, 8)), atol=1e-6)
        assert not of(np.full((3, 40, 48), 99.0), 8).any()
    assert hog.MIRROR[hog.MIRROR].tolist() == list(range(32))
    assert (np.array([*hog.MIRROR]) + 1).tolist() == [
        10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 18, 17, 16, 15, 14, 13, 12, 11, 19, 27, 26, 25, 24, 23, 22, 21, 20, 30, 31, 28, 29, 32,
    ]  # fmt: skip
    assert hog.histograms(np.zeros((3, 18, 90)), 8).shape == (0, 9, 32)


def test_pictures_shrink_by_the_area_that_pixels_cover() -> None:
    image = picture((24, 36)).astype(float)
    assert np.allclose(resized(image, 0.5), image.reshape(3, 12, 2, 18, 2).mean((2, 4)))
    assert np.allclose(resized(image, 2 / 3)[0, 0, 0], (image[0, :2, :2] * [[1, 0.5], [0.5, 0.25]]).sum() / 2.25)
    for scale in (0.93, 0.71, 0.13):
        small = resized(image, scale)
        assert small.shape == (3, int(24 * scale + 0.5), int(36 * scale + 0.5))
        assert np.allclose(small.mean((1, 2)), image.mean((1, 2)))


def test_a_pyramid_has_parts_at_twice_the_resolution() -> None:
    levels = pyramid(picture((120, 160)), 8, 10)
    assert list(levels) == list(range(1, 27))
    assert levels[1].grid == (30, 40) and levels[11].grid == (15, 20) and levels[21].grid == (8, 10)
    assert [levels[k].octave for k in (1, 10, 11, 20, 21)] == [0, 0, 1, 1, 2]
    for number in range(11, 27):
        assert np.isclose(levels[number].pixels, 2 * levels[number - 10].pixels)
    assert levels[1].pixels == 4 and np.isclose(levels[12].pixels, 8 * 2**0.1)
    assert pyramid(picture((39, 500))) == {} and pyramid(picture((1, 1))) == {}


def test_parts_go_where_it_pays_most() -> None:
    numbers = np.random.default_rng(0)
    for size in ((11, 14), (3, 20), (1, 1), (9, 2)):
        responses = numbers.normal(0, 1, (3, *size)).astype(np.float32)
        prices = numbers.uniform(-0.1, 0.3, (3, 4))
        wanted = np.full(responses.shape, -np.inf)
        where = np.zeros((3, *size, 2), int)
        for n, y, x in np.ndindex(responses.shape):
            for i, j in np.ndindex(size):
                if abs(y - i) <= 4 and abs(x - j) <= 4:
                    dx, dy = x - j, y - i
                    worth = responses[n, i, j] - prices[n] @ [dx * dx, dx, dy * dy, dy]
                    if worth > wanted[n, y, x]:
                        wanted[n, y, x], where[n, y, x] = worth, (i, j)
        for found in (bounded_transform(responses, prices), scanning.in_python(responses, prices)):
            assert np.allclose(found, wanted, rtol=0, atol=1e-5)
        rows, columns = (each.ravel() for each in np.mgrid[: size[0], : size[1]])
        for n in range(3):
            part = PlacedPart(np.zeros((1, 1, 32)), 0.0, np.zeros(3), (0, 0), prices[n])
            assert (went(responses[n], part, rows, columns) == where[n].reshape(-1, 2)).all()


def recomputed(detector: DPMDetector, label: int, windows: scanning.Windows, k: int, levels: Any) -> float:
    """A window's score from weights and cells alone."""
    model = detector.models[label]
    component = model.components[int(windows.components[k])]
    number = int(windows.levels[k])
    total = 0.0
    for f, part in enumerate(component.filters):
        level = levels[number if f == 0 else number - model.interval]
        row, column = windows.places[k, f]
        around = padded(level.cells, 30, 30).astype(np.float64)
        rows, columns = part.size
        patch = around[row + 29 : row + 29 + rows, column + 29 : column + 29 + columns]
        total += (patch * part.filter).sum() + part.bias + part.location[min(2, level.octave)]
        if f:
            dy, dx = 2 * windows.places[k, 0] + part.anchor[::-1] - [row, column]
            assert max(abs(dx), abs(dy)) <= 4
            total -= part.deformation @ [dx * dx, dx, dy * dy, dy]
    return float(total)


def test_a_score_is_weights_times_cells(detector: DPMDetector) -> None:
    image = picture()
    levels = detector.levels(image)[8, 2]
    (windows,) = detector.windows(image, 1.0)
    assert len(windows) > 50 and {0, 1} == set(windows.components.tolist())
    for k in range(0, len(windows), 7):
        assert np.isclose(windows.scores[k], recomputed(detector, 0, windows, k, levels), rtol=0, atol=1e-5)


def test_no_window_is_missed(detector: DPMDetector) -> None:
    """The best of all windows, looked for one by one where the picture is small."""
    image = picture((60, 64), 3)
    levels = detector.levels(image)[8, 2]
    model, found = detector.models[0], detector.windows(image, -np.inf)[0]
    assert np.isfinite(found.scores).all()
    best = -np.inf
    for number, level in levels.items():
        for component in model.components if number - 2 in levels else ():
            finer = levels[number - 2]
            (height, width), root, (down, across) = component.root.size, component.root, model.padding
            around = padded(level.cells, 9, 9).astype(float)
            best_of_parts = [placements(part, finer, model.padding) for part in component.parts]
            for y in range(-down, level.grid[0] + down - height + 1):
                for x in range(-across, level.grid[1] + across - width + 1):
                    patch = around[y + 8 : y + 8 + height, x + 8 : x + 8 + width]
                    total = (patch * root.filter).sum() + root.added(level.octave)
                    for part, of in zip(component.parts, best_of_parts, strict=True):
                        total += of.get((2 * y + part.anchor[1], 2 * x + part.anchor[0]), -np.inf)
                    best = max(best, total)
    assert np.isfinite(best) and np.isclose(found.scores.max(), best, rtol=0, atol=1e-5)


def placements(part: PlacedPart, level: Level, padding: tuple[int, int]) -> dict[tuple[int, int], float]:
    """What a part adds for each of its places, each displacement tried."""
    around = padded(level.cells, 9, 9).astype(float)
    height, width = part.size
    said = {
        (y, x): (around[y + 8 : y + 8 + height, x + 8 : x + 8 + width] * part.filter).sum()
        for y in range(-padding[0], level.grid[0] + padding[0] - height + 1)
        for x in range(-padding[1], level.grid[1] + padding[1] - width + 1)
    }
    moves = [(dy, dx, part.deformation @ [dx * dx, dx, dy * dy, dy]) for dy in range(-4, 5) for dx in range(-4, 5)]
    return {
        (y, x): max(said.get((y - dy, x - dx), -np.inf) - cost for dy, dx, cost in moves) + part.added(level.octave)
        for y, x in said
    }


def test_boxes_are_made_of_where_filters_are(detector: DPMDetector) -> None:
    image = picture()
    windows = detector.windows(image, 1.0)[0]
    found = detector.scored(image, 1.0)
    assert (found.regions == windows.boxes[:, 0]).all() and (found.scores[:, 0] == windows.scores).all()
    model = detector.models[0]
    k = int(windows.scores.argmax())
    component = model.components[int(windows.components[k])]
    assert component.predictor is not None
    x1, y1, x2, y2 = np.clip(windows.boxes[k, 0], 0, [143, 111, 143, 111])
    shares = [
        share
        for box in windows.boxes[k]
        for share in (((box[0] + box[2]) / 2 - (x1 + x2) / 2) / (x2 - x1), ((box[1] + box[3]) / 2 - (y1 + y2) / 2) / (y2 - y1))
    ]  # fmt: skip
    moved = component.predictor @ [*shares, 1]
    wanted = np.array([x1, y1, x2, y2]) + moved * [x2 - x1, y2 - y1, x2 - x1, y2 - y1]
    assert np.allclose(found.boxes[k, 0], np.clip(wanted, 0, [143, 111, 143, 111]))
    kept = detector.detect(image, 1.0)
    for j in range(len(kept)):
        for i in range(j):
            shared = intersections(kept.boxes[i : i + 1], kept.boxes[j : j + 1])[0, 0]
            assert shared / areas(kept.boxes[j : j + 1])[0] <= 0.5
    assert (np.diff(kept.scores) <= 0).all()


def test_a_model_says_from_where_on_a_box_is_shown(detector: DPMDetector, tmp_path: Path) -> None:
    image = picture()
    low, high = detector.detect(image, -1.0), detector.detect(image)
    assert np.array_equal(low.boxes, high.boxes)  # the model's own threshold is -1
    sure = detector.detect(image, 1.5)
    assert 0 < len(sure) < len(high) and (sure.scores >= 1.5).all()
    found = pl.detect.find(detector, [("noise", image)])
    assert "threshold" not in found.to_dict() and len(found.detections[0]) == len(high)
    assert detector.counted == -1.1
    lower, higher = (replace(detector.models[0], name=f"{t}", threshold=t) for t in (-1.3, -0.5))
    both = DPMDetector([lower, higher])
    assert both.counted == -1.3 and [both.least(label, both.counted) for label in (0, 1)] == [-1.3, -1.1]
    assert [both.least(label, -1.3) for label in (0, 1)] == [-1.3, -1.3]  # asked for, it is what it says
    nothing = detector.detect(picture((30, 300)))
    assert len(nothing) == 0 and nothing.boxes.shape == (0, 4)
    with pytest.raises(pl.detect.DetectorError, match="threshold must be a number, got nan"):
        detector.detect(image, float("nan"))


def test_each_model_is_measured_from_its_own_score_on(detector: DPMDetector) -> None:
    (model,) = detector.models
    low, high = replace(model, name="low", threshold=-2.0), replace(model, name="high", threshold=-0.5)
    both, image = DPMDetector([low, high]), picture()
    assert both.counted == -2.0
    found = both.scored(image, both.counted)
    alone = detector.scored(image, -2.0).scores[:, 0]
    for label, least in enumerate((-2.0, -1.1)):
        own = found.scores[:, label]
        assert np.array_equal(np.sort(own[own > -np.inf]), np.sort(alone[alone >= least]))
    asked = both.scored(image, -1.9).scores
    assert [(asked[:, label] > -np.inf).sum() for label in (0, 1)] == [(alone >= -1.9).sum()] * 2


@pytest.mark.parametrize("number", (0, 3))
def test_terms_add_up_to_the_score(detector: DPMDetector, number: int) -> None:
    image = picture()
    found = detector.detect(image)
    why = pl.detect.explain(detector, image, number)
    assert isinstance(why, pl.detect.PartsExplanation)
    assert np.array_equal(why.box, found.boxes[number]) and why.score == found.scores[number]
    assert np.isclose(sum(term.total for term in why.terms), why.score, rtol=0, atol=1e-5)
    component = detector.models[0].components[why.component - 1]
    assert [term.name for term in why.terms] == ["root", "part 1", "part 2"] and why.components == 2
    for term, part in zip(why.terms, component.filters, strict=True):
        assert np.isclose(term.response, (term.cells.astype(float) * part.filter).sum())
        if part.deformation is not None:
            dx, dy = -term.moved[0], -term.moved[1]
            assert np.isclose(term.cost, part.deformation @ [dx * dx, dx, dy * dy, dy])
            assert np.isclose(term.around.max(), term.response - term.cost, rtol=0, atol=1e-5)
            assert np.isclose(term.around[4 - dy, 4 - dx], term.around.max())
    pad, home = detector.models[0].padding, 2 * why.places[0]
    together = why.terms[0].says[tuple(why.places[0] + pad)]
    for term, part, place in zip(why.terms, component.filters, why.places, strict=True):
        assert np.isclose(term.says[tuple(place + pad)], term.response, rtol=0, atol=1e-5)
        if part.deformation is not None:
            best = term.best[tuple(home + part.anchor[::-1] + pad)]
            assert np.isclose(best, term.response - term.cost, rtol=0, atol=1e-5)
            together += best
    assert np.isclose(together + sum(term.bias for term in why.terms), why.score, rtol=0, atol=1e-5)
    page = str(why.picture().to_json())
    for title in (
        "What each filter says everywhere on its level",
        "best within reach",
        f"Level {why.level} of the pyramid as cells",
    ):
        assert title in page
    assert np.isclose(why.scores, why.score).any() and np.array_equal(why.window, why.terms[0].box)
    for one in why.dropped:
        shared = intersections(why.box[None], one.box[None])[0, 0]
        assert one.score <= why.score and shared / areas(one.box[None])[0] > 0.5
    with pytest.raises(
        pl.detect.DetectorError, match="a score of its class's threshold or more, counted from 0; there is no box 999"
    ):
        pl.detect.explain(detector, image, 999)


def test_lines_lie_along_edges() -> None:
    cells = np.zeros((1, 2, 32), np.float32)
    cells[0, 0, 18], cells[0, 1, 0] = (
        1,
        -1,
    )  # a gradient to the right is an upright edge; what speaks against is not drawn
    drawn = glyphs(cells)[0].astype(int)
    assert drawn.shape == (16, 32) and not drawn[:, 16:].any()
    assert (drawn[:, 7:9] > 200).all() and not drawn[:, :5].any() and not drawn[:, 11:].any()


def test_a_detector_is_kept_whole(detector: DPMDetector, tmp_path: Path) -> None:
    image = picture()
    pl.detect.save_detector(detector, tmp_path / "detector.safetensors")
    again = pl.detect.load_detector(tmp_path)
    assert isinstance(again, DPMDetector)
    for one, other in ((detector.detect(image), again.detect(image)),):
        assert np.array_equal(one.boxes, other.boxes) and np.array_equal(one.scores, other.scores)


def test_files_of_matlab_are_read(tmp_path: Path) -> None:
    values = {
        "a": np.arange(6, dtype=np.uint8).reshape(2, 3), "b": np.array([[1.5, -2]]), "word": "ab c",
        "list": cells([np.array([1.0]), "x", cells([np.array([2])])]), "flag": np.array([True]), "none": np.zeros((0, 0)),
        "one": {"x": 1, "y": {"z": "w"}}, "many": structures([{"n": 1.0, "m": "p"}, {"n": 2.0, "m": "q"}]),
        "i": np.array([-5, 7], np.int16), "long": np.array([2**40], np.int64),
    }  # fmt: skip
    for compressed in (True, False):
        savemat(tmp_path / "x.mat", values, do_compression=compressed, oned_as="row")
        found = read_mat(tmp_path / "x.mat")
        assert set(found) == set(values)
        assert found["a"].tolist() == [[0, 1, 2], [3, 4, 5]] and found["b"].tolist() == [[1.5, -2]]
        assert found["word"] == "ab c" and found["list"][1] == "x" and found["list"][2][0].tolist() == [[2]]
        assert found["one"]["x"].tolist() == [[1]] and found["one"]["y"]["z"] == "w"
        assert [each["m"] for each in found["many"]] == ["p", "q"] and found["i"].tolist() == [[-5, 7]]
        assert found["none"].shape == (0, 0) and found["long"].tolist() == [[2**40]] and found["flag"].tolist() == [[1]]


def head(order: bytes = b"IM") -> bytes:
    return b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01" + order


def matrix(kind: int, shape: tuple[int, ...], *rest: bytes) -> bytes:
    """An array of a kind, named x, whose data is what follows."""
    body = (
        struct.pack("<IIII", 6, 8, kind, 0)
        + struct.pack("<II", 5, 4 * len(shape))
        + struct.pack(f"<{len(shape)}i", *shape)
    )
    body += b"\0" * (-len(body) % 8) + struct.pack("<HH4s", 1, 1, b"x") + b"".join(rest)
    return struct.pack("<II", 14, len(body)) + body


BOMB = zlib.compress(struct.pack("<II", 14, 2**28) + b"\0" * (mat_file.MOST_BYTES + 9))
NAMES = struct.pack("<HHi", 5, 4, 8) + struct.pack("<II", 1, 8) + b"field\0\0\0"


@pytest.mark.parametrize(
    ("data", "words"),
    (
        (b"", "is no file of MATLAB's version 5 to 7"),
        (b"\x89HDF\r\n\x1a\n" + b"\0" * 200, "save it with save(..., '-v7')"),
        (head() + struct.pack("<II", 15, len(BOMB)) + BOMB, "unpacks to more than 64 MiB"),
        (head() + struct.pack("<II", 15, 5) + b"abcde", "is damaged"),
        (head() + matrix(1, (2**31 - 1, 2**31 - 1)), "is damaged"),
        (head() + matrix(2, (2**31 - 1, 9), NAMES), "values in 0 bytes"),
        (head() + matrix(2, (2**31 - 1, 9), struct.pack("<HHi", 5, 4, 8) + struct.pack("<II", 1, 0)), "a structure without fields"),
        (head() + matrix(6, (3, 3), struct.pack("<II", 9, 8) + b"\0" * 8), "of shape (3, 3) has 1 numbers"),
        (head() + matrix(6, (-1, 3), struct.pack("<II", 9, 8) + b"\0" * 8), "an array of shape (-1, 3)"),
        (head() + matrix(6, (1, 1), struct.pack("<II", 9, 800) + b"\0" * 8), "ends behind"),
        (head() + matrix(3, (1, 1), struct.pack("<II", 9, 8) + b"\0" * 8), "is of kind 3"),
        (head() + matrix(16, (1, 1)), "is of kind 16"),
    ),
)  # fmt: skip
def test_files_that_are_no_models_are_refused(data: bytes, words: str) -> None:
    with pytest.raises(pl.detect.DetectorError) as error:
        parse_mat(data, "bad.mat")
    assert words in str(error.value) and "bad.mat" in str(error.value)


def test_damaged_files_are_refused_whatever_the_damage(tmp_path: Path) -> None:
    data = part_model(tmp_path / "x.mat", compressed=False).read_bytes()
    numbers = np.random.default_rng(0)
    for _ in range(150):
        changed = bytearray(data[: int(numbers.integers(100, len(data) + 1))])
        for place in numbers.integers(100, len(changed), 6).tolist():
            changed[place] = int(numbers.integers(0, 256))
        with contextlib.suppress(pl.detect.DetectorError):
            parse_model(bytes(changed), "x.mat")


def change(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def changed(model: dict[str, Any]) -> None:
        *way, last = path.split(".")
        there: Any = model
        for step in way:
            there = there[int(step) if step.isdigit() else step]
        if value is None:
            del there[last]
        else:
            there[int(last) if last.isdigit() else last] = value

    return changed


@pytest.mark.parametrize(
    ("what", "words"),
    (
        (change("type", "G"), "is a grammar of type 'G'"),
        (change("features.dim", 31), "features.dim wants a whole number from 32 to 32, got 31"),
        (change("maxsize", None), "model wants a field maxsize"),
        (change("maxsize", np.array([3.5, 4])), "rows of model.maxsize wants a whole number"),
        (change("maxsize", np.array([3])), "model.maxsize wants 2 numbers"),
        (change("thresh", np.nan), "model.thresh wants finite numbers"),
        (change("start", 99), "model.start wants one of"),
        (change("sbin", 7), "half of model.sbin wants a whole number"),
        (change("class", np.zeros(3)), "model.class wants a name"),
        (change("blocks.0.w", np.zeros(5)), "weights wants 384 numbers, got (1, 5)"),
        (change("blocks.0.shape", np.array([3, 4, 31])), "numbers of a cell wants a whole number from 32 to 32"),
        (change("blocks.0.shape", np.array([3000, 4, 32])), "shape wants a whole number from 1 to 64"),
        (change("filters.0.blocklabel", 99), "blocklabel wants a whole number from 1 to 14"),
        (change("filters.0.flip", 2), "flip wants a whole number from 0 to 1"),
        (change("rules.0.0.shiftwindow", np.array([1, 0])), "shiftwindow wants zeros"),
        (change("rules.0.0.anchor", cells([np.zeros(3)])), "anchor wants one for each of 3 filters"),
        (change("rules.0.0.rhs", np.array([300.0, 2, 3])), "symbol wants a whole number"),
        (change("bboxpred", cells([{"x1": np.zeros(7)}])), "model.bboxpred wants one for each of 2 components, got 1"),
        (change("symbols", np.zeros(3)), "model.symbols wants a list of structures"),
    ),
)
def test_models_of_another_layout_are_refused(what: Callable[[Any], None], words: str, tmp_path: Path) -> None:
    model = told()
    what(model)
    with pytest.raises(pl.detect.DetectorError) as error:
        pl.detect.load_dpm(part_model(tmp_path / "x.mat", model))
    assert words in str(error.value) and "x.mat" in str(error.value)


def test_a_model_is_read_as_it_was_written(detector: DPMDetector) -> None:
    model = detector.models[0]
    assert (model.name, model.padding, model.threshold, model.cell, model.interval) == ("box", (3, 4), -1.0, 8, 2)
    one, other = model.components
    data = told()
    assert np.allclose(one.root.filter, data["blocks"][0]["w"].reshape((3, 4, 32), order="F"))
    assert np.allclose(other.root.filter, hog.mirrored(one.root.filter)) and one.window == (3, 4)
    assert np.isclose(one.root.bias, -0.5) and np.allclose(one.root.location, [0, 0.1, -0.1])
    assert [p.size for p in one.parts] == [(2, 3), (2, 3)]
    for left, right in zip(one.parts, other.parts, strict=True):
        assert np.allclose(right.deformation, left.deformation * [1, -1, 1, 1])
        assert right.anchor == (5 - left.anchor[0], left.anchor[1]) and right.bias == left.bias != 0


def test_folders_and_archives_of_models(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for name, seed in (("owl", 1), ("cat", 2)):
        part_model(tmp_path / "a" / f"{name}_final.mat", told(name, seed))
    part_model(tmp_path / "a" / "cat_grammar_final.mat", told("cat") | {"type": "G"})
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for year in ("2007", "2010"):
            for file in (tmp_path / "a").iterdir():
                archive.write(file, f"models/{year}/{file.name}")
    for source in (tmp_path / "a", tmp_path / "all.zip" / "models" / "2010"):
        both = pl.detect.load_detector(source)
        assert both.classes == ("cat", "owl")
        image = picture(seed=5)
        found = both.detect(image, 0.5)
        for label, name in enumerate(both.classes):
            alone = pl.detect.load_dpm(source, classes=[name]).detect(image, 0.5)
            own = found.labels == label
            assert np.array_equal(found.boxes[own], alone.boxes) and np.allclose(found.scores[own], alone.scores)
    for source, words in (
        (tmp_path / "all.zip", "has models in 2 folders; name one of them"),
        (tmp_path / "none", "there is no such file or folder"),
        (tmp_path / "a" / "cat_grammar_final.mat", "is a grammar of type 'G'"),
        ([tmp_path / "a", tmp_path / "a" / "owl_final.mat"], "there are 2 models of 'owl'"),
        ([], "wants one model at least"),
    ):
        with pytest.raises(pl.detect.DetectorError) as error:
            pl.detect.load_dpm(source)
        assert words in str(error.value)
    with pytest.raises(pl.detect.DetectorError, match=r"there is no model of 'owll' \(did you mean 'owl'\?\)"):
        pl.detect.load_dpm(tmp_path / "a", classes=["owll"])


def test_the_command_finds_and_measures(tmp_path: Path) -> None:
    file = part_model(tmp_path / "box_final.mat")
    image = picture()
    Image.fromarray(image.transpose(1, 2, 0)).save(tmp_path / "noise.png")
    result = CliRunner().invoke(app, ["detect", "predict", str(file), str(tmp_path / "noise.png"), "--json"])
    assert result.exit_code == 0, result.output
    told_ = json.loads(result.stdout)
    wanted = pl.detect.load_dpm(file).detect(image)
    assert told_["system"] == "dpm" and "threshold" not in told_
    assert np.allclose([one["box"] for one in told_["pictures"][0]["objects"]], wanted.boxes)
    rows = "".join(f"noise.png,{k},5,{k + 20},40,{name}\n" for k, name in ((3, "box"), (50, "owl")))
    (tmp_path / "boxes.csv").write_text("file,x1,y1,x2,y2,class\n" + rows)
    result = CliRunner().invoke(app, ["detect", "evaluate", str(file), "--data", str(tmp_path / "boxes.csv"), "--json"])
    assert result.exit_code == 0, result.output
    assert [one["class"] for one in json.loads(result.stdout)["classes"]] == ["box"]


@pytest.mark.skipif(not AUTHORS.parent.is_file(), reason="needs the folder of shared data beside the repository")
def test_the_authors_models_find_what_they_found() -> None:
    data = pl.detect.load(SHARED / "voc2007-mini.zip").whole
    classes = data.classes
    for year in ("VOC2007", "VOC2010"):
        read = pl.detect.load_dpm(AUTHORS / year)
        assert read.classes == classes and all(len(m.components) == 6 for m in read.models)
    for name, file in (("bicycle", "000015"), ("car", "000585")):
        detector = pl.detect.load_dpm(AUTHORS / "VOC2007", classes=[name])
        place = data.names.index(file)
        image, objects = data.read(place), data.objects[place]
        levels = detector.levels(image)[8, 10]
        windows = detector.scanners[0].windows(levels, 0.0)
        best = detector.predicted(0, windows, image.shape[1:])[windows.scores.argmax()]
        assert overlaps(best[None], objects.boxes[objects.labels == classes.index(name)]).max() > 0.75
        for k in np.argsort(-windows.scores)[:5].tolist():
            assert np.isclose(windows.scores[k], recomputed(detector, 0, windows, k, levels), rtol=0, atol=1e-4)
