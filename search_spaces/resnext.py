"""The ResNeXt design spaces: residual bottlenecks with groups; A is narrow, B is wide with many groups."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

from nas_tune.space.elastic import combine

from .design_space import DesignSpace
from .operations.residual import Residual, bottleneck_branch, bottleneck_width

if TYPE_CHECKING:
    from torch import nn

    from nas_tune.space import Chooser
    from nas_tune.space.elastic import Size

DEPTHS = (1, 2, 4, 8, 16)
RATIOS = (1, 2, 4)


class ResNeXtA(DesignSpace):
    """11,390,625 residual networks of narrow bottlenecks with at most 4 groups.

    Args:
        depths: Blocks of a stage; ``1,16,5`` in table 1.
        widths: Channels of a stage; ``16,256,5``.
        ratios: Channels of a stage over those of its bottlenecks; ``1,4,3``.
        groups: Groups of the 3x3 convolutions; ``1,4,3``. Where they do not divide the bottleneck, its width is the
            nearest multiple; that happens on no published value.
        stem_width: Channels of the stem.
        num_classes: Classes of the task.
        in_channels: Channels of the images; grey images are repeated over them.

    Raises:
        SpaceError: A grid is empty or holds a value twice, or a size is no whole number of at least 1.

    Reference: Radosavovic et al., On Network Design Spaces for Visual Recognition, arXiv:1905.13214, table 1; the
    block: Xie et al., arXiv:1611.05431.
    """

    def __init__(
        self,
        depths: Sequence[int] = DEPTHS,
        widths: Sequence[int] = (16, 32, 64, 128, 256),
        ratios: Sequence[int] = RATIOS,
        groups: Sequence[int] = (1, 2, 4),
        stem_width: int = 16,
        num_classes: int = 10,
        in_channels: int = 3,
    ) -> None:
        grids = {"depth": depths, "width": widths, "ratio": ratios, "groups": groups}
        super().__init__(grids, stem_width, num_classes, in_channels)

    def block(self, choose: Chooser, stage: str, in_channels: Size, width: Size, stride: int) -> nn.Module:
        return _block(self, choose, stage, in_channels, width, stride)


class ResNeXtB(DesignSpace):
    """52,734,375 residual networks of wide bottlenecks with up to 16 groups.

    The super-net of the published grids holds about 560 million parameters.

    Args:
        depths: Blocks of a stage; ``1,16,5`` in table 1.
        widths: Channels of a stage; ``64,1024,5``.
        ratios: Channels of a stage over those of its bottlenecks; ``1,4,3``.
        groups: Groups of the 3x3 convolutions; ``1,16,5``. Where they do not divide the bottleneck, its width is the
            nearest multiple; that happens on no published value.
        stem_width: Channels of the stem.
        num_classes: Classes of the task.
        in_channels: Channels of the images; grey images are repeated over them.

    Raises:
        SpaceError: A grid is empty or holds a value twice, or a size is no whole number of at least 1.

    Reference: Radosavovic et al., On Network Design Spaces for Visual Recognition, arXiv:1905.13214, table 1; the
    block: Xie et al., arXiv:1611.05431.
    """

    def __init__(
        self,
        depths: Sequence[int] = DEPTHS,
        widths: Sequence[int] = (64, 128, 256, 512, 1024),
        ratios: Sequence[int] = RATIOS,
        groups: Sequence[int] = (1, 2, 4, 8, 16),
        stem_width: int = 16,
        num_classes: int = 10,
        in_channels: int = 3,
    ) -> None:
        grids = {"depth": depths, "width": widths, "ratio": ratios, "groups": groups}
        super().__init__(grids, stem_width, num_classes, in_channels)

    def block(self, choose: Chooser, stage: str, in_channels: Size, width: Size, stride: int) -> nn.Module:
        return _block(self, choose, stage, in_channels, width, stride)


def _block(space: DesignSpace, choose: Chooser, stage: str, in_channels: Size, width: Size, stride: int) -> nn.Module:
    groups: Size = choose.value(f"{stage}.groups")
    grids = itertools.product(*(space.grids[key] for key in ("width", "ratio", "groups")))
    widest = max(itertools.starmap(bottleneck_width, grids))
    inner = combine(bottleneck_width, width, choose.value(f"{stage}.ratio"), groups, most=widest)
    return Residual(choose, bottleneck_branch(in_channels, inner, width, groups, stride), in_channels, width, stride)
