"""The network around the cells that NASNet, AmoebaNet, PNAS, ENAS and DARTS share: stem, cells, heads."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Literal, Protocol, get_args

from torch import Tensor, nn
from torch.nn import functional as F

from nas_tune.errors import SpaceError, unknown_name
from nas_tune.supernet import elastic
from nas_tune.supernet.drop_path import DropPath, set_drop_path

from .operations import GreyToColour
from .operations.cells import FactorizedReduce, pointwise
from .published import size_of

if TYPE_CHECKING:
    from nas_tune.space.elastic import Channels

__all__ = ["AuxiliaryHead", "Cell", "CellInputs", "CellNetwork", "DropPath", "Kind", "MakeCell", "Stem", "StemName"]
__all__ += ["set_drop_path"]

Kind = Literal["normal", "reduce"]
StemName = Literal["cifar", "imagenet"]


class Cell(nn.Module, ABC):
    """A cell: two images in, one out.

    Attributes:
        out_channels: Channels of its output; where loose ends are concatenated they depend on the architecture.
    """

    out_channels: Channels

    @abstractmethod
    def forward(self, s0: Tensor, s1: Tensor) -> Tensor:
        """Return `(N, out_channels, H', W')`; `s0` is from the cell before the previous one, `s1` from the previous."""


class MakeCell(Protocol):
    """Makes the cell of one layer."""

    def __call__(
        self, kind: Kind, c_prev_prev: Channels, c_prev: Channels, channels: int, reduction_prev: bool
    ) -> Cell:
        """Return a cell.

        Args:
            kind: ``"reduce"`` halves the map of `s1`, rounded up.
            c_prev_prev: Channels of `s0`.
            c_prev: Channels of `s1`.
            channels: Channels of the operations inside.
            reduction_prev: The map of `s0` is twice that of `s1`.
        """
        ...


class CellInputs(nn.Module):
    """Brings both inputs of a cell to its channels and to the map of the second: ReLU, 1x1 convolution, batch norm.

    Where `s0` has the larger map it takes a `FactorizedReduce` instead.

    Args:
        c_prev_prev: Channels of `s0`.
        c_prev: Channels of `s1`.
        channels: Channels of both afterwards.
        reduction_prev: The map of `s0` is twice that of `s1`.
        affine: Whether batch norms have scale and shift.
    """

    def __init__(
        self, c_prev_prev: Channels, c_prev: Channels, channels: int, reduction_prev: bool, affine: bool = True
    ) -> None:
        super().__init__()
        first = FactorizedReduce if reduction_prev else pointwise
        self.first = first(c_prev_prev, channels, affine)
        self.second = pointwise(c_prev, channels, affine)

    def forward(self, s0: Tensor, s1: Tensor) -> tuple[Tensor, Tensor]:
        return self.first(s0), self.second(s1)


class Stem(nn.Module):
    """What stands before the cells: an image `(N, in_channels, H, W)` becomes the inputs of the first cell.

    ``"cifar"``: both are one 3x3 convolution to 3 `channels` and batch norm. ``"imagenet"``: the first has a quarter
    of the image's height and width after two 3x3 convolutions of stride 2, the second an eighth after a third one.

    Args:
        name: ``"cifar"`` or ``"imagenet"``.
        in_channels: Channels of the images; grey ones are repeated over them.
        channels: Channels of the first cells' operations.

    Raises:
        UnknownNameError: There is no such stem.
        SpaceError: The stem for ImageNet is given a single channel.
    """

    def __init__(self, name: StemName, in_channels: int, channels: int) -> None:
        super().__init__()
        if name not in get_args(StemName):
            raise unknown_name("stem", str(name), get_args(StemName))
        if name == "imagenet" and channels < 2:
            raise SpaceError(f"The stem 'imagenet' halves `channels`, which are {channels}: give at least 2.")
        self.two_steps = name == "imagenet"
        self.out_channels = channels if self.two_steps else 3 * channels
        colour = GreyToColour(in_channels)
        if self.two_steps:
            first = _conv_bn(in_channels, channels // 2, 2)
            self.first = nn.Sequential(colour, *first, nn.ReLU(), *_conv_bn(channels // 2, channels, 2))
            self.second = nn.Sequential(nn.ReLU(), *_conv_bn(channels, channels, 2))
        else:
            self.first = nn.Sequential(colour, *_conv_bn(in_channels, self.out_channels, 1))
            self.second = nn.Sequential()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        s0 = self.first(x)
        return s0, self.second(s0)


def _conv_bn(in_channels: int, out_channels: int, stride: int) -> tuple[nn.Module, nn.Module]:
    convolution = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
    return convolution, nn.BatchNorm2d(out_channels)


class AuxiliaryHead(nn.Module):
    """A second classifier in the middle of the network, for training alone: logits `(N, num_classes)`.

    ReLU, average pooling of 5x5 windows (stride 3 for CIFAR, 2 for ImageNet), 1x1 convolution to 128 channels, batch
    norm, ReLU, 2x2 convolution to 768 (with batch norm for CIFAR alone), ReLU, linear. Published for the maps that
    pool to 2x2, which are 8x8 and 7x7; smaller ones are averaged to 2x2, and of larger ones the average is classified.

    Args:
        in_channels: Channels of the map.
        num_classes: Classes of the task.
        stem: The stem of the network, ``"cifar"`` or ``"imagenet"``.

    Reference: Liu et al., DARTS, arXiv:1806.09055, section 3.3; the layers are those of its released networks.
    """

    def __init__(self, in_channels: Channels, num_classes: int, stem: StemName) -> None:
        super().__init__()
        self.stride = 3 if stem == "cifar" else 2
        self.features = nn.Sequential(
            elastic.conv2d(in_channels, 128, 1),
            nn.BatchNorm2d(128),
            nn.ReLU(),
            nn.Conv2d(128, 768, 2, bias=False),
            nn.BatchNorm2d(768) if stem == "cifar" else nn.Identity(),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(768, num_classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(x)
        if min(x.shape[-2:]) < 5 + self.stride:
            x = F.adaptive_avg_pool2d(x, 2)
        else:
            x = F.avg_pool2d(x, 5, self.stride)
        logits: Tensor = self.features(x)
        return logits


class CellNetwork(nn.Module):
    """Stem, cells, global average pooling, linear classifier: `(N, in_channels, H, W)` to logits `(N, num_classes)`.

    The cells at layers `cells // 3` and `2 * cells // 3` are reduction cells; from each on the channels are doubled.
    With an auxiliary head the output in training mode is the pair `(logits, auxiliary_logits)`.

    Args:
        make_cell: Makes the cell of each layer, in their order.
        cells: Number of cells.
        channels: Channels of the operations in the first cells.
        num_classes: Classes of the task.
        in_channels: Channels of the images; grey ones are repeated over them.
        stem: ``"cifar"`` or ``"imagenet"``.
        auxiliary: Whether a head of its own classifies the output of layer `2 * cells // 3` in training.
        drop_path: Rate of every `DropPath` that the cells hold; `set_drop_path` changes it.

    Raises:
        UnknownNameError: There is no such stem.
        SpaceError: A size below 1, or a rate outside [0, 1).

    Reference: Zoph et al., NASNet, arXiv:1707.07012, section 3; layers as of DARTS, arXiv:1806.09055.
    """

    def __init__(
        self,
        make_cell: MakeCell,
        *,
        cells: int,
        channels: int,
        num_classes: int,
        in_channels: int,
        stem: StemName = "cifar",
        auxiliary: bool = False,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        cells, width = size_of("CellNetwork", "cells", cells), size_of("CellNetwork", "channels", channels)
        self.stem = Stem(stem, in_channels, width)
        self.auxiliary_layer = 2 * cells // 3
        self.auxiliary_head: AuxiliaryHead | None = None
        self.cells = nn.ModuleList()
        c_prev_prev: Channels = self.stem.out_channels
        c_prev: Channels = self.stem.out_channels
        reduction_prev = stem == "imagenet"
        for layer in range(cells):
            reduction = layer in (cells // 3, 2 * cells // 3)
            width *= 1 + reduction
            cell = make_cell("reduce" if reduction else "normal", c_prev_prev, c_prev, width, reduction_prev)
            self.cells.append(cell)
            c_prev_prev, c_prev, reduction_prev = c_prev, cell.out_channels, reduction
            if auxiliary and layer == self.auxiliary_layer:
                self.auxiliary_head = AuxiliaryHead(c_prev, num_classes, stem)
        self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.classifier = elastic.linear(c_prev, num_classes)
        set_drop_path(self, drop_path)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        s0, s1 = self.stem(x)
        auxiliary: Tensor | None = None
        for layer, cell in enumerate(self.cells):
            s0, s1 = s1, cell(s0, s1)
            if layer == self.auxiliary_layer and self.training and self.auxiliary_head is not None:
                auxiliary = self.auxiliary_head(s1)
        logits: Tensor = self.classifier(self.pool(s1))
        return logits if auxiliary is None else (logits, auxiliary)
