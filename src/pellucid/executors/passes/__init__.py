"""Passes: pure functions from the outputs of a graph to outputs with the same values, each in a file of its own."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from pellucid.errors import unknown
from pellucid.executors.passes.affine import affine
from pellucid.executors.passes.commute import commute, sum_before_unpooling
from pellucid.executors.passes.decompose import decompose
from pellucid.executors.passes.factor import factor
from pellucid.executors.passes.fold_norm import fold_norm
from pellucid.executors.passes.fuse import fuse
from pellucid.executors.passes.rewrite import Outputs
from pellucid.executors.passes.simplify import simplify, swap_products
from pellucid.graph import Parameter

PASSES: dict[str, Callable[[Outputs, Sequence[Parameter]], Outputs]] = {
    "decompose": lambda outputs, changing: decompose(outputs),
    "simplify": lambda outputs, changing: simplify(outputs),
    "factor": lambda outputs, changing: factor(outputs),
    "affine": lambda outputs, changing: affine(outputs),
    "simplify_scales": lambda outputs, changing: simplify(outputs),
    "commute": lambda outputs, changing: commute(outputs),
    "sum_before_unpooling": lambda outputs, changing: sum_before_unpooling(outputs),
    "swap_products": lambda outputs, changing: swap_products(outputs),
    "fold_norm": fold_norm,
    "fuse": lambda outputs, changing: fuse(outputs),
    "simplify_again": lambda outputs, changing: simplify(outputs),
}
"""In the order in which they run; each gets the outputs and the parameters that the program changes."""

SWITCHES = (*PASSES, "winograd")
"""What can be switched off for bisection: the passes, and the choice of Winograd's convolution when a plan is made."""


def run_passes(outputs: Outputs, changing: Sequence[Parameter] = (), without: Collection[str] = ()) -> Outputs:
    """All passes but those in `without`."""
    for name in without:
        if name not in SWITCHES:
            raise unknown("pass", name, SWITCHES)
    for name, run in PASSES.items():
        if name not in without:
            outputs = run(outputs, changing)
    return outputs
