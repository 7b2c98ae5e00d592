"""Blocks of the mobile chain spaces, of fixed sizes: inverted residuals and shuffle blocks. Images are `(N, C, H, W)`.

Every convolution pads, so that an odd map rounds up on stride 2 and a 1x1 map stays one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from nas_tune.errors import SpaceError

BATCH_NORM_EPS = 1e-5  # torch's own


def conv_bn(
    in_channels: int,
    out_channels: int,
    kernel: int = 1,
    stride: int = 1,
    *,
    groups: int = 1,
    activation: Callable[[], nn.Module] | None = None,
    eps: float = BATCH_NORM_EPS,
) -> nn.Sequential:
    """Return convolution without bias, batch norm and, if one is given, the activation."""
    conv = nn.Conv2d(in_channels, out_channels, kernel, stride, padding=kernel // 2, groups=groups, bias=False)
    parts = [conv, nn.BatchNorm2d(out_channels, eps=eps)]
    return nn.Sequential(*parts, *([activation()] if activation else []))


class MBConv(nn.Module):
    """The inverted residual block: expand, filter each channel, project; plus the input where the shapes are equal.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel: Size of the depthwise filter, odd.
        expansion: Channels inside, as a multiple of `in_channels`; at 1 there is no expanding convolution.
        stride: Of the depthwise filter; an odd map rounds up.
        activation: Makes the activation after the expanding and the depthwise convolution.
        squeezed: Hidden channels of a squeeze-excitation after the depthwise convolution; none at 0.
        eps: Of the batch norms.

    Reference: MobileNetV2, arXiv:1801.04381; with squeeze-excitation MnasNet, arXiv:1807.11626.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        expansion: int,
        stride: int = 1,
        *,
        activation: Callable[[], nn.Module] = nn.ReLU6,
        squeezed: int = 0,
        eps: float = BATCH_NORM_EPS,
    ) -> None:
        super().__init__()
        inner = in_channels * expansion
        self.expand: nn.Module | None = None
        if expansion != 1:
            self.expand = conv_bn(in_channels, inner, activation=activation, eps=eps)
        self.depthwise = conv_bn(inner, inner, kernel, stride, groups=inner, activation=activation, eps=eps)
        self.excite = SqueezeExcitation(inner, squeezed, activation) if squeezed else None
        self.project = conv_bn(inner, out_channels, eps=eps)
        self.residual = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        inner = self.depthwise(x if self.expand is None else self.expand(x))
        output: Tensor = self.project(inner if self.excite is None else self.excite(inner))
        return x + output if self.residual else output

    def extra_repr(self) -> str:
        return f"residual={self.residual}"


class SqueezeExcitation(nn.Module):
    """Scales every channel by a gate in (0, 1) computed from the means of all channels.

    Args:
        channels: Channels of the image, returned in the same shape.
        squeezed: Hidden channels of the gate.
        activation: Makes the activation between its two layers.

    Reference: arXiv:1709.01507.
    """

    def __init__(self, channels: int, squeezed: int, activation: Callable[[], nn.Module] = nn.ReLU) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, squeezed, 1),
            activation(),
            nn.Conv2d(squeezed, channels, 1),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        gates: Tensor = self.gate(x)
        return x * gates


class Projection(nn.Sequential):
    """The 1x1 convolution and batch norm that stand for an identity where the shape changes."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__(*conv_bn(in_channels, out_channels, stride=stride))


class ShuffleBlock(nn.Module):
    """A block of ShuffleNet V2 whose main branch is one of four; half the channels go past it.

    At stride 1 with equal channels the even channels pass and the odd ones go through the branch: that split mixes
    the halves which the block before put side by side. Else both halves are made from all channels, the first one by
    a depthwise convolution.

    Args:
        in_channels: Channels of the input; even where the shape stays.
        out_channels: Channels of the output, more than `in_channels` where the shape changes.
        kernel: Of the depthwise convolutions, odd.
        stride: An odd map rounds up.
        xception: Makes the main branch of three depthwise separable convolutions instead of one.

    Raises:
        SpaceError: There are no channels left for one of the branches.

    Reference: ShuffleNet V2, arXiv:1807.11164; the four choices of Single Path One-Shot, arXiv:1904.00420.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int, stride: int = 1, *, xception: bool = False
    ) -> None:
        super().__init__()
        self.split = stride == 1 and in_channels == out_channels
        passing = in_channels // 2 if self.split else in_channels
        made, middle = out_channels - passing, out_channels // 2
        if made < 1 or middle < 1 or (self.split and in_channels % 2):
            raise SpaceError(
                f"ShuffleBlock: {in_channels} to {out_channels} channels leaves a branch without channels; "
                "keep an even number of them, or increase it where the shape changes."
            )
        branch = _xception if xception else _shuffle
        self.main = nn.Sequential(*branch(passing, middle, made, kernel, stride))
        self.shortcut = None if self.split else nn.Sequential(*_separable(passing, passing, kernel, stride))

    def forward(self, x: Tensor) -> Tensor:
        if self.shortcut is None:
            return torch.cat((x[:, 0::2], self.main(x[:, 1::2])), dim=1)
        return torch.cat((self.shortcut(x), self.main(x)), dim=1)

    def extra_repr(self) -> str:
        return f"split={self.split}"


def _separable(in_channels: int, out_channels: int, kernel: int, stride: int = 1) -> Iterator[nn.Module]:
    yield conv_bn(in_channels, in_channels, kernel, stride, groups=in_channels)
    yield conv_bn(in_channels, out_channels, activation=nn.ReLU)


def _shuffle(in_channels: int, middle: int, out_channels: int, kernel: int, stride: int) -> Iterator[nn.Module]:
    yield conv_bn(in_channels, middle, activation=nn.ReLU)
    yield from _separable(middle, out_channels, kernel, stride)


def _xception(in_channels: int, middle: int, out_channels: int, kernel: int, stride: int) -> Iterator[nn.Module]:
    yield from _separable(in_channels, middle, kernel, stride)
    yield from _separable(middle, middle, kernel)
    yield from _separable(middle, out_channels, kernel)
