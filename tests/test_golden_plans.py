"""The plans of the models are those under tests/plans/; what they were made by is in golden_plans.py."""

from __future__ import annotations

import difflib

import pytest

from pellucid.executors import available_executors
from pellucid.nn import models

if reason := available_executors()["native"]:
    pytest.skip(f"the native executor is not there: {reason}", allow_module_level=True)

import golden_plans


@pytest.mark.parametrize("model", golden_plans.IMAGE_SIZES)
def test_plan_is_as_written(model: str) -> None:
    file = golden_plans.FOLDER / f"{model}.txt"
    golden = file.read_text(encoding="utf-8").splitlines()
    made_on = f"made on {golden_plans.machine()}"
    if golden[0] != made_on:
        pytest.skip(f"{file.name}: {golden[0]}, this is {made_on.removeprefix('made on ')}")
    found = golden_plans.plan(model).splitlines()
    changed = list(difflib.unified_diff(golden, found, file.name, "now", lineterm="", n=0))
    shown = "\n".join(changed[:30])
    assert not changed, f"{shown}\nreview the difference, then: python tests/golden_plans.py --write"


def test_every_model_has_a_plan_or_is_left_out() -> None:
    assert {*golden_plans.IMAGE_SIZES, *golden_plans.LEFT_OUT} == set(models.names())
    assert {f.stem for f in golden_plans.FOLDER.glob("*.txt")} == set(golden_plans.IMAGE_SIZES)
