"""What of a network a run trains, and how fast: frozen parts, and learning rates that differ from part to part."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from pellucid.errors import suggest
from pellucid.graph import Parameter, Tensor, topological
from pellucid.interop import OnnxNetwork
from pellucid.nn import Module, models
from pellucid.nn.module import own_parameters
from pellucid.train.config import TrainError


@dataclass(frozen=True)
class Tuning:
    """The parameters that training changes, in the network's order, with the factor of the learning rate of each.

    A parameter in `frozen` gets no gradient, no optimizer state and no update. A batch norm whose running statistics are
    frozen uses them and leaves them as they are.
    """

    net: Module
    parameters: tuple[Parameter, ...]
    factors: tuple[float, ...]
    frozen: frozenset[Parameter] = frozenset()

    @classmethod
    def everything(cls, net: Module) -> Tuning:
        """Training of all parameters, at one rate."""
        parameters = tuple(net.parameters())
        return cls(net, parameters, (1.0,) * len(parameters))

    @classmethod
    def of(
        cls, net: Module, output: Tensor, freeze: str = "", rates: Mapping[str, float] | None = None, decay: float = 1.0
    ) -> Tuning:
        """What settings mean for `net`, which makes `output`. Raises `TrainError` for names that it does not have.

        `freeze` is "backbone" (all but the head) or prefixes and patterns of parameters' paths, with commas between.
        `rates` gives factors of the learning rate by prefix or pattern; those that fit one parameter are multiplied.
        With `decay` a layer learns `decay` times as fast as the next one (Howard and Ruder 2018, section 3.2).
        """
        named = net.named_parameters()
        frozen = _frozen(net, output, freeze)
        trained = [p for p in named.values() if p.trainable and p not in frozen]
        if not trained:
            everything = f"freeze {freeze!r} takes in every parameter" if frozen else "the network has no parameter"
            raise TrainError(f"{everything}; there is nothing to train")
        factors = _decayed(net, decay)
        for pattern, rate in (rates or {}).items():
            fitting = _known("learning_rates", pattern, named)
            if frozen.issuperset(p for p in fitting if p.trainable):
                raise TrainError(f"learning_rates: all that {pattern!r} names is frozen; leave one of the two out")
            for parameter in fitting:
                factors[parameter] *= rate
        return cls(net, tuple(trained), tuple(factors[p] for p in trained), frozenset(frozen))


def head(net: Module, output: Tensor) -> set[Parameter]:
    """The parameters of the head, which makes the scores: a model names it, else the layer nearest to `output` is it."""
    named = net.named_parameters()
    model = (net.card.config or {}).get("model")
    if isinstance(net, OnnxNetwork):
        return {named[name] for name in net.head}
    if model is not None:
        return {p for name, p in named.items() if name.startswith(f"{models.head(model)}.")}
    paths = {parameter: name for name, parameter in named.items() if parameter.trainable}
    used = [paths[node] for node in topological([output]) if isinstance(node, Parameter) and node in paths]
    return {p for name, p in named.items() if used and _part(name) == _part(used[-1])}


def _frozen(net: Module, output: Tensor, freeze: str) -> set[Parameter]:
    named = net.named_parameters()
    frozen: set[Parameter] = set()
    for pattern in filter(None, (part.strip() for part in freeze.split(","))):
        if pattern == "backbone" and not _fitting(pattern, named):
            backbone = set(named.values()) - head(net, output)
            if not backbone:
                raise TrainError(
                    "freeze: no layer of this network is known to be its head; name what to freeze instead"
                )
            frozen.update(backbone)
        else:
            frozen.update(_known("freeze", pattern, named))
    return frozen


def _fitting(pattern: str, named: Mapping[str, Parameter]) -> list[Parameter]:
    """The parameters that `pattern` names, or that lie below what it names."""
    return [p for name, p in named.items() if fnmatchcase(name, pattern) or fnmatchcase(name, f"{pattern}.*")]


def _known(setting: str, pattern: str, named: Mapping[str, Parameter]) -> list[Parameter]:
    if fitting := _fitting(pattern, named):
        return fitting
    near = suggest(pattern, _paths(named))
    parts = ", ".join(dict.fromkeys(name.partition(".")[0] for name in named))
    raise TrainError(f"{setting}: no parameter is called or lies below {pattern!r}{near}; the network has: {parts}")


def _paths(names: Collection[str]) -> Iterable[str]:
    """Every parameter's path and those of the parts that it lies in."""
    for name in names:
        pieces = name.split(".")
        yield from (".".join(pieces[:count]) for count in range(1, len(pieces) + 1))


def _part(name: str) -> str:
    return name.rpartition(".")[0]


def _own(module: Module) -> list[Parameter]:
    """The parameters that are attributes of the module itself."""
    return [parameter for _, parameter in own_parameters(module)]


def _decayed(net: Module, decay: float) -> dict[Parameter, float]:
    """The factor of each parameter: 1 in the last layer. Layers are counted by their matrices and kernels."""
    depths: dict[Parameter, int] = {}
    depth = 0
    for _, module in net.named_modules():
        depth += any(p.ndim > 1 for p in _own(module))
        for parameter in _own(module):
            depths.setdefault(parameter, depth)
    return {parameter: decay ** (depth - own) for parameter, own in depths.items()}
