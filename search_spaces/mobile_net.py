"""The MobileNet chain of ProxylessNAS: 21 blocks, six inverted residuals or nothing for each."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import ClassVar

from torch import nn

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

CHOICES = {f"mb_k{kernel}_e{expansion}": (kernel, expansion) for kernel in (3, 5, 7) for expansion in (3, 6)}
WIDTHS = (24, 40, 80, 96, 192, 320)
STAGES = (4, 4, 4, 4, 4, 1)
STRIDES = (2, 2, 2, 2, 1, 2, 1)  # the stem's, then the stages'
EPS = 1e-3  # of the batch norms


class MobileNet(ChainSpace):
    """7^15 x 6^6 chains: an inverted residual of kernel 3, 5 or 7 and expansion 3 or 6 for each of 21 blocks, or none.

    The network: a 3x3 stem of stride 2, a fixed block of expansion 1, six stages, a 1x1 convolution to 1280 channels,
    global average pooling, a linear classifier.

    Only a block that keeps the shape can be left out, as in the published search code: 15 of the 21 blocks have 7
    candidates, the first one of each stage has 6. The "21 x 7" of the surveys, 7^21, is an upper bound that also
    counts chains with nothing where the shape changes. Unlike that code, the first block of a stage stays even where
    a `width_multiplier` makes two stages equally wide, so that the space is the same at any width.

    Args:
        num_classes: Classes of the task.
        in_channels: Channels of the images; grey images are repeated over them.
        width_multiplier: Factor of all channels, rounded to multiples of 8; below 1 the last 1280 stay.
        widths: Channels of the stages.
        stages: Blocks of the stages; with fewer stages the first ones are built.
        stem: ``"imagenet"``, or ``"cifar"`` with stride 1 in the stem and in the first stage, for small images.

    Raises:
        SpaceError: A size below 1, or no whole number; more stages than widths.
        UnknownNameError: There is no such stem.

    Reference: Cai, Zhu & Han, ProxylessNAS, arXiv:1812.00332; sizes and rounding from the published search code. The
    published networks have channels of their own: ``width_multiplier=1.12`` for ProxylessNAS-CPU, ``1.35`` for
    ProxylessNAS-GPU, ``widths=(32, 40, 80, 96, 192, 320)`` for ProxylessNAS-Mobile. (The two factors are inferred:
    they give every channel and every parameter of the published networks.)
    """

    reference: ClassVar[str] = "arXiv:1812.00332"
    image_size: ClassVar[int] = 224
    symbols = {name: f"{kernel}x{kernel}_MBConv{expansion}" for name, (kernel, expansion) in CHOICES.items()} | {
        "identity": "Zero"
    }
    architectures = {
        "ProxylessNAS-CPU": "3x3_MBConv6 3x3_MBConv3 3x3_MBConv3 3x3_MBConv3 3x3_MBConv6 3x3_MBConv3 3x3_MBConv3 "
        "5x5_MBConv3 3x3_MBConv6 Zero Zero 3x3_MBConv3 5x5_MBConv6 3x3_MBConv3 3x3_MBConv3 3x3_MBConv3 5x5_MBConv6 "
        "5x5_MBConv3 5x5_MBConv3 3x3_MBConv3 5x5_MBConv6",
        "ProxylessNAS-GPU": "5x5_MBConv3 Zero Zero Zero 7x7_MBConv3 Zero Zero 3x3_MBConv3 7x7_MBConv6 Zero Zero "
        "5x5_MBConv3 5x5_MBConv6 Zero 3x3_MBConv3 5x5_MBConv3 7x7_MBConv6 7x7_MBConv6 7x7_MBConv6 5x5_MBConv6 "
        "7x7_MBConv6",
        "ProxylessNAS-Mobile": "5x5_MBConv3 3x3_MBConv3 Zero Zero 7x7_MBConv3 3x3_MBConv3 5x5_MBConv3 5x5_MBConv3 "
        "7x7_MBConv6 5x5_MBConv3 5x5_MBConv3 5x5_MBConv3 5x5_MBConv6 5x5_MBConv3 5x5_MBConv3 5x5_MBConv3 7x7_MBConv6 "
        "7x7_MBConv6 7x7_MBConv3 7x7_MBConv3 7x7_MBConv6",
    }

    def __init__(
        self,
        num_classes: int = 1000,
        in_channels: int = 3,
        *,
        width_multiplier: float = 1.0,
        widths: Sequence[int] = WIDTHS,
        stages: Sequence[int] = STAGES,
        stem: str = "imagenet",
    ) -> None:
        factor = multiplier_of("MobileNet", "width_multiplier", width_multiplier)
        self.width_multiplier, self.stem = width_multiplier, stem
        self.widths = sizes_of("MobileNet", "widths", widths)
        self.stages = sizes_of("MobileNet", "stages", stages)
        self.stem_stride, *strides = strides_for("MobileNet", stem, STRIDES)
        self.stem_channels, self.first_channels = make_divisible(32 * factor), make_divisible(16 * factor)
        self.last_channels = make_divisible(1280 * max(1.0, factor))
        scaled = [make_divisible(width * factor) for width in self.widths]
        blocks = blocks_of("MobileNet", self.first_channels, scaled, strides, self.stages)
        super().__init__(blocks, num_classes, in_channels)

    def __repr__(self) -> str:
        return (
            f"MobileNet(num_classes={self.num_classes}, in_channels={self.in_channels}, "
            f"width_multiplier={self.width_multiplier}, widths={self.widths}, stages={self.stages}, "
            f"stem={self.stem!r})"
        )

    def stem_layers(self) -> Sequence[nn.Module]:
        stem = conv_bn(self.in_channels, self.stem_channels, 3, self.stem_stride, activation=nn.ReLU6, eps=EPS)
        return stem, MBConv(self.stem_channels, self.first_channels, 3, 1, eps=EPS)

    def candidates(self, block: Block) -> Candidates:
        options = inverted_residuals(block, CHOICES, partial(MBConv, eps=EPS))
        return options if block.first else {**options, "identity": nn.Identity}

    def head_layers(self) -> Sequence[nn.Module]:
        last = conv_bn(self.blocks[-1].out_channels, self.last_channels, activation=nn.ReLU6, eps=EPS)
        return last, *classifier(self.last_channels, self.num_classes)
