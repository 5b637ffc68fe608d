"""Where an object is, from where the filters of a window went: least squares, one prediction for each component."""

from __future__ import annotations

import numpy as np

from pellucid.plain import Array

RIDGE = 0.1
"""A little of what weights cost, so that few objects do not teach noise."""


def shares(filters: Array, windows: Array) -> Array:
    """Centers of filters (N, F, 4) from those of their windows (N, 4), as shares of the windows' sizes, and a constant 1: (N, 2F + 1)."""
    whole = windows[:, 2:] - windows[:, :2]
    centers = (filters[..., :2] + filters[..., 2:]) / 2 - (windows[:, :2] + whole / 2)[:, None]
    told = (centers / np.maximum(whole, 1e-9)[:, None]).reshape(len(windows), -1)
    return np.concatenate([told, np.ones((len(windows), 1))], 1)


def moved(windows: Array, filters: Array, predictor: Array) -> Array:
    """Windows (N, 4) whose sides a predictor (4, 2F + 1) moves."""
    whole = windows[:, 2:] - windows[:, :2]
    return windows + shares(filters, windows) @ predictor.T * whole[:, [0, 1, 0, 1]]


def turned(predictor: Array) -> Array:
    """What predicts for the mirror image."""
    signs = np.tile([-1.0, 1.0], predictor.shape[1] // 2)
    return np.array([[-1.0], [1.0], [-1.0], [1.0]]) * predictor[[2, 1, 0, 3]] * np.append(signs, 1.0)


def predictor_of(windows: Array, filters: Array, objects: Array, flipped: Array) -> Array:
    """The predictor (4, 2F + 1) of a component from windows (N, 4) on `objects` (N, 4); those of its mirror image are turned back."""
    whole = windows[:, 2:] - windows[:, :2]
    seen = shares(filters, windows)
    goals = (objects - windows) / np.maximum(whole, 1e-9)[:, [0, 1, 0, 1]]
    signs = np.append(np.tile([-1.0, 1.0], seen.shape[1] // 2), 1.0)
    seen = np.where(flipped[:, None], seen * signs, seen)
    goals = np.where(flipped[:, None], goals[:, [2, 1, 0, 3]] * [-1, 1, -1, 1], goals)
    penalty = RIDGE * np.eye(seen.shape[1])
    penalty[-1, -1] = 0
    return np.linalg.lstsq(seen.T @ seen + penalty, seen.T @ goals, rcond=None)[0].T
