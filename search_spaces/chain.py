"""What the chain spaces share: stages of blocks in a row, one choice for every block, nothing beside the chain."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar

import networkx as nx
from torch import nn

from nas_tune.errors import ArchitectureError, SpaceError, unknown_name
from nas_tune.space import Architecture, Categorical, SearchSpace, Value
from nas_tune.space.node import number
from nas_tune.space.walks import read

from .operations import GreyToColour
from .operations.mobile import MBConv
from .published import PublishedSpace, size_of

if TYPE_CHECKING:
    from nas_tune.space import Chooser

Candidates = Mapping[str, Callable[[], nn.Module]]

STEMS = ("imagenet", "cifar")


@dataclass(frozen=True)
class Block:
    """One searchable place of the chain.

    Attributes:
        name: Of its parameter, such as ``"stage_2.block_1"``.
        in_channels: Channels of its input.
        out_channels: Channels of its output.
        stride: 1 or 2; an odd map rounds up.
        first: Whether it is the first of its stage, which may change the shape; the others never do.
    """

    name: str
    in_channels: int
    out_channels: int
    stride: int
    first: bool

    @property
    def shape(self) -> dict[str, int]:
        """Channels and stride by name."""
        return {"in_channels": self.in_channels, "out_channels": self.out_channels, "stride": self.stride}


class ChainSpace(PublishedSpace):
    """Stages of blocks, a choice for each block under ``stage_<i>.block_<j>``.

    Args:
        blocks: The searchable places, from the input to the output.
        num_classes: Classes of the task.
        in_channels: Channels of the images; grey images are repeated over them.

    Attributes:
        symbols: How the publication writes each value.
        separator: What stands between two symbols; symbols of one character may stand side by side.
    """

    symbols: ClassVar[Mapping[str, str]]
    separator: ClassVar[str] = " "
    blocks: tuple[Block, ...]

    def __init__(self, blocks: Sequence[Block], num_classes: int, in_channels: int) -> None:
        owner = type(self).__name__
        self.num_classes = size_of(owner, "num_classes", num_classes)
        self.in_channels = size_of(owner, "in_channels", in_channels)
        self.blocks = tuple(blocks)
        stages: dict[str, dict[str, Categorical]] = {}
        for block in self.blocks:
            stage, key = block.name.split(".")
            stages.setdefault(stage, {})[key] = Categorical(*self.candidates(block))
        super().__init__({stage: SearchSpace(choices) for stage, choices in stages.items()})

    @abstractmethod
    def stem_layers(self) -> Sequence[nn.Module]:
        """Return the layers before the first block."""

    @abstractmethod
    def candidates(self, block: Block) -> Candidates:
        """Return what makes each operation that a block can be, in the order of the publication."""

    @abstractmethod
    def head_layers(self) -> Sequence[nn.Module]:
        """Return the layers after the last block, up to the class scores."""

    def network(self, choose: Chooser) -> nn.Module:
        blocks = [choose(block.name, self.candidates(block)) for block in self.blocks]
        return nn.Sequential(GreyToColour(self.in_channels), *self.stem_layers(), *blocks, *self.head_layers())

    def graph(self, architecture: Mapping[str, Value]) -> nx.DiGraph[str]:
        """Return the chain; an operation knows the channels and the stride of its block.

        So `canonical_key` sees where it is in the network. A block that is left out has neither, and is no part of the
        network: the same operations with such a block before or behind them are one network.
        """
        values = read(self, architecture)
        graph: nx.DiGraph[str] = nx.DiGraph()
        graph.add_node("input", op="input")
        end = "input"
        for block in self.blocks:
            op = str(values[block.name])
            graph.add_node(block.name, op=op, parameters={} if op == "identity" and not block.first else block.shape)
            graph.add_edge(end, block.name, count=1)
            end = block.name
        graph.add_node("output", op="output")
        graph.add_edge(end, "output", count=1)
        return graph

    def to_string(self, architecture: Mapping[str, Value]) -> str:
        """Return a symbol for each block as the publication writes it."""
        values = read(self, architecture)
        return self.separator.join(self.symbols[str(values[block.name])] for block in self.blocks)

    def from_string(self, text: str) -> Architecture:
        """Read a symbol for each block; commas and brackets around them are passed over.

        Raises:
            ArchitectureError: There are more or fewer symbols than blocks, or a block cannot be what its symbol says.
        """
        found = re.findall(r"[^\s,()\[\]]+", text) if self.separator else list(text.strip())
        if len(found) != len(self.blocks):
            raise ArchitectureError(
                f"'{text}' has {len(found)} symbols; {type(self).__name__} has {len(self.blocks)} blocks: "
                f"write one of {', '.join(self.symbols.values())} for each."
            )
        return self.architecture(
            {block.name: self._meant(symbol, block) for symbol, block in zip(found, self.blocks, strict=True)}
        )

    def _meant(self, symbol: str, block: Block) -> str:
        names = {self.symbols[value]: value for value in self.candidates(block)}
        if symbol not in names:
            raise ArchitectureError(
                f"`{block.name}` cannot be '{symbol}': write one of {', '.join(names)} at its place."
            )
        return names[symbol]


def blocks_of(
    owner: str, channels: int, widths: Sequence[int], strides: Sequence[int], stages: Sequence[int]
) -> list[Block]:
    """Return the blocks of stages, of which the first has the stride and makes the channels.

    Args:
        owner: Name of the space, for errors.
        channels: Channels of the first stage's input.
        widths: Channels of each stage; those beyond the number of `stages` are left out.
        strides: Stride of each stage.
        stages: Number of blocks in each stage.

    Raises:
        SpaceError: There are more stages than widths or strides.
    """
    most = min(len(widths), len(strides))
    if len(stages) > most:
        raise SpaceError(f"{owner}: `stages` is {tuple(stages)}; give a number of blocks for at most {most} stages.")
    blocks = []
    for stage, (count, width, stride) in enumerate(zip(stages, widths, strides, strict=False), start=1):
        for place in range(1, count + 1):
            first = place == 1
            blocks.append(Block(f"stage_{stage}.block_{place}", channels, width, stride if first else 1, first))
            channels = width
    return blocks


def inverted_residuals(
    block: Block, choices: Mapping[str, tuple[int, int]], make: Callable[..., MBConv] = MBConv
) -> dict[str, Callable[[], nn.Module]]:
    """Return what makes the inverted residual of each kernel size and expansion, by name.

    Args:
        block: Where it stands.
        choices: Kernel size and expansion by name.
        make: `MBConv`, with the settings that all of them share.
    """
    return {
        name: partial(make, kernel=kernel, expansion=expansion, **block.shape)
        for name, (kernel, expansion) in choices.items()
    }


def strides_for(owner: str, stem: str, strides: Sequence[int]) -> tuple[int, ...]:
    """Return the strides of the stem and of the stages; for small images the stem and the first stage keep the size.

    Args:
        owner: Name of the space, for errors.
        stem: ``"imagenet"`` (as published) or ``"cifar"``.
        strides: Of the stem and of every stage, as published.

    Raises:
        UnknownNameError: There is no such stem.
    """
    if stem not in STEMS:
        raise unknown_name(f"`stem` of {owner}", stem, STEMS)
    return tuple(strides) if stem == "imagenet" else (1, 1, *strides[2:])


def sizes_of(owner: str, argument: str, values: Sequence[int]) -> tuple[int, ...]:
    """Return a size for each stage.

    Raises:
        SpaceError: There is none, or one is no whole number of at least 1; the message names `owner` and `argument`.
    """
    if isinstance(values, str) or not isinstance(values, Sequence) or not values:
        raise SpaceError(f"{owner}: `{argument}` is {values!r}; give a whole number for each stage, such as (2, 3).")
    return tuple(size_of(owner, argument, value) for value in values)


def multiplier_of(owner: str, argument: str, value: float) -> float:
    """Return a factor of channels.

    Raises:
        SpaceError: It is no number above 0; the message names `owner` and `argument`.
    """
    factor = number(owner, argument, value)
    if factor <= 0:
        raise SpaceError(f"{owner}: `{argument}` is {value}; it is above 0.")
    return factor


def classifier(channels: int, num_classes: int, *, dropout: float = 0.0, bias: bool = True) -> Sequence[nn.Module]:
    """Return global average pooling and a linear classifier, behind dropout if there is any."""
    dropouts = [nn.Dropout(dropout)] if dropout else []
    return (nn.AdaptiveAvgPool2d(1), nn.Flatten(), *dropouts, nn.Linear(channels, num_classes, bias=bias))
