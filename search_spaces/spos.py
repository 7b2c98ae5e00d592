"""Single Path One-Shot: a chain of 20 ShuffleNet blocks, one of four kinds for each."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import ClassVar

from torch import nn

from nas_tune.errors import SpaceError

from .chain import Block, Candidates, ChainSpace, blocks_of, classifier, multiplier_of, sizes_of, strides_for
from .operations.elastic_mobile import make_divisible
from .operations.mobile import ShuffleBlock, conv_bn

CHOICES = ("shuffle_3", "shuffle_5", "shuffle_7", "xception")
WIDTHS = (64, 160, 320, 640)
STAGES = (4, 4, 8, 4)
STRIDES = (2, 2, 2, 2, 2)  # the stem's, then the stages'
LAST = 1024


class SPOS(ChainSpace):
    """4^20 chains: a shuffle block of kernel 3, 5 or 7, or one with an Xception branch, for each of 20 places.

    The network: a 3x3 stem of stride 2, four stages that halve the map, a 1x1 convolution to 1024 channels, global
    average pooling, dropout, a linear classifier without bias. It is that of the block search; the publication also
    searches the channels inside the blocks, which are half of a block's output here.

    Args:
        num_classes: Classes of the task.
        in_channels: Channels of the images; grey images are repeated over them.
        width_multiplier: Factor of all channels but the last 1024, rounded to multiples of 4; the publication has 1.
        stages: Blocks of the stages; with fewer stages the first ones are built.
        stem: ``"imagenet"``, or ``"cifar"`` with stride 1 in the stem and in the first stage, for small images.

    Raises:
        SpaceError: A size below 1, or no whole number; so small a `width_multiplier` that stages are equally wide.
        UnknownNameError: There is no such stem.

    Reference: Guo et al., Single Path One-Shot, arXiv:1904.00420; the network from the published code, batch norms with
    affine weights as where it trains a network alone.
    """

    reference: ClassVar[str] = "arXiv:1904.00420"
    image_size: ClassVar[int] = 224
    symbols = {name: str(place) for place, name in enumerate(CHOICES)}
    architectures = {"SPOS": "2 1 0 1 2 0 2 0 2 0 2 3 0 0 0 0 3 2 3 3"}

    def __init__(
        self,
        num_classes: int = 1000,
        in_channels: int = 3,
        *,
        width_multiplier: float = 1.0,
        stages: Sequence[int] = STAGES,
        stem: str = "imagenet",
    ) -> None:
        factor = multiplier_of("SPOS", "width_multiplier", width_multiplier)
        self.width_multiplier, self.stem, self.stages = width_multiplier, stem, sizes_of("SPOS", "stages", stages)
        self.stem_stride, *strides = strides_for("SPOS", stem, STRIDES)
        self.stem_channels = make_divisible(16 * factor, 4)
        scaled = [make_divisible(width * factor, 4) for width in WIDTHS]
        super().__init__(blocks_of("SPOS", self.stem_channels, scaled, strides, self.stages), num_classes, in_channels)
        _check_growth(self.blocks, width_multiplier)

    def __repr__(self) -> str:
        return (
            f"SPOS(num_classes={self.num_classes}, in_channels={self.in_channels}, "
            f"width_multiplier={self.width_multiplier}, stages={self.stages}, stem={self.stem!r})"
        )

    def stem_layers(self) -> Sequence[nn.Module]:
        return (conv_bn(self.in_channels, self.stem_channels, 3, self.stem_stride, activation=nn.ReLU),)

    def candidates(self, block: Block) -> Candidates:
        make = partial(ShuffleBlock, block.in_channels, block.out_channels, stride=block.stride)
        shuffles = {f"shuffle_{kernel}": partial(make, kernel=kernel) for kernel in (3, 5, 7)}
        return {**shuffles, "xception": partial(make, kernel=3, xception=True)}

    def head_layers(self) -> Sequence[nn.Module]:
        last = conv_bn(self.blocks[-1].out_channels, LAST, activation=nn.ReLU)
        return last, *classifier(LAST, self.num_classes, dropout=0.1, bias=False)


def _check_growth(blocks: Sequence[Block], width_multiplier: float) -> None:
    for block in blocks:
        if block.first and block.out_channels <= block.in_channels:
            raise SpaceError(
                f"SPOS: `width_multiplier` is {width_multiplier}, which gives {block.name} {block.in_channels} "
                f"channels in and {block.out_channels} out; a stage is wider than the one before it. Give more."
            )
