"""Faster R-CNN: anchors and their targets, proposals and regions as parts of the graph, losses, training that can go on, explanations."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import pellucid as pl
from cut_off import cut_off, same_detector
from drawn_boxes import drawn, pictures_with_boxes, voc_folder
from dropped_boxes import explained_dropped
from pellucid import ops
from pellucid.autodiff import gradients
from pellucid.cli import app
from pellucid.detect.box_coding import decode, encode
from pellucid.detect.boxes import overlaps
from pellucid.detect.canvas import canvas_for
from pellucid.detect.fast_rcnn.network import STRIDE
from pellucid.detect.faster_rcnn import proposing
from pellucid.detect.faster_rcnn.anchors import anchors_of, place_of, placed
from pellucid.detect.faster_rcnn.detector import AnchorLook
from pellucid.detect.faster_rcnn.network import FasterRCNN, ProposalNetwork
from pellucid.detect.faster_rcnn.sampling import DEVIATION, learned
from pellucid.detect.faster_rcnn.step import losses_of_anchors
from pellucid.detect.faster_rcnn.targets import UNUSED, AnchorTargets, sampled, targets_of
from pellucid.detect.faster_rcnn.training import FasterRCNNTraining
from pellucid.detect.faster_rcnn.unproposed import nearest_anchor
from pellucid.detect.suppression import suppress
from pellucid.executors import compile, run
from pellucid.scopes import inference_mode

SMALL: dict[str, Any] = {
    "system": "faster-rcnn", "backbone": "squeezenet1_1", "image_size": 64, "width": 16, "proposals": 20, "batch_size": 2,
    "anchor_sizes": [16, 32], "anchor_ratios": [1], "proposal_width": 8,
}  # fmt: skip
EXECUTORS = ("reference", "native", "torch")


def boxes(count: int, seed: int = 0, side: float = 90) -> np.ndarray:
    corners = np.random.default_rng(seed).uniform(0, side, (count, 2, 2))
    return np.sort(corners, 1).reshape(count, 4)


def told(*arrays: np.ndarray) -> tuple[list[pl.Tensor], dict[str, np.ndarray]]:
    """Inputs for arrays, and what to feed them."""
    given = {f"x{k}": np.asarray(a, np.float32) for k, a in enumerate(arrays)}
    return [pl.input(a.shape, name=name) for name, a in given.items()], given


AUTHORS = """
 -83  -39  100   56
-175  -87  192  104
-359 -183  376  200
 -55  -55   72   72
-119 -119  136  136
-247 -247  264  264
 -35  -79   52   96
 -79 -167   96  184
-167 -343  184  360
"""
"""The anchors of the authors' MATLAB code, which counts pixels from 1."""


def test_anchors_are_the_authors() -> None:
    wanted = np.array([row.split() for row in AUTHORS.strip().splitlines()], float) - 1
    assert np.array_equal(anchors_of((128, 256, 512), (0.5, 1, 2)), wanted)
    assert anchors_of((16,), (1,)).tolist() == [[0, 0, 15, 15]]


def test_anchors_stand_at_every_element() -> None:
    base = anchors_of((32, 64), (0.5, 1, 2))
    every = placed(base, 3, 5)
    assert every.shape == (6 * 15, 4)
    for number in (0, 14, 15, 37, 89):
        shape, row, column = place_of(number, 3, 5)
        assert np.array_equal(every[number], base[shape] + np.array([column, row, column, row]) * STRIDE)


