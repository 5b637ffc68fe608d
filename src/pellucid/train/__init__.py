"""Training: `fit`, the run it leaves, and asking the trained network."""

from pellucid.train.callbacks import Callback, EpochReport, StepReport
from pellucid.train.checkpoint import CheckpointError
from pellucid.train.config import TrainConfig, TrainError
from pellucid.train.evaluation import Evaluation, evaluate, predict
from pellucid.train.loop import DivergedError, fit
from pellucid.train.run import Run, load_run

__all__ = [
    "Callback",
    "CheckpointError",
    "DivergedError",
    "EpochReport",
    "Evaluation",
    "Run",
    "StepReport",
    "TrainConfig",
    "TrainError",
    "evaluate",
    "fit",
    "load_run",
    "predict",
]
