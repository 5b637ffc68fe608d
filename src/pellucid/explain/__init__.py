"""Answers to where a number comes from."""

from pellucid.explain.expression_trace import ExpressionTrace, trace_expression
from pellucid.explain.neuron import Factor, Neuron, Summand, Summands
from pellucid.explain.scores import ScoreError, ScoreGraph, Scores
from pellucid.explain.tracing import Activation, Trace, TraceError, parse_place, trace

__all__ = [
    "Activation",
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
    "parse_place",
    "trace",
    "trace_expression",
]