def test_what_anchors_are_to_learn() -> None:
    anchors = np.array([
        [0, 0, 9, 9],       # the object itself
        [0, 0, 9, 6],       # overlaps it by 0.7
        [0, 0, 9, 5],       # by 0.6: neither
        [0, 0, 9, 1],       # by 0.2: background
        [-1, 0, 9, 9],      # over the edge
        [50, 50, 69, 59],   # half of the second object, which no other overlaps more
        [50, 50, 69, 59],   # and its equal
        [80, 80, 100, 89],  # over the edge
    ], float)  # fmt: skip
    objects = np.array([[0, 0, 9, 9], [50, 50, 69, 69], [85, 85, 99, 99]], float)
    found = targets_of(anchors, objects, np.array([99.0, 99.0]))
    assert found.labels.tolist() == [1, 1, UNUSED, 0, UNUSED, 1, 1, UNUSED]
    assert np.allclose(decode(anchors, found.offsets)[[0, 1, 5]], objects[[0, 0, 1]])
    assert found.counts == (4, 1)
    nothing = targets_of(anchors, np.zeros((0, 4)), np.array([99.0, 99.0]))
    assert nothing.labels.tolist() == [0, 0, 0, 0, UNUSED, 0, 0, UNUSED]
    outside = targets_of(anchors, objects, np.array([0.0, 0.0]))
    assert set(outside.labels.tolist()) == {UNUSED}


@pytest.mark.parametrize(
    ("on", "off", "wanted"), ((300, 900, (128, 128)), (10, 900, (10, 246)), (300, 20, (128, 20)), (0, 0, (0, 0)))
)
def test_half_of_the_anchors_are_on_objects(on: int, off: int, wanted: tuple[int, int]) -> None:
    labels = np.repeat(np.array([1, 0, UNUSED], np.int8), [on, off, 7])
    offsets = np.zeros((len(labels), 4))
    found = sampled(AnchorTargets(labels, offsets), np.random.default_rng(0))
    assert found.counts == wanted
    assert np.array_equal(found.labels[found.labels >= 0], labels[found.labels >= 0])


