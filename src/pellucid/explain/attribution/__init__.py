"""Attribution: which places of a picture a network's score for a class comes from, by the methods in use."""

from pellucid.explain.attribution.cam import grad_cam, grad_cam_plus_plus
from pellucid.explain.attribution.comparison import Compared, Comparison, compare_methods
from pellucid.explain.attribution.faithfulness import Faithfulness, faithfulness
from pellucid.explain.attribution.gradient import gradient_x_input, integrated_gradients, saliency, smoothgrad
from pellucid.explain.attribution.guided import deconvnet, guided_backprop
from pellucid.explain.attribution.lrp import lrp_composite, lrp_epsilon
from pellucid.explain.attribution.method import METHODS, Attribution, Method, attribute
from pellucid.explain.attribution.occlusion import occlusion
from pellucid.explain.attribution.sanity import Randomization, randomization_check

__all__ = [
    "METHODS",
    "Attribution",
    "Compared",
    "Comparison",
    "Faithfulness",
    "Method",
    "Randomization",
    "attribute",
    "compare_methods",
    "deconvnet",
    "faithfulness",
    "grad_cam",
    "grad_cam_plus_plus",
    "gradient_x_input",
    "guided_backprop",
    "integrated_gradients",
    "lrp_composite",
    "lrp_epsilon",
    "occlusion",
    "randomization_check",
    "saliency",
    "smoothgrad",
]
