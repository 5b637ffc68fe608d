"""Answers to where a number comes from."""

from pellucid.explain.activation_functions import (
    ActivationComparison,
    ActivationCurve,
    ActivationFunctionError,
    activation_curve,
    activation_names,
    compare_activations,
)
from pellucid.explain.attribution import (
    METHODS,
    Attribution,
    Method,
    attribute,
    deconvnet,
    grad_cam,
    grad_cam_plus_plus,
    gradient_x_input,
    guided_backprop,
    integrated_gradients,
    lrp_composite,
    lrp_epsilon,
    occlusion,
    saliency,
    smoothgrad,
)
from pellucid.explain.effective_field import FieldError, ReceptiveField, receptive_field
from pellucid.explain.expression_trace import ExpressionTrace, trace_expression
from pellucid.explain.landscape import LandscapeError, LossLandscape, Survey, filter_normalized, loss_landscape
from pellucid.explain.neuron import Neuron, Summands
from pellucid.explain.scores import ScoreError, ScoreGraph, Scores
from pellucid.explain.terms import Factor, Summand
from pellucid.explain.timing import time_layers
from pellucid.explain.tracing import Activation, Trace, TraceError, parse_place, trace
from pellucid.explain.walking import Path, Step, WalkBack, walk_back

__all__ = [
    "METHODS",
    "Activation",
    "ActivationComparison",
    "ActivationCurve",
    "ActivationFunctionError",
    "Attribution",
    "ExpressionTrace",
    "Factor",
    "FieldError",
    "LandscapeError",
    "LossLandscape",
    "Method",
    "Neuron",
    "Path",
    "ReceptiveField",
    "ScoreError",
    "ScoreGraph",
    "Scores",
    "Step",
    "Summand",
    "Summands",
    "Survey",
    "Trace",
    "TraceError",
    "WalkBack",
    "activation_curve",
    "activation_names",
    "attribute",
    "compare_activations",
    "deconvnet",
    "filter_normalized",
    "grad_cam",
    "grad_cam_plus_plus",
    "gradient_x_input",
    "guided_backprop",
    "integrated_gradients",
    "loss_landscape",
    "lrp_composite",
    "lrp_epsilon",
    "occlusion",
    "parse_place",
    "receptive_field",
    "saliency",
    "smoothgrad",
    "time_layers",
    "trace",
    "trace_expression",
    "walk_back",
]
