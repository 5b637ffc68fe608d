"""The network that looks at pictures or at regions, and the weights that it begins with."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pellucid import models
from pellucid.data import Preprocessing, usual_preprocessing
from pellucid.detect.config import PUBLISHED, RANDOM, DetectionConfig
from pellucid.detect.errors import DetectorError
from pellucid.nn import Module


def settled(config: DetectionConfig) -> DetectionConfig:
    """Settings that say which weights the backbone begins with: those published for it, random ones where there are none, unless they do.

    Raises `DetectorError` where published ones are not installed, `PublishedError` where they are asked for and not there.
    """
    if config.weights == PUBLISHED:
        models.published(_name(config)).path()
    if config.weights:
        return config
    there, how = models.weights_of(_name(config))
    if there == "not installed":
        raise DetectorError(
            f"{config.backbone}: its published weights are not installed: {how}; or begin with those of a file, or with random ones, "
            f"from which much less is learned: weights=FILE or weights={RANDOM}, on the command line --set weights={RANDOM}"
        )
    return replace(config, weights=PUBLISHED if there == "installed" else RANDOM)


def built(config: DetectionConfig, untrained: bool = False, **options: Any) -> tuple[Module, Preprocessing]:
    """The backbone that settings name, with the weights that it begins with unless `untrained`, and how pictures become its input."""
    name, usual = _name(config), usual_preprocessing("imagenet", (3, 224, 224))
    begun = RANDOM if untrained else settled(config).weights
    if begun == PUBLISHED:
        return models.build(name, pretrained=True, **options), models.published(name).preprocessing
    given = {} if begun == RANDOM else {"weights": begun}
    return models.build(name, **given, **options), usual


def beginning(config: DetectionConfig) -> str:
    """What is to be said of a backbone that began with random weights; "" of another."""
    if config.weights != RANDOM:
        return ""
    none = "" if models.weights_of(_name(config))[0] != "none" else ", as none are published for it"
    return f"the backbone {config.backbone} began with random weights{none}"


def _name(config: DetectionConfig) -> str:
    return config.backbone.replace("-", "_")
