"""Weisfeiler-Lehman subtrees: how many neighbourhoods two graphs have in common."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Self

import numpy as np

from nas_tune.errors import PredictorError
from nas_tune.predictors.memory import Memory
from nas_tune.space.graphs import is_input

if TYPE_CHECKING:
    import networkx as nx
    from numpy.typing import NDArray

    from nas_tune.space import Architecture, SearchSpace

MOST_REMEMBERED = 20_000  # architectures whose subtrees are at hand
ZEROS = frozenset({"none", "zero"})


class WeisfeilerLehmanKernel:
    """The cosine between the counts of subtrees of two graphs, a weight for each depth.

    A node's subtree of depth 0 is its operation; of depth h it is its subtree of depth h - 1 with those of its sources
    and those of its targets, each a multiset of its own, because the graphs are directed. Operations that no way from
    an input to the output passes through are left out. Subtrees that no learned architecture holds count as one more,
    which none of these has.

    Args:
        space: Space of the architectures; compared are its `space.graph`.
        depth: Largest depth; each has a weight, so that the marginal likelihood decides how far the kernel looks.

    Raises:
        PredictorError: `depth` is below 0.

    Reference: Shervashidze et al., "Weisfeiler-Lehman Graph Kernels", 2011; Ru et al., NAS-BOWL, arXiv:2006.07556,
        section 3, where one depth of {0, 1, 2, ...} is chosen. Deviation: each depth is normalised on its own and
        weighed, and enters a squared exponential with the other decisions.
    """

    def __init__(self, space: SearchSpace, depth: int = 1) -> None:
        if depth < 0:
            raise PredictorError(f"WeisfeilerLehmanKernel: `depth` is {depth}. Take 0 or more.")
        self._space, self._depth = space, depth
        self._vocabulary: list[dict[str, int]] = [{} for _ in range(depth + 1)]
        self._read = Memory("WeisfeilerLehmanKernel", space, self._subtrees, MOST_REMEMBERED)

    @property
    def groups(self) -> tuple[int, ...]:
        """A group for each depth: the subtrees that were learned, and one for all others."""
        return tuple(depth for depth, known in enumerate(self._vocabulary) for _ in range(len(known) + 1))

    @property
    def blocks(self) -> tuple[int, ...]:
        """One block: the depths share it."""
        return (0,) * (self._depth + 1)

    def fit(self, architectures: Sequence[Architecture]) -> Self:
        """Learn the subtrees of the architectures."""
        self._vocabulary = [{} for _ in range(self._depth + 1)]
        for read in self._read(architectures):
            for known, counts in zip(self._vocabulary, read, strict=True):
                for subtree in counts:
                    known.setdefault(subtree, len(known))
        return self

    def encode(self, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        """Return unit vectors of counts for each depth, shape `(n, len(groups))`."""
        read = self._read(architectures)
        return np.hstack([_unit_counts(known, [r[h] for r in read]) for h, known in enumerate(self._vocabulary)])

    def _subtrees(self, architectures: Sequence[Architecture]) -> list[list[Counter[str]]]:
        return [subtrees(self._space.graph(architecture), self._depth) for architecture in architectures]


def _unit_counts(known: Mapping[str, int], counts: Sequence[Counter[str]]) -> NDArray[np.float64]:
    columns = np.zeros((len(counts), len(known) + 1))
    for row, found in zip(columns, counts, strict=True):
        for subtree, count in found.items():
            if subtree in known:
                row[known[subtree]] = count
        row /= math.sqrt(sum(count * count for count in found.values())) or 1.0
        row[-1] = math.sqrt(max(float(bool(found)) - float(row @ row), 0.0))
    return columns


def subtrees(graph: nx.DiGraph[str], depth: int) -> list[Counter[str]]:
    """Return how often each subtree of depth 0 to `depth` stands in a graph, dead operations left out."""
    sources, targets, labels = _live(graph)
    found = [Counter(labels.values())]
    for _ in range(depth):
        labels = {
            node: f"{label}({','.join(sorted(labels[s] for s in sources[node]))};"
            f"{','.join(sorted(labels[t] for t in targets[node]))})"
            for node, label in labels.items()
        }
        found.append(Counter(labels.values()))
    return found


def _live(graph: nx.DiGraph[str]) -> tuple[dict[str, list[str]], dict[str, list[str]], dict[str, str]]:
    """Return sources, targets and operations of the nodes that lie on a way from an input to the output."""
    op = {node: str(label) for node, label in graph.nodes(data="op")}
    forth = _reached([n for n, label in op.items() if is_input(label)], graph.succ, op)
    back = _reached([n for n, label in op.items() if label == "output"], graph.pred, op)
    alive = {node: op[node] for node in op if node in forth and node in back}
    sources = {node: [s for s in graph.pred[node] if s in alive] for node in alive}
    targets = {node: [t for t in graph.succ[node] if t in alive] for node in alive}
    return sources, targets, alive


def _reached(starts: Sequence[str], onwards: Mapping[str, Mapping[str, object]], op: Mapping[str, str]) -> set[str]:
    reached, stack = set(starts), list(starts)
    while stack:
        for node in onwards[stack.pop()]:
            if node not in reached and op[node] not in ZEROS:
                reached.add(node)
                stack.append(node)
    return reached
