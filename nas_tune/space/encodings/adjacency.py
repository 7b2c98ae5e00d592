"""Adjacency encoding: the upper triangle of the graph's adjacency matrix and a one-hot op for every node."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import networkx as nx
import numpy as np

from nas_tune.errors import SpaceError
from nas_tune.space.encodings.hidden import HiddenColumns
from nas_tune.space.graphs import operations

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nas_tune.space.node import Value
    from nas_tune.space.search_space import SearchSpace


class AdjacencyEncoding:
    """Nodes in topological order, padded to the largest graph of the space: `max_nodes` nodes of `operations` kinds.

    What the graph does not show, such as numbers, follows in columns of its own, as in the one-hot encoding.

    Args:
        space: The space whose graphs are encoded; its `graph_nodes` is the number of nodes that there is room for.

    Reference: White et al., A Study on Encodings for NAS, arXiv:2007.04965, section 3.1 (one-hot adjacency).
    """

    def __init__(self, space: SearchSpace) -> None:
        self.space = space
        self.operations = operations(space)
        self.max_nodes = space.graph_nodes()
        self._upper = np.triu_indices(self.max_nodes, k=1)
        self._op = {op: i for i, op in enumerate(self.operations)}
        self._hidden = HiddenColumns(space)
        self.width = len(self._upper[0]) + self.max_nodes * len(self.operations) + self._hidden.width

    def encode(self, architecture: Mapping[str, Value]) -> NDArray[np.float64]:
        """Return the vector of an architecture, shape `(width,)`; an edge counts how often it enters a sum.

        Raises:
            SpaceError: The graph has more nodes, or another op, than the space says.
        """
        graph = self.space.graph(architecture)
        order = list(nx.lexicographical_topological_sort(graph, key=str))
        if len(order) > self.max_nodes:
            raise SpaceError(
                f"The graph has {len(order)} nodes, the encoding room for {self.max_nodes}: let `graph_nodes` of "
                f"{type(self.space).__name__} return the most that it can have."
            )
        place = {node: i for i, node in enumerate(order)}
        adjacency = np.zeros((self.max_nodes, self.max_nodes))
        for source, target, count in graph.edges(data="count", default=1):
            adjacency[place[source], place[target]] = count
        kinds = np.zeros((self.max_nodes, len(self.operations)))
        for node, op in graph.nodes(data="op"):
            kinds[place[node], self._kind(str(op))] = 1.0
        return np.concatenate([adjacency[self._upper], kinds.ravel(), self._hidden.encode(architecture)])

    def _kind(self, op: str) -> int:
        if op not in self._op:
            raise SpaceError(
                f"The graph holds the op '{op}', which is no value of the space: {self.operations}. "
                f"Let `graph_choices` of {type(self.space).__name__} return every op."
            )
        return self._op[op]
