"""The optimisation gap: what shared weights say of architectures against what their own training says."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from nas_tune.analysis.proxy import paired, proxy_quality
from nas_tune.analysis.rank import kendall_tau

TOPS = (0.05, 0.1, 0.2, 0.5)
LEVEL = 0.95


@dataclass(frozen=True)
class OptimizationGap:
    """Agreement of a super-net with training from scratch over the same architectures.

    Attributes:
        pairs: Architectures with both values.
        tau: Kendall's tau-b.
        tau_interval: The 95 % interval of `tau`; NaN where it was not asked for or is not defined.
        rho: Spearman's rank correlation.
        tops: What counts as best for each of `precision`.
        precision: Share of the truly best that are among as many best by the super-net, within 0 to 1.
        regret: Best from-scratch value less that of the architecture which the super-net puts first.
        mean_gap: Mean of from-scratch value less super-net score; above zero where shared weights fall short.
        gap_spread: Standard deviation of that difference, with n - 1; NaN for one pair.
        reversal_rate: Share of pairs of architectures whose order the super-net reverses; NaN for one architecture.
    """

    pairs: int
    tau: float
    tau_interval: tuple[float, float]
    rho: float
    tops: tuple[float, ...]
    precision: tuple[float, ...]
    regret: float
    mean_gap: float
    gap_spread: float
    reversal_rate: float


def optimization_gap(
    supernet: Iterable[float],
    from_scratch: Iterable[float],
    *,
    tops: Sequence[float] = TOPS,
    resamples: int = 1000,
    rng: Generator | None = None,
) -> OptimizationGap:
    """Compare super-net scores with the results of training the same architectures from scratch.

    With R(a) from scratch, S(a) by the super-net and the gap e(a) = R(a) - S(a), the difference by the super-net is
    S(a1) - S(a2) = [R(a1) - R(a2)] - [e(a1) - e(a2)]. The order of a pair is therefore reversed, meaning
    [R(a1) - R(a2)] [S(a1) - S(a2)] < 0, exactly where

        [e(a1) - e(a2)] [R(a1) - R(a2)] > [R(a1) - R(a2)]^2,

    that is where the gaps differ by more than the truth, |e(a1) - e(a2)| > |R(a1) - R(a2)|, and in the direction of the
    truth. The magnitude alone is necessary and not sufficient: in the other direction the super-net exaggerates a right
    order. A pair that is tied in either series counts as not reversed; without ties the rate is (1 - tau) / 2.

    An architecture of which either value is NaN is left out. Ties among the best are broken by the order given.

    Args:
        supernet: Score of each architecture with shared weights; larger is better.
        from_scratch: Its result when trained alone, in the same order, unit and direction.
        tops: The k of precision@k: shares above 0 and below 1, or whole numbers, as `top` of `proxy_quality`.
        resamples: Bootstrap resamples of the architectures, with replacement, for the interval of tau (percentiles).
            Those in which tau is not defined are left out.
        rng: Of the bootstrap; without it there is no interval.

    Raises:
        ValueError: The series differ in length or hold no pair of numbers, `tops` is empty or out of its range, or
            `resamples` is below 1.

    Reference: Xie et al., arXiv:2008.01475; Efron, "Bootstrap methods: another look at the jackknife", 1979.
    """
    _check(tops, resamples)
    scores, truth = paired(supernet=supernet, from_scratch=from_scratch)
    qualities = [proxy_quality(scores, truth, top) for top in tops]
    gaps = truth - scores
    return OptimizationGap(
        pairs=len(gaps),
        tau=qualities[0].tau,
        tau_interval=(math.nan, math.nan) if rng is None else _interval(scores, truth, resamples, rng),
        rho=qualities[0].rho,
        tops=tuple(tops),
        precision=tuple(quality.top_overlap for quality in qualities),
        regret=qualities[0].regret,
        mean_gap=float(gaps.mean()),
        gap_spread=float(gaps.std(ddof=1)) if len(gaps) > 1 else math.nan,
        reversal_rate=_reversal_rate(scores, truth),
    )


def _check(tops: Sequence[float], resamples: int) -> None:
    if not tops:
        raise ValueError("`tops` is empty. Give one or more shares of best architectures, such as 0.1.")
    if resamples < 1:
        raise ValueError(f"`resamples` is {resamples}. Give at least 1, or no `rng` for no interval of tau.")


def _reversal_rate(scores: NDArray[np.float64], truth: NDArray[np.float64]) -> float:
    """By comparisons and not by products, which small differences would underflow; one row of pairs at a time."""
    reversals = 0
    for place in range(len(truth) - 1):
        better, worse = truth[place] > truth[place + 1 :], truth[place] < truth[place + 1 :]
        above, below = scores[place] > scores[place + 1 :], scores[place] < scores[place + 1 :]
        reversals += int(((better & below) | (worse & above)).sum())
    pairs = math.comb(len(truth), 2)
    return reversals / pairs if pairs else math.nan


def _interval(
    scores: NDArray[np.float64], truth: NDArray[np.float64], resamples: int, rng: Generator
) -> tuple[float, float]:
    drawn = rng.integers(len(truth), size=(resamples, len(truth)))
    taus = [kendall_tau(scores[places], truth[places]) for places in drawn]
    known = [tau for tau in taus if not math.isnan(tau)]
    if not known:
        return math.nan, math.nan
    low, high = np.quantile(known, ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return float(low), float(high)
