"""Cross-validation: a network trained anew for each fold of the data, and measured on what it has not seen."""

from __future__ import annotations

import copy
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Unpack

from pellucid.data import Parts, SplitRecord
from pellucid.data.folds import folds_of
from pellucid.files import read_limited, write_atomically
from pellucid.flags import flag
from pellucid.given import argument
from pellucid.nn import Module
from pellucid.nn.required import require_net
from pellucid.pictures import Answer, Grid, Page
from pellucid.plain import PlainError, parse_json, read, to_json
from pellucid.progress import long
from pellucid.text import amount
from pellucid.train.aim import Functions
from pellucid.train.arrays import Targets, parts_for
from pellucid.train.checks import settled
from pellucid.train.config import TrainConfig, TrainError
from pellucid.train.loop import fit_in, run_name
from pellucid.train.run_folder import CONFIG, LAST, begun
from pellucid.train.settings import Settings, shows_settings
from pellucid.train.setup import network_of

FOLDS = "folds.json"


@dataclass(frozen=True)
class Fold:
    """One fold: its run, how many examples were held out, and how the network did on them."""

    run: str
    count: int
    status: str
    measures: dict[str, float]


@dataclass(frozen=True)
class CrossValidation(Answer):
    """How a network does on data that it has not seen, fold by fold; `folds` has those that are done."""

    folder: Path
    num_folds: int
    folds: tuple[Fold, ...]

    def mean(self, measure: str = "loss") -> float:
        """The mean of a measure over the folds."""
        return statistics.fmean(fold.measures[measure] for fold in self.folds)

    def std(self, measure: str = "loss") -> float:
        """The standard deviation of a measure over the folds (of a sample: by their number less one); 0 of one fold."""
        values = [fold.measures[measure] for fold in self.folds]
        return statistics.stdev(values) if len(values) > 1 else 0.0

    @property
    def measures(self) -> tuple[str, ...]:
        """The names of what was measured."""
        return tuple(self.folds[0].measures) if self.folds else ()

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        summary = {name: {"mean": self.mean(name), "std": self.std(name)} for name in self.measures}
        return {
            "run": str(self.folder),
            "num_folds": self.num_folds,
            "folds": [asdict(fold) for fold in self.folds],
            "summary": summary,
        }

    def grid(self) -> Grid:
        """Every fold, and mean and spread over them."""
        rows = [
            [fold.run, str(fold.count), *(f"{fold.measures[name]:z.4f}" for name in self.measures)]
            for fold in self.folds
        ]
        rows.append(["mean ± std", "", *(f"{self.mean(name):z.4f} ± {self.std(name):.4f}" for name in self.measures)])
        titles = [name.replace("_", " ") for name in self.measures]
        return Grid(["fold", "held out", *titles], rows, "lr" + "r" * len(titles))

    def __str__(self) -> str:
        return str(self.grid()) if self.folds else f"{self.folder}: no fold is done"

    def picture(self) -> Page:
        """The table on a page."""
        return Page(f"Cross-validation in {self.num_folds} folds", (self.grid(),) if self.folds else (str(self),))


@shows_settings
@long
def cross_validate(
    net: Module,
    data: Parts | Targets | Sequence[Any],
    y: Targets | None = None,
    config: TrainConfig | None = None,
    *,
    folds: int = 5,
    out: Path | str | None = None,
    resume: bool = False,
    **settings: Unpack[Settings],
) -> CrossValidation:
    """Train a copy of `net` for each of `folds` folds of all of `data`, and measure each on the fold that it has not seen.

    Classes are spread evenly over the folds. Of the other folds 85 % are learned from, and 15 % choose the best epoch.
    Every fold is a run of its own in `out` (default: runs/<data>-<model>-folds), `fold-1` and so on; the results are in
    `folds.json` there. With `resume` folds that are done are kept, and the one that was cut off goes on: with the same network, data, epochs and
    other settings. `net` stays as it is.
    """
    resume = flag("cross_validate", "resume", resume, TrainError)
    require_net(net)
    folds = argument(int, folds, "folds", TrainError)
    parts = parts_for(net, data, y)
    plain, config, functions = Functions.taken_from(settings, config)
    config = settled(parts, config, plain)
    model = (net.card.config or {}).get("model", type(net).__name__.lower())
    folder = Path(out) if out else Path("runs") / f"{run_name(parts.source, model)}-folds"
    return validate_in(folder, net, parts, config, folds, resume, functions)


def validate_in(
    folder: Path,
    net: Module,
    data: Parts,
    config: TrainConfig,
    folds: int,
    resume: bool = False,
    functions: Functions | None = None,
) -> CrossValidation:
    """`cross_validate` in a folder."""
    cut = folds_of(data, folds, config.seed)
    of = {"network": network_of(net), "parameters": parameters_of(net), "data": SplitRecord.of(data).digest}
    done = _kept(folder, config, folds, of) if resume else []
    if not resume and folder.exists() and any(folder.iterdir()):
        raise TrainError(f"{folder}: exists and is not empty; resume it, or choose another folder")
    for number in range(len(done), folds):
        place = folder / f"fold-{number + 1}"
        going_on = resume and (place / LAST).exists() and (place / CONFIG).exists()
        with begun(place, "", going_on) as own:
            run = fit_in(own, copy.deepcopy(net), cut[number], config, resume=going_on, functions=functions)
        if run.status == "interrupted":
            break
        measures = {"loss": float(run.aim.loss_of(run.test)), **run.test.measures(), **run.test.added.metrics}
        done.append(Fold(place.name, len(cut[number].test), run.status, measures))
        noted = {"config": config.to_dict(), "num_folds": folds, **of, "folds": [asdict(fold) for fold in done]}
        noted["summary"] = CrossValidation(folder, folds, tuple(done)).to_dict()["summary"]
        write_atomically(folder / FOLDS, to_json(noted, 1).encode())
    return CrossValidation(folder, folds, tuple(done))


def parameters_of(net: Module) -> dict[str, list[int]]:
    """The shape of each parameter of a network."""
    return {name: list(parameter.shape) for name, parameter in net.named_parameters().items()}


def _kept(folder: Path, config: TrainConfig, folds: int, of: Mapping[str, Any]) -> list[Fold]:
    """The folds that are done; raises `TrainError` where they are of other settings, or are not `of` this network and data."""
    file = folder / FOLDS
    if not file.exists():
        return []
    try:
        noted = parse_json(read_limited(file, 2**26))
        entries: Mapping[str, Any] = read(dict[str, Any], noted)
        done = read(list[Fold], entries.get("folds"))
        stored, number = TrainConfig.from_dict(entries.get("config", {})), read(int, entries.get("num_folds"))
    except PlainError as error:
        raise TrainError(f"{file}: not what cross-validation writes ({error})") from error
    if number != folds:
        raise TrainError(f"{folder}: was begun with {number} folds, not {folds}; resume with as many")
    config = config.of_task(stored.task)
    config.require_same(stored)
    differ = [
        f"{name} was {getattr(stored, name)}, is {getattr(config, name)}"
        for name in ("epochs", "patience")
        if getattr(config, name) != getattr(stored, name)
    ]
    differ += [
        f"the {what} is another one"
        for what, names in (("network", ("network", "parameters")), ("data", ("data",)))
        if any(name in entries and entries[name] != of[name] for name in names)
    ]
    if differ and done:
        raise TrainError(
            f"{folder}: {amount(len(done), 'fold')} of {folds} are done, and not comparable to those that would come: "
            f"{'; '.join(differ)}. Resume as it was begun, or choose another folder"
        )
    return done
