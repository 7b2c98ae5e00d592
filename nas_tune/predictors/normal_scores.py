"""Values as normal scores: what a value's rank among the others would be worth if all were normal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtri
from scipy.stats import rankdata

if TYPE_CHECKING:
    from numpy.typing import NDArray

BEYOND = 5.0  # scores that a value can lie beyond those known


class NormalScores:
    """A monotone map from values to scores of about mean 0 and standard deviation 1, with ties at their mean rank.

    One very bad network then bends a Gaussian process no more than the second worst does. Values between those known
    are interpolated, values beyond them continued along the slope of the whole, by 5 at most or up to infinite ones.

    Args:
        values: Known values, at least one; infinite ones rank as they are.
    """

    def __init__(self, values: Sequence[float] | NDArray[np.float64]) -> None:
        found = np.asarray(values, dtype=np.float64)
        self.scores: NDArray[np.float64] = ndtri((rankdata(found) - 0.5) / len(found))
        finite = np.isfinite(found)
        self._values, places = np.unique(found[finite], return_index=True)
        self._scores = self.scores[finite][places]
        if not len(self._values):
            self._values, self._scores = np.zeros(1), np.zeros(1)
        lowest, highest = self.scores[found == -np.inf], self.scores[found == np.inf]
        self._lowest = lowest[0] if len(lowest) else self._scores[0] - BEYOND
        self._highest = highest[0] if len(highest) else self._scores[-1] + BEYOND

    def __call__(self, values: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the scores of values, shape `(n,)`."""
        given = np.asarray(values, dtype=np.float64)
        low, high = self._values[0], self._values[-1]
        slope = (self._scores[-1] - self._scores[0]) / (high - low) if high > low else 1.0
        inside = np.clip(given, low, high)
        scores = np.interp(inside, self._values, self._scores) + slope * (given - inside)
        return np.clip(scores, self._lowest, self._highest)
