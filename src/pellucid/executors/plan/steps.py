"""Steps of a plan: plain descriptions that can be printed, compared, and handed to C++."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pellucid.executors.compiled import _native
from pellucid.executors.plan.buffers import Buffer, View
from pellucid.graph import Tensor
from pellucid.op import Shape

Value = int
"""In a chain's instructions: v >= 0 is register v, v < 0 is operand -1 - v."""


@dataclass(eq=False)
class Step:
    """One call into the library. `reads` and `writes` are what the memory plan must keep apart."""

    name: str
    kind: str
    reads: list[Buffer]
    writes: list[Buffer]
    flops: int = 0
    detail: str = ""
    add: Callable[[_native.Program], None] | None = None
    """Adds the step to a C++ program, once places are known."""
    run: Callable[[Any], None] | None = None
    """Or computes it in Python, given a context: a reference kernel."""
    constant: bool = False

    @property
    def nbytes(self) -> int:
        """Bytes read and written, every buffer counted once."""
        return sum(b.nbytes for b in {*self.reads, *self.writes})


@dataclass(eq=False)
class ChainStep(Step):
    """Elementwise arithmetic and reductions over one loop nest; grows while the plan is being made."""

    loops: Shape = ()
    roots: list[Root] = field(default_factory=list)
    views: list[View] = field(default_factory=list)
    """What the finished chain reads."""
    replaceable: list[View] = field(default_factory=list)
    """Those of them that a result may overwrite, element by element."""
    compiler: Any = None
    """What makes its instructions, once it is finished."""

    def reads_across(self) -> Buffer | None:
        """A buffer that the chain overwrites and reads in another order of elements, if there is one."""
        for root in self.roots:
            for view in self.views:
                if root.to is None or view.buffer is not root.to.buffer:
                    continue
                if view.array.shape != root.to.array.shape or view.array.strides != root.to.array.strides:
                    return view.buffer
        return None


@dataclass(eq=False)
class Root:
    """A value that a chain computes and keeps: stored, or reduced over the loops whose stride is 0."""

    node: Tensor
    source: Tensor
    """The elementwise value that is stored or reduced."""
    write: str = "store"
    to: View | None = None
