"""Passes: pure functions from the outputs of a graph to outputs with the same values, each in a file of its own."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from pellucid.errors import unknown
from pellucid.executors.passes.affine import affine
from pellucid.executors.passes.commute import commute, sum_before_unpooling
from pellucid.executors.passes.decompose import decompose
from pellucid.executors.passes.factor import factor
from pellucid.executors.passes.fill_blocks import fill_blocks
from pellucid.executors.passes.fold_norm import fold_norm
from pellucid.executors.passes.fuse import fuse
from pellucid.executors.passes.simplify import simplify, swap_products
from pellucid.executors.setting import EXECUTORS, PRECISIONS, Setting
from pellucid.graph import Parameter
from pellucid.scopes import root_scope
from pellucid.walks import Outputs


@dataclass(frozen=True)
class Pass:
    """A pass; its purpose is the first line of its function's docstring."""

    function: Callable[..., Outputs]
    only: frozenset[str] = frozenset()
    """What must be true of a program that it is for, see `traits`; it is for every program where nothing must."""
    heeds_changes: bool = False
    """Whether it asks which parameters the program changes."""

    def __post_init__(self) -> None:
        for trait in self.only - _TRAITS:
            raise unknown("trait of a program", trait, _TRAITS)

    def __call__(self, outputs: Outputs, changing: Sequence[Parameter] = ()) -> Outputs:
        with root_scope():  # nodes that it makes are named as they say themselves, whatever scopes are open
            return self.function(outputs, changing) if self.heeds_changes else self.function(outputs)

    @property
    def purpose(self) -> str:
        """What the pass does, in one line."""
        return (self.function.__doc__ or "").strip().partition("\n")[0]


_TRAITS = frozenset({*EXECUTORS, *PRECISIONS, "training", "inference"})
_NATIVE = frozenset({"native"})
USUAL = Setting("native")


def traits(setting: Setting, changing: Sequence[Parameter]) -> frozenset[str]:
    """What is true of a program: its executor, its precision, and "training" if it changes parameters, else "inference"."""
    return frozenset({setting.executor, setting.precision, "training" if changing else "inference"})


PASSES: dict[str, Pass] = {
    "decompose": Pass(decompose),
    "simplify": Pass(simplify),
    "factor": Pass(factor),
    "affine": Pass(affine),
    "simplify_scales": Pass(simplify),
    "commute": Pass(commute),
    "sum_before_unpooling": Pass(sum_before_unpooling),
    "swap_products": Pass(swap_products, only=_NATIVE),  # the order in which its products write a weight's gradient
    "fold_norm": Pass(fold_norm, heeds_changes=True),
    "fill_blocks": Pass(fill_blocks, only=_NATIVE),  # blocks of sixteen channels are oneDNN's
    "fuse": Pass(fuse, only=_NATIVE),  # what oneDNN's primitives do on the way
    "simplify_again": Pass(simplify),
}
"""In the order in which they run."""

SWITCHES = (*PASSES, "winograd", "flat_updates")
"""What can be switched off for bisection: the passes, and of making a plan Winograd's convolution and merged updates."""


Watch = Callable[[str, str, Outputs, Outputs], None]
"""Is told of each pass its name and purpose, and the outputs before and after."""


def run_passes(
    outputs: Outputs,
    changing: Sequence[Parameter] = (),
    without: Collection[str] = (),
    watch: Watch | None = None,
    setting: Setting = USUAL,
) -> Outputs:
    """All passes but those in `without`, for a program that changes the parameters in `changing`."""
    for name in without:
        if name not in SWITCHES:
            raise unknown("pass", name, SWITCHES)
    true = traits(setting, changing)
    for name, step in PASSES.items():
        if name in without or not step.only <= true:
            continue
        before, outputs = outputs, step(outputs, changing)
        if watch is not None:
            watch(name, step.purpose, before, outputs)
    return outputs
