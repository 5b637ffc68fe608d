"""`pellucid predict`: what is on pictures, told, or written into files while they are looked at."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pellucid.cli.options import (
    Edits,
    Executor,
    Inputs,
    Json,
    PreprocessingName,
    Set,
    Size,
    WeightsOf,
    What,
    opened_as,
    print_json,
)
from pellucid.questions.kinds import picture_names
from pellucid.questions.measured import say
from pellucid.screen import one_line
from pellucid.text import amount

if TYPE_CHECKING:
    from pellucid.opening import Opened

STANDARD_INPUT = Path("-")


def predict(
    what: What,
    images: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Pictures, as files, folders or names (see `pellucid samples`); or arrays (.npy). - reads names, or a picture, from stdin.",
            autocompletion=picture_names,
        ),
    ] = None,
    inputs: Inputs = None,
    top: Annotated[int, typer.Option(min=1, help="How many classes to show.")] = 5,
    on_bad_image: Annotated[
        str, typer.Option(help="Unreadable pictures: error (they are named, and the exit code is 2) or skip.")
    ] = "error",
    weights: WeightsOf = "",
    preprocessing: PreprocessingName = "",
    size: Size = "",
    set: Set = None,
    edit: Edits = None,
    executor: Executor = "auto",
    out: Annotated[
        Path | None,
        typer.Option(
            help="Write predictions into this .csv, .jsonl or .html file (with thumbnails); or the outputs for one example into .npz or .npy."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Say what is on pictures, or predict numbers of them.

    Of folders every picture is looked at; unreadable ones do not keep others from an answer. A file of --out has each
    answer as soon as it is known, so that nothing is lost where it is stopped. Of a network that gives
    anything but scores of classes, of arrays, of several inputs (--input) and with --out, each output's shape and range.

    Example: pellucid predict efficientnet-lite0 photo.jpg

    Example: pellucid predict runs/digits-lenet 'digits[143]' 'test[3]' --top 3

    Example: pellucid predict runs/digits-lenet three.png --edit "fc1.weight*=0.5"

    Example: pellucid predict runs/photos-resnet18 holiday/ --out holiday.csv

    Example: pellucid predict runs/circles-linear "[[0.5, 1], [2, -1]]"

    Example: find photos -name "*.jpg" -print0 | pellucid predict runs/photos-resnet18 - --out photos.html

    Example: pellucid predict detector.onnx street.jpg --size 480x640 --preprocessing unit

    Example: pellucid predict vad.onnx --input input=sound.npy --input state=state.npy --input sr=16000 --out speech.npz
    """
    from pellucid.opening import OpeningError
    from pellucid.prediction_files import FORMS

    if on_bad_image not in ("error", "skip"):
        raise OpeningError(f"--on-bad-image must be error or skip, got {on_bad_image!r}")
    opened = opened_as(what, weights, size, preprocessing, set, edit)
    written = out is not None and out.suffix.lower() in FORMS
    given, listed = images or [], STANDARD_INPUT in (images or [])
    if opened.standardization is not None and (out is None or written):
        _predict_rows(opened, given, top, executor, out, as_json)
        return
    pictures = given and not inputs and not any(path.suffix.lower() == ".npy" for path in given)
    if pictures and opened.tells_classes and (out is None or written):
        _predict(opened, given, top, on_bad_image, executor, out, as_json)
        return
    if listed:
        given = [path for path in _files(given)[0] if isinstance(path, Path)]
    _print_outputs(opened, given, inputs or (), executor, out, as_json)


def _files(given: Sequence[Path]) -> tuple[Iterable[Path | bytes], int]:
    """The pictures that are named, and how many there are; 0 where names come on the standard input, as many as there are."""
    from pellucid.data.image import images_and_notes
    from pellucid.prediction_files import given_on

    found, notes = images_and_notes(path for path in given if path != STANDARD_INPUT)
    say(notes)
    if STANDARD_INPUT not in given:
        return found, len(found)
    return chain(found, given_on(sys.stdin.buffer)), 0


