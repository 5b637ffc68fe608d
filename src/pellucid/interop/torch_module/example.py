"""What a module is followed with: examples of its inputs, one or several, by place or by name, nested as it takes them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.interop.torch_module.program import DTYPES
from pellucid.nn.errors import ModuleError

_WANTED = (
    "from_torch: the example must be the shape of an input, such as (1, 3, 224, 224), or an array or tensor; of a module with "
    "several inputs a tuple of these in their order, or a dict of them by name"
)


@dataclass(frozen=True)
class Examples:
    """The arguments that `forward` is followed with; `names` are those of the tensors in them, in their order."""

    arguments: tuple[Any, ...]
    named: dict[str, Any]
    names: tuple[str, ...]

    @property
    def tensors(self) -> list[Any]:
        """The tensors among the arguments."""
        return [leaf for _, leaf in _leaves("", [*self.arguments, *self.named.values()])]

    def mapped(self, change: Callable[[Any], Any]) -> Examples:
        """The same with each tensor changed."""
        named = {name: _mapped(value, change) for name, value in self.named.items()}
        return Examples(tuple(_mapped(value, change) for value in self.arguments), named, self.names)


def examples_of(torch: Any, module: Any, example: Any) -> Examples:
    """The example that somebody gives for `module`, as arguments of its `forward`."""
    if isinstance(example, Mapping):
        arguments, named = (), {str(name): _tree(torch, value) for name, value in example.items()}
    elif _is_one(torch, example):
        arguments, named = (_tensor(torch, example),), {}
    elif isinstance(example, Sequence) and not isinstance(example, str) and example:
        arguments, named = tuple(_tree(torch, value) for value in example), {}
    else:
        raise ModuleError(f"{_WANTED}; got {example!r:.80}")
    parameters = inspect.signature(module.forward)
    try:
        bound = parameters.bind(*arguments, **named).arguments
    except TypeError as error:
        taken = ", ".join(map(str, parameters.parameters.values()))
        raise ModuleError(f"{_WANTED}; {type(module).__name__} takes ({taken}): {error}") from error
    found = Examples(arguments, named, tuple(_names(parameters, bound)))
    alone = len(found.names) == 1
    for name, x in zip(found.names, found.tensors, strict=True):
        if _dtype(x) not in DTYPES or (x.ndim and len(x) < 1) or (alone and not x.ndim):
            raise ModuleError(
                f"from_torch: the example {'' if alone else f'{name} '}is {_dtype(x)}{tuple(x.shape)}; it needs a batch axis of at least 1"
            )
    return found


def _is_one(torch: Any, example: Any) -> bool:
    """Whether it is the example of one input: a tensor, an array, or the shape of one."""
    if isinstance(example, torch.Tensor | np.ndarray):
        return True
    return isinstance(example, Sequence) and not isinstance(example, str) and all(type(n) is int for n in example)


def _tensor(torch: Any, example: Any) -> Any:
    if isinstance(example, torch.Tensor):
        return example.detach()
    if isinstance(example, np.ndarray):
        return torch.from_numpy(np.ascontiguousarray(example)) if example.ndim else torch.tensor(example)
    return torch.zeros(tuple(example))


def _tree(torch: Any, value: Any) -> Any:
    """An argument: an example, several in a list, tuple or dict, or a plain setting."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if _is_one(torch, value) and (not isinstance(value, Sequence) or value):
        return _tensor(torch, value)
    if isinstance(value, Mapping):
        return {name: _tree(torch, each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_tree(torch, each) for each in value) if type(value) in (list, tuple) else value
    raise ModuleError(f"{_WANTED}; got {value!r:.80}")


def _names(parameters: inspect.Signature, bound: Mapping[str, Any]) -> Iterator[str]:
    """Names of the tensors of bound arguments: their parameters', with the place behind where these have several."""
    for name, value in bound.items():
        kind = parameters.parameters[name].kind
        path = "" if kind is inspect.Parameter.VAR_KEYWORD else name
        yield from (own for own, _ in _leaves(path, value))


def _leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The tensors of an argument with their paths, in the order in which PyTorch flattens it."""
    if isinstance(value, Mapping | list | tuple):
        items = value.items() if isinstance(value, Mapping) else enumerate(value)
        for key, each in items:
            yield from _leaves(f"{path}.{key}" if path else str(key), each)
    elif hasattr(value, "detach"):
        yield path, value


def _mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    if isinstance(value, Mapping):
        return {name: _mapped(each, change) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_mapped(each, change) for each in value)
    return change(value) if hasattr(value, "detach") else value


def _dtype(tensor: Any) -> str:
    return str(tensor.dtype).removeprefix("torch.")
