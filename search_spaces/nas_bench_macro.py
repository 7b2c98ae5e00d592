"""NAS-Bench-Macro: a chain of 8 layers, one of three operations for each, every one trained on CIFAR-10."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import ClassVar

from torch import nn

from .chain import Block, Candidates, ChainSpace, blocks_of, classifier, inverted_residuals, sizes_of
from .operations.mobile import MBConv, Projection, conv_bn
from .published import size_of

CHOICES = {"mb_k3_e3": (3, 3), "mb_k5_e6": (5, 6)}
STAGES = (2, 3, 3)


class NASBenchMacro(ChainSpace):
    """6,561 chains: an identity or an inverted residual of one of two kinds for each of 8 layers in three stages.

    The network: a 3x3 stem, stages of 2, 3 and 3 layers that each double the channels and halve the map in their
    first layer, a 1x1 convolution, global average pooling, a linear classifier. ReLU throughout. In the first layer of
    a stage, which changes the shape, the ``identity`` is a 1x1 convolution with batch norm.

    Elsewhere it is nothing, wherever it stands in its stage: the 6,561 chains are 3,969 different networks.

    Args:
        num_classes: Classes of the task.
        in_channels: Channels of the images; grey images are repeated over them.
        channels: Channels of the stem.
        stages: Layers of each stage.
        last_channels: Channels in front of the classifier.

    Raises:
        SpaceError: A size below 1, or no whole number; no stage.

    Reference: Su et al., Prioritized Architecture Sampling with Monte-Carlo Tree Search, arXiv:2103.11922; the network
    from the published training code. All 6,561 have the parameters and multiply-adds of the benchmark's file.
    """

    reference: ClassVar[str] = "arXiv:2103.11922"
    image_size: ClassVar[int] = 32
    symbols = {"identity": "0", "mb_k3_e3": "1", "mb_k5_e6": "2"}
    separator = ""
    architectures = {"best": "22212220"}

    def __init__(
        self,
        num_classes: int = 10,
        in_channels: int = 3,
        *,
        channels: int = 32,
        stages: Sequence[int] = STAGES,
        last_channels: int = 1280,
    ) -> None:
        self.channels = size_of("NASBenchMacro", "channels", channels)
        self.last_channels = size_of("NASBenchMacro", "last_channels", last_channels)
        self.stages = sizes_of("NASBenchMacro", "stages", stages)
        widths = [self.channels * 2**stage for stage in range(1, len(self.stages) + 1)]
        super().__init__(
            blocks_of("NASBenchMacro", self.channels, widths, [2] * len(widths), self.stages), num_classes, in_channels
        )

    def __repr__(self) -> str:
        return (
            f"NASBenchMacro(num_classes={self.num_classes}, in_channels={self.in_channels}, channels={self.channels}, "
            f"stages={self.stages}, last_channels={self.last_channels})"
        )

    def stem_layers(self) -> Sequence[nn.Module]:
        return (conv_bn(self.in_channels, self.channels, 3, activation=nn.ReLU),)

    def candidates(self, block: Block) -> Candidates:
        nothing = partial(Projection, **block.shape) if block.first else nn.Identity
        kinds = inverted_residuals(block, CHOICES, partial(MBConv, activation=nn.ReLU))
        return {"identity": nothing, **kinds}

    def head_layers(self) -> Sequence[nn.Module]:
        last = conv_bn(self.blocks[-1].out_channels, self.last_channels, activation=nn.ReLU)
        return last, *classifier(self.last_channels, self.num_classes)
