"""The Vanilla design space: plain convolutions, loosely inspired by VGG."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .design_space import DesignSpace
from .operations.residual import vanilla_block

if TYPE_CHECKING:
    from torch import nn

    from nas_tune.space import Chooser
    from nas_tune.space.elastic import Size

DEPTHS = (1, 2, 3, 4, 6, 8, 12, 16, 24)
WIDTHS = (16, 24, 32, 40, 48, 64, 80, 96, 128, 160, 192, 256)


class Vanilla(DesignSpace):
    """1,259,712 networks of blocks of two 3x3 convolutions without shortcuts.

    Table 1 gives the grids as ``1,24,9`` and ``16,256,12``: so many values spaced "about evenly" in log space. Rounding
    the exact ones gives depth 1 twice; the grids here are those of the form 2^k and 3 * 2^k (for widths also 5 * 2^k,
    multiples of 8), which are exactly 9 and 12. That is unverified but for the values in published samples: depth 12,
    widths 24, 32 and 40.

    Args:
        depths: Blocks of a stage.
        widths: Channels of a stage.
        stem_width: Channels of the stem.
        num_classes: Classes of the task.
        in_channels: Channels of the images; grey images are repeated over them.

    Raises:
        SpaceError: A grid is empty or holds a value twice, or a size is no whole number of at least 1.

    Reference: Radosavovic et al., On Network Design Spaces for Visual Recognition, arXiv:1905.13214, table 1.
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
        return vanilla_block(in_channels, width, stride)
