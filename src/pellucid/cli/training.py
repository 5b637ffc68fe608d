"""`pellucid train` and `evaluate`; `predict` has a file of its own."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pellucid.cli.options import (
    Edits,
    Executor,
    FigureNumber,
    Json,
    OnBadImage,
    Out,
    PreprocessingName,
    Set,
    Size,
    WeightsOf,
    What,
    command,
    draw,
    opened_as,
    print_json,
    show,
)
from pellucid.cli.predicting import predict as predict
from pellucid.cli.train_options import Download, Weights, begun_with, given, network_and_data, takes_settings
from pellucid.questions.kinds import data_names
from pellucid.questions.measured import measured
from pellucid.screen import visible

if TYPE_CHECKING:
    from pellucid.data import Parts
    from pellucid.nn import Module
    from pellucid.train import TrainConfig


@takes_settings()
def train(
    context: typer.Context,
    settings: dict[str, Any],
    source: Annotated[
        str, typer.Argument(metavar="DATA", help="What to learn from, the same as --data.", autocompletion=data_names)
    ] = "",
    weights: Weights = "",
    set: Set = None,
    download: Download = False,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Write events for TensorBoard too.")] = False,
    out: Annotated[Path | None, typer.Option(help="The run's folder; default runs/<data>-<model>.")] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on with the run in --out, with its own settings; taken are more --epochs and --patience, --data that was "
            "moved, --threads and --checkpoint-every.",
        ),
    ] = False,
    folds: Annotated[
        int,
        typer.Option(
            min=0,
            help="Cross-validation: train anew for so many folds of all pictures, each measured on its own. 0: none.",
        ),
    ] = 0,
    changed_data: Annotated[
        bool, typer.Option("--changed-data", help="With --resume: go on though the data is not what it was.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Train a network on pictures, and report what it learned.

    It learns to tell classes apart, or to predict numbers.

    Example: pellucid train --data photos/ --image-size 64 --model resnet18 --flip

    Example: pellucid train --data photos/ --model efficientnet-lite0 --pretrained --freeze backbone

    Example: pellucid train --data photos/ --model resnet18 --weights resnet18-f37072fd.pth --image-size 224

    Example: pellucid train ages.csv --task regression --image-size 64 --model resnet18

    Example: pellucid train photos/ --model detector.onnx --set threshold=0.5

    Example: pellucid train "circles noise=0.2" --model "Linear 8, Tanh, Linear 4, Tanh" --epochs 50

    Example: pellucid train --out runs/photos-resnet18 --resume

    Example: pellucid train --out runs/photos-resnet18 --resume --epochs 30

    Example: pellucid train photos/ --image-size 64 --loss focal --metrics top5,f1

    Example: pellucid train photos/ --image-size 64 --folds 5 --out runs/folds
    """
    from pellucid.train import TrainError
    from pellucid.train.checkpoint import load as load_checkpoint
    from pellucid.train.loop import fit_in, run_name
    from pellucid.train.run import split_record
    from pellucid.train.run_folder import LAST, begun
    from pellucid.train.starting import origin_to_resume

    if folds:
        if changed_data or tensorboard:
            raise TrainError("--folds: is not for --changed-data and --tensorboard; leave them out")
        origin, config = begun_with({**settings, "data": source or settings["data"]}, weights, set)
        net, splits = network_and_data(origin, config, download, settings["pretrained"])
        where = out or Path("runs") / f"{run_name(config.data, config.model)}-folds"
        _train_folds(where, net, splits, config, folds, resume, as_json)
        return
    if resume:
        if out is None:
            raise TrainError("--resume needs --out with the folder of the run to go on with")
        if set:
            raise TrainError("--set is for the start of a run, which keeps what it sets; leave it out with --resume")
        checkpoint = load_checkpoint(out / LAST)
        origin = origin_to_resume(out / LAST, checkpoint)
        asked = {**given(context, settings), **({"data": source} if source else {})}
        config, place = checkpoint.config.again(asked), asked.get("data", "")
    else:
        if source and settings["data"] not in ("", source):
            raise TrainError(f"the data is {source} or {settings['data']}? Give it once")
        origin, config = begun_with({**settings, "data": source or settings["data"]}, weights, set)
        place = ""
    pretrained = settings["pretrained"] and not resume
    with begun(out, run_name(config.data, config.model), resume) as folder:  # before the pictures are read
        record = split_record(folder.path) if resume else None
        if record is not None and not place:
            place = record.found_from(folder.path)
        net, splits = network_and_data(origin, config, download, pretrained, record, place)
        run = fit_in(folder, net, splits, config, resume=resume, changed_data=changed_data, tensorboard=tensorboard)
    if run.status == "interrupted":
        print(
            f"pellucid: interrupted; go on with: {command('train', '--resume', '--out', run.folder)}", file=sys.stderr
        )
        raise typer.Exit(130)
    assert run.test is not None
    if as_json:
        print_json(run.to_dict())
        return
    print(f"{run.test.part} {run.test.headline()} ({run.status})")
    if run.test.part != "test":
        print("              the data has no test pictures; these also chose the best epoch")
    for remark in run.remarks:
        print(f"note          {visible(remark)}")
    if shown := run.history.shows:
        print(f"curves        {shown}")
    print(f"report        {run.folder / 'report.html'}")
    example = "test[0]" if len(run.shape) == 3 else str([[0] * run.shape[0]])  # a row of numbers
    print("try next")
    print(f"  {command('predict', run.folder, example)}")
    print(f"  {command('evaluate', run.folder)}")
    print(f"  {command('inspect', run.folder)}")


