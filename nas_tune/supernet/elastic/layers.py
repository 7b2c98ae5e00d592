"""Convolution, batch norm and linear layer with elastic sizes; plain torch modules where every size is plain.

Slices keep the first channels, the centre of the largest kernel, and of a group the first input positions, as in
Once-for-All (Cai et al., arXiv:1908.09791, section 3.3) and slimmable networks (Yu et al., arXiv:1812.08928).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

from nas_tune.errors import SpaceError
from nas_tune.space.elastic import Blocks, Channels, Elastic, Size, largest
from nas_tune.supernet.elastic.kernel_transform import add_transforms, check_transforms, transformed
from nas_tune.supernet.elastic.module import ElasticModule, Places, places, take
from nas_tune.supernet.selection import Selection, current, resolved

Kernel: TypeAlias = "Size | tuple[Size, Size]"


def conv2d(
    in_channels: Channels,
    out_channels: Size,
    kernel_size: Kernel,
    stride: Size = 1,
    *,
    groups: Size = 1,
    dilation: int = 1,
    bias: bool = False,
    kernel_transform: Sequence[int] = (),
) -> nn.Conv2d | ElasticConv2d:
    """Return a convolution that keeps the map's size at stride 1.

    Args:
        in_channels: Channels that enter; `Blocks` of a concatenation of which a network holds a part.
        out_channels: Channels that leave.
        kernel_size: Odd; a pair is height and width.
        stride: Of both directions.
        groups: The very object of `in_channels` and `out_channels` makes it depthwise.
        dilation: Of the kernel.
        bias: Whether a bias is added.
        kernel_transform: All sizes of an elastic kernel, to learn maps between them; without, kernels are the centre.
    """
    height, width = kernel_size if isinstance(kernel_size, tuple) else (kernel_size, kernel_size)
    if _plain(in_channels, out_channels, height, width, stride, groups):
        assert isinstance(out_channels, int) and isinstance(stride, int) and isinstance(groups, int)
        assert isinstance(height, int) and isinstance(width, int)
        kernel = (height, width)
        padding = (_padding(height, dilation), _padding(width, dilation))
        return nn.Conv2d(largest(in_channels), out_channels, kernel, stride, padding, dilation, groups, bias)
    return ElasticConv2d(in_channels, out_channels, (height, width), stride, groups, dilation, bias, kernel_transform)


def batch_norm2d(channels: Size, affine: bool = True) -> nn.BatchNorm2d | ElasticBatchNorm2d:
    """Return a batch norm over `channels`."""
    return (
        ElasticBatchNorm2d(channels, affine)
        if isinstance(channels, Elastic)
        else nn.BatchNorm2d(channels, affine=affine)
    )


def linear(in_features: Channels, out_features: int, bias: bool = True) -> nn.Linear | ElasticLinear:
    """Return a linear layer that reads `in_features`."""
    if isinstance(in_features, Elastic):
        return ElasticLinear(in_features, out_features, bias)
    return nn.Linear(largest(in_features), out_features, bias)


def _plain(*sizes: object) -> bool:
    return not any(isinstance(size, Elastic) for size in sizes)


def _padding(kernel: int, dilation: int) -> int:
    return dilation * (kernel - 1) // 2


class ElasticConv2d(ElasticModule):
    """A convolution with elastic channels, kernel, stride or groups; made by `conv2d`.

    Attributes:
        weight: Of the largest sizes, shape `(out, in / groups, height, width)`; `in` undivided if groups are elastic.
        bias: Shape `(out,)`, or None.
    """

    standalone: ClassVar[type[nn.Module]] = nn.Conv2d

    def __init__(
        self,
        in_channels: Channels,
        out_channels: Size,
        kernel_size: tuple[Size, Size],
        stride: Size,
        groups: Size,
        dilation: int,
        bias: bool,
        kernel_transform: Sequence[int] = (),
    ) -> None:
        super().__init__()
        self.in_channels, self.out_channels, self.kernel_size = in_channels, out_channels, kernel_size
        self.stride, self.groups, self.dilation = stride, groups, dilation
        self.depthwise = groups is in_channels
        room = 1 if self.depthwise else largest(in_channels) // (groups if isinstance(groups, int) else 1)
        self._largest_kernel = largest(kernel_size[0]), largest(kernel_size[1])
        self.weight = nn.Parameter(torch.empty(largest(out_channels), room, *self._largest_kernel))
        self.bias = nn.Parameter(torch.zeros(largest(out_channels))) if bias else None
        self.kernel_transform = tuple(kernel_transform)
        if self.kernel_transform:
            check_transforms(self.kernel_transform, kernel_size, self._largest_kernel[0])
            add_transforms(self, self.kernel_transform)
        nn.init.kaiming_uniform_(self.weight, a=5**0.5)

    def forward(self, x: Tensor) -> Tensor:
        selection = current()
        kernel = self._kernel(selection)
        tensors = self.sliced(selection)
        return functional.conv2d(
            x,
            tensors["weight"],
            tensors.get("bias"),
            resolved(self.stride, selection),
            (_padding(kernel[0], self.dilation), _padding(kernel[1], self.dilation)),
            self.dilation,
            resolved(self.groups, selection),
        )

    def sliced(self, selection: Selection) -> dict[str, Tensor]:
        weight = take(self.weight, resolved(self.out_channels, selection), 0)
        if not self.depthwise:
            weight = self._of_inputs(weight, selection)
        weight = self._cropped(weight, self._kernel(selection))
        if self.bias is None:
            return {"weight": weight}
        return {"weight": weight, "bias": take(self.bias, resolved(self.out_channels, selection), 0)}

    def used(self, selection: Selection) -> dict[str, Places]:
        out, device = slice(resolved(self.out_channels, selection)), self.weight.device
        inputs = slice(None) if self.depthwise else places(self._inputs(selection), device)
        used: dict[str, Places] = {"weight": (out, inputs, *self._centre(self._kernel(selection)))}
        return used if self.bias is None else {**used, "bias": (out,)}

    def _of_inputs(self, weight: Tensor, selection: Selection) -> Tensor:
        return take(weight, self._inputs(selection), 1)

    def _inputs(self, selection: Selection) -> int | Blocks:
        """Return the channels that each group reads."""
        channels, groups = resolved(self.in_channels, selection), resolved(self.groups, selection)
        if groups == 1:
            return channels
        if not isinstance(channels, int) or channels % groups:
            raise SpaceError(f"A convolution has {channels} channels in {groups} groups: no whole number in each.")
        return channels // groups

    def _kernel(self, selection: Selection) -> tuple[int, int]:
        height, width = self.kernel_size
        return resolved(height, selection), resolved(width, selection)

    def _cropped(self, weight: Tensor, kernel: tuple[int, int]) -> Tensor:
        if kernel == self._largest_kernel:
            return weight
        if self.kernel_transform:
            return transformed(self, weight, kernel[0], self.kernel_transform)
        return weight[:, :, *self._centre(kernel)]

    def _centre(self, kernel: tuple[int, int]) -> tuple[slice, slice]:
        (height, width), (tallest, widest) = kernel, self._largest_kernel
        top, left = (tallest - height) // 2, (widest - width) // 2
        return slice(top, top + height), slice(left, left + width)

    def extra_repr(self) -> str:
        sizes = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        return f"{sizes}, groups={self.groups}"


class ElasticBatchNorm2d(nn.BatchNorm2d, ElasticModule):
    """A batch norm over the first `channels`; the statistics of each channel are shared by all slices."""

    standalone: ClassVar[type[nn.Module]] = nn.BatchNorm2d

    def __init__(self, channels: Elastic[int], affine: bool = True) -> None:
        super().__init__(channels.largest, affine=affine)
        self.channels = channels

    def forward(self, x: Tensor) -> Tensor:
        channels = resolved(self.channels)
        mean, variance = self.running_mean, self.running_var
        assert mean is not None and variance is not None and self.num_batches_tracked is not None
        momentum = self.momentum
        if self.training:
            self.num_batches_tracked.add_(1)
            if momentum is None:  # a cumulative average
                momentum = 1.0 / float(self.num_batches_tracked)
        return functional.batch_norm(
            x,
            mean[:channels],
            variance[:channels],
            self.weight[:channels] if self.affine else None,
            self.bias[:channels] if self.affine else None,
            self.training,
            momentum or 0.0,
            self.eps,
        )

    def sliced(self, selection: Selection) -> dict[str, Tensor]:
        channels = resolved(self.channels, selection)
        tensors = {**dict(self.named_parameters(recurse=False)), **dict(self.named_buffers(recurse=False))}
        return {name: tensor[:channels] if tensor.ndim else tensor for name, tensor in tensors.items()}

    def used(self, selection: Selection) -> dict[str, Places]:
        channels = slice(resolved(self.channels, selection))
        return {name: (channels,) for name, _ in self.named_parameters(recurse=False)}


class ElasticLinear(ElasticModule):
    """A linear layer that reads a part of its inputs.

    Attributes:
        weight: Shape `(out, largest in)`.
        bias: Shape `(out,)`, or None.
    """

    standalone: ClassVar[type[nn.Module]] = nn.Linear

    def __init__(self, in_features: Channels, out_features: int, bias: bool = True) -> None:
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.weight = nn.Parameter(torch.empty(out_features, largest(in_features)))
        self.bias = nn.Parameter(torch.zeros(out_features)) if bias else None
        nn.init.kaiming_uniform_(self.weight, a=5**0.5)

    def forward(self, x: Tensor) -> Tensor:
        return functional.linear(x, take(self.weight, resolved(self.in_features), 1), self.bias)

    def sliced(self, selection: Selection) -> dict[str, Tensor]:
        tensors = {"weight": take(self.weight, resolved(self.in_features, selection), 1)}
        return tensors if self.bias is None else {**tensors, "bias": self.bias}

    def used(self, selection: Selection) -> dict[str, Places]:
        return {"weight": (slice(None), places(resolved(self.in_features, selection), self.weight.device))}

    def extra_repr(self) -> str:
        return f"{self.in_features}, {self.out_features}"
