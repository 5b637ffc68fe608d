"""Studies: experiments that build, train and explain networks to show why they are as they are."""

from pellucid.studies.approximation import METHODS, Approximation, ApproximationError, approximate
from pellucid.studies.approximation.stepping import ApproximationSteps, approximation_steps
from pellucid.studies.connecting import ConnectingError, Connections, connectivity
from pellucid.studies.convolution import ConvolutionStudy, StudyError, why_convolution
from pellucid.studies.convolving import Convolved, ConvolvingError, convolve
from pellucid.studies.descent import PRESETS, Descent, DescentError, Surface, Walk, descend, surface
from pellucid.studies.moving import MovingError, ShiftTest, shift_test
from pellucid.studies.plane import DecisionPlane, Plane, PlaneError, decision_plane
from pellucid.studies.shifts import ShiftError, ShiftRobustness, shift_robustness

__all__ = [
    "METHODS",
    "PRESETS",
    "Approximation",
    "ApproximationError",
    "ApproximationSteps",
    "ConnectingError",
    "Connections",
    "ConvolutionStudy",
    "Convolved",
    "ConvolvingError",
    "DecisionPlane",
    "Descent",
    "DescentError",
    "MovingError",
    "Plane",
    "PlaneError",
    "ShiftError",
    "ShiftRobustness",
    "ShiftTest",
    "StudyError",
    "Surface",
    "Walk",
    "approximate",
    "approximation_steps",
    "connectivity",
    "convolve",
    "decision_plane",
    "descend",
    "shift_robustness",
    "shift_test",
    "surface",
    "why_convolution",
]
