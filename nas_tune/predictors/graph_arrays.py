"""The graphs of architectures as arrays: the kinds of the nodes, and who passes to whom."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import networkx as nx
import numpy as np

from nas_tune.errors import SpaceError
from nas_tune.predictors.memory import Memory
from nas_tune.space.graphs import cell_of, cells, operations

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nas_tune.space import Architecture, SearchSpace

REMEMBERED = 20_000


class GraphArrays(NamedTuple):
    """Graphs padded to the size of the largest.

    Attributes:
        kinds: One-hot kind of every node, 0 where a graph has none, shape `(n, nodes, kinds)`.
        forward: How much each node (second index) takes from each (third), itself among them, rows summing to 1; 0
            where a graph has no node. Shape `(n, nodes, nodes)`.
        backward: The same against the direction of the edges.
        present: 1 / number of nodes where a graph has a node, shape `(n, nodes)`.
    """

    kinds: NDArray[np.float32]
    forward: NDArray[np.float32]
    backward: NDArray[np.float32]
    present: NDArray[np.float32]


class GraphReader:
    """Reads the graphs of architectures and remembers them.

    The kind of a node is its op, and the cell that it ends where the space's graphs have several: without that, a
    normal cell and a reduction cell would look alike.

    Args:
        owner: Who asks, for errors.
        space: The space that the architectures are of.
    """

    def __init__(self, owner: str, space: SearchSpace) -> None:
        self._space = space
        names = [(op, cell) for cell in (None, *cells(space)) for op in operations(space)]
        self._kind = {name: i for i, name in enumerate(names)}
        self.kinds = len(names)
        self._graphs = Memory(owner, space, self._read, room=REMEMBERED)

    def __call__(self, architectures: Sequence[Architecture]) -> GraphArrays:
        """Return the arrays of at least one architecture.

        Raises:
            ArchitectureError: One is of another space.
            SpaceError: A graph holds an op, or a cell, that the space does not declare.
        """
        graphs = self._graphs(architectures)
        n, nodes = len(graphs), max(len(kinds) for kinds, _ in graphs)
        kinds = np.zeros((n, nodes, self.kinds), dtype=np.float32)
        adjacency, present = np.zeros((n, nodes, nodes), dtype=np.float32), np.zeros((n, nodes), dtype=np.float32)
        for i, (kind, edges) in enumerate(graphs):
            size = len(kind)
            kinds[i, range(size), kind] = 1.0
            adjacency[i, :size, :size] = edges
            present[i, :size] = 1 / size
        return GraphArrays(kinds, _shares(adjacency), _shares(adjacency.transpose(0, 2, 1)), present)

    def _read(self, architectures: Sequence[Architecture]) -> list[tuple[list[int], NDArray[np.float32]]]:
        return [self._arrays(self._space.graph(architecture)) for architecture in architectures]

    def _arrays(self, graph: nx.DiGraph[str]) -> tuple[list[int], NDArray[np.float32]]:
        """Return the kind of every node, and the adjacency with self-loops: row takes from column."""
        kinds = [self._known(str(data["op"]), cell_of(data)) for _, data in graph.nodes(data=True)]
        place = {node: i for i, node in enumerate(graph)}
        adjacency = np.eye(len(kinds), dtype=np.float32)
        for source, target, count in graph.edges(data="count", default=1):
            adjacency[place[target], place[source]] = count
        return kinds, adjacency

    def _known(self, op: str, cell: str | None) -> int:
        if (op, cell) not in self._kind:
            raise SpaceError(
                f"The graph holds the op '{op}' (cell {cell}), which is none of the space: {list(self._kind)}. "
                f"Let `graph_choices` of {type(self._space).__name__} return every op."
            )
        return self._kind[op, cell]


def _shares(adjacency: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the adjacency with rows that sum to 1, or stay 0."""
    shares: NDArray[np.float32] = adjacency / np.maximum(adjacency.sum(2, keepdims=True), 1e-9)
    return shares
