"""The DARTS space as published, where a node's inputs decide which operations there are to choose."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, final

import numpy as np
from numpy.random import Generator, default_rng
from numpy.typing import NDArray

from benchmarks.tabular import elimination
from benchmarks.tabular.synthetic import SyntheticTable
from nas_tune.search_spaces import DARTS
from nas_tune.space import Architecture, Subset, Value

KINDS = ("normal", "reduce")
OUTER = {"input_0": 0, "input_1": 1}  # sources of an edge by number; a node of the cell is the third
NODE = 2
NODES = 4  # of a cell; the deepest node is at depth 4
RANK = 3  # of the effects of operations at positions
PAIR_SHARE = 0.7  # standard deviation of the effect of a pair, beside 1 of an operation
CALIBRATED_ON = 500  # random architectures that give mean and variance of the merit

Topology = tuple[tuple[str, str], ...]  # the two inputs of each node of one cell


def darts_conditional(seed: int = 0) -> SyntheticTable:
    """Make the table of `nas_tune.search_spaces.DARTS`, 1.0767e18 pairs of cells.

    The merit of a cell is a sum over its edges: of the operation where it is (the source, and the depth of the node;
    smooth in the depth, of rank 3), of the two operations that a node sums, and of an operation behind another. The
    depths of the two cells interact. All of it is read off the graph, so that two forms of one network have one merit.
    It is scaled to mean 0 and variance 1 over the space. The optimum is exact: for each of the 180 ways to wire a
    cell, by elimination of its eight operations, then over the depths of both cells.

    Args:
        seed: Of the effects.
    """
    space = DARTS()
    effects = Effects(len(space.operations), default_rng(seed))
    raw = Merit(space, effects, shift=0.0, scale=1.0)
    rng = default_rng((seed, 1))
    drawn = [raw(space.sample(rng)) for _ in range(CALIBRATED_ON)]
    merit = Merit(space, effects, shift=float(np.mean(drawn)), scale=float(np.std(drawn)))
    return SyntheticTable("darts-conditional", space, merit, merit.best)


@final
class Effects:
    """The random effects of one table.

    Attributes:
        edge: Of an operation by kind of cell, source, depth of the node: shape `(2, 3, 5, operations)`.
        sum: Of the operations that one node sums, symmetric: shape `(2, operations, operations)`.
        chain: Of an operation into a node, and one out of it: shape `(2, operations, operations)`.
        depths: Of the depth of the normal and of the reduction cell: shape `(5, 5)`.
    """

    def __init__(self, operations: int, rng: Generator) -> None:
        slope = np.linspace(-1.0, 1.0, NODES)
        depth = np.concatenate([[0.0], slope])  # index 0 is an input's depth and has no edge
        features = rng.standard_normal((operations, RANK))
        features *= np.sqrt(RANK) / np.linalg.norm(features, axis=1, keepdims=True)  # none is the best everywhere
        level, trend = rng.standard_normal((2, 2, NODE + 1, 1, RANK)) / np.sqrt(RANK)
        self.edge: Final = (level + trend * depth[:, None]) @ features.T
        pairs = rng.standard_normal((2, operations, operations))
        self.sum: Final = PAIR_SHARE * (pairs + pairs.transpose(0, 2, 1)) / np.sqrt(2)
        self.chain: Final = PAIR_SHARE * rng.standard_normal((2, operations, operations))
        normal, reduction, both = rng.standard_normal(3)
        self.depths: Final = normal * depth[:, None] + reduction * depth + 2 * both * np.outer(depth, depth)


def depths(topology: Topology) -> dict[str, int]:
    """Return the longest way from an input to each source of a cell."""
    found = dict.fromkeys(OUTER, 0)
    for node, inputs in enumerate(topology):
        found[f"node_{node}"] = 1 + max(found[source] for source in inputs)
    return found


def cell_depth(topology: Topology) -> int:
    """Return the depth of the deepest node."""
    return max(depths(topology).values())


def cell_terms(effects: Effects, kind: int, topology: Topology) -> dict[tuple[int, ...], NDArray[np.float64]]:
    """Return the effects of the operations of a wired cell; edge `2 * node + i` is the variable of its operation."""
    depth = depths(topology)
    terms: dict[tuple[int, ...], NDArray[np.float64]] = {}
    for node, inputs in enumerate(topology):
        for i, source in enumerate(inputs):
            terms[(2 * node + i,)] = effects.edge[kind, OUTER.get(source, NODE), depth[f"node_{node}"]]
            for before in _edges_into(source):
                terms[(before, 2 * node + i)] = effects.chain[kind]
        terms[(2 * node, 2 * node + 1)] = effects.sum[kind]
    return terms


def _edges_into(source: str) -> tuple[int, ...]:
    if source in OUTER:
        return ()
    node = int(source.removeprefix("node_"))
    return 2 * node, 2 * node + 1


@final
@dataclass(frozen=True, eq=False)
class Merit:
    """The merit of a pair of cells.

    Attributes:
        space: Of the architectures.
        effects: The random effects.
        shift: Taken off the sum of the effects.
        scale: What the rest is divided by.
    """

    space: DARTS
    effects: Effects
    shift: float
    scale: float

    def __call__(self, architecture: Architecture) -> float:
        wired = [self._topology(kind, architecture) for kind in KINDS]
        value = float(self.effects.depths[cell_depth(wired[0]), cell_depth(wired[1])])
        for kind, topology in enumerate(wired):
            point = [self.space.operations.index(op) for op in _operations(KINDS[kind], topology, architecture)]
            value += elimination.total(cell_terms(self.effects, kind, topology), point)
        return (value - self.shift) / self.scale

    def _topology(self, kind: str, architecture: Mapping[str, Value]) -> Topology:
        nodes = (self._node(kind, j).chosen(f"{kind}.node_{j}", architecture) for j in range(NODES))
        return tuple((str(first), str(second)) for first, second in nodes)

    def _node(self, kind: str, j: int) -> Subset:
        cell = self.space[kind]
        node = cell.child(f"node_{j}")
        assert isinstance(node, Subset)
        return node

    def best(self) -> Architecture:
        """Return the architecture of the largest merit."""
        cells = [self._best_cells(kind) for kind in range(2)]
        pairs = itertools.product(cells[0], cells[1])
        normal, reduction = max(pairs, key=lambda pair: self._together(cells, pair))
        return self.space.architecture(cells[0][normal][1] | cells[1][reduction][1])

    def _together(self, cells: list[dict[int, tuple[float, dict[str, str]]]], pair: tuple[int, int]) -> float:
        return cells[0][pair[0]][0] + cells[1][pair[1]][0] + float(self.effects.depths[pair])

    def _best_cells(self, kind: int) -> dict[int, tuple[float, dict[str, str]]]:
        """Return the best cell of each depth: its sum of effects and its values."""
        found: dict[int, tuple[float, dict[str, str]]] = {}
        for topology in self._topologies(KINDS[kind]):
            value, point = elimination.maximum(cell_terms(self.effects, kind, topology))
            depth = cell_depth(topology)
            if depth not in found or value > found[depth][0]:
                found[depth] = value, self._values(KINDS[kind], topology, point)
        return found

    def _topologies(self, kind: str) -> Iterator[Topology]:
        inputs = (itertools.combinations(map(str, self._node(kind, j).items), 2) for j in range(NODES))
        return itertools.product(*inputs)

    def _values(self, kind: str, topology: Topology, point: tuple[int, ...]) -> dict[str, str]:
        values = {f"{kind}.node_{j}": ",".join(inputs) for j, inputs in enumerate(topology)}
        edges = _edge_names(kind, topology)
        return values | {name: self.space.operations[i] for name, i in zip(edges, point, strict=True)}


def _edge_names(kind: str, topology: Topology) -> list[str]:
    return [f"{kind}.node_{j}.{source}" for j, inputs in enumerate(topology) for source in inputs]


def _operations(kind: str, topology: Topology, architecture: Mapping[str, Value]) -> list[str]:
    return [str(architecture[name]) for name in _edge_names(kind, topology)]
