"""Agreement of two rankings."""

from __future__ import annotations

import math
from collections.abc import Iterable

from scipy import stats


def kendall_tau(x: Iterable[float], y: Iterable[float]) -> float:
    """Kendall's tau-b between two series of scores, for example shared-weight and from-scratch accuracy.

    Ties count neither for nor against and shrink the normalisation (tau-b). A pair of which either value is NaN
    is left out.

    Args:
        x: First score of each item.
        y: Second score of each item, in the same order.

    Returns:
        Between -1 (reversed) and 1 (same order). NaN with fewer than two pairs, or where one series is all ties.

    Raises:
        ValueError: The series differ in length.

    Reference: Kendall, "The treatment of ties in ranking problems", 1945.
    """
    first, second = list(map(float, x)), list(map(float, y))
    if len(first) != len(second):
        raise ValueError(f"`x` has {len(first)} scores and `y` has {len(second)}. Give one of each for every item.")
    pairs = [pair for pair in zip(first, second, strict=True) if not (math.isnan(pair[0]) or math.isnan(pair[1]))]
    if any(len({pair[side] for pair in pairs}) < 2 for side in (0, 1)):
        return math.nan
    result = stats.kendalltau([pair[0] for pair in pairs], [pair[1] for pair in pairs], variant="b")
    return float(result.statistic)
