"""How much wider an ensemble should say its deviation: a factor from values that members did not learn from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from nas_tune.space import Architecture

ONE_STD = math.erf(math.sqrt(0.5))  # share of a normal distribution within one standard deviation, 68.27 %
FOLDS = 5
MOST_SCALE = 10.0
ENOUGH = 40  # values left out, for a factor that puts 68 % within one deviation with a standard error of 7 %


def spread_scale(residuals: NDArray[np.float64], stds: NDArray[np.float64], least: float) -> float:
    """Return the factor by which deviations have to grow for 68 % of the residuals to lie within one of them.

    It is the quantile of the normalised residuals that split conformal prediction takes, which for few values is a
    higher one. Residuals without a deviation are left out.

    Args:
        residuals: Value minus prediction of what was left out, shape `(n,)`.
        stds: Standard deviation of each prediction, shape `(n,)`.
        least: Smallest factor.

    Returns:
        At least `least` and at most 10: members that agree on what is wrong say nothing of how wrong; 1 where nothing
        was left out.

    Reference: Lei et al., "Distribution-Free Predictive Inference for Regression", arXiv:1604.04173.
    """
    known = stds > 1e-12
    ratios = np.sort(np.abs(residuals[known]) / stds[known])
    if not len(ratios):
        return 1.0
    place = min(math.ceil((len(ratios) + 1) * ONE_STD), len(ratios))
    return min(max(least, float(ratios[place - 1])), MOST_SCALE)


def folds(architectures: Sequence[Architecture], rng: Generator) -> NDArray[np.intp]:
    """Return which of five folds every architecture is in, equal ones in one, shape `(n,)`."""
    place = {architecture: i for i, architecture in enumerate(dict.fromkeys(architectures))}
    fold = rng.permutation(len(place)) % FOLDS
    return np.array([fold[place[architecture]] for architecture in architectures])


def left_out(fold: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Return which values each round leaves out, shape `(rounds, n)`: as many folds as give 40 values.

    Fewer than five different architectures tell nothing, so there is no round.
    """
    if len(np.unique(fold)) < FOLDS:
        return np.zeros((0, len(fold)), dtype=bool)
    rounds: NDArray[np.bool_] = np.arange(FOLDS)[:, None] == fold
    enough = int(np.searchsorted(rounds.sum(1).cumsum(), ENOUGH)) + 1
    return rounds[:enough]
