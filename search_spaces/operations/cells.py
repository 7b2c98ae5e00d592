"""Operations of the cell spaces: separable and dilated convolutions, pooling, the factorized reduction.

Images are `(N, C, H, W)`; stride 2 halves height and width, odd ones are rounded up. `affine=False` is the form of a
search network: batch norms have no scale and shift.

Reference: Liu et al., DARTS, arXiv:1806.09055, section 3 and its released networks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nas_tune.supernet import elastic

from .basic import average_pool

if TYPE_CHECKING:
    from nas_tune.space.elastic import Channels


def pointwise(in_channels: Channels, out_channels: int, affine: bool = True) -> nn.Sequential:
    """Return ReLU, 1x1 convolution, batch norm: the preprocessing of a cell's input."""
    return nn.Sequential(
        nn.ReLU(),
        elastic.conv2d(in_channels, out_channels, 1),
        nn.BatchNorm2d(out_channels, affine=affine),
    )


class FactorizedReduce(nn.Module):
    """Halves the map without losing a pixel: two 1x1 convolutions of stride 2, the second on the image moved by one.

    `(N, in_channels, H, W)` to `(N, out_channels, ceil(H / 2), ceil(W / 2))`: ReLU, the convolutions with half of the
    channels each, their concatenation, batch norm. Where a size is odd, the moved image is padded with zeros.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output, at least 2.
        affine: Whether the batch norm has scale and shift.
    """

    def __init__(self, in_channels: Channels, out_channels: int, affine: bool = True) -> None:
        super().__init__()
        self.relu = nn.ReLU()
        self.even = elastic.conv2d(in_channels, out_channels - out_channels // 2, 1, 2)
        self.odd = elastic.conv2d(in_channels, out_channels // 2, 1, 2)
        self.norm = nn.BatchNorm2d(out_channels, affine=affine)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(x)
        output: Tensor = self.norm(torch.cat([self.even(x), self.odd(_moved(x))], 1))
        return output


def _moved(x: Tensor) -> Tensor:
    """Return the image without its first row and column, as large as the stride needs it."""
    height, width = x.shape[-2:]
    moved = x[..., 1:, 1:]
    return F.pad(moved, (0, width % 2, 0, height % 2)) if width % 2 or height % 2 else moved


def separable(channels: int, kernel: int, stride: int = 1, affine: bool = True, repeats: int = 2) -> nn.Sequential:
    """Return `repeats` times ReLU, depthwise, 1x1 convolution, batch norm; the first depthwise one has the stride."""
    layers: list[nn.Module] = []
    for i in range(repeats):
        layers += _depthwise_pointwise(channels, kernel, 1 if i else stride, 1, affine)
    return nn.Sequential(*layers)


def dilated(channels: int, kernel: int, stride: int = 1, affine: bool = True) -> nn.Sequential:
    """Return ReLU, depthwise convolution with dilation 2, 1x1 convolution, batch norm."""
    return nn.Sequential(*_depthwise_pointwise(channels, kernel, stride, 2, affine))


def _depthwise_pointwise(channels: int, kernel: int, stride: int, dilation: int, affine: bool) -> list[nn.Module]:
    padding = dilation * (kernel - 1) // 2
    return [
        nn.ReLU(),
        nn.Conv2d(channels, channels, kernel, stride, padding, dilation, groups=channels, bias=False),
        nn.Conv2d(channels, channels, 1, bias=False),
        nn.BatchNorm2d(channels, affine=affine),
    ]


def max_pool(kernel: int, stride: int = 1) -> nn.MaxPool2d:
    """Return max pooling that keeps the size at stride 1."""
    return nn.MaxPool2d(kernel, stride, padding=kernel // 2)


def pooling(pool: nn.Module, channels: int, affine: bool = True) -> nn.Module:
    """Return a pooling as it stands on an edge: alone, in a search network (`affine=False`) with a batch norm."""
    return pool if affine else nn.Sequential(pool, nn.BatchNorm2d(channels, affine=False))


def skip(channels: int, stride: int = 1, affine: bool = True) -> nn.Module:
    """Return the identity, with stride 2 a `FactorizedReduce`."""
    return nn.Identity() if stride == 1 else FactorizedReduce(channels, channels, affine)


class Nothing(nn.Module):
    """The operation ``none``: zeros, of half the size (rounded up) with stride 2.

    Args:
        stride: 1 or 2.
    """

    def __init__(self, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        return x.new_zeros(x[..., :: self.stride, :: self.stride].shape)

    def extra_repr(self) -> str:
        return f"stride={self.stride}"


def operation(name: str, channels: int, stride: int = 1, affine: bool = True) -> nn.Module:
    """Return the operation of a name of `OPERATIONS`, which keeps the channels.

    Args:
        name: Such as ``"sep_conv_3x3"``.
        channels: Channels of input and output.
        stride: 1 or 2.
        affine: Whether batch norms have scale and shift; without, a batch norm follows the poolings.
    """
    kind, _, size = name.rpartition("_")
    if kind == "sep_conv":
        return separable(channels, int(size[0]), stride, affine)
    if kind == "dil_conv":
        return dilated(channels, int(size[0]), stride, affine)
    if kind == "max_pool":
        return pooling(max_pool(int(size[0]), stride), channels, affine)
    if kind == "avg_pool":
        return pooling(average_pool(int(size[0]), stride), channels, affine)
    return Nothing(stride) if name == "none" else skip(channels, stride, affine)


OPERATIONS = (
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
"""The seven operations that DARTS chooses from; ``"none"`` is the eighth of its search networks."""
