"""How often each operation is used, wherever it stands."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Self

import numpy as np

from nas_tune.predictors.kernels.decisions import INACTIVE, categoricals, numerics, ordered, places, ranks, units

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nas_tune.space import Architecture, Parameter, SearchSpace


class CountKernel:
    """Counts of values over the decisions that choose between the same ones, such as the edges of a cell.

    Where an operation stands matters less, to begin with, than that it is used at all: after few evaluations the
    counts say most. Decisions share a count if they have the same values; a decision with values of its own has none.
    Of numbers, the sum counts: the depth of all stages, the width of all layers. An edge that is not there, or a copy
    beyond the length of a `Repeat`, counts nothing.

    Args:
        space: Space of the architectures.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._categoricals, self._numerics = categoricals(space), numerics(space)
        shared = _alike(self._categoricals.values())
        parameters = list(self._categoricals.values())
        self._counted = [
            (columns, len(parameters[columns[0]].values)) for columns in shared if not ordered(parameters[columns[0]])
        ]
        self._ranked = [
            (columns, ranks(parameters[columns[0]])) for columns in shared if ordered(parameters[columns[0]])
        ]
        self._summed = _alike(self._numerics.values())
        self._width = sum(size for _, size in self._counted) + len(self._ranked) + len(self._summed)

    @property
    def groups(self) -> tuple[int, ...]:
        """A group for each value that is counted and for each sum of numbers."""
        return tuple(range(self._width))

    @property
    def blocks(self) -> tuple[int, ...]:
        """One block: the values share it."""
        return (0,) * self._width

    def fit(self, architectures: Sequence[Architecture]) -> Self:
        """Learn nothing: the columns are those of the space."""
        return self

    def encode(self, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        """Return counts and sums, divided by the root of how many decisions share them, shape `(n, len(groups))`."""
        place = places(self._categoricals, architectures)
        parts = [np.zeros((len(architectures), 0))]
        for columns, size in self._counted:
            counts = [(place[:, columns] == value).sum(axis=1) for value in range(size)]
            parts.append(np.stack(counts, axis=1) / np.sqrt(len(columns)))
        for columns, rank in self._ranked:
            parts.append(_sums(np.where(place[:, columns] == INACTIVE, 0.0, rank[place[:, columns]])))
        if self._summed:
            unit = np.nan_to_num(units(self._numerics, architectures))
            parts += [_sums(unit[:, columns]) for columns in self._summed]
        return np.hstack(parts)


def _sums(columns: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(columns.sum(axis=1) / np.sqrt(columns.shape[1]))[:, None]


def _alike(parameters: Iterable[Parameter]) -> list[list[int]]:
    """Return the places of the parameters that have the same values, of at least two each."""
    kinds: dict[str, list[int]] = {}
    for i, parameter in enumerate(parameters):
        kinds.setdefault(repr(parameter), []).append(i)
    return [places for places in kinds.values() if len(places) > 1]
