"""Any output of any network is explained: several inputs and outputs, maps, sequences, signals, ids."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest

import pellucid as pl
from many_networks import NETWORKS, given, network
from pellucid import nn
from pellucid.explain import FieldError, TraceError

PLACES = {
    "two": [("scores", (1,)), ("mask", (0, 4, 5))],
    "segmentation": [("out0", (1, 2, 3))],
    "signal": [("out0", (2,))],
    "ctc": [("out0", (3, 1))],
    "ids": [("out0", (0,))],
}
CASES = [(kind, output, place) for kind, places in PLACES.items() for output, place in places]


def shown(output: str, place: tuple[int, ...]) -> str:
    return f"{output}[{','.join(map(str, place))}]"


@pytest.mark.parametrize(("kind", "output", "place"), CASES)
def test_sums_of_any_output(kind: str, output: str, place: tuple[int, ...]) -> None:
    trace = pl.trace(network(kind), given(kind), shown(output, place))
    neuron = trace[output][place]
    assert neuron.total == pytest.approx(neuron.value, rel=1e-5, abs=1e-6)
    assert trace.score == pytest.approx(neuron.value)
    assert re.search(rf"of {re.escape(trace.place.words)}(, probability [0-9.]+%)?;", str(trace))
    slope = trace[output].why_gradient(place)
    assert slope.value == 1, "its own gradient"


@pytest.mark.parametrize(("kind", "output", "place"), CASES)
def test_fields_and_gradients_of_every_input(kind: str, output: str, place: tuple[int, ...]) -> None:
    """What a place sees is what its gradient reaches, and no gradient lies outside of it."""
    net, example = network(kind), given(kind)
    trace = pl.trace(net, example, shown(output, place))
    fields = trace[output][place].fields
    for name, array in example.items():
        seen = trace[name].node.name
        if array.dtype.kind != "f":
            with pytest.raises(TraceError, match="ids: input of int64 has no gradient"):
                _ = trace[name].gradient
            assert fields[seen].columns == (0, array.size)
            continue
        slope = np.abs(trace.gradients.of(trace.gradient_node(trace.fed.inputs[name])))
        if seen not in fields:
            assert not slope.any()
            with pytest.raises(FieldError, match=f"{output}: sees nothing of the input '{name}'"):
                pl.receptive_field(net, example, output, place, of=name)
            continue
        found = pl.receptive_field(net, example, output, place, of=name)
        inside = np.zeros(found.effective.shape, bool)
        inside[slice(*found.rows), slice(*found.columns)] = True
        reached = slope.reshape(-1, *found.effective.shape).sum(0)
        np.testing.assert_allclose(found.effective, reached, rtol=1e-5, atol=1e-7)
        assert not reached[~inside].any()
        assert (found.rows, found.columns) == (fields[seen].rows, fields[seen].columns)


@pytest.mark.parametrize(("kind", "output", "place"), CASES)
def test_paths_from_any_output(kind: str, output: str, place: tuple[int, ...]) -> None:
    trace = pl.trace(network(kind), given(kind), shown(output, place))
    walk = pl.walk_back(trace, 10_000)
    assert walk.share == pytest.approx(1, rel=1e-4), "all paths together carry the score"
    assert walk.gap < 1e-6
    assert walk.place.words in str(walk)
    assert walk.picture().to_dict()
    ends = {path.ends for path in walk.paths}
    assert "value" in ends if kind == "ids" else "pixel" in ends
    assert ("input" in ends) == (kind == "two" and output == "scores")


def test_paths_from_a_region() -> None:
    trace = pl.trace(network("segmentation"), given("segmentation"), "out0[1,2:4,3:5]")
    assert trace.score == pytest.approx(float(trace["out0"].value[1, 2:4, 3:5].sum()), rel=1e-5)
    walk = pl.walk_back(trace, 10_000)
    assert walk.share == pytest.approx(1, rel=1e-4)
    assert {path.steps[0].index for path in walk.paths} == {(1, row, column) for row in (2, 3) for column in (3, 4)}
    assert walk.place.words == "the sum of out0[1,2:4,3:5]"


@pytest.mark.parametrize("kind", NETWORKS)
def test_a_loss_wants_scores(kind: str) -> None:
    net = network(kind)
    if kind in ("segmentation", "ctc"):
        with pytest.raises(TraceError, match=r"a loss wants scores \(1, classes\)"):
            pl.trace(net, given(kind), 1, loss="cross_entropy")
        return
    trace = pl.trace(net, given(kind), 1, loss="cross_entropy")
    scores = trace[trace.place.output].value.astype(np.float64)
    assert trace["loss"][()].value == pytest.approx(float(np.log(np.exp(scores).sum()) - scores[1]), rel=1e-5)
    slope = np.exp(scores) / np.exp(scores).sum() - np.eye(3)[1]
    np.testing.assert_allclose(trace[trace.place.output].gradient, slope, rtol=1e-4, atol=1e-6)


def test_the_step_of_a_sequence() -> None:
    assert pl.receptive_field(network("ctc"), given("ctc"), "out0", (3, 1)).jump == (None, 2)


def test_several_examples_have_one_mean_field() -> None:
    net, example = network("two"), given("two")
    other = {name: array[::-1] * 2 for name, array in example.items()}
    parts = [pl.receptive_field(net, one, "mask").effective for one in (example, other)]
    mean = pl.receptive_field(net, [example, other], "mask")
    assert mean.num_images == 2
    np.testing.assert_allclose(mean.effective, np.mean(parts, 0), rtol=1e-5)
    with pytest.raises(pl.PellucidError, match="must have one shape"):
        pl.receptive_field(net, [example, {**other, "picture": other["picture"][..., :6]}], "mask")


@pytest.mark.parametrize("kind", NETWORKS)
def test_comparing(kind: str) -> None:
    first, second = network(kind), network(kind)
    assert pl.compare(first, second, given(kind), executors=("reference", "auto")).same
    shapes = {name: array.shape for name, array in given(kind).items()}
    assert pl.compare(first, second, shape=shapes).same
    last = [p for n, p in second.named_parameters().items() if n in ("map.weight", "up.bias", "fc.bias")][-1]
    last.value = last.value + 1
    found = pl.compare(first, second, given(kind))
    outputs = {d.a: d.error > found.tolerance for d in found.outputs}
    assert outputs == ({"scores": True, "mask": False} if kind == "two" else {"out0": kind != "ctc"})
    assert not found.same
    if kind == "two":
        assert "output  difference" in str(found)


@pytest.mark.parametrize("kind", NETWORKS)
def test_pictures_of_layers(kind: str) -> None:
    trace = pl.trace(network(kind), given(kind))
    page = pl.explain.stages(trace, gradient=True)
    assert [maps.layer for maps in page.layers if maps.gradient] == [n for n in trace if trace[n].node.inputs]
    assert page.picture().to_dict()
    for output in trace.graph.output_names:
        maps = pl.explain.activation_maps(trace, output)
        np.testing.assert_array_equal(maps.values, trace[output].value)
        assert maps.picture().to_dict()


@pytest.mark.parametrize("executor", ["reference", "auto"])
@pytest.mark.parametrize("kind", NETWORKS)
def test_summaries_and_times(kind: str, executor: str) -> None:
    net, shapes = network(kind), {name: array.shape for name, array in given(kind).items()}
    summary = net.summary(shapes)
    assert {end.name: (end.shape, end.dtype) for end in summary.inputs} == {
        name: (array.shape, str(array.dtype)) for name, array in given(kind).items()
    }
    outputs = pl.trace(net, given(kind)).prepared.outputs
    assert {end.name: end.shape for end in summary.outputs} == {name: node.shape for name, node in outputs.items()}
    assert "takes " + str(summary.inputs[0]) in str(summary)
    if len(shapes) == 1:
        (shape,) = shapes.values()
        assert net.summary(shape[1:]).rows == summary.rows
    timed = pl.time_layers(net, shapes, executor=executor)
    assert [row.name for row in timed.rows] == [row.name for row in summary.rows]
    assert sum(row.seconds or 0 for row in timed.rows) > 0


def test_a_summary_wants_to_know_the_sizes() -> None:
    with pytest.raises(pl.PellucidError, match=r"TwoAndTwo: .* shapes by name, {'picture': \(1, ...\), 'about'"):
        network("two").summary((3, 8, 10))
    with pytest.raises(
        pl.PellucidError, match=r"Segmenter: does not say the sizes of its inputs; give shape=\(C, H, W\)"
    ):
        network("segmentation").summary()
    assert pl.models.build("lenet", image_size=8, in_channels=1).summary().input_shape == (1, 8, 8)


class Curves(nn.Module):
    """Functions without a value at 0, and what is divided by the picture: places where a path ends."""

    def forward(self, x: pl.Tensor) -> pl.Tensor:
        return pl.sum(pl.log(x), (2, 3)) + pl.sum(2.0 / x, (2, 3)) + pl.sum(x / (x + 1.0), (2, 3))


@pytest.mark.filterwarnings("error")
def test_paths_end_where_a_function_has_no_value_at_zero() -> None:
    picture = np.abs(given("segmentation")["x"]) + 0.5
    walk = pl.walk_back(pl.trace(Curves(), picture, 1), 1000)
    assert walk.share == pytest.approx(1, rel=1e-4)
    assert {path.ends for path in walk.paths} == {"value", "pixel"}


DATA = pl.data.ArrayDataset(
    np.random.default_rng(0).integers(0, 255, (12, 3, 8, 10), dtype=np.uint8), [0, 1, 2] * 4, ("a", "b", "c")
)
ANSWERED = {"two": "", "segmentation": "units embed exciting maximize class_model", "signal": "", "ctc": "", "ids": "predict"}  # fmt: skip
ASKED: dict[str, Callable[[nn.Module, str], object]] = {
    "maximize": lambda net, layer: pl.explain.maximize(net, layer, 0, (3, 8, 10), ascent=pl.explain.Ascent(steps=2)),
    "class_model": lambda net, layer: pl.explain.class_model(net, 0, (3, 8, 10), ascent=pl.explain.Ascent(steps=2)),
    "units": lambda net, layer: pl.explain.unit_statistics(net, DATA),
    "embed": lambda net, layer: pl.explain.embed(net, DATA),
    "exciting": lambda net, layer: pl.explain.most_exciting(net, DATA, layer, 0),
    "landscape": lambda net, layer: pl.loss_landscape(net, DATA, size=3, directions=1),
    "predict": lambda net, layer: pl.predict(net, np.zeros((1, 4, 8, 10), np.float32)),
    "evaluate": lambda net, layer: pl.evaluate(net, DATA),
    "shifts": lambda net, layer: pl.shift_robustness({"net": net}, DATA),
    "call": lambda net, layer: net(*[pl.input((1, 4, 8, 10)), pl.input((1, 5)), pl.input((1, 5))]),
}


@pytest.mark.filterwarnings("ignore:invalid value encountered in cast")
@pytest.mark.parametrize("kind", NETWORKS)
def test_what_makes_no_sense_says_so(kind: str) -> None:
    """Questions for networks that tell pictures apart: answered where they can be, else an error of ours."""
    net, layer = network(kind), "down" if kind == "segmentation" else "fc"
    for name, ask in ASKED.items():
        if name in ANSWERED[kind].split():
            assert ask(net, layer) is not None
        else:
            with pytest.raises(pl.PellucidError):
                ask(net, layer)
    shapes = {name: array.shape for name, array in given(kind).items()}
    if kind == "ids":
        with pytest.raises(pl.PellucidError, match="no convolution"):
            pl.explain.filters(net, shapes)
    else:
        assert pl.explain.filters(net, shapes).values.ndim == 4


REFUSED = {
    "landscape": r"gives scores of classes \(N, K\), this one gives \(N, 2, 8, 10\)",
    "evaluate": r"gives scores of classes \(N, K\), this one gives \(N, 2, 8, 10\)",
    "call": r"Segmenter: takes 1 input \(x\), got 3",
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_a_segmentation_network_is_not_asked(name: str) -> None:
    with pytest.raises(pl.PellucidError, match=REFUSED[name]):
        ASKED[name](network("segmentation"), "down")
