"""The compiled module; importing this fails where it was not built."""

from pellucid.executors import _native

__all__ = ["_native"]
