"""`from_torch`: a `torch.nn.Module` as a network of ours."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from typing import Any

from pellucid.graph import Parameter
from pellucid.interop.matching import COUNTER
from pellucid.interop.torch_module.example import Examples, examples_of
from pellucid.interop.torch_module.network import ModulePart, Source, TorchNetwork
from pellucid.interop.torch_module.program import DTYPES, ExportedModule, export
from pellucid.nn.errors import ModuleError
from pellucid.nn.module import Module


def from_torch(module: Any, example: Any) -> TorchNetwork:
    """The network that computes what `module`, a `torch.nn.Module`, computes, with copies of its parameters and buffers.

    `example` is the shape of an input with the batch axis, `(1, 3, 224, 224)`, or an input; of a module with several a
    tuple of these, or a dict by the names of `forward`'s parameters. Any batch size works afterwards where the module
    allows it. The network takes tensors in that order and gives what the module does: a tensor, or tuples, lists and
    dicts of them. The module is followed by `torch.export` in inference and in training, so
    that `net.train()` drops out, normalizes and updates running statistics as PyTorch does; where its way in training
    cannot be followed, only inference is there and training says why. Operators without a counterpart are a
    `ModuleError` that lists all of them. The network is returned in inference, `module` is left as it is.
    """
    import torch

    if not isinstance(module, torch.nn.Module):
        raise ModuleError(f"from_torch: wants a torch.nn.Module, got {type(module).__name__}")
    examples = examples_of(torch, module, example)
    for name, value in [*module.named_parameters(), *module.named_buffers()]:
        if value.device.type != "cpu":
            raise ModuleError(f"from_torch: {name} is on {value.device}; move the module first: module.cpu()")
        if _dtype(value) not in DTYPES:
            raise ModuleError(f"from_torch: {name} is {_dtype(value)}; convert it first: module.float()")
    with _mode(module, False):
        inference = export(module, examples)
    training = _training(module, examples)
    values: dict[str, Parameter] = {}
    net = TorchNetwork(Source(type(module).__name__, examples.names, inference, training, values))
    _fill(net, values, module)
    net.eval()
    return net


def _dtype(tensor: Any) -> str:
    return str(tensor.dtype).removeprefix("torch.")


@contextlib.contextmanager
def _mode(module: Any, training: bool) -> Generator[None]:
    """The module in inference, or in training as it is set up for it (parts that are kept in inference stay so)."""
    before = {part: part.training for part in module.modules()}
    if not training or not module.training:
        module.train(training)
    try:
        yield
    finally:
        for part, mode in before.items():
            part.training = mode


def _training(module: Any, examples: Examples) -> ExportedModule | str:
    """The program in training, or why there is none."""
    with _mode(module, True):
        try:
            return export(module, examples)
        except ModuleError as error:
            return str(error).removeprefix("from_torch: ")


def _fill(net: TorchNetwork, values: dict[str, Parameter], module: Any) -> None:
    """Parts, parameters and buffers, each under its path; one that has several paths is one here too."""
    made: dict[int, Parameter] = {}
    for path, part in module.named_modules(remove_duplicate=False):
        if path:
            _put(net, path, type(type(part).__name__, (ModulePart,), {"__doc__": ModulePart.__doc__})())
        for name, tensor in [*part.named_parameters(recurse=False), *part.named_buffers(recurse=False)]:
            if name == COUNTER:
                continue
            if id(tensor) not in made:
                value = tensor.detach().numpy().astype(DTYPES[_dtype(tensor)])
                made[id(tensor)] = Parameter.of(value, trainable=tensor.requires_grad)
            full = f"{path}.{name}" if path else name
            values[full] = made[id(tensor)]
            _put(net, full, made[id(tensor)])


def _put(net: Module, path: str, part: Parameter | ModulePart) -> None:
    """Make `part` an attribute where PyTorch has it."""
    *way, last = path.split(".")
    for name in way:
        net = vars(net)[name]
    if hasattr(Module, last) or last in vars(net):
        raise ModuleError(f"from_torch: a part is called {path!r}, which means something else here; rename it")
    vars(net)[last] = part
