"""Any folder of model files: which are opened, run right, explained and given back, as a table, and why the others are not.

    make zoo-check models
    python benchmarks/zoo_check.py models --json found.json

Sizes that files leave open are those of `open_model`, and LENGTH for axes of other things than pictures. A file zoo.toml in
the folder says others, and values of inputs, by names of files or patterns of them:

    ["reading/*.onnx"]
    size = "48x320"
    ["speech/vad.onnx"]
    axes = {samples = 576}
    set = {rate = 16000}
    whole = 256

`whole` is where the whole numbers that inputs are fed with end, 2 unless given.

Each file is looked at in a process of its own with a limit on its time, so that none can stop the others. `run`: the largest
difference between the native and the reference executor; `right`: that between ours and ONNX Runtime; `explain`: the layers
of which an element was compared with the sum of its terms; `attribute`: the map that was made of the largest output;
`export`: the file given back has the same names and gives ONNX Runtime the same numbers; `speed`: ONNX Runtime's time for
one run divided by ours; `back`: its time for the file given back divided by that for the file itself.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np

import pellucid as pl
from common import interleaved
from pellucid.errors import PellucidError
from pellucid.op import Array
from pellucid.text import text_table

ENDINGS = (".onnx", ".safetensors")
STAGES = ("open", "run", "right", "explain", "attribute", "export", "speed", "back")
TIMED = ("speed", "back")
CLOSE = 1e-4
"""How far an output may be from another's, relative to its largest value."""
ROUNDED = 1e-2
"""The same for files that compute with float16 or integers, which every program rounds in its own order."""
SMALL = 0.01
"""The largest value of an output counts as this at least: what is all but zero everywhere is rounding."""
TURNS = 7
LENGTH = 64
"""The size of an open axis that is neither of pictures nor the first, where zoo.toml says no other."""


class Different(Exception):
    """Two that should be equal are not."""


def main() -> None:
    """Look at every file, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="a folder of model files, searched with its folders, or one file")
    parser.add_argument("--seconds", type=float, default=300, help="the most that one file may take")
    parser.add_argument("--json", type=Path, help="write what was found there too")
    parser.add_argument(
        "--markdown", type=Path, help="write what does not depend on the machine's speed as a page's tables"
    )
    parser.add_argument("--no-times", action="store_true", help="leave out what is measured beside ONNX Runtime")
    parser.add_argument("--one", default="", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        for stage, told in look_at(asked.folder, json.loads(asked.one), not asked.no_times):
            print(json.dumps([stage, told]), flush=True)
        return
    files = (
        [asked.folder] if asked.folder.is_file() else sorted(f for e in ENDINGS for f in asked.folder.rglob(f"*{e}"))
    )
    if not files:
        parser.error(f"{asked.folder}: no file here ends in {', '.join(ENDINGS)}")
    settings = read_settings(asked.folder / "zoo.toml")
    found: list[dict[str, Any]] = []
    for number, file in enumerate(files, 1):
        print(f"{number}/{len(files)} {file}", file=sys.stderr)
        name = str(file.relative_to(asked.folder))
        own = [of for pattern, of in settings.items() if fnmatch(name, pattern)]
        found.append({"file": str(file), **watched(file, own[-1] if own else {}, asked.seconds, not asked.no_times)})
    print(table(found))
    if asked.markdown is not None:
        asked.markdown.write_text(markdown(found))
    if asked.json is not None:
        asked.json.write_text(json.dumps(found, indent=1))


def read_settings(file: Path) -> dict[str, Any]:
    """What a folder's zoo.toml says of its files."""
    return tomllib.loads(file.read_text()) if file.is_file() else {}


def watched(file: Path, settings: Mapping[str, Any], seconds: float, times: bool) -> dict[str, Any]:
    """What a process of its own finds out about a file, as far as it comes."""
    command = [
        sys.executable,
        __file__,
        str(file),
        "--one",
        json.dumps(settings or {"size": ""}),
        *([] if times else ["--no-times"]),
    ]
    stages: dict[str, Any] = {}
    ending = ""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
        lines = done.stdout
        if done.returncode:
            ending = (done.stderr.strip().splitlines() or [f"ended by signal {-done.returncode}"])[-1]
    except subprocess.TimeoutExpired as late:
        lines, ending = late.stdout.decode() if late.stdout else "", f"took longer than {seconds:.0f} s"
    for line in lines.splitlines():
        stage, told = json.loads(line)
        stages[stage] = told
    if ending:
        first = next(s for s in STAGES if s not in stages)
        stages[first] = {"ok": False, "says": ending}
    return {"megabytes": file.stat().st_size / 1e6, "stages": stages}


