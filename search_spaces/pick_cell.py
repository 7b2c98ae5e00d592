"""Cells whose nodes each add two picks, an operation on any earlier tensor: NASNet, AmoebaNet, PNAS, ENAS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias, get_args

import networkx as nx
from torch import Tensor, nn

from nas_tune.errors import ArchitectureError, SpaceError, unknown_name
from nas_tune.space import Architecture, Categorical, SearchSpace, Value
from nas_tune.space.elastic import Blocks, Elastic, combine
from nas_tune.space.walks import read
from nas_tune.supernet import elastic
from nas_tune.supernet.drop_path import checked_rate

from .cell_network import Cell, CellInputs, CellNetwork, Kind, StemName
from .genotypes import Edge, Genotype, as_genotype, edges_by_node, read_genotype
from .operations.pick import OPERATIONS, candidates
from .published import PublishedSpace, size_of

if TYPE_CHECKING:
    from nas_tune.space import Chooser
    from nas_tune.space.elastic import Channels

Output = Literal["loose", "all"]
Places: TypeAlias = tuple[int, ...] | Elastic[tuple[int, ...]]
"""What a cell concatenates: the nodes that no other node takes, or all of them."""

INPUTS = ("input_0", "input_1")  # the cell before the previous one, and the previous one
KINDS: tuple[Kind, Kind] = ("normal", "reduce")


class PickCell(SearchSpace):
    """The cells of one kind: `nodes` nodes, each the sum of two operations on earlier tensors.

    Node i is decided by ``node_i.input_0``, ``node_i.op_0``, ``node_i.input_1`` and ``node_i.op_1``. An input is one
    of the two inputs of the cell or an earlier node, and both may be the same one. With K operations there are
    prod_{i=2}^{nodes+1} (K i)^2 cells, the count of NDS; swapped picks count twice, though they are the same network.

    Args:
        operations: Names out of `operations.pick.OPERATIONS`.
        nodes: Number of nodes.
        output: ``"loose"`` or ``"all"``; no input of the cell is ever concatenated.
        kind: ``"normal"`` or ``"reduce"``.

    Raises:
        UnknownNameError: There is no such operation, output or kind.
        SpaceError: No operation, one given twice, or `nodes` below 1.

    Reference: Radosavovic et al., On Network Design Spaces, arXiv:1905.13214, section 5.
    """

    def __init__(
        self, operations: Sequence[str], nodes: int = 5, output: Output = "loose", kind: Kind = "normal"
    ) -> None:
        self.count, self.operations = size_of("PickCell", "nodes", nodes), tuple(operations)
        _check_names("operation", self.operations, OPERATIONS)
        _check_names("output of a cell", (output,), get_args(Output))
        _check_names("kind of cell", (kind,), KINDS)
        self.output, self.kind = output, kind
        self._taking = [f"node_{i}.input_{p}" for i in range(self.count) for p in (0, 1)]
        super().__init__({f"node_{i}": self._node(i) for i in range(self.count)})

    def _node(self, node: int) -> SearchSpace:
        inputs, operations = Categorical(*_tensors(node)), Categorical(*self.operations)
        return SearchSpace({"input_0": inputs, "op_0": operations, "input_1": inputs, "op_1": operations})

    def __repr__(self) -> str:
        return f"PickCell({self.operations}, nodes={self.count}, output={self.output!r}, kind={self.kind!r})"

    def picks(self, architecture: Mapping[str, Value], prefix: str = "") -> list[tuple[str, str]]:
        """Return operation and input of the two picks of every node, node by node.

        Args:
            architecture: Values by name, each name beginning with `prefix`.
            prefix: Path of this cell in a larger space, with its dot.
        """
        nodes = [f"{prefix}node_{i}." for i in range(self.count)]
        return [(str(architecture[f"{n}op_{p}"]), str(architecture[f"{n}input_{p}"])) for n in nodes for p in (0, 1)]

    def outputs(self, architecture: Mapping[str, Value], prefix: str = "") -> tuple[int, ...]:
        """Return the nodes that the cell concatenates, in ascending order; arguments as of `picks`."""
        if self.output == "all":
            return tuple(range(self.count))
        used = {architecture[prefix + name] for name in self._taking}
        return tuple(i for i in range(self.count) if f"node_{i}" not in used)

    def graph(self, architecture: Mapping[str, Value]) -> nx.DiGraph[str]:
        """Return the cell: a node for every pick, a sum for every node, their concatenation.

        An operation of stride 2 says so in its `parameters`; a skip connection of stride 2 is no identity.
        """
        graph = _ends()
        graph.add_edge(self.draw(graph, read(self, architecture)), "output", count=1)
        return graph

    def draw(self, graph: nx.DiGraph[str], architecture: Mapping[str, Value], prefix: str = "") -> str:
        """Add the cell to a graph that has its inputs, and return the name of its concatenation.

        Args:
            graph: Holds ``"input_0"`` and ``"input_1"``.
            architecture: Values by name, each name beginning with `prefix`.
            prefix: Path of this cell in a larger space, with its dot.
        """
        names = {name: f"{prefix}{name}" for name in _tensors(self.count)[2:]}
        targets = [name for name in names.values() for _ in (0, 1)]
        parts = [f"{name}.op_{place % 2}" for place, name in enumerate(targets)]
        picks = self.picks(architecture, prefix)
        graph.add_nodes_from(names.values(), op="sum")
        graph.add_nodes_from((part, self._attributes(*pick)) for part, pick in zip(parts, picks, strict=True))
        sources = (names.get(source, source) for _, source in picks)
        graph.add_edges_from(zip(sources, parts, strict=True), count=1)
        graph.add_edges_from(zip(parts, targets, strict=True), count=1)
        join = f"{prefix}concat"
        graph.add_node(join, op="concat", parameters={"cell": self.kind})
        graph.add_edges_from(((names[f"node_{i}"], join) for i in self.outputs(architecture, prefix)), count=1)
        return join

    def _attributes(self, op: str, source: str) -> dict[str, object]:
        stride = self.stride(source)
        return {"op": op} if stride == 1 else {"op": op, "parameters": {"stride": stride}}

    def stride(self, source: Value) -> int:
        """Return the stride of an operation on a tensor, by the tensor's name."""
        return 2 if self.kind == "reduce" and source in INPUTS else 1

    def to_picks(self, architecture: Mapping[str, Value], prefix: str = "") -> tuple[tuple[Edge, ...], tuple[int, ...]]:
        """Return picks and concatenation as in a genotype, where tensors are numbered from 0, the inputs first."""
        places = {name: place for place, name in enumerate(_tensors(self.count))}
        picks = tuple((op, places[source]) for op, source in self.picks(architecture, prefix))
        return picks, tuple(2 + node for node in self.outputs(architecture, prefix))

    def from_picks(self, picks: Sequence[Edge], concat: Sequence[int]) -> dict[str, Value]:
        """Return the values that the picks of a genotype stand for.

        Raises:
            ArchitectureError: More or fewer picks than two for each node, an input that does not come before its node,
                an unknown operation, or a concatenation other than that of this space.
        """
        values: dict[str, Value] = {}
        for node, entering in enumerate(edges_by_node(picks, self.count)):
            if len(entering) != 2:
                raise ArchitectureError(f"{self._where(node)} has {len(entering)} picks; a node takes two.")
            for pick, (op, source) in enumerate(entering):
                values[f"node_{node}.input_{pick}"] = self._source(node, source)
                values[f"node_{node}.op_{pick}"] = self._known(node, op)
        expected = [2 + node for node in self.outputs(values)]
        if sorted(concat) != expected:
            raise ArchitectureError(
                f"The {self.kind} cell concatenates {list(concat)}, but by the rule output={self.output!r} its picks "
                f"concatenate {expected}: correct the genotype, or make the space with the other rule."
            )
        return values

    def _source(self, node: int, source: int) -> str:
        tensors = _tensors(node)
        if not 0 <= source < len(tensors):
            raise ArchitectureError(
                f"{self._where(node)} takes the tensor {source}; before it there are 0 to {len(tensors) - 1}."
            )
        return tensors[source]

    def _known(self, node: int, op: str) -> str:
        if op not in self.operations:
            raise ArchitectureError(
                f"{self._where(node)} has the operation '{op}'; the operations are {', '.join(self.operations)}."
            )
        return op

    def _where(self, node: int) -> str:
        return f"Node {node + 2} of the {self.kind} cell"


