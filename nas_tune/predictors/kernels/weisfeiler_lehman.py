"""Weisfeiler-Lehman subtrees: how many neighbourhoods two graphs have in common."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Self, TypeAlias

import numpy as np

from nas_tune.errors import PredictorError
from nas_tune.predictors.memory import Memory
from nas_tune.space.graphs import is_input

if TYPE_CHECKING:
    import networkx as nx
    from numpy.typing import NDArray

    from nas_tune.space import Architecture, SearchSpace

MOST_REMEMBERED = 20_000  # architectures whose subtrees are at hand
MOST_SUBTREES = 384  # of a depth that have a column of their own, the most frequent of those learned
BUCKETS = 64  # columns that share the others
ZEROS = frozenset({"none", "zero"})

Neighbours: TypeAlias = "dict[str, list[str]]"


class WeisfeilerLehmanKernel:
    """The cosine between the counts of subtrees of two graphs, a weight for each depth.

    A node's subtree of depth 0 is its operation; of depth h it is its subtree of depth h - 1 with those of its sources
    and those of its targets, each a multiset of its own, because the graphs are directed. Operations that no way from
    an input to the output passes through are left out.

    The 384 most frequent subtrees of a depth have a column each; all others, and those that no learned architecture
    holds, share 64 columns, with a sign by their hash, which leaves the products of two rows right in expectation.

    Args:
        space: Space of the architectures; compared are its `space.graph`.
        depth: Largest depth; each has a weight, so that the marginal likelihood decides how far the kernel looks.

    Raises:
        PredictorError: `depth` is below 0.

    Reference: Shervashidze et al., "Weisfeiler-Lehman Graph Kernels", 2011; Ru et al., NAS-BOWL, arXiv:2006.07556,
        section 3, where one depth of {0, 1, 2, ...} is chosen; for the shared columns Weinberger et al.,
        arXiv:0902.2206. Deviation: each depth is normalised on its own and weighed, and enters a squared exponential
        with the other decisions.
    """

    def __init__(self, space: SearchSpace, depth: int = 1) -> None:
        if depth < 0:
            raise PredictorError(f"WeisfeilerLehmanKernel: `depth` is {depth}. Take 0 or more.")
        self._space, self._depth = space, depth
        self._columns: list[dict[int, int]] = [{} for _ in range(depth + 1)]
        self._read = Memory("WeisfeilerLehmanKernel", space, self._subtrees, MOST_REMEMBERED)

    @property
    def groups(self) -> tuple[int, ...]:
        """A group for each depth."""
        return tuple(depth for depth, known in enumerate(self._columns) for _ in range(len(known) + BUCKETS))

    @property
    def blocks(self) -> tuple[int, ...]:
        """One block: the depths share it."""
        return (0,) * (self._depth + 1)

    def fit(self, architectures: Sequence[Architecture]) -> Self:
        """Give the frequent subtrees of the architectures a column each."""
        read = self._read(architectures)
        self._columns = [_frequent(counts[depth] for counts in read) for depth in range(self._depth + 1)]
        return self

    def encode(self, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        """Return unit vectors of counts for each depth, shape `(n, len(groups))`."""
        read = self._read(architectures)
        return np.hstack([_unit_counts(known, [r[h] for r in read]) for h, known in enumerate(self._columns)])

    def _subtrees(self, architectures: Sequence[Architecture]) -> list[list[Counter[int]]]:
        return [subtrees(self._space.graph(architecture), self._depth) for architecture in architectures]


def _frequent(counts: Iterable[Counter[int]]) -> dict[int, int]:
    found: Counter[int] = Counter()
    for counted in counts:
        found.update(counted.keys())
    most = sorted(found, key=lambda subtree: (-found[subtree], subtree))[:MOST_SUBTREES]
    return {subtree: column for column, subtree in enumerate(most)}


def _unit_counts(known: Mapping[int, int], counts: Sequence[Counter[int]]) -> NDArray[np.float64]:
    columns = np.zeros((len(counts), len(known) + BUCKETS))
    for row, found in zip(columns, counts, strict=True):
        norm = math.sqrt(sum(count * count for count in found.values())) or 1.0
        for subtree, count in found.items():
            if subtree in known:
                row[known[subtree]] = count / norm
            else:
                row[len(known) + subtree % BUCKETS] += (count if subtree & 1024 else -count) / norm
    return columns


def subtrees(graph: nx.DiGraph[str], depth: int) -> list[Counter[int]]:
    """Return how often each subtree of depth 0 to `depth` stands in a graph, dead operations left out.

    A subtree is named by a number that is the same in every process of one version of Python.
    """
    sources, targets, labels = _live(graph)
    found = [Counter(labels.values())]
    for _ in range(depth):
        labels = {
            node: hash(
                (
                    label,
                    tuple(sorted([labels[s] for s in sources[node]])),
                    tuple(sorted([labels[t] for t in targets[node]])),
                )
            )
            for node, label in labels.items()
        }
        found.append(Counter(labels.values()))
    return found


@lru_cache(maxsize=4096)
def _number(op: str) -> int:
    """Return a number for an operation; Python's own hash of a text differs from process to process."""
    return int.from_bytes(hashlib.blake2b(op.encode(), digest_size=7).digest(), "big")


def _live(graph: nx.DiGraph[str]) -> tuple[Neighbours, Neighbours, dict[str, int]]:
    """Return sources, targets and operations of the nodes that lie on a way from an input to the output."""
    op = {node: str(label) for node, label in graph.nodes(data="op")}
    targets = {node: list(after) for node, after in graph.adjacency()}
    sources: Neighbours = {node: [] for node in op}
    for node, after in targets.items():
        for target in after:
            sources[target].append(node)
    forth = _reached([node for node, label in op.items() if is_input(label)], targets, op)
    alive = forth & _reached([node for node, label in op.items() if label == "output"], sources, op)
    if len(alive) < len(op):
        sources = {node: [s for s in sources[node] if s in alive] for node in op if node in alive}
        targets = {node: [t for t in targets[node] if t in alive] for node in op if node in alive}
    return sources, targets, {node: _number(label) for node, label in op.items() if node in alive}


def _reached(starts: Sequence[str], onwards: Neighbours, op: Mapping[str, str]) -> set[str]:
    reached, stack = set(starts), list(starts)
    while stack:
        for node in onwards[stack.pop()]:
            if node not in reached and op[node] not in ZEROS:
                reached.add(node)
                stack.append(node)
    return reached
