"""Linear layers, containers, dropout and what only moves or passes on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pellucid import ops
from pellucid.errors import ShapeError
from pellucid.flags import flag
from pellucid.graph import Parameter, Tensor
from pellucid.nn.errors import ModuleError
from pellucid.nn.initializers import fan_in_uniform
from pellucid.nn.layers.checks import called, positive
from pellucid.nn.module import Module, order_of
from pellucid.nn.randomness import draw_key
from pellucid.real_numbers import share


class Linear(Module):
    """y = x W^T + b: every output from every input.

    `in_features` and `out_features` are the sizes of the last axis before and after; without `bias` there is no b. weight
    (out_features, in_features), bias (out_features,), both of `dtype`. x (..., in_features) -> (..., out_features).

    >>> nn.Linear(4, 2)(pl.input((8, 4))).shape
    (8, 2)
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True, dtype: str = "float32") -> None:
        super().__init__()
        bias = flag(type(self).__name__, "bias", bias, ModuleError)
        in_features, out_features = positive("Linear", in_features=in_features, out_features=out_features)
        self.in_features, self.out_features = in_features, out_features
        start = fan_in_uniform(in_features)
        self.weight = Parameter((out_features, in_features), start, dtype)
        self.bias = Parameter((out_features,), start, dtype) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[-1] != self.in_features:
            raise ShapeError(
                f"{called(self)}: wants {self.in_features} input features, got {x.shape} (from {x.name!r})"
            )
        return ops.linear(x, self.weight, self.bias)


class Dropout(Module):
    """In training each element is 0 with probability `p`, else divided by 1 - p; in inference the identity.

    x of any shape -> the same. Which elements it is depends on the seed and the step, see `nn.training_step`.

    >>> nn.Dropout(0.2).eval()(pl.input((4, 8))).shape
    (4, 8)
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = share("Dropout", "p", p, ModuleError)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        key = draw_key(called(self), order_of(self))
        return ops.dropout(x, self.p, key.step, key.seed, key.stream)


class Flatten(Module):
    """All axes but the batch made one: x (N, ...) -> (N, size of a sample).

    >>> nn.Flatten()(pl.input((4, 8, 5, 5))).shape
    (4, 200)
    """

    def forward(self, x: Tensor) -> Tensor:
        return ops.flatten(x)


class Identity(Module):
    """y = x: x of any shape -> the same.

    >>> nn.Identity()(pl.input((4, 8))).shape
    (4, 8)
    """

    def forward(self, x: Tensor) -> Tensor:
        return x


class Sequential(Module):
    """Layers one after another, called by number (`modules`) or by name (`named`): x -> what the last one gives.

    >>> nn.Sequential(nn.Linear(4, 8), nn.ReLU())(pl.input((1, 4))).shape
    (1, 8)
    >>> list(nn.Sequential(fc=nn.Linear(4, 8)).named_parameters())
    ['fc.weight', 'fc.bias']
    """

    def __init__(self, *modules: Module, **named: Module) -> None:
        super().__init__()
        parts: dict[str, Any] = {**{str(i): m for i, m in enumerate(modules)}, **named}
        for name, module in parts.items():
            if not isinstance(module, Module):
                raise ModuleError(f"Sequential: {name} must be a layer, got {type(module).__name__}")
            if name.startswith("_") or hasattr(self, name):
                raise ModuleError(f"Sequential: {name!r} cannot name a layer; choose another name")
            setattr(self, name, module)

    def forward(self, x: Tensor) -> Tensor:
        for _, module in self.children():
            x = module(x)
        return x

    def __iter__(self) -> Iterator[Module]:
        return (module for _, module in self.children())

    def __len__(self) -> int:
        return len(list(self.children()))

    def __getitem__(self, index: int) -> Module:
        return list(self)[index]
