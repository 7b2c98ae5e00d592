"""Hamming distance with a weight for each decision, on mixed categorical and numeric parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

import numpy as np

from nas_tune.predictors.kernels.decisions import INACTIVE, categoricals, numerics, ordered, places, ranks, units

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nas_tune.space import Architecture, SearchSpace

MIDDLE = 0.5  # where an inactive number stands


class HammingKernel:
    """Every decision on its own: two architectures are the further apart, the more heavy decisions differ.

    A categorical that differs adds its weight. A number, and a categorical of three or more numbers by its ranks, adds
    its weight times the squared distance on the [0, 1] scale; the categorical has a weight for its ranks beside that
    for differing at all. A decision that only one of the two has made lies in the middle of its values: between two
    branches of a `Switch`, what is inside of them counts about half.

    Args:
        space: Space of the architectures.

    Reference: for the weighted Hamming distance as a kernel Ru et al., arXiv:1906.08878, section 4.2, and Hutter et
        al., "Sequential Model-Based Optimization for General Algorithm Configuration", 2011, section 4.1.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._categoricals, self._numerics = categoricals(space), numerics(space)
        self._sizes = [len(p.values) for p in self._categoricals.values()]
        self._ranks = [(i, ranks(p)) for i, p in enumerate(self._categoricals.values()) if ordered(p)]
        self._width = len(self._sizes) + len(self._ranks) + len(self._numerics)
        one_hot = [i for i, size in enumerate(self._sizes) for _ in range(size)]
        self._groups = (*one_hot, *range(len(self._sizes), self._width))

    @property
    def groups(self) -> tuple[int, ...]:
        """A group for each categorical (its one-hot columns), each one's ranks, each number."""
        return self._groups

    @property
    def blocks(self) -> tuple[int, ...]:
        """One block: the decisions share it."""
        return (0,) * self._width

    def fit(self, architectures: Sequence[Architecture]) -> Self:
        """Learn nothing: the columns are those of the space."""
        return self

    def encode(self, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        """Return the columns, shape `(n, len(groups))`."""
        place = places(self._categoricals, architectures)
        parts = [np.zeros((len(architectures), 0))]
        parts += [_one_hot(place[:, i], size) for i, size in enumerate(self._sizes)]
        parts += [np.where(place[:, i] == INACTIVE, MIDDLE, rank[place[:, i]])[:, None] for i, rank in self._ranks]
        parts.append(np.nan_to_num(units(self._numerics, architectures), nan=MIDDLE))
        return np.hstack(parts)


def _one_hot(place: NDArray[np.intp], size: int) -> NDArray[np.float64]:
    columns = np.vstack([np.eye(size), np.full(size, 1.0 / size)])  # of an inactive one, last: its place is -1
    return np.asarray(columns[place])
