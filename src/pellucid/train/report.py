"""report.html: what a run learned, in one self-contained page."""

from __future__ import annotations

import dataclasses
import html
from typing import TYPE_CHECKING

from pellucid.data import Dataset
from pellucid.executors.contract import reference_program
from pellucid.files import write_atomically
from pellucid.graph import Graph, input
from pellucid.train.charts import confusion_matrix, line_chart, map_grid, picture

if TYPE_CHECKING:
    from pellucid.train.run import Run

_STYLE = """
:root { color-scheme: light dark; --ink: #111827; --paper: #fff; --faint: #9ca3af55; }
@media (prefers-color-scheme: dark) { :root { --ink: #e5e7eb; --paper: #111827; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 1000px; margin: 2em auto; padding: 0 1em; }
h1 { font-size: 1.6em; } h2 { font-size: 1.2em; margin-top: 2em; border-bottom: 1px solid var(--faint); }
table { border-collapse: collapse; font-size: 13px; } td, th { padding: 2px 8px; text-align: right; }
th:first-child, td:first-child { text-align: left; }
.confusion td { border: 1px solid var(--faint); min-width: 2em; } .scroll { overflow-x: auto; }
.charts, .pictures { display: flex; flex-wrap: wrap; gap: 1em; } .charts svg { flex: 1 1 380px; max-width: 480px; }
svg text { font-size: 11px; fill: currentColor; } svg .title { font-size: 13px; font-weight: 600; } .grid { stroke: var(--faint); }
figure { margin: 0; font-size: 12px; } img { image-rendering: pixelated; max-width: 100%; } figure img { display: block; }
.big { font-size: 2em; font-weight: 600; }
"""


def write_report(run: Run, test: Dataset) -> None:
    """Write report.html into the run's folder."""
    write_atomically(run.folder / "report.html", page(run, test).encode())


def page(run: Run, test: Dataset) -> str:
    """The report as HTML."""
    assert run.test is not None
    title = f"{run.network['model']} on {run.config.data or 'data'}"
    sections = [
        f"<h1>{html.escape(title)}</h1>",
        f'<p><span class="big">{run.test.accuracy:.2%}</span> of {run.test.count} test pictures recognised '
        f"(mean cross-entropy {run.test.loss:.4f}); best of {len(run.metrics)} epochs by validation accuracy.</p>",
        _curves(run),
        "<h2>Which class is taken for which</h2>",
        f'<div class="scroll">{confusion_matrix(run.test.confusion, run.classes)}</div>',
        _mistakes(run, test),
        _filters(run),
        _activations(run, test),
        "<h2>The network</h2>",
        f'<div class="scroll">{run.net.summary(test.shape)._repr_html_()}</div>',  # pyright: ignore[reportPrivateUsage]
        "<h2>Settings</h2>",
        _settings(run),
    ]
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head><body>{''.join(sections)}</body></html>"
    )


def _curves(run: Run) -> str:
    def column(name: str) -> list[float]:
        return [float(row[name]) for row in run.metrics]

    loss = line_chart("Loss", "epoch", {"training": column("loss"), "validation": column("validation_loss")})
    accuracies = {"training": column("accuracy"), "validation": column("validation_accuracy")}
    accuracy = line_chart("Accuracy", "epoch", accuracies, percent=True)
    return f'<h2>Training</h2><div class="charts">{loss}{accuracy}</div>'


def _mistakes(run: Run, test: Dataset) -> str:
    assert run.test is not None
    if not run.test.most_wrong:
        return "<h2>Most wrong pictures</h2><p>None: every test picture is recognised.</p>"
    figures: list[str] = []
    for wrong in run.test.most_wrong:
        image = test.image(wrong["index"])
        words = f"{wrong['label']} taken for {wrong['prediction']} ({wrong['probability']:.0%})"
        scale = max(1, 96 // max(image.shape[1:]))
        figures.append(f"<figure>{picture(image, scale)}<figcaption>{html.escape(words)}</figcaption></figure>")
    return f'<h2>Most wrong pictures</h2><div class="pictures">{"".join(figures)}</div>'


def _filters(run: Run) -> str:
    for name, parameter in run.net.named_parameters().items():
        if parameter.ndim == 4:
            weight = parameter.value
            maps = weight.reshape(-1, *weight.shape[2:])
            words = f"{name}: {weight.shape[0]} filters of {weight.shape[1]} channels; black {maps.min():.2f}, white {maps.max():.2f}"
            columns = 8 if weight.shape[1] == 1 else weight.shape[1] * 4
            return f"<h2>First-layer filters</h2><figure>{map_grid(maps, columns, 96, 48)}<figcaption>{html.escape(words)}</figcaption></figure>"
    return ""


def _activations(run: Run, test: Dataset) -> str:
    """Every layer's output for the first test picture."""
    image = test.image(0)
    run.net.eval()
    x = input((1, *test.shape), name="picture")
    graph = Graph([run.net(x)])
    layers = {path for path, module in run.net.named_modules() if path and not list(module.children())}
    values = reference_program([graph.outputs[0]]).record({"picture": run.preprocessing.normalize(image[None])})
    caption = html.escape(f"the picture, class {run.classes[test.label(0)]}")
    scale = max(1, 96 // max(image.shape[1:]))
    figures = [f"<figure>{picture(image, scale)}<figcaption>{caption}</figcaption></figure>"]
    for node, value in values.items():
        if node.name not in layers or value.size == 0:
            continue
        maps = value[0] if value.ndim == 4 else value.reshape(1, 1, -1)
        words = f"{node.name} {'x'.join(map(str, value.shape[1:]))}; black {value.min():.2f}, white {value.max():.2f}"
        if value.ndim == 4 and len(maps) > 32:
            words += f"; 32 of {len(maps)} maps"
        figures.append(f"<figure>{map_grid(maps)}<figcaption>{html.escape(words)}</figcaption></figure>")
    return f'<h2>Every layer\'s activations for one picture</h2><div class="pictures">{"".join(figures)}</div>'


def _settings(run: Run) -> str:
    rows = "".join(
        f"<tr><td>{html.escape(name)}</td><td>{html.escape(str(value))}</td></tr>"
        for name, value in dataclasses.asdict(run.config).items()
    )
    return f"<table>{rows}</table>"
