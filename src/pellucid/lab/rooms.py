"""The rooms, in the order of the lecture: each with what it asks first, so that its page is full before any request."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from pellucid.lab import kept
from pellucid.lab.answers import Query, addresses
from pellucid.lab.toy import OF_PICTURES, TOY, whole

OF_THE_PAGE = ("hide", "lock", "present")
"""What a link says of the page itself, in every room: parts that are hidden or locked, and large letters."""


@dataclass(frozen=True)
class Room:
    """A room: its address is its `name`; the `question` that its page begins with, asked by `first` unless a link says otherwise.

    Without a `question` the address says which one is asked, and the page asks it by itself: it may take long. `facts`
    gives what the page has to know besides: names to choose from, examples.
    """

    name: str
    title: str
    says: str
    question: str
    first: tuple[tuple[str, str], ...]
    facts: Callable[[], dict[str, Any]] = dict
    page: str = ""
    """The script that makes it, called like the room unless said."""
    short: str = ""
    """What the rail calls it, its title unless said."""
    takes: tuple[str, ...] = ()
    """What goes along from another room: the network ("model"), the run ("run_") and the picture in use."""
    keeps: kept.Keeps | None = None
    """What a copy holds of it; unless said, the answers that its page and its presets begin with."""
    scales: tuple[str, ...] = ()
    """Parameters along which a copy shows the nearest answer that it holds."""
    more: tuple[tuple[str, Callable[[Query], Query]], ...] = ()
    """Other questions that the page begins with, and what each asks, given what the first does, unless a link says otherwise."""
    follows: tuple[str, ...] = ()
    """Of these the ones that ask about what the first does, whatever a link says."""
    names: tuple[str, ...] = ()
    """What its page reads in a link by itself, each once and the `several` as often as one likes; unless said, all is its question's."""
    several: tuple[str, ...] = ()
    fill: Callable[[Query], Query] = lambda own: own
    """What is asked where a link says a part of it, given that."""

    def query(self, given: Query) -> Query:
        """What the page asks first: the link's own, where it has any, without what only the page looks at (ends in _)."""
        own = [(key, value) for key, value in given if not (key.endswith("_") or key in OF_THE_PAGE or "." in key)]
        return self.fill(own) if own else self.first

    def queries(self, given: Query) -> dict[str, Query]:
        """What its other questions are asked: what a link says after their names, as in `loss.names=hinge`."""
        first, found = self.query(given), dict[str, Query]()
        for question, usual in self.more:
            own = [(key.removeprefix(f"{question}."), value) for key, value in given if key.startswith(f"{question}.")]
            own = [] if question in self.follows else own
            found[question] = own or usual(first)
        return found


def formula_query(expression: str, **values: float) -> str:
    """A formula with its values as a link has them."""
    return urlencode([("expression", expression), *(("values", f"{name}={value:g}") for name, value in values.items())])


def _graph_facts() -> dict[str, Any]:
    from pellucid.formulas.expression import FUNCTIONS

    examples = (
        ("The sigmoid neuron", formula_query(NEURON, w0=2, x0=-1, w1=-3, x1=-2, w2=-3)),
        ("A sum times a number", formula_query("(x + y) * z", x=-2, y=5, z=-4)),
        ("One input, two ways", formula_query("x * y + max(z, 0) * x", x=3, y=-4, z=2)),
        ("A neuron with ReLU", formula_query("max(w0*x0 + w1*x1 + b, 0)", w0=0.5, x0=2, w1=-1, x1=0.5, b=0.25)),
        ("The loss of a prediction", formula_query("-log(1/(1+exp(-z)))", z=0.5)),
        ("A division that can go wrong", formula_query("1/x", x=0.5)),
    )
    return {"functions": list(FUNCTIONS), "examples": [{"title": title, "query": query} for title, query in examples]}


def _activation_facts() -> dict[str, Any]:
    from pellucid.explain import activation_names

    return {"names": activation_names(), "colors": _colors()}


def _descent_facts() -> dict[str, Any]:
    from pellucid.explain import loss_names
    from pellucid.studies import PRESETS
    from pellucid.train.optimizers import Optimizer, names

    usual = [(name, Optimizer(name)) for name in names()]
    return {
        "losses": loss_names(),
        "presets": [{"name": name, "formula": one.formula, "says": one.says} for name, one in PRESETS.items()],
        "optimizers": [
            {"name": name, "settings": {setting: getattr(one, setting) for setting in one.own_settings}}
            for name, one in usual
        ],
        "colors": _colors(),
    }


def _always(*pairs: tuple[str, str]) -> Callable[[Query], Query]:
    return lambda first: pairs


def _map_of_race(first: Query) -> Query:
    """The map that a race is on."""
    return [(key, value) for key, value in first if key in ("formula", "box")]


