"""The command line: parses, calls, prints. Results go to stdout, progress and errors to stderr."""
# pyright: reportUntypedFunctionDecorator=false

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import Annotated, Any

import typer

from pellucid import __version__
from pellucid.cli_options import (
    Executor,
    Json,
    Precision,
    Threads,
    data_names,
    model_names,
    optimizer_names,
    pass_names,
    schedule_names,
)
from pellucid.errors import PellucidError
from pellucid.progress import progress

app = typer.Typer(
    name="pellucid",
    help="Build, train and run convolutional networks, and ask any number where it came from.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=2))


def _version(wanted: bool) -> None:
    if wanted:
        print(f"pellucid {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Build, train and run convolutional networks, and ask any number where it came from."""


@app.command()
def train(
    data: Annotated[
        str,
        typer.Option(help="digits, fashion-mnist, or a folder (or .zip) of class folders.", autocompletion=data_names),
    ] = "digits",
    model: Annotated[
        str, typer.Option(help="Which network; see `pellucid models`.", autocompletion=model_names)
    ] = "lenet",
    epochs: Annotated[int, typer.Option(help="Times to go through the training pictures.")] = 25,
    batch: Annotated[int, typer.Option(help="Pictures per step.")] = 32,
    lr: Annotated[float, typer.Option(help="Learning rate; 0 takes the optimizer's default.")] = 0.0,
    optimizer: Annotated[
        str,
        typer.Option(help="sgd, momentum, nesterov, rmsprop, adam or adamw.", autocompletion=optimizer_names),
    ] = "adam",
    schedule: Annotated[
        str,
        typer.Option(help="constant, cosine, exponential, linear, one-cycle or step.", autocompletion=schedule_names),
    ] = "cosine",
    weight_decay: Annotated[float, typer.Option(help="Pull of every weight towards 0.")] = 0.0,
    label_smoothing: Annotated[float, typer.Option(help="Share of the target spread over all classes.")] = 0.05,
    flip: Annotated[bool, typer.Option("--flip", help="Mirror pictures at random.")] = False,
    shift: Annotated[int, typer.Option(help="Move pictures at random by up to this many pixels.")] = 0,
    rotation: Annotated[float, typer.Option(help="Turn pictures at random by up to this many degrees.")] = 5.0,
    seed: Annotated[int, typer.Option(help="Same seed, same run.")] = 0,
    executor: Executor = "auto",
    precision: Precision = "float32",
    threads: Threads = 0,
    image_size: Annotated[
        int, typer.Option(help="Scale and crop a folder's pictures to this size; 0 keeps theirs.")
    ] = 0,
    channels: Annotated[int, typer.Option(help="Read a folder's pictures in colour (3) or grey (1).")] = 3,
    on_bad_image: Annotated[str, typer.Option(help="Unreadable pictures: error or skip.")] = "error",
    download: Annotated[bool, typer.Option("--download", help="Allow fetching fashion-mnist (30 MB).")] = False,
    patience: Annotated[int, typer.Option(help="Stop after this many epochs without a better one; 0 never stops.")] = 0,
    checkpoint_every: Annotated[int, typer.Option(help="Also save every so many steps; 0 saves at epochs only.")] = 0,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Write events for TensorBoard too.")] = False,
    out: Annotated[Path | None, typer.Option(help="The run's folder; default runs/<data>-<model>.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in --out, with its own settings.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Train a network on pictures and show what it learned.

    Example: pellucid train --data photos/ --image-size 64 --model resnet18 --flip
    """
    from pellucid.data import load
    from pellucid.nn import models
    from pellucid.train import TrainConfig, TrainError, fit
    from pellucid.train.checkpoint import load as load_checkpoint

    if resume:
        if out is None:
            raise TrainError("--resume needs --out with the folder of the run to go on with")
        config = TrainConfig.from_dict(load_checkpoint(out / "last.safetensors").config)
    else:
        config = TrainConfig(
            epochs=epochs,
            batch_size=batch,
            learning_rate=lr,
            optimizer=optimizer,
            weight_decay=weight_decay,
            schedule=schedule,
            label_smoothing=label_smoothing,
            seed=seed,
            executor=executor,
            precision=precision,
            threads=threads,
            flip=flip,
            shift=shift,
            rotation=rotation,
            patience=patience,
            checkpoint_every=checkpoint_every,
            data=data,
            image_size=image_size,
            channels=channels,
            on_bad_image=on_bad_image,
            model=model,
        )
    with progress("reading pictures") as tell:
        splits = load(
            config.data,
            image_size=config.image_size or None,
            channels=config.channels,
            on_bad_image=config.on_bad_image,
            download=download,
            tell=tell,
        )
    for skipped in splits.train.skipped:
        print(f"pellucid: skipped {skipped}", file=sys.stderr)
    net = models.build(
        config.model, num_classes=len(splits.classes), in_channels=splits.shape[0], image_size=max(splits.shape[1:])
    )
    run = fit(net, splits, config, out=out, resume=resume, tensorboard=tensorboard, progress=True)
    if run.status == "interrupted":
        print(f"pellucid: interrupted; go on with: pellucid train --out {run.folder} --resume", file=sys.stderr)
        raise typer.Exit(130)
    assert run.test is not None
    if as_json:
        _print_json(
            {"run": str(run.folder), "status": run.status, "test": run.test.to_dict(), "epochs": list(run.metrics)}
        )
        return
    print(f"test accuracy {run.test.accuracy:.2%} on {run.test.count} pictures ({run.status})")
    print(f"report        {run.folder / 'report.html'}")
    print("try next")
    print(f"  pellucid predict {run.folder} PICTURE.png")
    print(f"  pellucid evaluate {run.folder}")
    print(f"  pellucid inspect {run.folder}")


@app.command()
def predict(
    run: Annotated[Path, typer.Argument(help="A run's folder or a checkpoint.")],
    images: Annotated[list[Path], typer.Argument(help="Picture files.")],
    top: Annotated[int, typer.Option(help="How many classes to show.")] = 5,
    executor: Executor = "auto",
    as_json: Json = False,
) -> None:
    """Say what is on pictures.

    Example: pellucid predict runs/digits-lenet three.png --top 3
    """
    from pellucid.train import load_run

    if top < 1:
        raise typer.BadParameter(f"--top must be at least 1, got {top}")
    answers = load_run(run).predict(images, top, executor)
    if as_json:
        _print_json(answers)
        return
    for answer in answers:
        guesses = ", ".join(f"{p['class']} {p['probability']:.1%}" for p in answer["predictions"])
        print(f"{answer['image']}: {guesses}")


@app.command()
def evaluate(
    run: Annotated[Path, typer.Argument(help="A run's folder or a checkpoint.")],
    data: Annotated[
        str, typer.Option(help="Data to test on; default the run's own test pictures.", autocompletion=data_names)
    ] = "",
    executor: Executor = "auto",
    as_json: Json = False,
) -> None:
    """Measure a run on test pictures: accuracy, and precision and recall per class.

    Example: pellucid evaluate runs/digits-lenet --json
    """
    from pellucid.data import load
    from pellucid.train import load_run

    loaded = load_run(run)
    config = loaded.config
    size = loaded.preprocessing.image_size
    fits = size[0] if size[0] == size[1] else config.image_size or None
    with progress("reading pictures") as tell:
        splits = load(data or config.data, image_size=fits, channels=loaded.preprocessing.channels, tell=tell)
    result = loaded.evaluate(splits.test, executor, progress=True)
    if as_json:
        _print_json(result.to_dict())
        return
    print(f"accuracy {result.accuracy:.2%} on {result.count} pictures, mean cross-entropy {result.loss:.4f}")
    for row in result.per_class():
        shown = ["   —  " if row[k] is None else f"{row[k]:6.1%}" for k in ("precision", "recall")]
        print(f"  {row['class']:<16} precision {shown[0]}  recall {shown[1]}  of {row['count']}")


@app.command()
def inspect(
    what: Annotated[
        str, typer.Argument(help="A run's folder, a checkpoint, or a model's name.", autocompletion=model_names)
    ],
    image_size: Annotated[int, typer.Option(help="For a model: pixels of the picture's side.")] = 0,
    channels: Annotated[int, typer.Option(help="For a model: channels of the picture.")] = 0,
    classes: Annotated[int, typer.Option(help="For a model: number of classes.")] = 0,
    batch: Annotated[int, typer.Option(min=1, help="Pictures at once.")] = 1,
    plan: Annotated[bool, typer.Option("--plan", help="Show what the native executor's passes and plan are.")] = False,
    profile: Annotated[bool, typer.Option("--profile", help="The plan, with the time that each step takes.")] = False,
    training: Annotated[bool, typer.Option("--train", help="The plan of a training step, not of inference.")] = False,
    after: Annotated[
        list[str] | None,
        typer.Option(help="The whole graph after this pass; may be repeated.", autocompletion=pass_names),
    ] = None,
    without: Annotated[
        list[str] | None,
        typer.Option(help="The plan without this pass; may be repeated.", autocompletion=pass_names),
    ] = None,
    executor: Executor = "auto",
    precision: Precision = "float32",
    threads: Threads = 0,
    as_json: Json = False,
) -> None:
    """Show a network layer by layer: shapes, parameters, FLOPs, memory, receptive field. Or the plan that computes it.

    Example: pellucid inspect resnet18 --image-size 224

    Example: pellucid inspect lenet --train --batch 64 --profile
    """
    from pellucid.executors import compile
    from pellucid.inspection import find

    subject = find(what, num_classes=classes, in_channels=channels, image_size=image_size)
    if plan or profile or training or after or without:
        if executor not in ("auto", "native"):
            raise typer.BadParameter(f"only the native executor makes plans, not {executor!r}", param_hint="--executor")
        report = subject.plan(batch, training, profile, precision, threads, without or ())
        if as_json:
            _print_json({"batch": batch, "training": training, "precision": precision, **report.to_dict(after or ())})
        else:
            size = "x".join(map(str, (batch, *subject.shape)))
            print(f"{what}: {'a training step' if training else 'inference'} on {size}, {precision}\n")
            print(*((report.after(name) for name in after) if after else [report]), sep="\n\n")
        return
    summary = subject.net.summary(subject.shape, batch)
    graph = subject.net.eval().graph((batch, *subject.shape))
    fallbacks = compile(graph.outputs, executor=executor, precision=precision, threads=threads).fallbacks
    if as_json:
        _print_json({**summary.to_dict(), "executor": executor, "reference_kernels": list(fallbacks)})
        return
    print(summary)
    if executor != "reference":
        print(f"on {executor}, through the reference kernel: {', '.join(fallbacks) or 'nothing'}")


@app.command(context_settings={"ignore_unknown_options": True})
def trace(
    expression: Annotated[str, typer.Argument(help="A formula, for example 'w*x + b'.")],
    values: Annotated[list[str] | None, typer.Argument(help="A value for each name: w=2 x=-1.")] = None,
    svg: Annotated[Path | None, typer.Option(help="Also draw the graph into this file.")] = None,
    as_json: Json = False,
) -> None:
    """Compute a formula forward and backward, gate by gate, and show every number.

    Example: pellucid trace "1/(1+exp(-(w0*x0+w1*x1+w2)))" w0=2 x0=-1 w1=-3 x1=-2 w2=-3
    """
    from pellucid.explain import trace_expression
    from pellucid.formula import ExpressionError
    from pellucid.formula import expression as parse

    numbers: dict[str, float] = {}
    for assignment in values or []:
        name, equals, text = assignment.partition("=")
        try:
            numbers[name.strip()] = float(text)
        except ValueError:
            equals = ""
        if not equals or not name.strip().isidentifier():
            raise ExpressionError(f"expected name=number, got {assignment!r}")
    traced = trace_expression(parse(expression, **numbers))
    if svg is not None:
        svg.write_text(traced.svg(), encoding="utf-8")
    if as_json:
        _print_json(traced.to_dict())
    else:
        print(traced)


@app.command("models")
def list_models(as_json: Json = False) -> None:
    """List the networks that can be built by name.

    Example: pellucid models
    """
    from pellucid.nn import models

    described = {name: models.describe(name) for name in models.names()}
    if as_json:
        _print_json(described)
        return
    for name, text in described.items():
        print(f"{name:<12} {text}")


@app.command()
def doctor(as_json: Json = False) -> None:
    """Say what this machine offers: versions, executors, CPU features.

    Example: pellucid doctor --json
    """
    from pellucid.doctor import examine

    found = examine()
    if as_json:
        _print_json(found)
        return
    for part, facts in found.items():
        print(part)
        for name, value in facts.items():
            print(f"  {name:<14} {value}")


def _show_warning(message: Warning | str, *details: object) -> None:
    print(f"pellucid: warning: {message}", file=sys.stderr)


def main() -> None:
    """Entry point: expected errors become one line and exit code 2."""
    from pellucid.data.errors import DataError

    warnings.showwarning = _show_warning
    try:
        app()
    except (PellucidError, DataError, OSError) as error:
        print(f"pellucid: error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
