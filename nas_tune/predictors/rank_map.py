"""Numbers and the normal scores of their ranks, both ways."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtri
from scipy.stats import rankdata

if TYPE_CHECKING:
    from numpy.typing import NDArray


class RankMap:
    """A strictly increasing map from numbers to the normal scores of their ranks among `known`, and its inverse.

    Ties have the score of their mean rank. Between the known numbers it is interpolated; beyond them it goes on with
    the slope of the whole, so that it never saturates.

    Args:
        known: Finite numbers, at least one, shape `(n,)`.
        step: Difference that is worth a score of 1 where all of `known` are equal, above 0.
    """

    def __init__(self, known: NDArray[np.float64], step: float) -> None:
        self._numbers, places = np.unique(known, return_index=True)
        self._scores: NDArray[np.float64] = ndtri((rankdata(known) - 0.5) / len(known))[places]
        wide = self._numbers[-1] - self._numbers[0]
        self._slope = float((self._scores[-1] - self._scores[0]) / wide) if wide > 0 else 1.0 / step

    def scores(self, numbers: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the scores of numbers, of any shape."""
        return _broken_line(numbers, self._numbers, self._scores, self._slope)

    def numbers(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the numbers with these scores, of any shape."""
        return _broken_line(scores, self._scores, self._numbers, 1 / self._slope)


def _broken_line(
    x: NDArray[np.float64], knots: NDArray[np.float64], values: NDArray[np.float64], slope: float
) -> NDArray[np.float64]:
    """Interpolate between the knots; beyond them go on with `slope`."""
    inside = np.clip(x, knots[0], knots[-1])
    line: NDArray[np.float64] = np.interp(inside, knots, values) + slope * (x - inside)
    return line
