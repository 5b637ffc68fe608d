"""Training: `fit`, the run it leaves, and asking the trained network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.lazily import lazy_names

if TYPE_CHECKING:
    from pellucid.train.calibration import Calibration
    from pellucid.train.callbacks import Callback, EpochReport, StepReport
    from pellucid.train.checkpoint import CheckpointError
    from pellucid.train.classification import Classification
    from pellucid.train.config import TrainConfig, TrainError
    from pellucid.train.cross_validation import CrossValidation, cross_validate
    from pellucid.train.drawn_curves import LearningCurves, learning_curves
    from pellucid.train.evaluation import Evaluation, evaluate, predict
    from pellucid.train.finder import RateSearch, find_learning_rate
    from pellucid.train.history import History, load_history
    from pellucid.train.layers import LayerHistory
    from pellucid.train.loop import fit
    from pellucid.train.regression import Regression
    from pellucid.train.regression_evaluation import RegressionEvaluation
    from pellucid.train.run import Run, load_run
    from pellucid.train.run_list import RunList, runs
    from pellucid.train.stepper import DivergedError
    from pellucid.train.task import Measure, Task

_LAZY = {
    "Calibration": "calibration",
    "Callback": "callbacks",
    "CheckpointError": "checkpoint",
    "Classification": "classification",
    "DivergedError": "stepper",
    "EpochReport": "callbacks",
    "Evaluation": "evaluation",
    "History": "history",
    "LayerHistory": "layers",
    "LearningCurves": "drawn_curves",
    "Measure": "task",
    "RateSearch": "finder",
    "Regression": "regression",
    "RegressionEvaluation": "regression_evaluation",
    "Run": "run",
    "RunList": "run_list",
    "StepReport": "callbacks",
    "Task": "task",
    "TrainConfig": "config",
    "TrainError": "config",
    "CrossValidation": "cross_validation",
    "cross_validate": "cross_validation",
    "evaluate": "evaluation",
    "find_learning_rate": "finder",
    "fit": "loop",
    "learning_curves": "drawn_curves",
    "load_history": "history",
    "load_run": "run",
    "predict": "evaluation",
    "runs": "run_list",
}
"""Where each public name is: only what is asked for is imported, so that a command's options know their defaults soon."""

__all__ = [
    "Calibration",
    "Callback",
    "CheckpointError",
    "Classification",
    "CrossValidation",
    "DivergedError",
    "EpochReport",
    "Evaluation",
    "History",
    "LayerHistory",
    "LearningCurves",
    "Measure",
    "RateSearch",
    "Regression",
    "RegressionEvaluation",
    "Run",
    "RunList",
    "StepReport",
    "Task",
    "TrainConfig",
    "TrainError",
    "cross_validate",
    "evaluate",
    "find_learning_rate",
    "fit",
    "learning_curves",
    "load_history",
    "load_run",
    "predict",
    "runs",
]


__getattr__ = lazy_names(__name__, _LAZY)


def __dir__() -> list[str]:
    return sorted(__all__)
