"""Training: `fit`, the run it leaves, and asking the trained network."""

from pellucid.train.calibration import Calibration
from pellucid.train.callbacks import Callback, EpochReport, StepReport
from pellucid.train.checkpoint import CheckpointError
from pellucid.train.config import TrainConfig, TrainError
from pellucid.train.evaluation import Evaluation, evaluate, predict
from pellucid.train.finder import RateSearch, find_learning_rate
from pellucid.train.history import History, load_history
from pellucid.train.layers import LayerHistory
from pellucid.train.loop import DivergedError, fit
from pellucid.train.run import Run, load_run

__all__ = [
    "Calibration",
    "Callback",
    "CheckpointError",
    "DivergedError",
    "EpochReport",
    "Evaluation",
    "History",
    "LayerHistory",
    "RateSearch",
    "Run",
    "StepReport",
    "TrainConfig",
    "TrainError",
    "evaluate",
    "find_learning_rate",
    "fit",
    "load_history",
    "load_run",
    "predict",
]
