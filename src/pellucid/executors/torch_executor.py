"""The torch executor: every op lowered to PyTorch on the CPU; the oracle of the tests and a fast path meanwhile."""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid.executors.contract import Feeds, Signature
from pellucid.graph import Constant, Parameter, Tensor
from pellucid.op import Array


def computing_threads() -> int:
    """The threads that PyTorch computes on."""
    import torch

    return torch.get_num_threads()


def instructions() -> str:
    """The instruction set that PyTorch uses."""
    import torch

    return torch.backends.cpu.get_cpu_capability()


class TorchProgram:
    """Runs each node through `Op.torch`; ops without it through their NumPy reference (listed in `fallbacks`)."""

    def __init__(self, signature: Signature) -> None:
        import torch

        self._torch: Any = torch
        self.signature = signature
        self.graph = signature.graph
        computed = [n for n in self.graph.nodes if n.inputs]
        self.fallbacks: tuple[str, ...] = tuple(sorted({type(n.op).__name__ for n in computed if not n.op.has_torch()}))
        self._constants = {
            n: torch.from_numpy(n.op.value.copy()) for n in self.graph.nodes if isinstance(n.op, Constant)
        }
        self._steps = [n for n in computed if n not in self._constants]
        kept = {*signature.outputs, *signature.updates.values()}
        last_use = {i: position for position, node in enumerate(self._steps) for i in node.inputs}
        self._drop: list[list[Tensor]] = [[] for _ in self._steps]
        for node, position in last_use.items():
            if node not in kept and node not in self._constants:
                self._drop[position].append(node)

    def __call__(self, feeds: Feeds = {}) -> tuple[Array, ...]:  # noqa: B006
        torch = self._torch
        fed = self.signature.check(feeds)
        with torch.inference_mode(), self.signature.computing, self.signature.fitting:
            values: dict[Tensor, Any] = dict(self._constants)
            values.update({t: torch.from_numpy(np.require(a, requirements=["C", "W"])) for t, a in fed.items()})
            values.update({p: torch.from_numpy(p.storage()) for p in self.graph.parameters})
            for position, node in enumerate(self._steps):
                values[node] = self._run(node, [values[i] for i in node.inputs])
                for finished in self._drop[position]:
                    del values[finished]
            results = tuple(np.array(values[output].numpy()) for output in self.signature.outputs)
            self.signature.require_finite(results)
            fresh = {p: np.array(values[new].numpy()) for p, new in self.signature.updates.items()}
            self.signature.set_parameters(fresh)
        return results

    def _run(self, node: Tensor, inputs: list[Any]) -> Any:
        if node.op.requires():
            node.op.require(node, self.graph.names[node], *(i.numpy() for i in inputs))
        if isinstance(node, Parameter) or not node.op.has_torch():
            value = np.asarray(node.op.reference(*(i.numpy() for i in inputs)))
            return self._torch.from_numpy(np.require(value, requirements=["C", "W"]))
        try:
            return node.op.torch(self._torch, *inputs)
        except RuntimeError as error:
            if "allocate memory" in str(error):
                raise MemoryError(str(error)) from error
            raise
