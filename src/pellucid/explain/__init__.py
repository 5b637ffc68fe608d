"""Answers to where a number comes from."""

from pellucid.explain.attribution import (
    METHODS,
    Attribution,
    Compared,
    Comparison,
    Faithfulness,
    Method,
    Randomization,
    attribute,
    compare_methods,
    deconvnet,
    faithfulness,
    grad_cam,
    grad_cam_plus_plus,
    gradient_x_input,
    guided_backprop,
    integrated_gradients,
    lrp_composite,
    lrp_epsilon,
    occlusion,
    randomization_check,
    saliency,
    smoothgrad,
)
from pellucid.explain.features.embedding import Embedding, embed
from pellucid.explain.features.exciting import Exciting, MostExciting, most_exciting
from pellucid.explain.features.feature_maps import ActivationMaps, Filters, Stages, activation_maps, filters, stages
from pellucid.explain.features.synthesis import Ascent, Synthesis, SynthesisError, class_model, maximize
from pellucid.explain.features.units import LayerUnits, UnitReport, unit_statistics
from pellucid.explain.fields.effective_field import FieldError, ReceptiveField, receptive_field
from pellucid.explain.networks.comparison import ComparisonError, NetworkComparison, WeightDistance, compare
from pellucid.explain.networks.divergence import Divergence
from pellucid.explain.networks.landscape import LandscapeError, LossLandscape, Survey, filter_normalized, loss_landscape
from pellucid.explain.networks.timing import time_layers
from pellucid.explain.networks.twins import MapComparison, compare_maps
from pellucid.explain.trace.neuron import Neuron, Summands
from pellucid.explain.trace.terms import Factor, Summand
from pellucid.explain.trace.tracing import Activation, Trace, TraceError, parse_place, trace
from pellucid.explain.trace.walking import Path, PathStep, WalkBack, walk_back
from pellucid.formulas.activation_functions import (
    ActivationComparison,
    ActivationCurve,
    ActivationFunctionError,
    activation_curve,
    activation_names,
    compare_activations,
)
from pellucid.formulas.loss_functions import (
    LossComparison,
    LossCurve,
    LossFunctionError,
    compare_losses,
    loss_curve,
    loss_names,
)
from pellucid.formulas.maxout_unit import MaxoutUnit, maxout_unit
from pellucid.formulas.neuron_plane import NeuronError, PlanePoint, TwoInputNeuron, two_input_neuron
from pellucid.formulas.trace import ExpressionTrace, trace_expression
from pellucid.inference.layers import LayerError
from pellucid.inference.scores import ScoreGraph, Scores
from pellucid.inference.target import ScoreError, Target
from pellucid.renamed import old_names

__all__ = [
    "METHODS",
    "Activation",
    "ActivationComparison",
    "ActivationCurve",
    "ActivationFunctionError",
    "ActivationMaps",
    "Ascent",
    "Attribution",
    "Compared",
    "Comparison",
    "ComparisonError",
    "Divergence",
    "Embedding",
    "Exciting",
    "ExpressionTrace",
    "Factor",
    "Faithfulness",
    "FieldError",
    "Filters",
    "LandscapeError",
    "LayerError",
    "LayerUnits",
    "LossComparison",
    "LossCurve",
    "LossFunctionError",
    "LossLandscape",
    "MapComparison",
    "MaxoutUnit",
    "Method",
    "MostExciting",
    "NetworkComparison",
    "Neuron",
    "NeuronError",
    "Path",
    "PathStep",
    "PlanePoint",
    "Randomization",
    "ReceptiveField",
    "ScoreError",
    "ScoreGraph",
    "Scores",
    "Stages",
    "Summand",
    "Summands",
    "Survey",
    "Synthesis",
    "SynthesisError",
    "Target",
    "Trace",
    "TraceError",
    "TwoInputNeuron",
    "UnitReport",
    "WalkBack",
    "WeightDistance",
    "activation_curve",
    "activation_maps",
    "activation_names",
    "attribute",
    "class_model",
    "compare",
    "compare_activations",
    "compare_losses",
    "compare_maps",
    "compare_methods",
    "deconvnet",
    "embed",
    "faithfulness",
    "filter_normalized",
    "filters",
    "grad_cam",
    "grad_cam_plus_plus",
    "gradient_x_input",
    "guided_backprop",
    "integrated_gradients",
    "loss_curve",
    "loss_landscape",
    "loss_names",
    "lrp_composite",
    "lrp_epsilon",
    "maximize",
    "maxout_unit",
    "most_exciting",
    "occlusion",
    "parse_place",
    "randomization_check",
    "receptive_field",
    "saliency",
    "smoothgrad",
    "stages",
    "time_layers",
    "trace",
    "trace_expression",
    "two_input_neuron",
    "unit_statistics",
    "walk_back",
]

__getattr__ = old_names(__name__)
