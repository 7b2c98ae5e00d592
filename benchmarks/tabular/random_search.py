"""Random search in a table without running it: the law of the best of n architectures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import gammaln


def best_of_draws(validation: Sequence[float], test: Sequence[float], draws: int) -> tuple[float, float]:
    """Return mean and standard deviation of the test of the architecture with the best validation of a random draw.

    Exact: of N architectures in ascending order of validation, the best of n different ones is the j-th with
    probability C(j - 1, n - 1) / C(N, n).

    Args:
        validation: Of each architecture of the table; larger is better.
        test: Of the same, in the same order.
        draws: Different architectures that are drawn, at least 1.
    """
    rank = np.arange(draws, len(validation) + 1, dtype=float)
    log_ways = gammaln(rank) - gammaln(rank - draws + 1)
    chance = np.exp(log_ways - log_ways.max())
    chance /= chance.sum()
    ordered = np.asarray(test, dtype=float)[np.argsort(validation, kind="stable")][draws - 1 :]
    mean = float(chance @ ordered)
    return mean, float(np.sqrt(chance @ (ordered - mean) ** 2))
