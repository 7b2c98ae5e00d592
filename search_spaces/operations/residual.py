"""Blocks of the network design spaces: plain, residual, and residual with a grouped bottleneck.

Reference: Radosavovic et al., On Network Design Spaces for Visual Recognition, arXiv:1905.13214, section 3.2; the order
of their layers is that of pycls, with which the authors trained.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from torch import Tensor, nn

from nas_tune.space.elastic import Size, combine
from nas_tune.supernet import elastic

if TYPE_CHECKING:
    from nas_tune.space import Chooser


def conv_bn(
    in_channels: Size, out_channels: Size, kernel: int, stride: int = 1, groups: Size = 1, relu: bool = True
) -> nn.Sequential:
    """Return a convolution without bias, batch norm and, unless it ends a branch, ReLU."""
    return nn.Sequential(
        elastic.conv2d(in_channels, out_channels, kernel, stride, groups=groups),
        elastic.batch_norm2d(out_channels),
        *([nn.ReLU()] if relu else []),
    )


def vanilla_block(in_channels: Size, width: Size, stride: int) -> nn.Sequential:
    """Return two 3x3 convolutions, each with batch norm and ReLU; the first one has the stride."""
    inner = own_dimension(width)
    return nn.Sequential(conv_bn(in_channels, inner, 3, stride), conv_bn(inner, width, 3))


def basic_branch(in_channels: Size, width: Size, stride: int) -> nn.Sequential:
    """Return the residual branch of two 3x3 convolutions; the first one has the stride."""
    inner = own_dimension(width)
    return nn.Sequential(conv_bn(in_channels, inner, 3, stride), conv_bn(inner, width, 3, relu=False))


def bottleneck_branch(in_channels: Size, inner: Size, width: Size, groups: Size, stride: int) -> nn.Sequential:
    """Return the residual branch 1x1, grouped 3x3 of `inner` channels, 1x1; the middle one has the stride."""
    middle = own_dimension(inner)
    return nn.Sequential(
        conv_bn(in_channels, inner, 1),
        conv_bn(inner, middle, 3, stride, groups),
        conv_bn(middle, width, 1, relu=False),
    )


def bottleneck_width(width: int, ratio: int, groups: int) -> int:
    """Return `width / ratio`, rounded to a multiple of `groups`, at least one channel for each.

    The published grids need no rounding; pycls rounds alike where others do.
    """
    return groups * max(1, round(width / (ratio * groups)))


class Residual(nn.Module):
    """ReLU of the sum of a branch and a shortcut.

    The shortcut passes its input on, or projects it (1x1 convolution and batch norm) where the shape changes.

    Args:
        choose: What the network asks for its choices: whether a block of stride 1 changes the channels may depend on
            the architecture.
        branch: From `(N, in_channels, H, W)` to `(N, width, H / stride, W / stride)`, rounded up.
        in_channels: Channels of the input.
        width: Channels of the output.
        stride: Stride of the branch.
    """

    def __init__(self, choose: Chooser, branch: nn.Module, in_channels: Size, width: Size, stride: int) -> None:
        super().__init__()
        self.branch = branch

        def projection(path: str) -> nn.Module:
            return conv_bn(in_channels, width, 1, stride, relu=False)

        self.shortcut = nn.Sequential(*choose.copies(_projections(in_channels, width, stride), projection))

    def forward(self, x: Tensor) -> Tensor:
        shortcut: Tensor = self.shortcut(x)
        residual: Tensor = self.branch(x)
        return nn.functional.relu(shortcut + residual)


def _projections(in_channels: Size, width: Size, stride: int) -> Size:
    """Return how many projections the shortcut has, 0 or 1."""
    if stride != 1:
        return 1
    if in_channels is width:
        return 0
    return cast(Size, combine(_differ, in_channels, width, most=1))


def _differ(in_channels: int, width: int) -> int:
    return int(in_channels != width)


def own_dimension(size: Size) -> Size:
    """Return an equal size that is a channel dimension of its own."""
    return combine(_same, size)


def _same(size: int) -> int:
    return size
