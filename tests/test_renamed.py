"""Names that have changed still work as they were, with a warning that says the new one."""

from __future__ import annotations

import ast
import importlib
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pellucid as pl
from pellucid.cli import renamed
from pellucid.renamed import COMMANDS, MODULES, OPTIONS

SOURCES = sorted(Path(pl.__file__).parent.rglob("*.py"))
BRITISH = re.compile(
    r"colour|grey|neighbour|centre|labelled|behaviour|(?:normal|random|maxim|minim|optim|recogn|initial)is[ei]", re.I
)


@pytest.mark.parametrize(("module", "old"), [(module, old) for module, names in MODULES.items() for old in names])
def test_old_names_of_modules(module: str, old: str) -> None:
    found, new = importlib.import_module(module), MODULES[module][old]
    with pytest.warns(DeprecationWarning, match=rf"{module}.{old} is called {module}.{new} now"):
        assert getattr(found, old) is getattr(found, new)
    assert old not in dir(pl)


def test_old_attributes() -> None:
    net = pl.nn.Sequential(
        conv=pl.nn.Conv2d(1, 2, 3), relu=pl.nn.ReLU(), flatten=pl.nn.Flatten(), fc=pl.nn.Linear(72, 2)
    )
    net.initialize(0)
    images = np.random.default_rng(0).integers(0, 256, (12, 1, 8, 8), np.uint8)
    data = pl.data.ArrayDataset(images, [0, 1] * 6, ("a", "b"))
    prepared = pl.data.Preprocessing(mean=(0.5,), std=(0.5,), image_size=(8, 8), channels=1)
    net.card = pl.nn.Card(preprocessing=prepared)
    landscape = pl.loss_landscape(net, data, prepared, size=3, directions=1)
    cases: list[tuple[Any, str, str]] = [
        (net.graph((1, 1, 8, 8)), "picture", "image"),
        (pl.most_exciting(net, data, "conv", 0), "pictures", "images"),
        (pl.unit_statistics(net, data).layers[0], "active_pictures", "active_images"),
        (landscape, "pictures", "images"),
        (pl.receptive_field(net, images[0].astype(np.float32), "conv"), "num_pictures", "num_images"),
        (pl.maximize(net, "conv", 0, (1, 8, 8), ascent=pl.explain.Ascent(steps=2)), "grey", "gray"),
        (pl.evaluate(net, data, prepared), "pictures", "images"),
    ]
    for owner, old, new in cases:
        with pytest.warns(DeprecationWarning, match=f"{old} is called {type(owner).__name__}.{new} now"):
            was = getattr(owner, old)
        now = getattr(owner, new)
        assert was is now or np.array_equal(was, now)


def test_old_commands_and_options() -> None:
    for old, new in COMMANDS.items():
        with pytest.warns(DeprecationWarning, match=f"`{old}` is called `{new}` now"):
            assert renamed([old, "lenet"]) == [new, "lenet"]
    with pytest.warns(DeprecationWarning, match="randomize"):
        assert renamed(["attribute", "lenet", "--randomise"]) == ["attribute", "lenet", OPTIONS["--randomise"]]
    assert renamed([]) == []


def test_identifiers_are_in_american_spelling() -> None:
    for source in SOURCES:
        if source.name == "renamed.py":
            continue
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            names = [getattr(node, kind, None) for kind in ("id", "attr", "arg", "name")]
            wrong = [name for name in names if isinstance(name, str) and BRITISH.search(name)]
            assert set(wrong) <= {"grey"}, (source, wrong)


def test_classes_have_names_of_their_own() -> None:
    """But for layers, ops and kernels, which are called alike on purpose; what starts with _ is its module's own."""
    found = Counter(
        node.name
        for source in SOURCES
        if not {"nn", "ops", "plan", "operators"} & set(source.parts)
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert [name for name, count in found.items() if count > 1] == []
