"""FairNAS: a MobileNet chain of 19 layers, an inverted residual of one of six kinds for each."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import ClassVar

from torch import nn

from nas_tune.errors import SpaceError
from nas_tune.space.node import number

from .chain import (
    Block,
    Candidates,
    ChainSpace,
    blocks_of,
    classifier,
    inverted_residuals,
    multiplier_of,
    sizes_of,
    strides_for,
)
from .operations.elastic_mobile import make_divisible
from .operations.mobile import MBConv, conv_bn

CHOICES = {f"mb_k{kernel}_e{expansion}": (kernel, expansion) for expansion in (3, 6) for kernel in (3, 5, 7)}
WIDTHS = (32, 40, 80, 96, 192, 320)
STAGES = (2, 4, 4, 4, 4, 1)
STRIDES = (2, 2, 2, 2, 1, 2, 1)  # the stem's, then the stages'


class FairNAS(ChainSpace):
    """6^19 chains: an inverted residual of kernel 3, 5 or 7 and expansion 3 or 6 for each of 19 layers.

    The network: a 3x3 stem of stride 2, a fixed depthwise separable convolution to 16 channels, six stages, a 1x1
    convolution to 1280 channels, global average pooling, dropout, a linear classifier. ReLU6 throughout.

    Args:
        num_classes: Classes of the task.
        in_channels: Channels of the images; grey images are repeated over them.
        width_multiplier: Factor of all channels but the last 1280, rounded to multiples of 8; the publication has 1.
        stages: Layers of the stages; with fewer stages the first ones are built.
        stem: ``"imagenet"``, or ``"cifar"`` with stride 1 in the stem and in the first stage, for small images.
        squeeze_excitation: Hidden channels of a squeeze-excitation in every searched layer, as a part of the layer's
            input channels: 0.5 and 1.0 are the published FairNAS-SE, whose searched layers use swish. 0 is none.

    Raises:
        SpaceError: A size below 1, or no whole number; `squeeze_excitation` below 0.
        UnknownNameError: There is no such stem.

    Reference: Chu et al., FairNAS, arXiv:1907.01845; the networks A, B, C and the numbering of the choices from the
    published model definitions. Where FairNAS-SE has ReLU in its fixed layers, this keeps ReLU6.
    """

    reference: ClassVar[str] = "arXiv:1907.01845"
    image_size: ClassVar[int] = 224
    symbols = {name: str(place) for place, name in enumerate(CHOICES)}
    architectures = {
        "FairNAS-A": "2 0 2 3 5 0 0 5 5 1 3 1 1 3 3 5 3 5 4",
        "FairNAS-B": "1 0 1 0 3 1 2 0 3 1 0 3 2 0 5 4 5 3 4",
        "FairNAS-C": "1 0 2 0 0 0 0 0 0 3 0 0 0 0 5 5 3 3 4",
    }

    def __init__(
        self,
        num_classes: int = 1000,
        in_channels: int = 3,
        *,
        width_multiplier: float = 1.0,
        stages: Sequence[int] = STAGES,
        stem: str = "imagenet",
        squeeze_excitation: float = 0.0,
    ) -> None:
        factor = multiplier_of("FairNAS", "width_multiplier", width_multiplier)
        if number("FairNAS", "squeeze_excitation", squeeze_excitation) < 0:
            raise SpaceError(f"FairNAS: `squeeze_excitation` is {squeeze_excitation}; it is at least 0.")
        self.width_multiplier, self.stem, self.squeeze_excitation = width_multiplier, stem, squeeze_excitation
        self.stages = sizes_of("FairNAS", "stages", stages)
        self.stem_stride, *strides = strides_for("FairNAS", stem, STRIDES)
        self.stem_channels, self.first_channels = make_divisible(32 * factor), make_divisible(16 * factor)
        scaled = [make_divisible(width * factor) for width in WIDTHS]
        super().__init__(
            blocks_of("FairNAS", self.first_channels, scaled, strides, self.stages), num_classes, in_channels
        )

    def __repr__(self) -> str:
        return (
            f"FairNAS(num_classes={self.num_classes}, in_channels={self.in_channels}, "
            f"width_multiplier={self.width_multiplier}, stages={self.stages}, stem={self.stem!r}, "
            f"squeeze_excitation={self.squeeze_excitation})"
        )

    def stem_layers(self) -> Sequence[nn.Module]:
        stem = conv_bn(self.in_channels, self.stem_channels, 3, self.stem_stride, activation=nn.ReLU6)
        depthwise = conv_bn(self.stem_channels, self.stem_channels, 3, groups=self.stem_channels, activation=nn.ReLU6)
        return stem, depthwise, conv_bn(self.stem_channels, self.first_channels)

    def candidates(self, block: Block) -> Candidates:
        squeezed = int(block.in_channels * self.squeeze_excitation)
        activation = nn.SiLU if squeezed else nn.ReLU6
        make = partial(MBConv, activation=activation, squeezed=squeezed)
        return inverted_residuals(block, CHOICES, make)

    def head_layers(self) -> Sequence[nn.Module]:
        last = conv_bn(self.blocks[-1].out_channels, 1280, activation=nn.ReLU6)
        return last, *classifier(1280, self.num_classes, dropout=0.2)
