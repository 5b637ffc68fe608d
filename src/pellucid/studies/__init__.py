"""Studies: experiments that build, train and explain networks to show why they are as they are."""

from pellucid.studies.approximation import METHODS, Approximation, ApproximationError, approximate

__all__ = ["METHODS", "Approximation", "ApproximationError", "approximate"]
