"""Pareto order: who dominates whom, the ranks of non-dominated sorting, how crowded a front is, who survives.

Larger is better in every objective. A point that breaks constraints less dominates one that breaks them more, whatever
their values; points that break them equally, such as feasible ones, are compared by value.

Reference: Deb et al., "A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II", doi:10.1109/4235.996017,
    sections III and VI. Deviation: points that break their constraints equally are compared by value.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Points(NamedTuple):
    """Evaluated points.

    Attributes:
        values: Objectives, larger is better, infinite ones included, shape `(n, m)`.
        excess: By how much each breaks constraints, 0 where it is feasible, shape `(n,)`.
    """

    values: NDArray[np.float64]
    excess: NDArray[np.float64]

    def take(self, which: NDArray[np.intp] | NDArray[np.bool_]) -> Points:
        """Return some of the points, by place or by mask."""
        return Points(self.values[which], self.excess[which])


def dominates(points: Points, others: Points) -> NDArray[np.bool_]:
    """Say which points dominate which others, shape `(points, others)`."""
    shape = len(points.excess), len(others.excess)
    no_worse, better = np.ones(shape, dtype=np.bool_), np.zeros(shape, dtype=np.bool_)
    for own, other in zip(points.values.T, others.values.T, strict=True):
        no_worse &= own[:, None] >= other
        better |= own[:, None] > other
    own_excess = points.excess[:, None]
    dominating: NDArray[np.bool_] = (own_excess < others.excess) | ((own_excess == others.excess) & no_worse & better)
    return dominating


def dominators(points: Points) -> NDArray[np.intp]:
    """Count the points that dominate each, shape `(n,)`."""
    counts: NDArray[np.intp] = dominates(points, points).sum(axis=0)
    return counts


def fronts(points: Points, dominators: NDArray[np.intp]) -> Iterator[NDArray[np.intp]]:
    """Yield the places of the Pareto front, then of the front without it, and so on.

    Args:
        points: What is sorted.
        dominators: How many of the points dominate each, shape `(n,)`.
    """
    left = dominators.copy()
    front = np.flatnonzero(left == 0)
    while len(front):
        yield front
        left -= dominates(points.take(front), points).sum(axis=0)
        left[front] = -1
        front = np.flatnonzero(left == 0)


def ranks(points: Points) -> NDArray[np.intp]:
    """Return the rank of every point, shape `(n,)`: 0 on the Pareto front, 1 on the front without it, and so on."""
    found = np.empty(len(points.excess), dtype=np.intp)
    for rank, front in enumerate(fronts(points, dominators(points))):
        found[front] = rank
    return found


def crowding(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how far apart the neighbours of every point of a front are, shape `(n,)`; infinite for extreme points.

    The gap between the neighbours in the order of one objective, as a share of the front's range, summed over the
    objectives. An infinite value counts as the nearest finite one; an objective in which all are equal adds nothing.

    Args:
        values: Objectives of the points of one front, shape `(n, m)`.
    """
    distances = np.zeros(len(values))
    for column in values.T:
        finite = column[np.isfinite(column)]
        if not len(finite):
            continue
        order = np.argsort(column, kind="stable")
        ordered = np.clip(column[order], finite.min(), finite.max())
        if ordered[-1] > ordered[0]:
            distances[order[1:-1]] += (ordered[2:] - ordered[:-2]) / (ordered[-1] - ordered[0])
            distances[order[[0, -1]]] = np.inf
    return distances


def survivors(points: Points, dominators: NDArray[np.intp], size: int) -> NDArray[np.intp]:
    """Return the places of the best `size` points, or of all: by rank, within a rank the least crowded, then by place.

    This is the crowded-comparison order in which NSGA-II selects parents and survivors.

    Args:
        points: Whom to choose from.
        dominators: How many of the points dominate each, shape `(n,)`.
        size: How many survive.
    """
    if points.values.shape[1] == 1:  # the same order, at once: a front holds equal values alone
        return np.lexsort((-points.values[:, 0], points.excess))[:size]
    best: list[NDArray[np.intp]] = []
    for front in fronts(points, dominators):
        best.append(front[np.argsort(-crowding(points.values[front]), kind="stable")])
        if sum(map(len, best)) >= size:
            break
    return np.concatenate(best)[:size] if best else np.empty(0, dtype=np.intp)
