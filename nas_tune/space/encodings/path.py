"""Path encoding: which sequences of operations lead from the input to the output."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import networkx as nx
import numpy as np

from nas_tune.errors import SpaceError
from nas_tune.space.graphs import STRUCTURE, choices

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nas_tune.space.node import Value
    from nas_tune.space.search_space import SearchSpace

MOST_FEATURES = 4_096


class PathEncoding:
    """A column for every sequence of operations, shortest first; 1 where a path with it runs input to output.

    Paths longer than `length` are dropped, as the authors truncate to the likely short ones. On NAS-Bench-201 the
    lengths 1, 2 and 3 give 5, 30 and 155 columns.

    Args:
        space: The space whose graphs are encoded.
        length: Most operations on a path; `None` takes as many as fit in 4,096 columns.

    Reference: White et al., BANANAS, arXiv:1910.11858, section 3.
    """

    def __init__(self, space: SearchSpace, length: int | None = None) -> None:
        self.space = space
        self.operations = choices(space)
        self._op = {op: i for i, op in enumerate(self.operations)}
        base, most = len(self.operations), len(space.parameters())
        fitting = (n for n in range(most, 0, -1) if sum(base**i for i in range(1, n + 1)) <= MOST_FEATURES)
        self.length = length if length is not None else next(fitting, 1)
        self._start = [sum(base**i for i in range(1, n)) for n in range(self.length + 2)]
        self.width = self._start[self.length + 1]

    def encode(self, architecture: Mapping[str, Value]) -> NDArray[np.float64]:
        """Return the vector of an architecture, shape `(width,)`, 0 or 1 in each column; sums are passed over.

        Raises:
            SpaceError: The graph holds an op that is no value of the space.
        """
        vector = np.zeros(self.width)
        for path in paths(self.space.graph(architecture)):
            places = [self._op[op] for op in path if self._known(op)]
            if 0 < len(places) <= self.length:
                column = 0
                for place in places:
                    column = column * len(self.operations) + place
                vector[self._start[len(places)] + column] = 1.0
        return vector

    def _known(self, op: str) -> bool:
        if op not in self._op and op not in STRUCTURE:
            raise SpaceError(f"The graph holds the op '{op}', which is no value of the space: {self.operations}.")
        return op in self._op


def paths(graph: nx.DiGraph[str]) -> Iterator[tuple[str, ...]]:
    """Yield the operations along every path from an input to the output of a graph, ends excluded."""
    op = {node: str(data["op"]) for node, data in graph.nodes(data=True)}
    sources = [node for node, kind in op.items() if kind == "input"]
    targets = [node for node, kind in op.items() if kind == "output"]
    for source in sources:
        for path in nx.all_simple_paths(graph, source, targets):
            yield tuple(op[node] for node in path[1:-1])
