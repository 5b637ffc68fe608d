"""Answers to where a number comes from."""

from pellucid.explain.expression_trace import ExpressionTrace, trace_expression

__all__ = ["ExpressionTrace", "trace_expression"]
