"""Answers to where a number comes from."""

from pellucid.explain.activation_functions import (
    ActivationComparison,
    ActivationCurve,
    ActivationFunctionError,
    activation_curve,
    activation_names,
    compare_activations,
)
from pellucid.explain.expression_trace import ExpressionTrace, trace_expression
from pellucid.explain.neuron import Neuron, Summands
from pellucid.explain.scores import ScoreError, ScoreGraph, Scores
from pellucid.explain.terms import Factor, Summand
from pellucid.explain.tracing import Activation, Trace, TraceError, parse_place, trace

__all__ = [
    "Activation",
    "ActivationComparison",
    "ActivationCurve",
    "ActivationFunctionError",
    "ExpressionTrace",
    "Factor",
    "Neuron",
    "ScoreError",
    "ScoreGraph",
    "Scores",
    "Summand",
    "Summands",
    "Trace",
    "TraceError",
    "activation_curve",
    "activation_names",
    "compare_activations",
    "parse_place",
    "trace",
    "trace_expression",
]
