"""How well a cheap score stands in for the value that it is meant to predict."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from nas_tune.analysis.rank import kendall_tau


@dataclass(frozen=True)
class ProxyQuality:
    """Agreement of a proxy with its target over the same architectures; larger is better for both.

    Attributes:
        tau: Kendall's tau-b.
        rho: Spearman's rank correlation.
        top_overlap: Share of the best architectures by the target that are among as many best by the proxy, within
            0 to 1. A random proxy has `top_share`.
        top_share: Share of all architectures that counts as best.
        regret: Best target less the target of the architecture with the best proxy, in the unit of the target.
    """

    tau: float
    rho: float
    top_overlap: float
    top_share: float
    regret: float


def proxy_quality(proxy: Iterable[float], target: Iterable[float], top: float | int = 0.1) -> ProxyQuality:
    """Judge a proxy task or score: fewer epochs, a smaller model, shared weights, a zero-cost score.

    An item of which either value is NaN is left out. Ties in the best are broken by the order of the items.

    Args:
        proxy: Cheap score of each architecture; larger is better.
        target: What it stands in for, in the same order; larger is better.
        top: How many are the best: a whole number of at least 1, or a share above 0 and below 1, of which at least one
            architecture is taken.

    Returns:
        The agreement; `tau` and `rho` are NaN with fewer than two items, or where one series is all ties.

    Raises:
        ValueError: The series differ in length or hold no pair of numbers, or `top` is out of its range.

    Reference: Spearman, "The proof and measurement of association between two things", 1904; for tau `kendall_tau`.
    """
    first, second = paired(proxy=proxy, target=target)
    best = _count(top, len(first))
    chosen = set(np.argsort(-first, kind="stable")[:best].tolist())
    wanted = set(np.argsort(-second, kind="stable")[:best].tolist())
    return ProxyQuality(
        tau=kendall_tau(first.tolist(), second.tolist()),
        rho=_spearman(first, second),
        top_overlap=len(chosen & wanted) / best,
        top_share=best / len(first),
        regret=float(second.max() - second[int(first.argmax())]),
    )


def paired(**series: Iterable[float]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Align two named series, without the items of which either value is NaN.

    Args:
        series: Two series of one value for each architecture, under the names that an error calls them by.

    Returns:
        The first and the second series, each of shape (items,) with at least one item.

    Raises:
        ValueError: The series differ in length or hold no pair of numbers.
    """
    (one, proxy), (other, target) = ((name, list(map(float, values))) for name, values in series.items())
    if len(proxy) != len(target):
        raise ValueError(
            f"`{one}` has {len(proxy)} scores and `{other}` {len(target)}. Give one of each for every architecture."
        )
    kept = [pair for pair in zip(proxy, target, strict=True) if not any(map(math.isnan, pair))]
    if not kept:
        raise ValueError(
            f"None of the {len(proxy)} architectures has both a `{one}` and a `{other}` score: nothing to judge."
        )
    first, second = np.array(kept).T
    return first, second


def _count(top: float | int, items: int) -> int:
    if isinstance(top, int) and not isinstance(top, bool) and 1 <= top <= items:
        return top
    if isinstance(top, float) and 0.0 < top < 1.0:
        return max(1, round(top * items))
    raise ValueError(
        f"`top` is {top!r} of {items} architectures. Give a whole number from 1 to {items}, or a share such as 0.1."
    )


def _spearman(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    if any(len(set(series.tolist())) < 2 for series in (first, second)):
        return math.nan
    return float(stats.spearmanr(first, second).statistic)