def _train_folds(
    folder: Path, net: Module, data: Parts, config: TrainConfig, folds: int, resume: bool, as_json: bool
) -> None:
    """Cross-validation, and what came of it."""
    from pellucid.train.cross_validation import validate_in

    result = validate_in(folder, net, data, config, folds, resume)
    if as_json:
        print_json(result.to_dict())
    else:
        print(result)
    if len(result.folds) < folds:
        print(
            f"pellucid: interrupted after {len(result.folds)} of {folds} folds; go on with the same command, --out {folder} and --resume",
            file=sys.stderr,
        )
        raise typer.Exit(130)


def evaluate(
    what: What,
    data: Annotated[
        str, typer.Option(help="Data to test on; default the run's own test pictures.", autocompletion=data_names)
    ] = "",
    on_bad_image: OnBadImage = "",
    weights: WeightsOf = "",
    preprocessing: PreprocessingName = "",
    size: Size = "",
    set: Set = None,
    edit: Edits = None,
    executor: Executor = "auto",
    out: Out = None,
    figure: FigureNumber = None,
    as_json: Json = False,
) -> None:
    """Measure a network on test pictures, class by class.

    Accuracy; precision, recall and F1 per class; calibration. Of one that predicts numbers how much of their variance is
    explained (R2), and mean errors.

    A run's own pictures are split as they were when it learned from them. Of a folder named with --data the test part
    counts, without one its validation, else its train part, and all pictures of a folder without parts.

    With --out also the confusion matrix and the pictures that the network is most wrong about; with --figure one of these alone.

    Example: pellucid evaluate runs/digits-lenet --out evaluation.html

    Example: pellucid evaluate runs/digits-lenet --edit "conv1.weight[3]=0"
    """
    from pellucid.pictures.answer import figure_of
    from pellucid.train.report import evaluation_page

    subject = opened_as(what, weights, size, preprocessing, set, edit)
    subject = replace(subject, on_bad_image=on_bad_image)
    images = measured(subject, data, numbers=True)
    result = subject.evaluate(images.dataset, executor, part=images.part)
    source = data or images.dataset.name.partition("/")[0]
    if out is not None or figure is not None:
        page = evaluation_page(result, images.dataset, subject.net, subject.preparation)
        if figure is not None:
            show(figure_of(page, figure), as_json, out)
            return
        draw(page, out)
    if as_json:
        print_json({**result.to_dict(), **({"data": data} if data else {})})
    else:
        print(
            f"measured on {'all pictures' if images.part == 'all' else f'the {images.part} part'} of {source}\n{result}"
        )