def look_at(file: Path, settings: Mapping[str, Any], times: bool) -> Iterator[tuple[str, dict[str, Any]]]:
    """The stages one after another, each with whether it went well and what it says; what needs a failed one is left out."""
    checked = Checked(file, settings)
    for stage, check in checked.stages.items():
        if stage in TIMED and not times:
            continue
        try:
            told = {"ok": True, "says": check()}
        except (PellucidError, Different) as error:
            told = {"ok": False, "says": f"{type(error).__name__}: {error}"}
        if told["says"] is not None:
            yield stage, told
        if not told["ok"] and stage in ("open", "run"):
            return


class Checked:
    """One file, what is opened of it, and the numbers that it was fed and gave."""

    def __init__(self, file: Path, settings: Mapping[str, Any]) -> None:
        self.file, self.settings = file, settings
        self.net: Any = None
        self.program: Any = None
        self.feeds: dict[str, Array] = {}
        self.all: dict[str, Array] = {}
        self.outputs: list[Array] = []
        self.folder = tempfile.TemporaryDirectory()
        self.back: Path | None = None
        self.close = CLOSE
        self.stages: dict[str, Callable[[], str | None]] = {
            "open": self.opened,
            "run": self.runs,
            "right": self.is_right,
            "explain": self.is_explained,
            "attribute": self.is_attributed,
            "export": self.is_given_back,
            "speed": self.timed,
            "back": self.timed_back,
        }

    def opened(self) -> str:
        """Open it as a command does, and choose numbers to feed: the same in every run."""
        self.net = opened(self.file, **self.settings)
        inputs = self.net.example_inputs()
        random = np.random.default_rng(0)
        self.feeds = {x.name: numbers(random, x.shape, x.dtype, self.settings.get("whole", 2)) for x in inputs}
        self.all = self.feeds | {name: np.asarray(value) for name, value in self.settings.get("set", {}).items()}
        outputs = self.net(*inputs)
        self.program = pl.compile([outputs] if isinstance(outputs, pl.Tensor) else list(outputs))
        return f"{shapes_of(inputs)} -> {shapes_of(self.program.graph.outputs)}"

    def runs(self) -> str:
        """Run it on both executors."""
        self.outputs = self._run(self.program)
        if is_rounded(self.file):
            self.close = ROUNDED
        reference = self._run(pl.compile(self.program.graph.outputs, executor="reference"))
        return difference(self.net.output_names, self.outputs, reference, self.close)

    def _run(self, program: Any) -> list[Array]:
        return list(program({i: self.feeds[i.name] for i in program.graph.inputs}))

    def is_right(self) -> str | None:
        """Compare with ONNX Runtime, where it is installed."""
        if (session := session_of(self.file)) is None:
            return None
        return difference(self.net.output_names, self.outputs, answers(session, self.all), self.close)

    def _asked(self) -> Array | Mapping[str, Array]:
        return next(iter(self.feeds.values())) if len(self.feeds) == 1 else self.feeds

    def is_explained(self) -> str:
        """Trace it, and ask the largest element of some layers for its terms."""
        trace = pl.trace(self.net, self._asked())
        names = [name for name in trace if trace[name].value.dtype.kind == "f" and trace[name].value.size]
        some = names[:: max(1, len(names) // 6)]
        for name in some:
            layer = trace[name]
            place = np.unravel_index(int(np.argmax(np.abs(layer.value))), layer.shape)
            neuron = layer[tuple(map(int, place))]
            scale = max(neuron.magnitude, abs(neuron.preactivation), 1e-6)
            if abs(neuron.total - neuron.preactivation) > self.close * scale:
                raise Different(f"{name}{list(map(int, place))}: terms give {neuron.total}, not {neuron.preactivation}")
        return f"{len(some)} of {len(names)} layers"

    def is_attributed(self) -> str:
        """Make a map of what the input did for the largest output."""
        if not any(array.dtype.kind == "f" for array in self.feeds.values()):
            return "whole numbers"  # with respect to which there is no gradient
        found = pl.attribute(self.net, self._asked(), method="gradient-x-input")
        if not np.isfinite(found.map).all():
            raise Different("the map has values that are not numbers")
        return f"{'x'.join(map(str, found.map.shape))}"

    def is_given_back(self) -> str:
        """Export it, and compare names and, in ONNX Runtime, numbers."""
        path = Path(self.folder.name) / "back.onnx"
        written = pl.save_onnx(self.net, path)
        self.back = path
        session, original = session_of(path), session_of(self.file)
        if session is not None and original is not None:
            for side in ("get_inputs", "get_outputs"):
                have, had = ([v.name for v in getattr(s, side)()] for s in (session, original))
                had = [name for name in had if name not in self.settings.get("set", {})]
                if have != had:
                    raise Different(f"{side[4:]} are called {', '.join(have)}, not {', '.join(had)}")
            difference(self.net.output_names, answers(session, self.feeds), answers(original, self.all), self.close)
        before, after = operators(self.file), Counter(written.operators)
        return f"{before.total()} -> {after.total()} operators"

    def timed(self) -> str | None:
        """ONNX Runtime's time for one run through ours, in turns."""
        if (session := session_of(self.file)) is None:
            return None
        inputs = {i: self.feeds[i.name] for i in self.program.graph.inputs}
        fed = accepted(session, self.all)
        seconds = interleaved(
            {"ours": lambda: self.program(inputs), "theirs": lambda: session.run(None, fed)}, TURNS, 3
        )
        return f"{seconds['theirs'] / seconds['ours']:.2f}"

    def timed_back(self) -> str | None:
        """ONNX Runtime's time for the file given back through that for the file itself, in turns."""
        if self.back is None or (session := session_of(self.file)) is None or (other := session_of(self.back)) is None:
            return None
        fed, given = accepted(session, self.all), accepted(other, self.feeds)
        seconds = interleaved(
            {"file": lambda: session.run(None, fed), "back": lambda: other.run(None, given)}, TURNS, 3
        )
        return f"{seconds['back'] / seconds['file']:.2f}"


def shapes_of(tensors: Sequence[Any]) -> str:
    """Shapes in a few characters: those of the first two, and how many more there are."""
    more = f" and {len(tensors) - 2} more" if len(tensors) > 2 else ""
    return ", ".join("x".join(map(str, t.shape)) or "a number" for t in tensors[:2]) + more


def opened(
    file: Path,
    size: str = "",
    axes: Mapping[str, int] | None = None,
    set: Mapping[str, Any] | None = None,
    whole: int = 2,
) -> Any:
    """The network in a file, with sizes for what it leaves open and values for inputs named in `set`."""
    if axes is None and set is None and (file.suffix != ".onnx" or takes_a_picture(file)):
        return pl.open_model(file, image_size=size or 0).net
    sizes = dict.fromkeys(open_axes(file), LENGTH) | dict(axes or {})
    return pl.load_onnx(file, set=set, **sizes)


def takes_a_picture(file: Path) -> bool:
    """Whether a file has one input of four axes."""
    return [len(shape) for shape in declared(file).values()] == [4]


def open_axes(file: Path) -> list[str]:
    """The names of the axes that a file leaves open, its own or by place, but those that count examples."""
    batches = {shape[0] for shape in declared(file).values() if shape} - {"", "?"}
    return [
        size if isinstance(size, str) and size not in ("", "?") else f"{name}_{axis}"
        for name, shape in declared(file).items()
        for axis, size in enumerate(shape)
        if axis and (not isinstance(size, int) or size < 1) and size not in batches
    ]


def declared(file: Path) -> dict[str, list[int | str]]:
    """The shapes of a file's inputs as it states them; none of one that cannot be read, which opening it then says."""
    import onnx
    from google.protobuf.message import DecodeError

    try:
        graph = onnx.load(file, load_external_data=False).graph
    except DecodeError:
        return {}
    weights = {weight.name for weight in graph.initializer}
    return {
        value.name: [d.dim_value or d.dim_param for d in value.type.tensor_type.shape.dim]
        for value in graph.input
        if value.name not in weights
    }


def numbers(random: np.random.Generator, shape: tuple[int, ...], dtype: str, whole: int) -> Array:
    """Numbers to feed an input: evenly between 0 and 1, and whole ones below `whole`."""
    if dtype.startswith("float"):
        return random.random(shape).astype(dtype)
    return random.integers(0, 2 if dtype == "bool" else whole, shape).astype(dtype)


def session_of(file: Path) -> Any:
    """ONNX Runtime's session for a file; None where it is not installed, or the file is not its own."""
    if file.suffix != ".onnx":
        return None
    try:
        import onnxruntime
    except ImportError:
        return None
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])


