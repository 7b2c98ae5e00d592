"""Operations that the cells of NASNet, AmoebaNet, PNAS and ENAS choose from, beyond those of DARTS.

Images are `(N, C, H, W)`; stride 2 halves height and width, odd ones are rounded up. The publications leave layers of
several operations open. Here they are those with which NDS compared the five spaces, arXiv:1905.13214, in the code
that its authors released later: every convolution is ReLU, convolution, batch norm, and poolings stand alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from torch import nn

from nas_tune.supernet.drop_path import DropPath

from .basic import relu_conv_bn
from .cells import dilated, operation


def factorized(channels: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Return ReLU, a `1 x kernel` and a `kernel x 1` convolution with nothing between them, batch norm."""
    half = kernel // 2
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(channels, channels, (1, kernel), (1, stride), (0, half), bias=False),
        nn.Conv2d(channels, channels, (kernel, 1), (stride, 1), (half, 0), bias=False),
        nn.BatchNorm2d(channels),
    )


def dilated_separable(channels: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Return two `dilated` convolutions, the first with the stride: a separable convolution with dilation 2."""
    return nn.Sequential(*dilated(channels, kernel, stride), *dilated(channels, kernel))


def picked(name: str, channels: int, stride: int = 1) -> nn.Module:
    """Return the operation of a name, which keeps the channels, with `DropPath` behind it unless it is the identity.

    Args:
        name: One of `OPERATIONS`.
        channels: Channels of input and output.
        stride: 1 or 2; ``skip_connect`` with stride 2 is a `FactorizedReduce`.
    """
    kind, _, size = name.rpartition("_")
    if kind == "dil_sep_conv":
        made: nn.Module = dilated_separable(channels, int(size[0]), stride)
    elif kind == "conv":
        made = relu_conv_bn(channels, channels, int(size[0]), stride)
    elif name.startswith("conv_"):
        made = factorized(channels, int(size[-1]), stride)
    else:
        made = operation(name, channels, stride)
    if isinstance(made, nn.Identity):
        return made
    return made.append(DropPath()) if isinstance(made, nn.Sequential) else nn.Sequential(made, DropPath())


def candidates(names: Sequence[str], channels: int, stride: int = 1) -> dict[str, Callable[[], nn.Module]]:
    """Return what makes each of the operations, by name."""
    return {name: partial(picked, name, channels, stride) for name in names}


OPERATIONS = (
    "skip_connect",
    "conv_1x1",
    "conv_3x3",
    "conv_3x1_1x3",
    "conv_7x1_1x7",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "sep_conv_7x7",
    "dil_conv_3x3",
    "dil_conv_5x5",
    "dil_sep_conv_3x3",
    "avg_pool_3x3",
    "max_pool_3x3",
    "max_pool_5x5",
    "max_pool_7x7",
    "none",
)
"""Every operation that a pick can be, those of DARTS among them."""
