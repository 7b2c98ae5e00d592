"""The ResNet design space: residual blocks of two 3x3 convolutions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .design_space import DesignSpace
from .operations.residual import Residual, basic_branch
from .vanilla import DEPTHS, WIDTHS

if TYPE_CHECKING:
    from torch import nn

    from nas_tune.space import Chooser
    from nas_tune.space.elastic import Size


class ResNet(DesignSpace):
    """1,259,712 residual networks: `Vanilla` with a shortcut around every block.

    The grids are those of `Vanilla`, with what is known of them. ResNet-56 and ResNet-110 lie between the published
    values: ``ResNet(depths=(9, 18), widths=(16, 32, 64))`` holds them as ``"d=9,9,9 w=16,32,64"`` and
    ``"d=18,18,18 w=16,32,64"``.

    Args:
        depths: Blocks of a stage.
        widths: Channels of a stage.
        stem_width: Channels of the stem.
        num_classes: Classes of the task.
        in_channels: Channels of the images; grey images are repeated over them.

    Raises:
        SpaceError: A grid is empty or holds a value twice, or a size is no whole number of at least 1.

    Reference: Radosavovic et al., On Network Design Spaces for Visual Recognition, arXiv:1905.13214, table 1; the
    block: He et al., arXiv:1512.03385, with projection shortcuts where the shape changes (option B).
    """

    def __init__(
        self,
        depths: Sequence[int] = DEPTHS,
        widths: Sequence[int] = WIDTHS,
        stem_width: int = 16,
        num_classes: int = 10,
        in_channels: int = 3,
    ) -> None:
        super().__init__({"depth": depths, "width": widths}, stem_width, num_classes, in_channels)

    def block(self, choose: Chooser, stage: str, in_channels: Size, width: Size, stride: int) -> nn.Module:
        return Residual(choose, basic_branch(in_channels, width, stride), in_channels, width, stride)
