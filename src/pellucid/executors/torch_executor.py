"""The torch executor: every op lowered to PyTorch, on the processor or on a GPU; the oracle of the tests."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from pellucid.executors.contract import ExecutorError, Feeds, Signature
from pellucid.graph import Constant, Tensor
from pellucid.op import Array
from pellucid.walks import evaluate, finished


def computing_threads() -> int:
    """The threads that PyTorch computes on."""
    import torch

    return torch.get_num_threads()


def instructions() -> str:
    """The instruction set that PyTorch uses."""
    import torch

    return torch.backends.cpu.get_cpu_capability()


def devices() -> list[str]:
    """The devices that PyTorch can compute on here."""
    import torch

    cuda = [f"cuda:{number}" for number in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    return ["cpu", *cuda, *["mps"] * torch.backends.mps.is_available()]


class TorchProgram:
    """Runs each node through `Op.torch`; ops without it through their NumPy reference (listed in `fallbacks`)."""

    def __init__(self, signature: Signature, device: str = "cpu") -> None:
        import torch

        self._torch: Any = torch
        self.signature = signature
        self.graph = signature.graph
        self.device = device
        self._require_device()
        computed = [n for n in self.graph.nodes if n.inputs]
        self.fallbacks: tuple[str, ...] = tuple(sorted({type(n.op).__name__ for n in computed if not n.op.in_torch(n)}))
        self._constants = {
            n: self._on_device(n.op.value.copy()) for n in self.graph.nodes if isinstance(n.op, Constant)
        }
        self._steps = [n for n in computed if n not in self._constants]
        self._drop = finished(self._steps, {*signature.outputs, *signature.updates.values(), *self._constants})

    def _require_device(self) -> None:
        """Raise `ExecutorError` for a device that is not here, or that has no numbers of a type that the graph has."""
        here = devices()
        if (f"{self.device}:0" if self.device == "cuda" else self.device) not in here:
            raise ExecutorError(f"device {self.device!r} is not there for PyTorch; there are: {', '.join(here)}")
        wide = next((n for n in self.graph.nodes if n.dtype == "float64"), None)
        if self.device == "mps" and wide is not None:
            raise ExecutorError(
                f"{self.graph.names[wide]}: is float64, which device 'mps' has not; compute it in float32 or on 'cpu'"
            )

    def __call__(self, feeds: Feeds = {}) -> tuple[Array, ...]:  # noqa: B006
        fed = self.signature.check(feeds)
        with self._torch.inference_mode(), self._exact(), self.signature.computing, self.signature.fitting:
            values: dict[Tensor, Any] = dict(self._constants)
            values.update({t: self._on_device(a) for t, a in fed.items()})
            values.update({p: self._on_device(p.storage()) for p in self.graph.parameters})
            for position, node in enumerate(self._steps):
                values[node] = self._run(node, [values[i] for i in node.inputs])
                for value in self._drop[position]:
                    del values[value]
            results = tuple(np.array(_array(values[output])) for output in self.signature.outputs)
            self.signature.require_finite(results)
            fresh = {p: np.array(_array(values[new])) for p, new in self.signature.updates.items()}
            self.signature.set_parameters(fresh)
        return self.signature.given(results)

    def _exact(self) -> AbstractContextManager[Any]:
        """Within it convolutions on a GPU multiply whole float32s, not TensorFloat-32s of 10 bits, in a fixed order."""
        if not self.device.startswith("cuda"):
            return nullcontext()
        return self._torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False)

    def _on_device(self, array: Array) -> Any:
        """The array as a tensor: on the processor the very memory, elsewhere a copy."""
        tensor = self._torch.from_numpy(np.require(array, requirements=["C", "W"]))
        return tensor if self.device == "cpu" else self._fitting(lambda: tensor.to(self.device))

    def _run(self, node: Tensor, inputs: Sequence[Any]) -> Any:
        if not node.op.in_torch(node):
            return self._on_device(evaluate(node, [_array(i) for i in inputs], self.graph.names[node]))
        if node.op.requires():
            node.op.require(node, self.graph.names[node], *map(_array, inputs))
        return self._fitting(lambda: node.op.torch(self._torch, *inputs).to(getattr(self._torch, node.dtype)))

    def _fitting(self, compute: Any) -> Any:
        """What `compute` gives; PyTorch's ways of saying that memory is full become a `MemoryError`."""
        try:
            return compute()
        except RuntimeError as error:
            if isinstance(error, self._torch.OutOfMemoryError) or "allocate memory" in str(error):
                raise MemoryError(str(error)) from error
            raise


def _array(tensor: Any) -> Array:
    """The values of a tensor as NumPy sees them."""
    return tensor.cpu().numpy()
