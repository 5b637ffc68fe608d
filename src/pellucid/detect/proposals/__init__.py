"""Proposals: where on a picture an object may be, whatever it is."""

from pellucid.detect.proposals.found import Hierarchy, Proposals
from pellucid.detect.proposals.recall import Recall, recall
from pellucid.detect.proposals.selective_search import selective_search

__all__ = ["Hierarchy", "Proposals", "Recall", "recall", "selective_search"]
