"""Grad-CAM on EfficientNet-Lite0 with its published weights, one picture at a time: ours, Captum's, and PyTorch with hooks.

The hooks do what pytorch-grad-cam's do (it needs torchvision, and is timed itself where that can be imported) at their
best: nothing before the layer keeps what a gradient would need, and the backward pass stops at the layer.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import pellucid as pl
from common import OURS, compare

TARGET = 282


class Hooks:
    """Grad-CAM by a hook on `layer` of a torch network whose parameters want no gradients."""

    def __init__(self, net: Any, layer: Any) -> None:
        self.net = net
        layer.register_forward_hook(self.keep)

    def keep(self, module: Any, given: Any, values: Any) -> Any:
        self.values = values.detach().requires_grad_()
        return self.values

    def __call__(self, image: Any) -> Any:
        import torch

        with torch.enable_grad():
            score = self.net(image)[0, TARGET]
        (slopes,) = torch.autograd.grad(score, self.values)
        with torch.inference_mode():
            found = torch.relu((slopes.mean((2, 3), keepdim=True) * self.values).sum(1, keepdim=True))
            return torch.nn.functional.interpolate(found, image.shape[2:], mode="bilinear")


def their_network() -> Any:
    """The peer's network as a sequence of modules that are each used once, frozen; `features` ends in the layer."""
    import torch
    from efficientnet_lite_pytorch import EfficientNet

    whole = EfficientNet.from_name("efficientnet-lite0")
    state = pl.read_weights(pl.models.published("efficientnet_lite0").path())
    whole.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in state.items()}, strict=False)
    their = torch.nn
    features = their.Sequential(
        whole._conv_stem, whole._bn0, their.ReLU6(), *whole._blocks, whole._conv_head, whole._bn1, their.ReLU6()
    )
    net = their.Sequential(features, their.AdaptiveAvgPool2d(1), their.Flatten(), whole._fc)
    return net.eval().requires_grad_(False)


def main() -> None:
    """Check that the maps agree, and print the ratio of the best peer's time to ours."""
    import torch
    from captum.attr import LayerAttribution, LayerGradCam

    ours = pl.models.build("efficientnet_lite0", pretrained=True)
    picture = np.random.default_rng(0).standard_normal((3, 224, 224), np.float32)

    def captum(net: Any, image: Any) -> Any:
        found = LayerGradCam(net, net[0][-1]).attribute(image, TARGET, relu_attributions=True)
        return LayerAttribution.interpolate(found, image.shape[2:], "bilinear")

    sides: dict[str, Any] = {OURS: lambda: pl.explain.grad_cam(ours, picture, TARGET).map}
    for layout, form in (("", torch.contiguous_format), (", channels last", torch.channels_last)):
        net, hooked = (their_network().to(memory_format=form) for _ in range(2))
        image = torch.from_numpy(picture)[None].to(memory_format=form)
        hooks = Hooks(hooked, hooked[0][-1])
        sides[f"Captum{layout}"] = lambda net=net, image=image: captum(net, image).detach().numpy()[0, 0]
        sides[f"hooks{layout}"] = lambda hooks=hooks, image=image: hooks(image).numpy()[0, 0]
    try:
        from pytorch_grad_cam import GradCAM
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
    except ImportError as error:
        print(f"pytorch-grad-cam cannot be imported here ({error})")
    else:
        net = their_network().requires_grad_(True)
        theirs = GradCAM(net, [net[0][-1]])
        image = torch.from_numpy(picture)[None]
        sides["pytorch-grad-cam"] = lambda: theirs(image, [ClassifierOutputTarget(TARGET)])[0]
    mine = sides[OURS]()
    for name in ("Captum", "hooks"):
        error = np.abs(sides[name]() - mine).max() / mine.max()
        print(f"{name}'s map differs by {error:.1e} of the largest")
    compare("Grad-CAM of EfficientNet-Lite0, batch 1", sides, 5, 10, 1.0)


if __name__ == "__main__":
    main()
