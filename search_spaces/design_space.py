"""What the network design spaces share: the stem, three stages on grids of depth and width, the head, the caps."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Self

from torch import nn

from nas_tune.errors import ArchitectureError, SpaceError
from nas_tune.space import Architecture, Categorical, SearchSpace, Value
from nas_tune.space.walks import read
from nas_tune.supernet import elastic

from .operations import GreyToColour
from .operations.residual import conv_bn
from .published import PublishedSpace, size_of

if TYPE_CHECKING:
    from nas_tune.space import Chooser
    from nas_tune.space.elastic import Size

STAGES = ("stage_1", "stage_2", "stage_3")
STRIDES = (1, 2, 2)
PARAMETERS_OF_RESNET_56 = 0.856e6
MACS_OF_RESNET_56 = 0.129e9


class DesignSpace(PublishedSpace):
    """Networks of a stem, three stages of blocks and a head; every stage chooses from the same grids.

    Stem: 3x3 convolution to `stem_width` channels, batch norm, ReLU. Stage i: `depth` blocks of `width` channels, the
    first with stride 1, 2, 2. Head: global average pooling and a linear classifier.

    Stem, strides and the order of layers are those of pycls, with which the authors trained; the parameters of the
    networks in their data come out exactly.

    Args:
        grids: Values of every parameter of a stage by its name: ``depth``, ``width`` and what the block needs.
        stem_width: Channels of the stem.
        num_classes: Classes of the task.
        in_channels: Channels of the images; grey images are repeated over them.

    Raises:
        SpaceError: A grid is empty or holds a value twice, or a size is no whole number of at least 1.

    Reference: Radosavovic et al., On Network Design Spaces for Visual Recognition, arXiv:1905.13214, table 1.
    """

    reference: ClassVar[str] = "arXiv:1905.13214"

    def __init__(self, grids: Mapping[str, Sequence[int]], stem_width: int, num_classes: int, in_channels: int) -> None:
        owner = type(self).__name__
        self.grids = {key: _grid(owner, argument_of(key), values) for key, values in grids.items()}
        stage = {key: Categorical(*values) for key, values in self.grids.items()}
        super().__init__({name: SearchSpace(stage) for name in STAGES})
        self.stem_width = size_of(owner, "stem_width", stem_width)
        self.num_classes = size_of(owner, "num_classes", num_classes)
        self.in_channels = size_of(owner, "in_channels", in_channels)

    def __repr__(self) -> str:
        grids = "".join(f"{argument_of(key)}={values}, " for key, values in self.grids.items())
        return (
            f"{type(self).__name__}({grids}stem_width={self.stem_width}, num_classes={self.num_classes}, "
            f"in_channels={self.in_channels})"
        )

    @abstractmethod
    def block(self, choose: Chooser, stage: str, in_channels: Size, width: Size, stride: int) -> nn.Module:
        """Return a block of a stage: `(N, in_channels, H, W)` to `(N, width, H / stride, W / stride)`, rounded up."""

    def network(self, choose: Chooser) -> nn.Module:
        channels: Size = self.stem_width
        stages: list[nn.Module] = []
        for stage, stride in zip(STAGES, STRIDES, strict=True):
            width: Size = choose.value(f"{stage}.width")
            stages.append(self._stage(choose, stage, channels, width, stride))
            channels = width
        return nn.Sequential(
            GreyToColour(self.in_channels),
            conv_bn(self.in_channels, self.stem_width, 3),
            *stages,
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            elastic.linear(channels, self.num_classes),
        )

    def _stage(self, choose: Chooser, stage: str, channels: Size, width: Size, stride: int) -> nn.Sequential:
        def block(path: str) -> nn.Module:
            first = path.endswith(".0")
            return self.block(choose, stage, channels if first else width, width, stride if first else 1)

        return nn.Sequential(*choose.copies(f"{stage}.depth", block))

    def capped(self, parameters: float = PARAMETERS_OF_RESNET_56, macs: float = MACS_OF_RESNET_56) -> Self:
        """Return this space with fewer than so many parameters and multiply-adds on an image of the published size.

        The defaults are the published caps, the complexity of ResNet-56 on CIFAR-10. The authors' FLOPs hold five more
        operations for each output of a convolution (ResNet-56: 128.5 M, of which 125.7 M are multiply-adds), so that
        the cap on multiply-adds is about 2 % wider than theirs.
        """
        cost = self.cost((self.in_channels, self.image_size, self.image_size))
        return self.where(cost.parameters < parameters).where(cost.macs < macs)

    def to_string(self, architecture: Mapping[str, Value]) -> str:
        """Return the values of the stages behind the paper's letter for each, such as ``"d=9,9,9 w=16,32,64"``."""
        values = read(self, architecture)
        rows = ((key, ",".join(str(values[f"{stage}.{key}"]) for stage in STAGES)) for key in self.grids)
        return " ".join(f"{key[0]}={row}" for key, row in rows)

    def from_string(self, text: str) -> Architecture:
        """Read what `to_string` writes.

        Raises:
            ArchitectureError: The text has another form, or a value is not on its grid.
        """
        form = r" ".join(rf"{key[0]}=(\d+),(\d+),(\d+)" for key in self.grids)
        found = re.fullmatch(form, text, re.ASCII)
        if found is None:
            like = " ".join(f"{key[0]}={','.join(str(grid[0]) for _ in STAGES)}" for key, grid in self.grids.items())
            raise ArchitectureError(f"'{text}' is no architecture of {type(self).__name__}: write it like '{like}'.")
        names = (f"{stage}.{key}" for key in self.grids for stage in STAGES)
        return self.architecture(dict(zip(names, map(int, found.groups()), strict=True)))


def argument_of(key: str) -> str:
    """Return the constructor argument that gives the grid of a stage's parameter."""
    return key if key.endswith("s") else f"{key}s"


def _grid(owner: str, argument: str, values: Sequence[int]) -> tuple[int, ...]:
    grid = tuple(size_of(owner, argument, value) for value in values)
    if not grid or len(set(grid)) != len(grid):
        raise SpaceError(f"{owner}: `{argument}` is {grid}; give at least one value, each of them once.")
    return grid