@pytest.mark.parametrize("executor", EXECUTORS)
def test_boxes_of_the_graph_are_those_of_numpy(executor: str) -> None:
    ones, goals, moves = boxes(20), boxes(20, 1), np.random.default_rng(2).normal(size=(20, 4))
    moves[0] = 1e6
    (a, b, c), given = told(ones, goals, moves)
    extent = np.array([60.0, 40.0], np.float32)
    outputs = [
        proposing.encoded(a, b), proposing.decoded(a, c), proposing.overlaps(a, b[:7]), proposing.within(a, pl.constant(extent)),
        ops.cast(proposing.large(a), "float32"),
    ]  # fmt: skip
    found = run(outputs, given, executor=executor)
    cut = np.clip(ones, 0, [60, 40, 60, 40])
    wanted = [
        encode(ones, goals),
        decode(ones, moves),
        overlaps(ones, goals[:7]),
        cut,
        (np.diff(ones.reshape(-1, 2, 2), axis=1)[:, 0] >= 7).all(1),
    ]
    for ours, theirs in zip(found, wanted, strict=True):
        assert np.allclose(ours, theirs, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize(("most", "considered"), ((5, 6000), (40, 6000), (40, 20), (40, 1)))
def test_proposals_are_moved_cut_and_thinned_out(executor: str, most: int, considered: int) -> None:
    anchors = placed(anchors_of((16, 32), (0.5, 1)), 3, 4)
    numbers = np.random.default_rng(3)
    sure, moves = numbers.normal(size=len(anchors)), numbers.normal(size=(len(anchors), 4)) * 0.3
    moves[5] = [0, 0, -9, -9]
    sure[5], moves[[0, 6]] = 50.0, np.nan
    extent = np.array([55.0, 40.0])
    (s, m, e), given = told(sure, moves, extent)
    made = proposing.proposed(s, m, anchors, e, most, considered)
    found, places, count = run([made.boxes, made.places, made.count], given, executor=executor)
    moved = np.clip(np.nan_to_num(decode(anchors, moves)), 0, np.concatenate([extent, extent]))
    large = np.flatnonzero((moved[:, 2:] - moved[:, :2] + 1 >= 8).all(1) & ~np.isnan(moves).any(1))
    large = large[np.argsort(-sure[large])[:considered]]
    stays = large[suppress(moved[large], sure[large], 0.7) < 0]
    wanted = stays[np.argsort(-sure[stays])][:most]
    assert int(count) == len(wanted) and len(found) == min(most, considered, len(anchors))
    assert places[: len(wanted)].tolist() == wanted.tolist()
    assert np.allclose(found[: len(wanted)], moved[wanted], atol=1e-3)
    assert np.isfinite(found).all()
    assert not {0, 5, 6} & set(wanted)


def regions(count: int, there: int, seed: int = 0) -> np.ndarray:
    """Proposals on a picture with an object at 10 to 50: three quarters of them on it."""
    made = boxes(count, seed) * [0.3, 0.3, 1, 1] + [0, 0, 10, 10]
    near = np.arange(count) % 4 > 0
    made[near] = np.array([10, 10, 49, 49]) + np.random.default_rng(seed).uniform(-4, 4, (count, 4))[near]
    made[there:] = 0
    return made


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize(
    ("count", "there", "labels", "front"),
    ((200, 150, [2, 0, 1], 16), (200, 200, [0, 0, 0], 0), (200, 0, [2, 0, 0], 1), (12, 12, [2, 0, 0], 4)),
    ids=("many", "no object", "no proposal", "few"),
)
def test_a_quarter_of_the_regions_is_on_objects(
    executor: str, count: int, there: int, labels: list[int], front: int
) -> None:
    objects = np.array([[10, 10, 49, 49], [0, 0, 0, 0], [60, 60, 89, 89]], float)
    objects[np.array(labels) == 0] = 0
    given_boxes, chances = regions(count, there), np.random.default_rng(1).random(count + 3)
    (b, o, k, c), given = told(given_boxes, objects, np.array(labels), chances)
    made = proposing.ProposedRegions(b, pl.constant(np.zeros(count, np.int64)), pl.constant(np.int64(there)), b, c)
    seen = learned(made, o, k, c)
    chosen, own, used, on, goals = run(
        [seen.boxes, seen.labels, seen.used, seen.on_object, seen.goals], given, executor=executor
    )
    assert len(chosen) == min(64, count + 3)
    assert on.sum() == front and set(own[on > 0]) <= set(labels) - {0}
    assert (used >= on).all() and (own[on == 0] == 0).all()
    real = objects[np.array(labels) > 0]
    shared = overlaps(chosen.astype(float), real).max(1) if len(real) else np.zeros(len(chosen))
    assert (shared[on > 0] >= 0.5).all() and (shared[(used > 0) & (on == 0)] < 0.5).all()
    background = int((shared_of(given_boxes[:there], real) < 0.5).sum())
    assert (used > 0).sum() == min(len(chosen), int(on.sum()) + background)
    for k in np.flatnonzero(on):
        goal = objects[overlaps(chosen[k : k + 1].astype(float), objects)[0].argmax()]
        assert np.allclose(goals[k] * DEVIATION, encode(chosen[k : k + 1].astype(float), goal[None])[0], atol=1e-4)
        assert own[k] == labels[int(np.flatnonzero((objects == goal).all(1))[0])]


def shared_of(ones: np.ndarray, others: np.ndarray) -> np.ndarray:
    return overlaps(ones, others).max(1) if len(ones) and len(others) else np.zeros(len(ones))


@pytest.mark.parametrize("executor", EXECUTORS)
def test_the_losses_of_anchors_and_their_slopes_are_pytorchs(executor: str) -> None:
    torch = pytest.importorskip("torch")
    from torch.nn import functional as F

    numbers = np.random.default_rng(0)
    net = ProposalNetwork(5, 6, 3)
    net.initialize(0)
    maps, count = numbers.normal(size=(2, 5, 4, 3)), 3 * 12
    sure, moves = numbers.integers(0, 2, (2, count)), numbers.normal(size=(2, count, 4))
    share = numbers.random((2, count)) / 40
    given = {"maps": maps, "sure": sure, "sure_share": share, "moves": moves, "moves_share": (share * sure)[..., None]}
    feeds = {name: np.asarray(a, np.float32) for name, a in given.items()}
    inputs = {name: pl.input(a.shape, name=name) for name, a in feeds.items()}
    losses = losses_of_anchors(*net(inputs["maps"]), inputs)
    parameters = net.named_parameters()
    found = run([*losses, *gradients(losses[0] + losses[1], list(parameters.values()))], feeds, executor=executor)

    w = {name: torch.tensor(np.asarray(p.value), requires_grad=True) for name, p in parameters.items()}
    x = {name: torch.tensor(a) for name, a in feeds.items()}
    seen = F.relu(F.conv2d(x["maps"], w["look.weight"], w["look.bias"], padding=1))
    logits = F.conv2d(seen, w["objectness.weight"], w["objectness.bias"]).flatten(1)
    offsets = F.conv2d(seen, w["offsets.weight"], w["offsets.bias"]).view(2, 3, 4, 12).transpose(2, 3).flatten(1, 2)
    first = (F.binary_cross_entropy_with_logits(logits, x["sure"], reduction="none") * x["sure_share"]).sum()
    second = (F.smooth_l1_loss(offsets, x["moves"], reduction="none", beta=1 / 9) * x["moves_share"]).sum()
    (first + second).backward()
    wanted = [first, second, *(one.grad for one in w.values())]
    for ours, theirs in zip(found, wanted, strict=True):
        assert np.allclose(ours, theirs.detach().numpy(), rtol=1e-4, atol=1e-6)


def stepped(executor: str) -> tuple[FasterRCNNTraining, Any, dict[str, np.ndarray]]:
    """A training and the losses of its first step, with what the step is given."""
    given = {name: value for name, value in SMALL.items() if name != "system"}
    training = FasterRCNNTraining(pictures_with_boxes(4), pl.detect.DetectionConfig.of({**given, "executor": executor}))
    first = next(iter(training.steps(0)))
    examples = [training.example(k, 0) for k in first.pictures]
    feeds = {
        "images": np.stack([pixels for pixels, _ in examples]),
        **training.stepper.told(first.size, [one for _, one in examples]),
    }
    with inference_mode():
        losses = training.stepper.losses(first.size)
    return training, losses, feeds


def asked(outputs: Any, feeds: dict[str, np.ndarray], executor: str = "auto") -> list[np.ndarray]:
    """Values of outputs, given what they need of the feeds."""
    program = compile(list(outputs), executor=executor)
    return [np.asarray(value) for value in program({i.name: feeds[i.name] for i in program.graph.inputs})]


def test_proposals_are_constants_of_a_step() -> None:
    training, losses, feeds = stepped("reference")
    propose = list(training.net.propose.named_parameters().values())
    whole = asked(gradients(sum(losses[1:], losses[0]), propose), feeds)
    alone = asked(gradients(losses[0] + losses[1], propose), feeds)
    for ours, theirs in zip(whole, alone, strict=True):
        assert np.allclose(ours, theirs, rtol=1e-5, atol=1e-9) and np.abs(ours).max() > 0


def test_slopes_of_a_step_are_its_differences() -> None:
    training, losses, feeds = stepped("reference")
    net, numbers = training.net, np.random.default_rng(0)
    proposals = net.propose.named_parameters()
    for loss, parameter, step in (
        (losses[0], proposals["objectness.weight"], 1e-2),
        (losses[1], proposals["offsets.weight"], 1e-2),
        (losses[0] + losses[1], proposals["look.weight"], 2e-4),
        (losses[2], net.score.weight, 1e-2),
        (losses[3], net.move.weight, 1e-2),
    ):
        program = compile([loss, *gradients(loss, [parameter])])
        given = {i.name: feeds[i.name] for i in program.graph.inputs}
        slope, start = np.array(program(given)[1]), np.asarray(parameter.value).copy()
        way = numbers.choice([-1.0, 1.0], start.shape).astype(np.float32)
        ends: list[float] = []
        for far in (-step, step):
            parameter.value = start + np.float32(far) * way
            ends.append(float(program(given)[0]))
        parameter.value = start
        difference = (ends[1] - ends[0]) / (2 * step)
        assert np.isclose(difference, float((slope * way).sum()), rtol=0.03, atol=2e-4), parameter.name


@pytest.mark.parametrize("executor", ("native", "torch"))
def test_a_step_is_the_same_for_every_executor(executor: str) -> None:
    _, losses, feeds = stepped("reference")
    ours, theirs = (np.array(asked(losses, feeds, one)) for one in (executor, "reference"))
    assert np.allclose(ours, theirs, rtol=1e-3, atol=1e-4) and (theirs > 0).all()


def rows_of(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "metrics.csv").read_text().splitlines()))


