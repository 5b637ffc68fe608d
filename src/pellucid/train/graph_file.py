"""The graph of a run's network in the run's folder, where no name of a model makes it again: an ONNX file without weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pellucid import models
from pellucid.data import Preparation, Preprocessing
from pellucid.interop.errors import OnnxError
from pellucid.interop.onnx_reader import OnnxNetwork
from pellucid.nn import Card, Module
from pellucid.train.checkpoint import Checkpoint, CheckpointError
from pellucid.train.run_folder import GRAPH


def is_own(network: Mapping[str, Any]) -> bool:
    """Whether a network's configuration says no more than the name of its class."""
    return "image_size" not in network


def needs_graph(network: Mapping[str, Any]) -> bool:
    """Whether the network is made again from a file: it is somebody's own, or came from an ONNX file that may move."""
    return is_own(network) or str(network["model"]).lower().endswith(".onnx")


def graph_of(net: Module, example: tuple[int, ...], network: Mapping[str, Any]) -> bytes:
    """The network as an ONNX file without the numbers of its parameters, for inputs of the shape of one `example`.

    Nor has it the values of inputs that its configuration `network` has.

    Raises `OnnxError` where it cannot be said in ONNX.
    """
    if isinstance(net, OnnxNetwork):
        return net.without_numbers(network.get("set", {}))
    from pellucid.interop.onnx_writer.file import graph_without_numbers  # whoever opens a run has no use for it

    return graph_without_numbers(net, example)


def network_in(file: Path, checkpoint: Checkpoint) -> Module:
    """The network of a checkpoint, read from `file`, with its weights: of the graph beside it, or by its name."""
    graph, network = file.with_name(GRAPH), checkpoint.network
    if graph.is_file():
        return opened(graph, checkpoint)
    if is_own(network):
        raise CheckpointError(
            f"{file}: its network is a {network['model']} of your own, and there is no {GRAPH} beside it; build it and load with net=..."
        )
    net = models.build(**network)
    net.load_state_dict(checkpoint.weights)
    return net


def opened(graph: Path, checkpoint: Checkpoint, num_classes: int = 0) -> OnnxNetwork:
    """The network of a checkpoint whose `graph` lies in a file, with its weights; with another last layer for other classes."""
    network, weights = checkpoint.network, checkpoint.weights
    channels, size = _pictures(checkpoint.preprocessing)
    net = models.open_onnx(graph, channels, size, preset=network.get("set"), left_out=weights)
    own = {net.file_names[name]: name for name in net.named_parameters()}
    stored = {name: weights.get(name, weights.get(file)) for file, name in own.items()}
    missing = [name for name, value in stored.items() if value is None]
    if missing:
        raise OnnxError(f"{graph}: has parameters that the checkpoint has not: {', '.join(missing[:5])}")
    _resize_head(net, checkpoint)
    net.load_state_dict({name: value for name, value in stored.items() if value is not None})
    if not is_own(network):
        net.card = Card(config={**network, "num_classes": num_classes or network["num_classes"]})
    if num_classes:
        net.set_classes(num_classes)
    return net


def _resize_head(net: OnnxNetwork, checkpoint: Checkpoint) -> None:
    """Give the network as many classes as the checkpoint's, where the file had others."""
    count = checkpoint.network.get("num_classes", len(checkpoint.card.classes))
    parameters = net.named_parameters()
    if count and any(p.shape != checkpoint.weights[n].shape for n, p in parameters.items() if n in checkpoint.weights):
        net.set_classes(count)


def _pictures(preparation: Preparation) -> tuple[int, tuple[int, int] | int]:
    if isinstance(preparation, Preprocessing):
        return preparation.channels, preparation.image_size
    return 0, 0
