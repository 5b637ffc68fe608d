"""What a network knows of itself: it goes where the network goes, and questions read it instead of being told."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn
from pellucid.data import Preprocessing, Standardization, usual_preprocessing
from pellucid.nn import Card
from pellucid.train.checkpoint import load

UNIT = usual_preprocessing("symmetric", (1, 8, 8))
NAMES = ("zero", "one", "two")
DATA = pl.data.ArrayDataset(
    np.random.default_rng(0).integers(0, 256, (9, 1, 8, 8), np.uint8), [0, 1, 2] * 3, NAMES, "noise"
)
IMAGE = UNIT.normalize(DATA.image(0))


def made() -> nn.Module:
    net = nn.Sequential(conv=nn.Conv2d(1, 4, 3), act=nn.ReLU(), flatten=nn.Flatten(), fc=nn.Linear(144, 3))
    net.initialize(0)
    return net


def known() -> nn.Module:
    net = made()
    net.card = Card(NAMES, UNIT)
    return net


QUESTIONS: dict[str, tuple[Callable[..., Any], tuple[str, ...]]] = {
    "trace": (lambda net, **k: pl.trace(net, IMAGE, "two", **k), ("classes",)),
    "attribute": (lambda net, **k: pl.attribute(net, IMAGE, "two", **k), ("classes",)),
    "saliency": (lambda net, **k: pl.explain.saliency(net, IMAGE, "two", **k), ("classes",)),
    "compare": (lambda net, **k: pl.explain.compare_methods(net, IMAGE, "one", methods=("saliency",), **k), ("classes",)),
    "randomization": (
        lambda net, **k: pl.explain.randomization_check(net, IMAGE, "one", method="saliency", stages=2, **k),
        ("classes",),
    ),
    "faithfulness": (lambda net, **k: pl.explain.faithfulness(net, IMAGE, IMAGE[0], "one", steps=4, **k), ("classes",)),
    "class model": (
        lambda net, **k: pl.class_model(net, "one", (1, 8, 8), ascent=pl.explain.Ascent(3), **k),
        ("classes", "preprocessing"),
    ),
    "maximize": (
        lambda net, **k: pl.maximize(net, "conv", 1, (1, 8, 8), ascent=pl.explain.Ascent(3), **k),
        ("preprocessing",),
    ),
    "units": (lambda net, **k: pl.unit_statistics(net, DATA, **k), ("preprocessing",)),
    "exciting": (lambda net, **k: pl.most_exciting(net, DATA, "conv", 1, 2, **k), ("preprocessing",)),
    "embedding": (lambda net, **k: pl.embed(net, DATA, **k), ("preprocessing",)),
    "stages": (lambda net, **k: pl.stages(pl.trace(net, IMAGE, 2), **k), ("preprocessing",)),
}  # fmt: skip
FACTS = {"classes": NAMES, "preprocessing": UNIT}


def facts(answer: Any) -> dict[str, Any]:
    """What an answer says, without how long it took."""
    plain = answer.to_dict()
    for row in plain.get("methods", ()):
        row.pop("seconds")
    return plain


@pytest.mark.parametrize("name", QUESTIONS)
def test_questions_read_the_card(name: str) -> None:
    """And as before there were cards what is handed along counts, with a warning, to the same answer."""
    ask, read = QUESTIONS[name]
    answer = facts(ask(known()))
    with pytest.warns(
        DeprecationWarning, match=r"no longer taken; put it on the network's card: net.card = pl.nn.Card"
    ):
        told = ask(made(), **{fact: FACTS[fact] for fact in read})
    if name != "stages":
        assert facts(told) == answer
    with pytest.warns(DeprecationWarning):  # what is handed along goes before the card
        again = ask(known() if "classes" in read else made(), **{fact: FACTS[fact] for fact in read})
    assert facts(again) == facts(told)


POSITIONED: dict[str, Callable[..., Any]] = {
    "evaluate": pl.evaluate,
    "shifts": lambda net, data, *given: pl.shift_robustness(net, data, *given, shifts=(0, 1)),
    "landscape": lambda net, data, *given: pl.loss_landscape(net, data, *given, size=3, directions=1),
}


@pytest.mark.parametrize("name", POSITIONED)
def test_a_preprocessing_that_is_given_goes_before_the_card(name: str) -> None:
    ask, other = POSITIONED[name], usual_preprocessing("unit", (1, 8, 8))
    with pl.quiet():
        assert ask(known(), DATA).to_dict() == ask(made(), DATA, UNIT).to_dict()
        assert ask(known(), DATA, other).to_dict() == ask(made(), DATA, other).to_dict()
        assert ask(known(), DATA).to_dict() != ask(made(), DATA, other).to_dict()
        if name != "shifts":
            assert ask(known(), DATA, None).to_dict() == ask(made(), DATA).to_dict()


def test_shifts_of_a_network_that_does_not_know() -> None:
    with pytest.raises(pl.PellucidError, match="it is not known how pictures become the network's input"):
        pl.shift_robustness(made(), DATA)


def test_names_are_shown_where_a_class_is() -> None:
    net = known()
    trace = pl.trace(net, IMAGE, "two")
    assert (trace.target, trace.classes, trace.card) == (2, NAMES, net.card)
    assert "(two)" in str(trace)
    assert pl.attribute(net, IMAGE, 1).label == "one"
    net.card = Card(NAMES[:2])  # names for some of the scores
    assert "score" in str(pl.trace(net, IMAGE, 2))
    assert pl.attribute(net, IMAGE, 2).label == ""


def test_the_card_goes_along(tmp_path: Path) -> None:
    data = pl.load("digits")
    part = pl.data.Splits(*(pl.data.Subset(p, np.arange(40), p.name) for p in (data.train, data.validation, data.test)))
    net = nn.models.build("mlp", image_size=8, hidden=(8,))
    assert net.card == Card(config={**net.config()})
    with pl.quiet():
        run = pl.fit(net, part, epochs=1, batch_size=20, out=tmp_path / "run", report=False)
    card = Card(data.classes, run.preprocessing, net.config())
    assert net.card == run.net.card == card
    assert copy.deepcopy(net).card == card
    assert pl.load_run(tmp_path / "run").net.card == card
    assert run.card == pl.load_run(tmp_path / "run").card == load(tmp_path / "run" / "last.safetensors").card == card
    opened = pl.open_model(tmp_path / "run")
    assert (opened.net.card, opened.classes, opened.preprocessing) == (card, card.classes, card.preprocessing)
    pytest.importorskip("onnx")
    for source in (net, run, opened):
        pl.save_onnx(source, tmp_path / "net.onnx")
        assert pl.open_model(tmp_path / "net.onnx").net.card == Card(card.classes, card.preprocessing)
        assert pl.load_onnx(tmp_path / "net.onnx").card == Card(card.classes, card.preprocessing)
    net.card = Card(tuple("abcdefghij"))
    assert net.config() == card.config
    pl.save_onnx(net, tmp_path / "net.onnx", shape=(1, 8, 8))
    assert pl.open_model(tmp_path / "net.onnx", preprocessing="unit").classes == tuple("abcdefghij")


def test_metadata_of_other_packages(tmp_path: Path) -> None:
    """What others call a task is theirs; classes that are none are said."""
    onnx = pytest.importorskip("onnx")
    pl.save_onnx(known(), tmp_path / "net.onnx", shape=(1, 8, 8))
    model = onnx.load(tmp_path / "net.onnx")
    entry = model.metadata_props.add()
    entry.key, entry.value = "task", "detect"
    onnx.save(model, tmp_path / "theirs.onnx")
    assert (
        pl.open_model(tmp_path / "theirs.onnx").classes == pl.load_onnx(tmp_path / "theirs.onnx").card.classes == NAMES
    )
    next(e for e in model.metadata_props if e.key == "classes").value = "{'cat"
    onnx.save(model, tmp_path / "bad.onnx")
    for read in (pl.open_model, pl.load_onnx):
        with pytest.raises(pl.PellucidError, match=r"bad.onnx: its metadata states classes or a preprocessing"):
            read(tmp_path / "bad.onnx")


def test_a_preprocessing_that_the_user_names_is_on_the_card() -> None:
    opened = pl.open_model("lenet", preprocessing="unit")
    assert opened.net.card.preprocessing == opened.preprocessing == usual_preprocessing("unit", (1, 28, 28))


def test_weights_are_gone_on_with_as_they_are_used_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network of one's own with weights is trained on with the preprocessing of its card."""
    monkeypatch.chdir(tmp_path)
    data = pl.data.Splits(DATA, DATA, DATA, "noise")
    net = known()
    net.load_state_dict(made().state_dict())
    with pl.quiet():
        assert pl.fit(net, data, epochs=1, batch_size=3, report=False).preprocessing == UNIT
        assert pl.fit(made(), data, epochs=1, batch_size=3, report=False).preprocessing != UNIT


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Card("abc"), r"classes must be the name of each class, such as \('cat', 'dog'\), got 'abc'"),
        (lambda: Card((0, 1)), "classes must be the name of each class"),
        (lambda: Card(preprocessing="unit"), "preprocessing must be a pl.data.Preprocessing"),
        (lambda: Card(config={1: 2}), "config must be arguments by name"),
        (lambda: Card(("a", "b"), config={"num_classes": 3}), "the names of 2 classes, the network gives 3 scores"),
        (lambda: setattr(nn.models.build("lenet"), "card", Card(NAMES)), "the names of 3 classes, the network gives 10"),
        (lambda: setattr(made(), "card", NAMES), "card: wants a pl.nn.Card, got tuple"),
    ],
)  # fmt: skip
def test_cards_that_make_no_sense(make: Callable[[], Any], words: str) -> None:
    with pytest.raises(pl.PellucidError, match=words):
        make()


def test_what_is_no_picture() -> None:
    numbers = Standardization((2,), (0.0, 1.0), (1.0, 2.0))
    assert (Card(preprocessing=numbers).pictures, Card(preprocessing=UNIT).pictures, Card().pictures) == (
        None,
        UNIT,
        None,
    )
    assert isinstance(UNIT, Preprocessing)


def test_a_card_changes_no_program() -> None:
    from pellucid.inference import ready

    net, compiled = made(), []
    compile = ready.compile
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ready, "compile", lambda *a, **k: compiled.append(a) or compile(*a, **k))
        pl.predict(net, IMAGE[None])
        net.card = Card(NAMES)
        pl.predict(net, IMAGE[None])
    assert len(compiled) == 1