LOSSES = ["loss_of_objectness", "loss_of_proposals", "loss_of_classes", "loss_of_boxes"]


def test_training_finds_shapes(tmp_path: Path) -> None:
    run = pl.detect.train(
        pictures_with_boxes(16),
        system="faster-rcnn",
        validation=pictures_with_boxes(6, 100),
        out=tmp_path / "run",
        epochs=12,
        image_size=96,
        width=256,
        proposals=30,
        anchor_sizes=(32.0,),
        anchor_ratios=(1.0,),
        proposal_width=64,
        learning_rate=0.0005,
        warmup=0.3,
    )
    assert run.evaluation is not None
    assert run.evaluation.mean > 0.7
    rows = rows_of(run.folder)
    assert len(rows) == 12 and list(rows[0]) == ["epoch", *LOSSES, "seconds"]
    assert float(rows[-1][LOSSES[0]]) < 0.1 * float(rows[0][LOSSES[0]])
    again = pl.detect.load_detector(run.folder)
    with pytest.raises(pl.detect.DetectorError, match="scores regions once"):
        pl.detect.load_detector(run.folder, rounds=2)
    image = np.ascontiguousarray(drawn(100)[0].transpose(2, 0, 1))
    ours, theirs = run.detect(image, 0.2), again.detect(image, 0.2)
    assert len(ours)
    assert np.array_equal(ours.boxes, theirs.boxes) and np.array_equal(ours.scores, theirs.scores)
    assert (ours.boxes[:, :2] >= 0).all() and (ours.boxes[:, 2:] <= 95).all()
    explained(again, image, ours)
    explained_dropped(again, image, 0.05, adds_up)
    anchors_told(again, image)
    proposals_shown(again, image)
    whole = again.truncated({"fc1": 256, "fc2": 256})
    assert np.allclose(whole.detect(image, 0.2).scores, theirs.scores, atol=1e-3)
    assert not np.allclose(
        again.truncated({"fc1": 1, "fc2": 1}).scored(image).scores, again.scored(image).scores, atol=1e-3
    )
    found = pl.detect.recall(pictures_with_boxes(6, 100), again.propose, (10,))
    assert found.found[0] > 0.9


