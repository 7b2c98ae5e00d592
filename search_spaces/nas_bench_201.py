"""NAS-Bench-201: a cell of four nodes and six edges, one of five operations on each."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, ClassVar

import networkx as nx
from torch import Tensor, nn

from nas_tune.errors import ArchitectureError
from nas_tune.space import Architecture, Categorical, Value
from nas_tune.space.node import whole
from nas_tune.space.walks import read

from .operations import GreyToColour, Zero, average_pool, relu_conv_bn
from .published import PublishedSpace, size_of

if TYPE_CHECKING:
    from nas_tune.space import Chooser

EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))  # in the order of the published string
OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")


class NASBench201(PublishedSpace):
    """15,625 cells; node j sums an operation on every earlier node, node 3 is the cell's output.

    The network: a 3x3 stem, three stages of cells with `channels`, 2x and 4x `channels`, a residual block of stride 2
    between them, batch norm, ReLU, global average pooling, a linear classifier. All cells are alike.

    Args:
        channels: Channels of the first stage.
        cells_per_stage: Cells in each of the three stages.
        num_classes: Classes of the task.
        in_channels: Channels of the images; grey images are repeated over them.

    Raises:
        SpaceError: A size below 1, or no whole number.

    Reference: Dong & Yang, NAS-Bench-201, arXiv:2001.00326, section 2.1; the defaults are the published ones.
    """

    reference: ClassVar[str] = "arXiv:2001.00326"

    def __init__(
        self, channels: int = 16, cells_per_stage: int = 5, num_classes: int = 10, in_channels: int = 3
    ) -> None:
        super().__init__({_name(edge): Categorical(*OPERATIONS) for edge in EDGES})
        self.channels, self.cells_per_stage = (
            size_of("NASBench201", "channels", channels),
            size_of("NASBench201", "cells_per_stage", cells_per_stage),
        )
        self.num_classes, self.in_channels = (
            size_of("NASBench201", "num_classes", num_classes),
            size_of("NASBench201", "in_channels", in_channels),
        )

    def __repr__(self) -> str:
        return (
            f"NASBench201(channels={self.channels}, cells_per_stage={self.cells_per_stage}, "
            f"num_classes={self.num_classes}, in_channels={self.in_channels})"
        )

    def network(self, choose: Chooser) -> nn.Module:
        c = self.channels
        stages: list[nn.Module] = []
        for stage, width in enumerate((c, 2 * c, 4 * c)):
            if stage:
                stages.append(ReductionBlock(width // 2, width))
            stages += [Cell(choose, width) for _ in range(self.cells_per_stage)]
        return nn.Sequential(
            GreyToColour(self.in_channels),
            nn.Conv2d(self.in_channels, c, 3, padding=1, bias=False),
            nn.BatchNorm2d(c),
            *stages,
            nn.BatchNorm2d(4 * c),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(4 * c, self.num_classes),
        )

    def graph(self, architecture: Mapping[str, Value]) -> nx.DiGraph[str]:
        """Return the cell with a node for each operation; edges labelled ``none`` are left out, nodes are sums.

        For `canonical_key` an operation whose input is empty is dead. That is exact but for the bias of its batch
        norm, a constant that such an edge can still put out. By this count the 15,625 cells are 5,425 networks: the
        published 6,466 tells empty inputs apart, and an expression tree takes two nodes with equal inputs for one.
        """
        architecture = read(self, architecture)
        graph: nx.DiGraph[str] = nx.DiGraph()
        graph.add_node("input", op="input")
        ends: dict[int, list[str]] = {0: ["input"], 1: [], 2: [], 3: []}
        for source, target in EDGES:
            op = str(architecture[_name((source, target))])
            if op == "none":
                continue
            name = f"{source}->{target}"
            graph.add_node(name, op=op)
            graph.add_edges_from(((end, name) for end in ends[source]), count=1)
            ends[target].append(name)
        graph.add_node("output", op="output")
        graph.add_edges_from(((end, "output") for end in ends[3]), count=1)
        return graph

    def to_string(self, architecture: Mapping[str, Value]) -> str:
        """Return the published string, such as ``|nor_conv_3x3~0|+|none~0|skip_connect~1|+...``."""
        architecture = read(self, architecture)
        nodes = ("".join(f"|{architecture[_name((i, j))]}~{i}" for i in range(j)) + "|" for j in (1, 2, 3))
        return "+".join(nodes)

    def from_string(self, text: str) -> Architecture:
        """Read the published string.

        Raises:
            ArchitectureError: The text has another form, or names an unknown operation.
        """
        found = _STRING.fullmatch(text)
        if found is None:
            raise ArchitectureError(
                f"'{text}' is no NAS-Bench-201 cell: write it like '|op~0|+|op~0|op~1|+|op~0|op~1|op~2|'."
            )
        return self.architecture({_name(edge): op for edge, op in zip(EDGES, found.groups(), strict=True)})

    def index(self, architecture: Mapping[str, Value]) -> int:
        """Return the place in `enumerate()`; benchmark files have an order of their own, given by their strings."""
        architecture = read(self, architecture)
        place = 0
        for edge in EDGES:
            place = place * len(OPERATIONS) + OPERATIONS.index(str(architecture[_name(edge)]))
        return place

    def from_index(self, index: int) -> Architecture:
        """Return the architecture at a place of `enumerate()`.

        Raises:
            ArchitectureError: `index` is no whole number within 0 to 15,624.
        """
        index = whole("from_index", "index", index)
        if not 0 <= index < len(OPERATIONS) ** len(EDGES):
            raise ArchitectureError(f"`index` is {index}; NAS-Bench-201 has the cells 0 to 15624.")
        values: dict[str, Value] = {}
        for edge in reversed(EDGES):
            index, op = divmod(index, len(OPERATIONS))
            values[_name(edge)] = OPERATIONS[op]
        return self.architecture(values)


_STRING = re.compile(r"\+".join(r"\|" + "".join(rf"([^|~]+)~{i}\|" for i in range(j)) for j in (1, 2, 3)))


def _name(edge: tuple[int, int]) -> str:
    return f"edge_{edge[0]}_{edge[1]}"


class Cell(nn.Module):
    """The cell: input and output `(N, channels, H, W)`."""

    def __init__(self, choose: Chooser, channels: int) -> None:
        super().__init__()
        self.edges = nn.ModuleList(choose(_name(edge), _candidates(channels)) for edge in EDGES)

    def forward(self, x: Tensor) -> Tensor:
        nodes: list[Tensor | None] = [x, None, None, None]
        for (source, target), operation in zip(EDGES, self.edges, strict=True):
            term, partial = operation(nodes[source]), nodes[target]
            nodes[target] = term if partial is None else partial + term
        output = nodes[3]
        assert output is not None
        return output


def _candidates(channels: int) -> Mapping[str, Callable[[], nn.Module]]:
    return {
        "none": Zero,
        "skip_connect": nn.Identity,
        "nor_conv_1x1": lambda: relu_conv_bn(channels, channels, 1),
        "nor_conv_3x3": lambda: relu_conv_bn(channels, channels, 3),
        "avg_pool_3x3": lambda: average_pool(3),
    }


class ReductionBlock(nn.Module):
    """The residual block of stride 2 between stages: `(N, C, H, W)` to `(N, C', H/2, W/2)`, odd sizes rounded up."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.first = relu_conv_bn(in_channels, out_channels, 3, stride=2)
        self.second = relu_conv_bn(out_channels, out_channels, 3)
        self.shortcut = nn.Sequential(
            nn.AvgPool2d(2, 2, ceil_mode=True), nn.Conv2d(in_channels, out_channels, 1, bias=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        shortcut: Tensor = self.shortcut(x)
        residual: Tensor = self.second(self.first(x))
        return shortcut + residual
