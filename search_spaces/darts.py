"""DARTS: a normal and a reduction cell, each of four nodes with two inputs and an operation on each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, ClassVar

import networkx as nx
from torch import Tensor, nn

from nas_tune.errors import ArchitectureError, SpaceError, unknown_name
from nas_tune.space import Architecture, Categorical, SearchSpace, Subset, Value
from nas_tune.space.elastic import Blocks, combine
from nas_tune.space.walks import read
from nas_tune.supernet import elastic
from nas_tune.supernet.drop_path import checked_rate

from .cell_network import Cell, CellInputs, CellNetwork, DropPath, Kind, StemName
from .darts_architectures import ARCHITECTURES
from .genotypes import Genotype, NodeEdges, as_genotype, edges_by_node, read_genotype
from .operations.cells import OPERATIONS, Nothing, operation
from .published import PublishedSpace, size_of

if TYPE_CHECKING:
    from nas_tune.space import Chooser
    from nas_tune.space.elastic import Channels, Elastic

KINDS: tuple[Kind, Kind] = ("normal", "reduce")
INPUTS = ("input_0", "input_1")
PRIMITIVES = ("none", *OPERATIONS)
MOST_NODES = 15  # up to it, the inputs of a node are one parameter


class DARTS(PublishedSpace):
    """Two cells; each node sums two operations, each on another input: an output of the two cells before or a node.

    A cell has 1,037,664,180 forms with 7 operations, the pair 1.0767e18. Its output is the concatenation of its nodes.
    `cells` copies of them are stacked, see `CellNetwork`.

    With ``operations=PRIMITIVES`` an edge may hold ``"none"``: that is a node with one input, or without any. A node
    that nothing enters is left out of the concatenation (where nothing enters any, all of them are zeros). The cells of
    FairDARTS and SNAS-aggressive need it.

    Args:
        num_classes: Classes of the task.
        in_channels: Channels of the images; grey images are repeated over them.
        channels: Channels of the operations in the first cells; published are 36 for CIFAR-10, 48 for ImageNet.
        cells: Cells that are stacked; published are 20 for CIFAR-10, 14 for ImageNet.
        nodes: Nodes of a cell, at most 15.
        operations: What an edge chooses from, some of `PRIMITIVES`.
        stem: ``"cifar"`` or ``"imagenet"``, which reduces the image to an eighth.
        affine: False makes the cells of a search network, published with 16 channels and 8 cells: their batch norms
            have no scale and shift, and one stands behind every pooling.
        auxiliary: Whether the network has an auxiliary head; in training it returns the pair of logits.
        drop_path: Rate at which operations other than the identity are dropped in training; published is a rise to 0.2.

    Raises:
        SpaceError: A size out of its range, or an operation given twice.
        UnknownNameError: There is no such operation or stem.

    Reference: Liu et al., DARTS, arXiv:1806.09055, section 2.1 and appendix A; the defaults are those of section 3.3.
    """

    reference: ClassVar[str] = "arXiv:1806.09055"
    architectures: ClassVar[Mapping[str, str]] = ARCHITECTURES

    def __init__(
        self,
        num_classes: int = 10,
        in_channels: int = 3,
        channels: int = 36,
        cells: int = 20,
        nodes: int = 4,
        operations: Sequence[str] = OPERATIONS,
        stem: StemName = "cifar",
        affine: bool = True,
        auxiliary: bool = False,
        drop_path: float = 0.0,
    ) -> None:
        self.num_classes, self.in_channels = _size("num_classes", num_classes), _size("in_channels", in_channels)
        self.channels, self.cells = _size("channels", channels), _size("cells", cells)
        self.nodes_per_cell, self.operations = _size("nodes", nodes), _checked(operations)
        self.stem, self.affine, self.auxiliary, self.drop_path = stem, affine, auxiliary, checked_rate(drop_path)
        if self.nodes_per_cell > MOST_NODES:
            raise SpaceError(f"DARTS: `nodes` is {nodes}; it is at most {MOST_NODES}.")
        super().__init__({kind: self._cell_space() for kind in KINDS})

    def _cell_space(self) -> SearchSpace:
        edge = Categorical(*self.operations)
        return SearchSpace({f"node_{j}": Subset(_inputs(j), 2, each=edge) for j in range(self.nodes_per_cell)})

    def __repr__(self) -> str:
        return (
            f"DARTS(num_classes={self.num_classes}, in_channels={self.in_channels}, channels={self.channels}, "
            f"cells={self.cells}, nodes={self.nodes_per_cell}, operations={self.operations}, stem={self.stem!r}, "
            f"affine={self.affine}, auxiliary={self.auxiliary}, drop_path={self.drop_path})"
        )

    def network(self, choose: Chooser) -> nn.Module:
        live = {kind: self._live(choose, kind) for kind in KINDS}

        def make_cell(
            kind: Kind, c_prev_prev: Channels, c_prev: Channels, channels: int, reduction_prev: bool
        ) -> DARTSCell:
            inputs = CellInputs(c_prev_prev, c_prev, channels, reduction_prev, self.affine)
            nodes = [self._node(choose, kind, j, channels) for j in range(self.nodes_per_cell)]
            return DARTSCell(inputs, nodes, live[kind], channels)

        return CellNetwork(
            make_cell,
            cells=self.cells,
            channels=self.channels,
            num_classes=self.num_classes,
            in_channels=self.in_channels,
            stem=self.stem,
            auxiliary=self.auxiliary,
            drop_path=self.drop_path,
        )

    def _live(self, choose: Chooser, kind: Kind) -> tuple[int, ...] | Elastic[tuple[int, ...]]:
        """The nodes whose concatenation is the output."""
        every = tuple(range(self.nodes_per_cell))
        if "none" not in self.operations:
            return every
        return choose.derive(partial(live_nodes, kind, self.nodes_per_cell), every)

    def _node(self, choose: Chooser, kind: Kind, j: int, channels: int) -> nn.Module:
        name = f"{kind}.node_{j}"

        def edge(item: Value) -> nn.Module:
            stride = _stride(kind, item)
            return choose(f"{name}.{item}", {op: partial(self._edge, op, channels, stride) for op in self.operations})

        return choose.inputs(name, edge)

    def _edge(self, op: str, channels: int, stride: int) -> nn.Module:
        made = operation(op, channels, stride, self.affine)
        return made if isinstance(made, (nn.Identity, Nothing)) else nn.Sequential(made, DropPath())

    # The graph.

    def graph(self, architecture: Mapping[str, Value]) -> nx.DiGraph[str]:
        """Return both cells on the same two inputs: a node for each operation, a sum for each node, a concatenation.

        Edges without operation are left out, and so is what they leave without input. An operation of stride 2 says so
        in its `parameters`; a skip connection of stride 2 is a `FactorizedReduce`, no identity.
        """
        values = read(self, architecture)
        graph: nx.DiGraph[str] = nx.DiGraph()
        for item in INPUTS:
            graph.add_node(item, op=item)
        for kind in KINDS:
            self._add_cell(graph, kind, values)
        graph.add_node("output", op="output")
        graph.add_edges_from(((f"{kind}.concat", "output") for kind in KINDS), count=1)
        return graph

    def _add_cell(self, graph: nx.DiGraph[str], kind: Kind, values: Mapping[str, Value]) -> None:
        ends = {item: item for item in INPUTS}  # the graph's node that an input is
        for j in range(self.nodes_per_cell):
            name = f"{kind}.node_{j}"
            live = [item for item in _chosen(values, name) if item in ends and values[f"{name}.{item}"] != "none"]
            for item in live:
                more = {"parameters": {"stride": 2}} if _stride(kind, item) == 2 else {}
                graph.add_node(f"{name}.{item}", op=values[f"{name}.{item}"], **more)
                graph.add_edge(ends[item], f"{name}.{item}", count=1)
                graph.add_edge(f"{name}.{item}", name, count=1)
            if live:
                graph.add_node(name, op="sum")
                ends[f"node_{j}"] = name
        graph.add_node(f"{kind}.concat", op="concat", parameters={"cell": kind})
        graph.add_edges_from(((end, f"{kind}.concat") for item, end in ends.items() if item not in INPUTS), count=1)

    # The published notation.

    def to_string(self, architecture: Mapping[str, Value]) -> str:
        """Return the usual genotype, ``Genotype(normal=[('sep_conv_3x3', 0), ...], ...)``."""
        return str(self.to_genotype(architecture))

    def from_string(self, text: str) -> Architecture:
        """Read the usual genotype.

        Raises:
            ArchitectureError: The text has another form, or its cells are not in this space.
        """
        return self.from_genotype(read_genotype(text))

    def to_genotype(self, architecture: Mapping[str, Value]) -> Genotype:
        """Return the tuple of both cells; the inputs of a node are in ascending order."""
        values = read(self, architecture)
        normal, reduce = (tuple(self._edges(kind, values)) for kind in KINDS)
        normal_concat, reduce_concat = (self._concatenated(kind, values) for kind in KINDS)
        return Genotype(normal, normal_concat, reduce, reduce_concat)

    def _edges(self, kind: Kind, values: Mapping[str, Value]) -> Iterator[tuple[str, int]]:
        for j in range(self.nodes_per_cell):
            name = f"{kind}.node_{j}"
            for item in _chosen(values, name):
                yield str(values[f"{name}.{item}"]), _inputs(j).index(item)

    def _concatenated(self, kind: Kind, values: Mapping[str, Value]) -> tuple[int, ...]:
        return tuple(j + 2 for j in live_nodes(kind, self.nodes_per_cell, values))

    def from_genotype(self, genotype: Genotype | Sequence[object]) -> Architecture:
        """Read the tuple of both cells; a node with fewer than two edges gets ``"none"`` for the others.

        Raises:
            ArchitectureError: A node has more than two edges, twice the same input or a later one, or an operation
                that is not in this space; or the cell's output is not the concatenation of its nodes.
        """
        genotype = as_genotype(genotype)
        values: dict[str, Value] = {}
        for kind, edges in zip(KINDS, (genotype.normal, genotype.reduce), strict=True):
            for j, entering in enumerate(edges_by_node(edges, self.nodes_per_cell)):
                values.update(self._node_values(kind, j, entering))
        for kind, concat in zip(KINDS, (genotype.normal_concat, genotype.reduce_concat), strict=True):
            every, live = tuple(range(2, self.nodes_per_cell + 2)), self._concatenated(kind, values)
            if tuple(sorted(concat)) not in (every, live):
                raise ArchitectureError(
                    f"The {kind} cell concatenates the nodes {list(concat)}; in this space it is {list(live)}."
                )
        return self.architecture(values)

    def _node_values(self, kind: Kind, j: int, entering: NodeEdges) -> dict[str, Value]:
        where, names = f"Node {j + 2} of the {kind} cell", _inputs(j)
        inputs = [source for _, source in entering]
        if len(set(inputs)) < len(inputs) or len(inputs) > 2 or any(source >= len(names) for source in inputs):
            raise ArchitectureError(
                f"{where} has the inputs {inputs}; in this space it has two different ones of 0 to {len(names) - 1}."
            )
        absent = [source for source in range(len(names)) if source not in inputs][: 2 - len(inputs)]
        ops = {**{source: op for op, source in entering}, **{source: "none" for source in absent}}
        for op in ops.values():
            if op not in self.operations:
                raise ArchitectureError(f"{where} {_lacks(op)}; the operations are {', '.join(self.operations)}.")
        name, chosen = f"{kind}.node_{j}", sorted(ops)
        own = {f"{name}.{names[source]}": ops[source] for source in chosen}
        return {name: ",".join(names[source] for source in chosen), **own}


def _lacks(op: str) -> str:
    if op == "none":
        return "has fewer than two operations, which needs DARTS(operations=PRIMITIVES)"
    return f"has the operation '{op}'"


def _size(argument: str, value: int) -> int:
    return size_of("DARTS", argument, value)


def _checked(operations: Sequence[str]) -> tuple[str, ...]:
    for op in operations:
        if op not in PRIMITIVES:
            raise unknown_name("operation of DARTS", str(op), PRIMITIVES)
    if not operations or len(set(operations)) < len(operations):
        raise SpaceError(f"DARTS: `operations` is {tuple(operations)}; give one or more, each once.")
    return tuple(operations)


def _inputs(j: int) -> tuple[str, ...]:
    """The inputs that node `j` can choose from."""
    return (*INPUTS, *(f"node_{i}" for i in range(j)))


def _stride(kind: Kind, item: Value) -> int:
    return 2 if kind == "reduce" and item in INPUTS else 1


def _chosen(values: Mapping[str, Value], name: str) -> list[str]:
    return str(values[name]).split(",")


def live_nodes(kind: Kind, nodes: int, values: Mapping[str, Value]) -> tuple[int, ...]:
    """Return the nodes of a cell that an operation enters; all of them where there is none."""
    live = set(INPUTS)
    for j in range(nodes):
        name = f"{kind}.node_{j}"
        if any(item in live and values[f"{name}.{item}"] != "none" for item in _chosen(values, name)):
            live.add(f"node_{j}")
    return tuple(j for j in range(nodes) if f"node_{j}" in live) or tuple(range(nodes))


class DARTSCell(Cell):
    """The cell: its inputs `(N, c, H, W)`, its output the concatenation of its nodes.

    Args:
        inputs: The preprocessing of both inputs.
        nodes: What sums the operations of each node; called with the inputs and the earlier nodes.
        live: Which nodes are concatenated.
        channels: Channels of each node.
    """

    def __init__(
        self,
        inputs: CellInputs,
        nodes: Sequence[nn.Module],
        live: tuple[int, ...] | Elastic[tuple[int, ...]],
        channels: int,
    ) -> None:
        super().__init__()
        self.inputs, self.nodes = inputs, nn.ModuleList(nodes)
        self.concat = elastic.Concat(live)
        self.out_channels = combine(partial(Blocks, width=channels), live)

    def forward(self, s0: Tensor, s1: Tensor) -> Tensor:
        states = [*self.inputs(s0, s1)]
        for node in self.nodes:
            states.append(node(states))
        output: Tensor = self.concat(states[2:])
        return output