def adds_up(why: Any) -> None:
    head = why.head
    assert np.isclose(sum(t.product for t in head.terms) + head.others + head.bias, head.logit, atol=1e-4)
    assert np.isclose(sum(t.product for t in why.terms) + why.others + why.bias, why.logit, atol=1e-4)


def anchors_told(detector: Any, image: np.ndarray) -> None:
    """Of a box that is asked for by its place it is told what became of the anchor nearest to it."""
    look = detector.look(image)
    at = look.canvas.back(look.boxes[2:3])[0]
    why = pl.detect.explain(detector, image, at=at, kind="red disk")
    nearest = why.nearest
    assert nearest is not None and np.isclose(nearest.overlap, 1.0) and (nearest.step, nearest.by) == ("proposed", 2)
    assert np.isclose(nearest.objectness, 1 / (1 + np.exp(-look.objectness[look.places[2]])))
    assert json.loads(why.to_json())["proposal"]["nearest_anchor"]["step"] == "proposed"
    assert "it became proposal 2" in str(why)


@pytest.mark.parametrize(
    ("place", "step", "by", "words"),
    (
        (0, "proposed", 0, "it became proposal 0"),
        (1, "suppressed", 0, "it gave way to proposal 0, which it overlaps by 0.82, more than 0.7"),
        (2, "too small", None, "smaller than 8 pixels"),
        (3, "beyond the limit", None, "as many proposals before it as are made"),
        (4, "not among the surest", None, "only the 3 surest are looked at"),
    ),
)
def test_what_became_of_an_anchor(
    place: int, step: str, by: int | None, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pellucid.detect.faster_rcnn.unproposed.CONSIDERED", 3)
    moved = np.array([[0, 0, 19, 9], [0, 0, 19, 10], [30, 30, 34, 60], [40, 0, 60, 20], [0, 40, 20, 60]], float)
    moved[1] = [2, 0, 21, 9]
    none, objectness = np.zeros((1, 0)), np.array([2.0, 1.0, 5.0, 0.5, -1.0])
    look = AnchorLook(
        canvas_for(64, 64, 64), (1, 5), moved[:1], np.array([0]), none, none, moved, moved, moved, objectness
    )
    found = nearest_anchor(look, look.canvas.back(moved[place]), ((16.0, 1.0),))
    assert (found.step, found.by, found.element) == (step, by, (0, place)) and words in found.words
    assert np.isclose(found.overlap, 1.0) and found.rank == (objectness > objectness[place]).sum()
    assert found.plain()["step"] == step and np.allclose(found.box, look.canvas.back(moved[place]))


def explained(detector: Any, image: np.ndarray, found: Any) -> None:
    """Terms of heads and of the proposal add up; the proposal is the anchor moved; what it dropped is less sure and overlaps it."""
    proposals = pl.detect.network_proposals(detector, image)
    for number in range(len(found)):
        why = pl.detect.explain(detector, image, number, 0.2)
        head = why.head
        assert np.array_equal(head.box, found.boxes[number]) and head.label == found.labels[number]
        assert np.isclose(sum(t.product for t in head.terms) + head.others + head.bias, head.logit, atol=1e-4)
        assert np.allclose(np.clip(decode(head.region[None], head.offsets[None]), 0, 95)[0], head.box, atol=1e-3)
        assert np.isclose(sum(t.product for t in why.terms) + why.others + why.bias, why.logit, atol=1e-4)
        assert np.isclose(proposals.logits[why.rank], why.logit) and np.allclose(
            proposals.anchors[why.rank], why.anchor
        )
        assert np.allclose(np.clip(decode(why.anchor[None], why.offsets[None]), 0, 95)[0], head.region, atol=0.1)
        assert why.pixels.shape == image.shape[1:] and np.abs(why.pixels).max() > 0
        for gone in why.dropped:
            assert gone.score <= why.objectness and gone.overlap > 0.7
        assert json.loads(why.to_json())["proposal"]["rank"] == why.rank
        assert "why this proposal" in str(why) and "<svg" in why.picture().html()
    with pytest.raises(pl.detect.DetectorError, match=r"there is no box 99"):
        pl.detect.explain(detector, image, 99)


def proposals_shown(detector: Any, image: np.ndarray) -> None:
    """They come surest first, none overlaps a surer one much, and what was dropped overlaps what it was dropped for."""
    found = pl.detect.network_proposals(detector, image, "drawn")
    assert (np.diff(found.logits) <= 0).all() and ((found.scores >= 0) & (found.scores <= 1)).all()
    assert (np.triu(overlaps(found.boxes, found.boxes), 1) <= 0.7 + 1e-4).all()
    shared = overlaps(found.dropped, found.boxes)
    assert (shared[np.arange(len(found.dropped)), found.dropped_by] > 0.7).all()
    assert (found.dropped_logits <= found.logits[found.dropped_by]).all()
    shape, (row, column) = found.shapes[0], found.elements[0]
    assert found.objectness[shape, row, column] == found.logits[0]
    assert np.array_equal(found.around[shape], found.anchors[0]) and len(found.around) == len(found.kinds)
    few = pl.detect.network_proposals(detector, image, most=3)
    for wrong, words in ((-1, "most must be at least 0, got -1"), (1.5, "most must be a whole number, got 1.5")):
        with pytest.raises(pl.detect.DetectorError, match=words):
            pl.detect.network_proposals(detector, image, most=wrong)  # type: ignore[arg-type]
    assert np.array_equal(few.boxes, found.boxes[:3]) and set(few.dropped_by) <= {0, 1, 2}
    assert json.loads(found.to_json())["boxes"] == found.boxes.tolist()
    assert "<svg" in found.picture().html()


def test_a_run_that_was_cut_off_ends_in_the_same_bytes(tmp_path: Path) -> None:
    there = pictures_with_boxes(5)
    whole = pl.detect.train(there, out=tmp_path / "whole", epochs=3, **SMALL)
    with cut_off(FasterRCNNTraining, 5):
        pl.detect.train(there, out=tmp_path / "cut", epochs=3, **SMALL)
    pl.detect.train(there, out=tmp_path / "cut", resume=True)
    assert same_detector(tmp_path / "cut", whole.folder)
    losses = [[[row[loss] for loss in LOSSES] for row in rows_of(tmp_path / one)] for one in ("cut", "whole")]
    assert losses[0] == losses[1]


def picture(side: int, *boxes: list[float]) -> pl.detect.PicturesWithBoxes:
    """One gray picture with objects of one class."""
    objects = pl.detect.Objects(
        np.array(boxes, float).reshape(-1, 4), np.zeros(len(boxes), np.int64), np.zeros(len(boxes), bool)
    )
    image = np.full((3, side, side), 90, np.uint8)
    return pl.detect.PicturesWithBoxes("one", ("a b",), ("one",), (objects,), ((side, side),), lambda k: image)


@pytest.mark.parametrize(
    ("pictures", "settings"),
    (
        (picture(64, [0, 0, 63, 63]), {}),
        (picture(64, [5, 5, 5, 5]), {}),
        (picture(3, [0, 0, 2, 2]), {}),
        (picture(64, *([k, k, k + 9, k + 9] for k in range(50))), {}),
        (picture(64, [0, 0, 63, 63]), {"anchor_sizes": [4096]}),
        (picture(64, [8, 8, 40, 40]), {"proposals": 5000, "scale": 0.5}),
    ),
    ids=(
        "whole picture",
        "one pixel",
        "tiny picture",
        "many objects",
        "anchors beyond the canvas",
        "more proposals than anchors",
    ),
)
def test_data_at_the_edges_is_trained_on_and_asked(pictures: Any, settings: dict[str, Any], tmp_path: Path) -> None:
    run = pl.detect.train(pictures, out=tmp_path / "run", epochs=1, **{**SMALL, **settings})
    assert all(np.isfinite(float(row[name])) for row in rows_of(run.folder) for name in LOSSES)
    found = run.detect(np.full((3, 40, 90), 200, np.uint8), 0.0)
    assert np.isfinite(found.boxes).all()
    assert len(pl.detect.network_proposals(run.detector, np.full((3, 1, 1), 7, np.uint8))) >= 0


def test_training_that_diverges_says_so(tmp_path: Path) -> None:
    with pytest.raises(pl.train.DivergedError, match="lower learning rate"):
        pl.detect.train(
            pictures_with_boxes(2),
            out=tmp_path / "run",
            epochs=9,
            **SMALL,
            learning_rate=1e9,
            clip_norm=0.0,
            warmup=0.0,
        )


def test_any_executor_trains(tmp_path: Path) -> None:
    there, given = pictures_with_boxes(2), {**SMALL, "epochs": 1}
    first, *others = (
        pl.detect.train(there, out=tmp_path / one, **given, executor=one).metrics[0]
        for one in ("reference", "native", "torch")
    )
    for other in others:
        assert all(np.isclose(first[name], other[name], rtol=1e-2, atol=1e-3) for name in LOSSES)


@pytest.mark.parametrize(
    ("settings", "words"),
    (
        ({"anchor_sizes": []}, "anchor_sizes must be 1 to 8"),
        ({"anchor_sizes": [4]}, "from 8 to 4096"),
        ({"anchor_sizes": 64}, "anchor_sizes"),
        ({"anchor_ratios": [0.0]}, "anchor_ratios"),
        ({"anchor_ratios": [float("nan")]}, "anchor_ratios"),
        ({"anchor_ratios": [1.0] * 17}, "1 to 8"),
        ({"proposal_width": 0}, "proposal_width must be 1"),
    ),
)
def test_settings_that_make_no_sense(settings: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(pl.errors.PellucidError, match=words):
        pl.detect.train(pictures_with_boxes(2), out=tmp_path / "run", **{**SMALL, **settings})
    assert not (tmp_path / "run").exists()


def ask(*words: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["detect", *words])
    error = str(done.exception) if isinstance(done.exception, pl.errors.PellucidError) else done.stderr
    return done.exit_code, done.stdout, error


def test_the_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    voc_folder(tmp_path / "shapes", {"train": range(4), "val": range(50, 52)})
    given = {name: value for name, value in {**SMALL, "epochs": 1}.items() if name not in ("backbone", "system")}
    small = [word for name, value in given.items() for word in ("--set", f"{name}={json.dumps(value)}")]
    train = ("train", "--data", "shapes", "--out", "run", "--system", "faster-rcnn", "--backbone", "squeezenet1_1")
    code, out, error = ask(*train, *small, "--json")
    assert code == 0, error
    first = json.loads(out)
    assert first["system"] == "faster-rcnn" and first["config"]["anchor_sizes"] == [16, 32]
    Image.fromarray(drawn(7)[0]).save("photo.png")
    code, out, error = ask("proposals", "photo.png", "--run", "run", "--most", "4", "--json", "--out", "proposals.html")
    assert code == 0, error
    shown = json.loads(out)
    assert len(shown["boxes"]) <= 4 and len(shown["objectness"]) == 2
    assert (
        "photo.png" in ask("proposals", "photo.png", "--run", "run")[1] and "<svg" in Path("proposals.html").read_text()
    )
    code, out, error = ask("explain", "run", "photo.png", "--threshold", "0", "--json", "--out", "why.html")
    assert code == 0, error
    assert json.loads(out)["proposal"]["size"] in (16, 32)
    code, out, error = ask("evaluate", "run", "--data", "shapes", "--json")
    assert code == 0, error
    assert json.loads(out) == first["evaluation"] | {"part": "val"}
    pl.detect.train("shapes", out="other", epochs=1, backbone="squeezenet1_1", image_size=64, width=16, proposals=9)
    for words, message in (
        (["proposals", "photo.png", "--run", "nowhere"], "no such file"),
        (["proposals", "photo.png", "--run", "other"], "fast-rcnn: has no network that proposes"),
    ):
        code, _, error = ask(*words)
        assert code != 0 and message in error, (words, error)


def test_a_file_of_other_anchors_is_refused(tmp_path: Path) -> None:
    from pellucid.detect.files import read_file, write

    run = pl.detect.train(pictures_with_boxes(2), out=tmp_path / "run", epochs=1, **SMALL)
    arrays, words = read_file(run.folder / "detector.safetensors")
    words["config"]["anchor_ratios"] = [1.0, 2.0]
    write(tmp_path / "other.safetensors", arrays, words)
    with pytest.raises(pl.detect.DetectorError, match="do not fit a faster-rcnn on squeezenet1_1"):
        pl.detect.load_detector(tmp_path / "other.safetensors")
    assert isinstance(run.detector.net, FasterRCNN)  # pyright: ignore[reportAttributeAccessIssue]