def _colors() -> dict[str, list[str]]:
    """The colors of numbers from low to high, as the page fills squares with them."""
    import numpy as np

    from pellucid.pictures.colors import STEPS, color

    def table(signed: bool) -> list[str]:
        shades = color(np.linspace(0.0, 1.0, STEPS + 1), 0.0, 1.0, signed)
        return ["#" + bytes(shade).hex() for shade in shades]

    grays = [f"#{k:02x}{k:02x}{k:02x}" for k in range(256)]
    return {"rising": table(False), "signed": table(True), "gray": grays}


def _network_facts() -> dict[str, Any]:
    from pellucid.explain import METHODS

    return {"colors": _colors(), "methods": list(METHODS)}


def _approximation_facts() -> dict[str, Any]:
    from pellucid.studies import METHODS

    examples = (
        ("A wave on a parabola", "sin(3*x)+x^2", "-2,2"),
        ("A corner", "abs(x)", "-1,1"),
        ("A bump", "exp(-8*x^2)", "-1,1"),
        ("A steep step", "tanh(12*x)", "-1,1"),
        ("A tone that rises", "sin(2+5*x*x*x)", "-1.5,1.5"),
        ("Drawn by hand", "0,0.1,0.4,0.9,1,0.7,0.2,-0.1,-0.2,0.1,0.5,0.6,0.3,0,0.1,0.3,0.2", "-1,1"),
    )
    told = [{"title": title, "query": urlencode({"formula": f, "domain": domain})} for title, f, domain in examples]
    return {"methods": [name for name in ("relu", "sigmoid", "lattice", "train") if name in METHODS], "examples": told}


def _pictures_at_hand() -> list[str]:
    from pellucid.data.samples import DATA, PHOTOS

    return [*PHOTOS, *(f"{name}[{k}]" for name in DATA if "/" not in name for k in (0, 7, 143))]


def _why_facts() -> dict[str, Any]:
    presets = (
        ("The lecture's 10 x 10: three layers of 200 units", {"size": 10, "maps": 2, "kernel": 3, "layers": 3}),
        ("The lecture's 100 x 100: one layer of 20,000 units", {"size": 100, "maps": 2, "kernel": 3, "layers": 1}),
    )
    told = [{"title": title, "query": urlencode(pairs)} for title, pairs in presets]
    return {"presets": told, "colors": _colors(), "pictures": _pictures_at_hand()}


def _detection_facts() -> dict[str, Any]:
    from pellucid.data.samples import PHOTOS

    return {"pictures": list(PHOTOS)}


def _convolution_facts() -> dict[str, Any]:
    from pellucid.studies.convolving import KERNELS, POOLINGS

    return {
        "kernels": list(KERNELS),
        "poolings": list(POOLINGS),
        "colors": _colors(),
        "pictures": _pictures_at_hand(),
    }


def _ask_facts() -> dict[str, Any]:
    return {"questions": addresses()}


def _training_facts() -> dict[str, Any]:
    from pellucid.data import NAMES
    from pellucid.data.points import COUNT, NOISE, PAINTED, PAINTS, SETS
    from pellucid.lab.uploads import SHORT
    from pellucid.nn import models
    from pellucid.nn.described import layer_kinds
    from pellucid.train.optimizers import names as optimizers

    def setting(name: str, title: str, says: str, low: float, step: Any, choices: Sequence[str] = ()) -> dict[str, Any]:
        own, kind = name.rstrip("_"), "text" if choices else "number"
        return {
            "name": name,
            "setting": own,
            "title": title,
            "says": says,
            "low": low,
            "step": step,
            "choices": [*choices],
            "type": kind,
        }

    return {
        "colors": _colors(),
        "kinds": layer_kinds(),
        "models": models.names(),
        "starts": {
            "points": {"network": dict(TOY)["network"], "learning_rate": "0.03", "batch_size": "10", "epochs_": "60", "pace_": "100"},
            "pictures": {
                "network": OF_PICTURES,
                "learning_rate": "0.002", "batch_size": "32", "epochs_": "15", "pace_": "0",
            },
        },
        "data": {
            "sets": [{"name": name, "says": (make.__doc__ or "").strip()} for name, make in SETS.items()],
            "names": list(NAMES),
            "painted": PAINTED,
            "start": f"{PAINTED} -3,2,blue; -2,3,blue; -2,2,blue; -1,3,blue; 2,-2,orange; 3,-1,orange; 2,-3,orange; 3,-3,orange",
            "usual": {"count": COUNT, "noise": NOISE, "seed": 0},
            "most": SHORT,
            "classes": [*PAINTS],
        },
        "settings": [
            setting("learning_rate", "Learning rate", "How far a step goes against the gradient.", 0, "any"),
            setting("batch_size", "Batch", "Examples that a step looks at.", 1, 1),
            setting("optimizer", "Optimizer", "How a step is made of gradients.", 0, 1, optimizers()),
            setting("epochs_", "Epochs", "Times to go through all of them.", 1, 1),
            setting("patience_", "Patience", "Stop after so many epochs without a better one; 0 never.", 0, 1),
        ],
        "usual_settings": {
            "learning_rate": "0.03", "batch_size": "10", "optimizer": "adam", "epochs_": "60", "patience_": "40", "seed": "0",
            "pace_": "100", "size_": "",
        },
        "paces": [["4", "4 steps a second"], ["20", "20 steps a second"], ["100", "100 steps a second"], ["0", "as fast as it can"]],
    }  # fmt: skip


