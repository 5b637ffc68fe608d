"""Every command with extreme values for its options: an answer or a sentence, never a traceback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import extremes
import pellucid as pl
from mutate import searched
from part_models import part_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run, a model of parts, a picture, and 20 pictures of two classes."""
    made = tmp_path_factory.mktemp("extremes")
    net = pl.nn.models.build("mlp", num_classes=10, in_channels=1, image_size=8, hidden=(4,))
    pl.fit(net, pl.load("digits"), epochs=1, batch_size=512, out=made / "run", report=False)
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(made / "x.png")
    part_model(made / "parts.mat")
    for number in range(20):
        (place := made / "tiny" / "ab"[number % 2]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8), 12 * number, np.uint8)).save(place / f"{number}.png")
    return made


def test_every_command_is_called() -> None:
    called = {call.arguments[0] for call in extremes.calls()}
    assert {*extremes.commands()} - called <= {"doctor", "models"}  # these take nothing but --json


@searched(1)
@given(seed=st.integers(0, 2**32 - 1))
def test_extreme_values_end_in_an_answer_or_a_sentence(folder: Path, seed: int) -> None:
    script = [sys.executable, extremes.__file__, str(seed), "25"]
    done = subprocess.run(script, cwd=folder, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, f"{done.stdout}{done.stderr[-2000:]}"


CASES = {
    "a class by a raised digit": (("walk-back", "--target=²", "--", "run", "x.png"), "²"),
    "a negative seed": (("train", "--seed=-1"), "seed"),
    "a negative decay": (("train", "--weight-decay=-1"), "weight_decay"),
    "a shift beyond any picture": (("train", "--data=tiny", "--shift=" + "9" * 400), "shift must lie in"),
    "a decay that is no number": (("train", "--weight-decay=nan"), "weight_decay"),
    "a size that no memory holds": (("inspect", "--image-size=10000000", "--", "vgg11"), "memory"),
    "a power without end": (("formula", "--", "10**400"), ""),
    "fewer than none": (("predict", "--top=-1", "--", "run", "x.png"), "top"),
}


@pytest.mark.parametrize("name", CASES)
def test_values_that_make_no_sense(name: str, folder: Path) -> None:
    arguments, words = CASES[name]
    command = [sys.executable, "-m", "pellucid", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode in (1, 2), done.stderr
    assert "Traceback" not in done.stderr
    assert words in done.stderr
