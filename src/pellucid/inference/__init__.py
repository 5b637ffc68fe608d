"""A network that is ready to be asked: its scores, the values of its layers, gradients, predictions."""

from pellucid.inference.store import kept_bytes, limit

__all__ = ["kept_bytes", "limit"]