_LOOKED = ("model", "picture", "target", "layer", "map", "cell", "what", "method", "order", "scale", "walk", "other", "against", "twins")  # fmt: skip
"""What the page of networks reads in a link, each once."""
NEURON = "1/(1+exp(-(w0*x0+w1*x1+w2)))"
ROOMS = (
    Room(
        "graph",
        "Graph",
        "A formula gate by gate: numbers go forward, gradients come back.",
        "formula",
        (
            ("expression", NEURON),
            *(("values", value) for value in ("w0=2", "x0=-1", "w1=-3", "x1=-2", "w2=-3")),
        ),
        _graph_facts,
        keeps=kept.along_formulas,
        scales=("values",),
    ),
    Room(
        "activations",
        "Neuron and activations",
        "What a neuron does with its sum, how steep that is, and where it saturates.",
        "activation",
        (("names", "sigmoid"), ("names", "tanh"), ("names", "relu")),
        _activation_facts,
        short="Neuron",
        keeps=kept.along_activations,
        scales=("names", "low", "high"),
        more=(
            (
                "neuron",
                _always(
                    ("weights", "1,1"),
                    ("bias", "-1"),
                    ("at", "1,2"),
                    *(
                        ("points", point)
                        for point in (
                            "-2,-1,0",
                            "-1,1,0",
                            "0,-2,0",
                            "1,-1.5,0",
                            "2,1,1",
                            "0.5,2,1",
                            "2.5,-0.5,1",
                            "-0.5,3,1",
                        )
                    ),
                ),
            ),
            ("maxout", _always(("pieces", "-1,-1"), ("pieces", "0.25,0"), ("pieces", "2,-3"), ("at", "1"))),
        ),
    ),
    Room(
        "descent",
        "Losses and descent",
        "A loss says how wrong a network is, its gradient which way that grows. Training goes a little way down, again and again.",
        "descend",
        (
            ("formula", "valley"),
            *(("optimizers", runner) for runner in ("sgd", "momentum", "rmsprop", "adam")),
        ),
        _descent_facts,
        short="Descent",
        keeps=kept.along_races,
        more=(
            ("surface", _map_of_race),
            ("loss", _always(*(("names", name) for name in ("squared_error", "absolute_error", "huber")))),
        ),
        follows=("surface",),
    ),
    Room(
        "approximation",
        "Approximation",
        "One hidden layer comes as close to a function as one likes: how many units does it take, and what does each add?",
        "approximation-steps",
        (("formula", "sin(3*x)+x^2"), ("domain", "-2,2"), ("units", "8"), ("method", "relu")),
        _approximation_facts,
        keeps=kept.along_approximations,
        scales=("units", "step"),
    ),
    Room(
        "why-convolution",
        "Why convolution",
        "Every pixel, a window, or a window with shared weights: what it costs to connect, and what moves along with a picture.",
        "connectivity",
        (("size", "10"), ("maps", "2"), ("kernel", "3"), ("layers", "1")),
        _why_facts,
        keeps=kept.along_connections,
        scales=("size", "maps", "kernel", "layers", "channels", "shift", "seed"),
    ),
    Room(
        "convolution",
        "Convolution and pooling",
        "A kernel slides over a picture: patch times kernel, summed; pooling keeps what is largest.",
        "convolve",
        (("picture", "digits[143]"), ("kernel", "sobel-x")),
        _convolution_facts,
        short="Convolution",
        takes=("picture",),
        keeps=kept.along_convolutions,
        scales=("bias", "stride", "padding", "dilation", "pool_size", "shift"),
    ),
    Room(
        "network",
        "Network",
        "A network on a picture, layer by layer: every map, and every number of it down to its terms.",
        "",
        (),
        _network_facts,
        takes=("model", "picture"),
        keeps=kept.into_networks,
        names=_LOOKED,
        several=("input", "edit", "open", "beside"),
        scales=("cell",),
    ),
    Room(
        "training",
        "Training",
        "A network learns: choose data and layers, start it, and watch what each step changes.",
        "decision-plane",
        TOY,
        _training_facts,
        takes=("run_",),
        keeps=kept.along_training,
        names=(*dict(TOY), "learning_rate", "batch_size", "optimizer"),
        fill=whole,
    ),
    Room(
        "detection",
        "Detection",
        "Where is what on a picture? How systems that find objects became better, from hand-made features to networks.",
        "detection-history",
        (),
        _detection_facts,
        keeps=kept.into_detection,
    ),
    Room(
        "ask",
        "Ask",
        "Every question there is, about formulas, networks and data.",
        "",
        (("question_", "approximate"), ("formula", "sin(3*x)+x^2"), ("domain", "-2,2")),
        _ask_facts,
    ),
)
BY_NAME = {room.name: room for room in ROOMS}
