"""Training: `fit`, the run it leaves, and asking the trained network."""

from pellucid.train.calibration import Calibration
from pellucid.train.callbacks import Callback, EpochReport, StepReport
from pellucid.train.checkpoint import CheckpointError
from pellucid.train.classification import Classification
from pellucid.train.config import TrainConfig, TrainError
from pellucid.train.evaluation import Evaluation, evaluate, predict
from pellucid.train.finder import RateSearch, find_learning_rate
from pellucid.train.history import History, load_history
from pellucid.train.layers import LayerHistory
from pellucid.train.loop import fit
from pellucid.train.run import Run, load_run
from pellucid.train.stepper import DivergedError
from pellucid.train.task import Measure, Task

__all__ = [
    "Calibration",
    "Callback",
    "CheckpointError",
    "Classification",
    "DivergedError",
    "EpochReport",
    "Evaluation",
    "History",
    "LayerHistory",
    "Measure",
    "RateSearch",
    "Run",
    "StepReport",
    "Task",
    "TrainConfig",
    "TrainError",
    "evaluate",
    "find_learning_rate",
    "fit",
    "load_history",
    "load_run",
    "predict",
]
