"""Path encoding: which sequences of operations lead from an input to the output."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

import networkx as nx
import numpy as np

from nas_tune.errors import SpaceError
from nas_tune.space.encodings.hidden import HiddenColumns
from nas_tune.space.graphs import STRUCTURE, cell_of, cells, choices, inputs, is_input

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nas_tune.space.node import Value
    from nas_tune.space.search_space import SearchSpace

MOST_FEATURES = 4_096


class Way(NamedTuple):
    """A way through a graph: the input it last leaves, the cell it runs through (if named), its operations."""

    start: str
    cell: str | None
    ops: tuple[str, ...]


class PathEncoding:
    """A column for every sequence of operations, shortest first; 1 where a path with it runs input to output.

    The input that a path leaves and the cell that it runs through are part of its name: with two cells of two inputs,
    as in DARTS, there are four blocks of columns, and a path of one operation from the previous cell is another than
    the same from the cell before that. Paths longer than `length` are dropped, as the authors truncate to the likely
    short ones. On NAS-Bench-201 the lengths 1, 2 and 3 give 5, 30 and 155 columns. What the graph does not show, such
    as numbers, follows in columns of its own, as in the one-hot encoding.

    Args:
        space: The space whose graphs are encoded.
        length: Most operations on a path; `None` takes as many as fit in 4,096 columns.

    Reference: White et al., BANANAS, arXiv:1910.11858, section 3.
    """

    def __init__(self, space: SearchSpace, length: int | None = None) -> None:
        self.space = space
        self.operations = choices(space)
        self._op = {op: i for i, op in enumerate(self.operations)}
        parts = [(start, cell) for cell in cells(space) or (None,) for start in inputs(space)]
        base, most = len(self.operations), len(space.parameters())
        room = MOST_FEATURES // max(len(parts), 1)
        fitting = (n for n in range(most, 0, -1) if sum(base**i for i in range(1, n + 1)) <= room)
        self.length = length if length is not None else next(fitting, 1)
        self._start: list[int] = [sum(base**i for i in range(1, n)) for n in range(self.length + 2)]
        self._block: dict[tuple[str, str | None], int] = {part: i * self._start[-1] for i, part in enumerate(parts)}
        self._hidden = HiddenColumns(space)
        self._graph_width = len(parts) * self._start[-1]
        self.width = self._graph_width + self._hidden.width

    def encode(self, architecture: Mapping[str, Value]) -> NDArray[np.float64]:
        """Return the vector of an architecture, shape `(width,)`; sums and concatenations are passed over.

        Raises:
            SpaceError: The graph holds an op that is no value of the space.
        """
        vector = np.zeros(self._graph_width)
        for way in ways(self.space.graph(architecture), self.length):
            places = [self._op[op] for op in way.ops if self._known(op)]
            if 0 < len(places) <= self.length:
                column = 0
                for place in places:
                    column = column * len(self.operations) + place
                vector[self._offset(way) + self._start[len(places)] + column] = 1.0
        return np.concatenate([vector, self._hidden.encode(architecture)])

    def _offset(self, way: Way) -> int:
        if (way.start, way.cell) not in self._block:
            raise SpaceError(
                f"A path leads from '{way.start}' through the cell {way.cell}, but other graphs of the space know only "
                f"{list(self._block)}: give every graph all inputs and cells, also those that nothing uses."
            )
        return self._block[way.start, way.cell]

    def _known(self, op: str) -> bool:
        if op not in self._op and op not in STRUCTURE:
            raise SpaceError(
                f"The graph holds the op '{op}', which is no value of the space: {self.operations}. "
                f"Let `graph_choices` of {type(self.space).__name__} return every op."
            )
        return op in self._op


def paths(graph: nx.DiGraph[str]) -> Iterator[tuple[str, ...]]:
    """Yield the operations along every path from an input to the output of a graph, ends excluded."""
    return (way.ops for way in ways(graph))


def ways(graph: nx.DiGraph[str], length: float = math.inf) -> Iterator[Way]:
    """Yield every path from an input to an output; an input inside, of a cell set into a chain, is its start.

    Args:
        graph: Acyclic graph.
        length: Operations, not counting sums and concatenations, above which a path is dropped.
    """
    for source, op in graph.nodes(data="op"):
        if is_input(str(op)) and not graph.in_degree(source):
            yield from _onwards(graph, source, Way(str(op), None, ()), length)


def _onwards(graph: nx.DiGraph[str], node: str, way: Way, length: float) -> Iterator[Way]:
    """Yield the paths that lead on from `node`, the end of `way`."""
    for target in graph.successors(node):
        data = graph.nodes[target]
        op, cell = str(data["op"]), cell_of(data) or way.cell
        if op == "output":
            yield way
        elif is_input(op):
            yield from _onwards(graph, target, Way(op, cell, way.ops), length)
        elif sum(other not in STRUCTURE for other in way.ops) + (op not in STRUCTURE) <= length:
            yield from _onwards(graph, target, Way(way.start, cell, (*way.ops, op)), length)
