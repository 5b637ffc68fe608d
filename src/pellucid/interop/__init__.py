"""Weights and networks of other frameworks."""

from pellucid.interop.loading import WeightsReport, load_weights
from pellucid.interop.weights import read_weights

__all__ = ["WeightsReport", "load_weights", "read_weights"]
