"""The evaluated points that can be survivors, kept up to date point by point."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nas_tune.samplers.non_dominated import Points, dominates, survivors


class Skyband:
    """The points that fewer than `size` others dominate; among them are the best `size`, whatever is added later.

    All that dominate a point of the band are in it, so its ranks are those among all points; and a point that left
    never comes back. So an addition costs one comparison with the band, not with everything that was ever evaluated.

    Args:
        size: Points that survive, at least 1.

    Reference: Papadias et al., "Progressive Skyline Computation in Database Systems", doi:10.1145/1061318.1061320,
        section 5.4.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._points = Points(np.empty((0, 0)), np.empty(0))
        self._numbers = np.empty(0, dtype=np.intp)
        self._dominators = np.empty(0, dtype=np.intp)

    def __len__(self) -> int:
        return len(self._numbers)

    def add(self, number: int, values: Sequence[float], excess: float) -> None:
        """Add a point.

        Args:
            number: Its name: of equally good points the smaller number comes first.
            values: Objectives, larger is better, as many for every point.
            excess: By how much it breaks constraints, 0 where it is feasible.
        """
        new = Points(np.array([values], dtype=np.float64), np.array([excess], dtype=np.float64))
        if not len(self):
            self._points = Points(np.empty((0, len(values))), np.empty(0))
        count = int(dominates(self._points, new).sum())
        if count >= self._size:
            return
        counts = self._dominators + dominates(new, self._points)[0]
        stay = counts < self._size
        kept = self._points.take(stay)
        self._points = Points(np.concatenate([kept.values, new.values]), np.concatenate([kept.excess, new.excess]))
        self._numbers = np.append(self._numbers[stay], number)
        self._dominators = np.append(counts[stay], count)

    def survivors(self) -> tuple[int, ...]:
        """Return the numbers of the best `size` of all points, or of all, in the crowded-comparison order of NSGA-II.

        They do not depend on the order in which the points were added.
        """
        order = np.argsort(self._numbers)
        best = survivors(self._points.take(order), self._dominators[order], self._size)
        found: list[int] = self._numbers[order][best].tolist()
        return tuple(found)
