"""Every run of the tests looks at the same examples, unless `--hypothesis-profile` says otherwise; every graph is checked."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import settings

import search  # noqa: F401  registers the profiles
from pellucid.executors.contract import Signature
from pellucid.executors.passes import Pass
from pellucid.tensor import Tensor, topological
from pellucid.walks import Outputs, check

settings.load_profile("ci")
gc.set_threshold(50_000, 10, 10)  # of the million objects of PyTorch, walked again and again, none is ever garbage


@pytest.fixture(scope="session", autouse=True)
def nodes_say_what_their_ops_make() -> Iterator[None]:
    """Whatever a test compiles, be it gradients or imported, has the shapes and types that it says; so has what each pass makes of it."""
    start, run = Signature.__init__, Pass.__call__

    def checked_start(self: Signature, outputs: Sequence[Tensor], *arguments: Any, **options: Any) -> None:
        start(self, outputs, *arguments, **options)
        check([*self.outputs, *self.updates.values()])

    def checked_run(self: Pass, outputs: Outputs, *arguments: Any, **options: Any) -> Outputs:
        made = run(self, outputs, *arguments, **options)
        check(made, given=topological(outputs))
        return made

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Signature, "__init__", checked_start)
        patch.setattr(Pass, "__call__", checked_run)
        yield