def _predict(
    opened: Opened, given: Sequence[Path], top: int, on_bad_image: str, executor: str, out: Path | None, as_json: bool
) -> None:
    """Print what is predicted of each picture, or write it into a file, as soon as it is known."""
    from pellucid.opening import OpeningError
    from pellucid.prediction_files import in_words, prediction_file
    from pellucid.progress import progress

    files, count = _files(given)
    bad: list[str] = []
    kept: list[dict[str, Any]] = []
    done, warned = 0, False
    file = contextlib.nullcontext(None) if out is None else prediction_file(out, f"Predictions of {opened.source}")
    with progress("predicting") as tell, file as add:
        answers = opened.predictions(files, top, executor, on_bad_image="skip")
        for done, (answer, picture) in enumerate(answers, 1):
            if not warned and any("score" in guess for guess in answer["predictions"]):
                say(
                    [
                        f"{opened.source}: its graph does not tell what its scores are, so that these are no probabilities"
                    ]
                )
                warned = True
            if "error" in answer:
                bad.append(answer["error"])
            if add is not None:
                add(answer, picture)
            if as_json:
                kept.append(answer)
            elif add is None and answer["predictions"]:
                print(one_line(f"{answer['image']}: {', '.join(map(in_words, answer['predictions']))}"), flush=True)
            tell(done, max(done, count))
    if as_json:
        print_json(kept)
    elif out is not None:
        print(f"{out}: {amount(done - len(bad), 'picture')} answered, {len(bad)} unreadable")
    if on_bad_image == "skip":
        say(f"skipped {line}" for line in bad)
    elif bad:
        raise OpeningError("\n".join(bad))


def _predict_rows(
    opened: Opened, given: Sequence[Path], top: int, executor: str, out: Path | None, as_json: bool
) -> None:
    """What a run says of rows of numbers, as its data has them."""
    from pellucid.examples import rows_of
    from pellucid.prediction_files import in_words, prediction_file

    run, answers = opened.run, list[dict[str, Any]]()
    assert run is not None
    for source in map(str, given) if given else ("",):
        rows = rows_of(opened, source)
        for place, row in enumerate(run.predict(rows, executor)):
            name = source if len(rows) == 1 else f"{source} row {place}"
            answers.append({"image": name, "predictions": run.task.guesses(row, top)})
    if out is not None:
        with prediction_file(out, f"Predictions of {opened.source}") as add:
            for answer in answers:
                add(answer, None)
    elif as_json:
        print_json(answers)
    else:
        print(*(f"{one['image']}: {', '.join(map(in_words, one['predictions']))}" for one in answers), sep="\n")


def _print_outputs(
    opened: Opened, files: Sequence[Path], inputs: Sequence[str], executor: str, out: Path | None, as_json: bool
) -> None:
    """What a network gives for examples: each output's shape and range, and the arrays in a file."""
    from pellucid.data import find_images
    from pellucid.examples import example_of, outputs_for
    from pellucid.opening import OpeningError
    from pellucid.prediction_files import FORMS, prediction_file

    arrays = [path for path in files if path.suffix.lower() == ".npy"]
    pictures = find_images([path for path in files if path not in arrays]) if len(arrays) < len(files) else []
    examples = (example_of(opened, file, inputs) for file in [*arrays, *pictures] or [None])
    answers = (outputs_for(opened, example, executor) for example in examples)
    if out is not None and out.suffix.lower() in FORMS:
        with prediction_file(out, f"Outputs of {opened.source}") as add:
            for outputs in answers:
                add(outputs.plain(), None)
        return
    found = list(answers)
    if out is not None:
        if len(found) != 1:
            raise OpeningError(f"--out: has the outputs for one example, got {len(found)}")
        found[0].write(out)
    if as_json:
        print_json([outputs.plain() for outputs in found])
    else:
        print(*found, sep="\n")