ELEMENTS = {
    "tensor(float16)": "float16", "tensor(float)": "float32", "tensor(double)": "float64", "tensor(bool)": "bool",
    "tensor(uint8)": "uint8", "tensor(int8)": "int8", "tensor(int32)": "int32", "tensor(int64)": "int64",
}  # fmt: skip


def accepted(session: Any, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """The numbers in the types that a session takes."""
    return {i.name: feeds[i.name].astype(ELEMENTS[i.type]) for i in session.get_inputs() if i.name in feeds}


def answers(session: Any, feeds: Mapping[str, Array]) -> list[Array]:
    """What ONNX Runtime gives."""
    return session.run(None, accepted(session, feeds))


def difference(names: Sequence[str], ours: Sequence[Array], theirs: Sequence[Array], close: float) -> str:
    """The largest difference, relative to an output's largest value, at least `SMALL`; raises `Different` beyond `close`."""
    worst = 0.0
    for name, a, b in zip(names, ours, theirs, strict=True):
        if a.shape != b.shape:
            raise Different(f"{name}: has shape {a.shape}, not {b.shape}")
        a, b = a.astype(np.float64), b.astype(np.float64)
        if not a.size or np.array_equal(a, b, equal_nan=True):
            continue
        off = float(np.max(np.abs(a - b)) / max(np.max(np.abs(b)), SMALL))
        if not off <= close:
            raise Different(f"{name}: is off by {off:.1e} of its largest value")
        worst = max(worst, off)
    return f"{worst:.0e}"


def operators(file: Path) -> Counter[str]:
    """How often a file has each operator, those that only hold a value left out."""
    import onnx

    nodes = onnx.load(file, load_external_data=False).graph.node
    return Counter(node.op_type for node in nodes if node.op_type != "Constant")


def is_rounded(file: Path) -> bool:
    """Whether a file computes with float16 or integers."""
    if file.suffix != ".onnx":
        return False
    import onnx

    model = onnx.load(file, load_external_data=False)
    halves = (onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16)
    held = any(weight.data_type in halves for weight in model.graph.initializer)
    return held or any("Quantize" in kind or "QLinear" in kind or "Integer" in kind for kind in operators(file))


def table(found: Sequence[Mapping[str, Any]]) -> str:
    """A row for each file, then why each that failed did."""
    names = names_of([row["file"] for row in found])
    rows: list[list[str]] = []
    reasons: list[str] = []
    for name, row in zip(names, found, strict=True):
        stages = row["stages"]
        cells = [cell(stages.get(stage)) for stage in STAGES[1:]]
        rows.append([name, f"{row['megabytes']:.1f}", cell(stages["open"]), *cells])
        reasons += [f"{name}: {stage}: {told['says']}" for stage, told in stages.items() if not told["ok"]]
    fine = sum(all(stage["ok"] for stage in row["stages"].values()) for row in found)
    titles = ["file", "MB", "inputs -> outputs", *STAGES[1:]]
    return "\n".join(
        [text_table(titles, rows, "lrlrrrrrrr"), "", f"{fine} of {len(found)} files pass everything", *reasons]
    )


def markdown(found: Sequence[Mapping[str, Any]]) -> str:
    """A table for each folder of files, without times."""
    stages = [stage for stage in STAGES[1:] if stage not in TIMED]
    lines: list[str] = []
    before = None
    for name, row in zip(names_of([row["file"] for row in found]), found, strict=True):
        kind, _, rest = name.partition("/") if "/" in name else ("", "", name)
        if kind != before:
            lines += ["", *([f"### {kind}", ""] if kind else [])]
            lines += [f"| file | MB | inputs -> outputs | {' | '.join(stages)} |", f"|{'---|' * (3 + len(stages))}"]
            before = kind
        cells = [cell(row["stages"].get(stage)) for stage in ("open", *stages)]
        lines.append(f"| `{rest}` | {row['megabytes']:.1f} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def cell(told: Mapping[str, Any] | None) -> str:
    """A stage in a table."""
    return "" if told is None else told["says"] if told["ok"] else "FAILS"


def names_of(files: Sequence[str]) -> list[str]:
    """The files below the folder that all are in."""
    common = Path(files[0]).parent
    while not all(Path(file).is_relative_to(common) for file in files):
        common = common.parent
    return [str(Path(file).relative_to(common)) for file in files]


if __name__ == "__main__":
    main()