def _ends() -> nx.DiGraph[str]:
    graph: nx.DiGraph[str] = nx.DiGraph()
    for name in (*INPUTS, "output"):
        graph.add_node(name, op=name)
    return graph


def _tensors(node: int) -> tuple[str, ...]:
    """Return the names of the tensors that come before a node."""
    return (*INPUTS, *(f"node_{i}" for i in range(node)))


def _check_names(kind: str, names: Sequence[str], known: Sequence[str]) -> None:
    for name in names:
        if name not in known:
            raise unknown_name(kind, str(name), known)
    if not names or len(set(names)) != len(names):
        raise SpaceError(f"PickCell: the {kind}s are {list(names)}; give at least one, each once.")


class PickCellLayer(Cell):
    """One cell in a network: two images in, `(N, channels * number of concatenated nodes, H, W)` out.

    Args:
        choose: Answers the decisions.
        space: The cells it is chosen from, in a space under the name of their kind.
        channels: Channels of the operations.
        inputs: Brings both inputs to these channels and to one size.
        joined: The nodes that are concatenated.
    """

    def __init__(self, choose: Chooser, space: PickCell, channels: int, inputs: CellInputs, joined: Places) -> None:
        super().__init__()
        self.inputs = inputs
        self.picks = nn.ModuleList()
        for node in range(space.count):
            for pick in (0, 1):
                name = f"{space.kind}.node_{node}"
                make = partial(_pick, choose, space, f"{name}.op_{pick}", channels)
                self.picks.append(choose.inputs(f"{name}.input_{pick}", make))
        self.join = elastic.Concat(joined)
        self.out_channels: Channels = combine(partial(Blocks, width=channels), joined)

    def forward(self, s0: Tensor, s1: Tensor) -> Tensor:
        tensors = list(self.inputs(s0, s1))
        picks = iter(self.picks)
        for first, second in zip(picks, picks, strict=True):
            tensors.append(first(tensors) + second(tensors))
        output: Tensor = self.join(tensors[2:])
        return output


