"""Answers to where a number comes from."""

from pellucid.explain.expression_trace import ExpressionTrace, trace_expression
from pellucid.explain.neuron import Neuron, Summands
from pellucid.explain.scores import ScoreError, ScoreGraph, Scores
from pellucid.explain.terms import Factor, Summand
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
