"""Statistics over seeds: confidence bands of a mean, and two samplers compared seed by seed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from scipy import stats

RESAMPLES = 2_000
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Paired:
    """Differences of two samplers over the same seeds, first less second.

    Attributes:
        difference: Mean.
        standard_error: Of the mean; NaN for a single seed.
        p_value: Of the Wilcoxon signed-rank test, two-sided: the chance of such ranks if neither is better. 1 where
            no seed differs.
    """

    difference: float
    standard_error: float
    p_value: float

    @property
    def standard_errors(self) -> float:
        """The difference in standard errors; 0 where no seed differs. At most 2: not shown to be larger."""
        if self.difference == 0.0:
            return 0.0
        return self.difference / max(self.standard_error, abs(self.difference) * 1e-6)


def paired(first: Sequence[float], second: Sequence[float]) -> Paired:
    """Compare two samplers, of which entry i belongs to seed i.

    Raises:
        ValueError: They have not equally many seeds, or none.

    Reference: Wilcoxon, "Individual comparisons by ranking methods", 1945.
    """
    if len(first) != len(second) or not len(first):
        raise ValueError(f"`first` has {len(first)} seeds and `second` {len(second)}. Give one of each for every seed.")
    differences = np.asarray(first, dtype=float) - np.asarray(second, dtype=float)
    p_value = float(stats.wilcoxon(differences).pvalue) if differences.any() else 1.0
    return Paired(float(differences.mean()), standard_error(differences.tolist()), p_value)


def standard_error(values: Sequence[float]) -> float:
    """Return the standard error of the mean; NaN for a single value."""
    return float(np.std(values, ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else math.nan


def band(values: Sequence[float], rng: Generator) -> tuple[float, float]:
    """Return the 95 % confidence band of the mean, by the percentile bootstrap.

    Reference: Efron & Tibshirani, "An Introduction to the Bootstrap", 1993, section 13.3.
    """
    drawn = rng.choice(np.asarray(values, dtype=float), size=(RESAMPLES, len(values)))
    low, high = np.quantile(drawn.mean(axis=1), [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]).tolist()
    return low, high
