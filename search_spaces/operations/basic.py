"""Operations that several families of spaces share. Images are `(N, C, H, W)`."""

from __future__ import annotations

from torch import Tensor, nn


class Zero(nn.Module):
    """The operation ``none``: zeros of the input's shape."""

    def forward(self, x: Tensor) -> Tensor:
        return x.new_zeros(x.shape)


class GreyToColour(nn.Module):
    """Repeats a one-channel image over `channels` channels, so that grey data fits a network for colour.

    Args:
        channels: Channels the network expects; images that have them pass unchanged.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, x: Tensor) -> Tensor:
        return x.expand(-1, self.channels, -1, -1) if x.shape[1] == 1 and self.channels > 1 else x

    def extra_repr(self) -> str:
        return f"channels={self.channels}"


def relu_conv_bn(in_channels: int, out_channels: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Return ReLU, convolution without bias, batch norm: the order of the cell-based spaces."""
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(in_channels, out_channels, kernel, stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(out_channels),
    )


def average_pool(kernel: int, stride: int = 1) -> nn.AvgPool2d:
    """Return average pooling that keeps the size at stride 1 and leaves padding out of the average."""
    return nn.AvgPool2d(kernel, stride, padding=kernel // 2, count_include_pad=False)
