"""The inverted residual block whose width, kernel size and expansion may depend on the architecture.

Every size is a plain number or an `Elastic` one, so that a built network and a super-net are written once.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, cast

from torch import Tensor, nn

from nas_tune.space.elastic import Size, combine
from nas_tune.supernet import elastic
from nas_tune.supernet.drop_path import DropPath

if TYPE_CHECKING:
    from nas_tune.space import Chooser


def make_divisible(channels: float, divisor: int = 8) -> int:
    """Return the multiple of `divisor` nearest to `channels`, the next one above if that lies over 10 % below.

    Reference: the rounding of MobileNetV2, arXiv:1801.04381, as published with its code.
    """
    nearest = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return nearest + divisor if nearest < 0.9 * channels else nearest


def expanded(channels: int, expansion: int) -> int:
    """Return the channels inside a block: `expansion` times those of its input, rounded to a multiple of 8."""
    return make_divisible(channels * expansion)


def squeezed(channels: int) -> int:
    """Return the hidden channels of a squeeze-excitation: a quarter, rounded to a multiple of 8."""
    return make_divisible(channels // 4)


def conv_bn_swish(in_channels: Size, out_channels: Size, kernel: Size = 1, stride: int = 1) -> nn.Sequential:
    """Return convolution without bias, batch norm, swish."""
    return nn.Sequential(
        OrderedDict(
            conv=elastic.conv2d(in_channels, out_channels, kernel, stride),
            norm=elastic.batch_norm2d(out_channels),
            act=nn.SiLU(),
        )
    )


class SqueezeExcitation(nn.Module):
    """Scales every channel by a gate in [0, 1] computed from the means of all channels.

    Args:
        channels: Channels of the image `(N, channels, H, W)`, returned in the same shape.

    Reference: arXiv:1709.01507, with the hard sigmoid of MobileNetV3, arXiv:1905.02244.
    """

    def __init__(self, channels: Size) -> None:
        super().__init__()
        hidden = cast(Size, combine(squeezed, channels))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.reduce = elastic.conv2d(channels, hidden, 1, bias=True)
        self.act = nn.ReLU()
        self.expand = elastic.conv2d(hidden, channels, 1, bias=True)
        self.gate = nn.Hardsigmoid()

    def forward(self, x: Tensor) -> Tensor:
        gate: Tensor = self.gate(self.expand(self.act(self.reduce(self.pool(x)))))
        return x * gate


class MBConv(nn.Module):
    """Expand by a 1x1 convolution, filter depthwise, gate, project by a 1x1 convolution; added to the shortcut.

    From `(N, in_channels, H, W)` to `(N, out_channels, ceil(H / stride), ceil(W / stride))`. The shortcut is the input
    itself; with stride 2 its average over 2x2 places; with another number of channels a 1x1 convolution of that.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel: Size of the depthwise kernel, odd.
        expansion: Factor of the channels inside; `None` leaves the expanding convolution out.
        stride: Of the depthwise convolution.
        squeeze_excitation: Whether the expanded channels are gated.
        drop_connect: Rate of `DropPath` on the branch; a block that changes the shape drops nothing.
        shortcut: What the input goes through beside the branch.

    Reference: MobileNetV2, arXiv:1801.04381; the shortcut of every block is AttentiveNAS', arXiv:2011.09011.
    """

    def __init__(
        self,
        in_channels: Size,
        out_channels: Size,
        *,
        kernel: Size,
        expansion: Size | None,
        stride: int = 1,
        squeeze_excitation: bool = False,
        drop_connect: float = 0.0,
        shortcut: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.stride = stride
        inside = in_channels if expansion is None else cast(Size, combine(expanded, in_channels, expansion))
        parts: OrderedDict[str, nn.Module] = OrderedDict()
        if expansion is not None:
            parts["expand"] = conv_bn_swish(in_channels, inside)
        parts["depthwise"] = elastic.conv2d(inside, inside, kernel, stride, groups=inside)
        parts["norm"], parts["act"] = elastic.batch_norm2d(inside), nn.SiLU()
        if squeeze_excitation:
            parts["gate"] = SqueezeExcitation(inside)
        parts["project"] = elastic.conv2d(inside, out_channels, 1)
        parts["project_norm"] = elastic.batch_norm2d(out_channels)
        self.branch = nn.Sequential(parts)
        self.drop = DropPath(drop_connect)
        self.shortcut = nn.Identity() if shortcut is None else shortcut

    def forward(self, x: Tensor) -> Tensor:
        branch: Tensor = self.branch(x)
        if self.stride == 1 and branch.shape[1] == x.shape[1]:
            branch = self.drop(branch)
        shortcut: Tensor = self.shortcut(x)
        return branch + shortcut


def changing_shortcut(
    choose: Chooser, in_channels: Size, out_channels: Size, stride: int, convolutions: Size
) -> nn.Sequential:
    """Return the shortcut of a block that may change size and width.

    Args:
        choose: The chooser of the network being made.
        in_channels: Channels of its input.
        out_channels: Channels of its output.
        stride: Of the block; odd sizes round up.
        convolutions: 1 where the architecture changes the width, 0 where it does not.
    """
    pool = [nn.AvgPool2d(stride, stride, ceil_mode=True)] if stride > 1 else []
    convs = choose.copies(convolutions, lambda _: elastic.conv2d(in_channels, out_channels, 1))
    return nn.Sequential(*pool, *convs)
