"""Models by name: every file of this folder defines one family and is found by being here."""

from pellucid.nn.models.registry import ModelList, build, catalog, describe, head, is_known, names, paper

__all__ = ["ModelList", "build", "catalog", "describe", "head", "is_known", "names", "paper"]