def _pick(choose: Chooser, space: PickCell, name: str, channels: int, source: Value) -> nn.Module:
    return choose(name, candidates(space.operations, channels, space.stride(source)))


class PickCellSpace(PublishedSpace):
    """A normal and a reduction cell of picks, and the network of them that DARTS and NDS train.

    Stem, then `cells` cells of which those at a third and at two thirds are reduction cells, global average pooling,
    linear. In a reduction cell the operations on the cell's inputs have stride 2, and channels double.

    Args:
        num_classes: Classes of the task.
        in_channels: Channels of the images; grey ones are repeated over them.
        channels: Channels of the operations in the first cells.
        cells: Number of cells.
        nodes: Nodes of a cell.
        output: ``"loose"`` concatenates the nodes that no other node takes, ``"all"`` every node; `None` does what NDS
            does for this space.
        stem: ``"cifar"`` keeps the size of the images, ``"imagenet"`` begins with an eighth.
        auxiliary: Whether a second head is trained behind the second reduction; networks then put out
            `(logits, auxiliary_logits)` in training.
        drop_path: Rate at which picks other than the identity are dropped in training.

    Attributes:
        operations: What a pick chooses from.
        published_output: What NDS concatenates.

    Raises:
        SpaceError: A size below 1, or a rate outside [0, 1).
        UnknownNameError: There is no such output or stem.

    Reference: Radosavovic et al., On Network Design Spaces, arXiv:1905.13214, section 5; sizes of DARTS,
    arXiv:1806.09055.
    """

    operations: ClassVar[tuple[str, ...]]
    published_output: ClassVar[Output]

    def __init__(
        self,
        num_classes: int = 10,
        in_channels: int = 3,
        *,
        channels: int = 36,
        cells: int = 20,
        nodes: int = 5,
        output: Output | None = None,
        stem: StemName = "cifar",
        auxiliary: bool = False,
        drop_path: float = 0.0,
    ) -> None:
        self.output: Output = self.published_output if output is None else output
        self.kinds: dict[str, PickCell] = {kind: PickCell(self.operations, nodes, self.output, kind) for kind in KINDS}
        super().__init__(self.kinds)
        owner = type(self).__name__
        self.num_classes = size_of(owner, "num_classes", num_classes)
        self.in_channels = size_of(owner, "in_channels", in_channels)
        self.channels, self.cells = size_of(owner, "channels", channels), size_of(owner, "cells", cells)
        _check_names("stem", (stem,), get_args(StemName))
        self.stem, self.auxiliary, self.drop_path = stem, auxiliary, checked_rate(drop_path)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(num_classes={self.num_classes}, in_channels={self.in_channels}, "
            f"channels={self.channels}, cells={self.cells}, nodes={self.kinds['normal'].count}, "
            f"output={self.output!r}, stem={self.stem!r}, auxiliary={self.auxiliary}, drop_path={self.drop_path})"
        )

    def network(self, choose: Chooser) -> nn.Module:
        joined = {
            kind: choose.derive(partial(cell.outputs, prefix=f"{kind}."), tuple(range(cell.count)))
            for kind, cell in self.kinds.items()
        }
        return CellNetwork(
            partial(self._cell, choose, joined),
            cells=self.cells,
            channels=self.channels,
            num_classes=self.num_classes,
            in_channels=self.in_channels,
            stem=self.stem,
            auxiliary=self.auxiliary,
            drop_path=self.drop_path,
        )

    def _cell(
        self,
        choose: Chooser,
        joined: Mapping[str, Places],
        kind: Kind,
        c_prev_prev: Channels,
        c_prev: Channels,
        channels: int,
        reduction_prev: bool,
    ) -> Cell:
        inputs = CellInputs(c_prev_prev, c_prev, channels, reduction_prev)
        return PickCellLayer(choose, self.kinds[kind], channels, inputs, joined[kind])

    def graph(self, architecture: Mapping[str, Value]) -> nx.DiGraph[str]:
        """Return both cells on the same two inputs, each as of `PickCell.graph`."""
        architecture = read(self, architecture)
        graph = _ends()
        for kind, cell in self.kinds.items():
            graph.add_edge(cell.draw(graph, architecture, f"{kind}."), "output", count=1)
        return graph

    def to_genotype(self, architecture: Mapping[str, Value]) -> Genotype:
        """Return the architecture in the notation of DARTS."""
        architecture = read(self, architecture)
        normal, reduce = (self.kinds[kind].to_picks(architecture, f"{kind}.") for kind in KINDS)
        return Genotype(*normal, *reduce)

    def from_genotype(self, genotype: Genotype | Sequence[object]) -> Architecture:
        """Read a genotype.

        Raises:
            ArchitectureError: More or fewer picks than two for each node, an input that does not come before its node,
                an unknown operation, or a concatenation other than that of this space.
        """
        genotype = as_genotype(genotype)
        normal = self.kinds["normal"].from_picks(genotype.normal, genotype.normal_concat)
        reduce = self.kinds["reduce"].from_picks(genotype.reduce, genotype.reduce_concat)
        return self.architecture({"normal": normal, "reduce": reduce})

    def to_string(self, architecture: Mapping[str, Value]) -> str:
        """Return the genotype as text, such as ``Genotype(normal=[('sep_conv_5x5', 1), ...], normal_concat=...)``."""
        return str(self.to_genotype(architecture))

    def from_string(self, text: str) -> Architecture:
        return self.from_genotype(read_genotype(text))
