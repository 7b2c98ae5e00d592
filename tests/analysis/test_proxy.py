from __future__ import annotations

import math
from dataclasses import astuple

import numpy as np
import pytest
from numpy.random import default_rng
from scipy import stats

from nas_tune import analysis
from nas_tune.analysis import proxy_quality


def test_a_proxy_that_ranks_alike_is_perfect() -> None:
    target = [1.0, 5.0, 3.0, 4.0, 2.0]

    quality = proxy_quality([math.exp(value) for value in target], target, top=2)

    assert astuple(quality) == pytest.approx((1.0, 1.0, 1.0, 0.4, 0.0))


def test_a_reversed_proxy_picks_the_worst() -> None:
    target = [1.0, 5.0, 3.0, 4.0, 2.0]

    quality = proxy_quality([-value for value in target], target, top=2)

    assert astuple(quality) == pytest.approx((-1.0, -1.0, 0.0, 0.4, 4.0))


def test_the_overlap_counts_the_best_that_both_name() -> None:
    quality = proxy_quality([9.0, 8.0, 7.0, 1.0, 2.0, 3.0], [9.0, 1.0, 7.0, 8.0, 2.0, 3.0], top=3)

    assert quality.top_overlap == 2 / 3
    assert quality.regret == 0.0


def test_both_correlations_are_those_of_scipy() -> None:
    proxy, target = default_rng(0).integers(0, 20, (2, 60)).astype(float)

    quality = proxy_quality(proxy, target)

    assert quality.tau == pytest.approx(float(stats.kendalltau(proxy, target).statistic))
    assert quality.rho == pytest.approx(float(np.corrcoef(stats.rankdata(proxy), stats.rankdata(target))[0, 1]))


def test_a_random_proxy_overlaps_by_the_share_of_the_best() -> None:
    rng = default_rng(0)
    found = [proxy_quality(rng.random(200), rng.random(200), top=0.2) for _ in range(40)]

    assert {quality.top_share for quality in found} == {0.2}
    assert np.mean([quality.top_overlap for quality in found]) == pytest.approx(0.2, abs=0.03)


def test_an_item_that_was_not_measured_is_left_out() -> None:
    quality = proxy_quality([1.0, 2.0, math.nan, 3.0], [1.0, 2.0, 99.0, math.nan], top=1)

    assert quality == proxy_quality([1.0, 2.0], [1.0, 2.0], top=1)


def test_a_proxy_without_differences_has_no_correlation() -> None:
    quality = proxy_quality([1.0, 1.0, 1.0], [1.0, 3.0, 2.0])

    assert math.isnan(quality.tau) and math.isnan(quality.rho)
    assert quality.regret == 2.0


@pytest.mark.parametrize("top", [0, 4, -1, True, 0.0, 1.0, 1.5, math.nan])
def test_a_number_of_best_that_cannot_be_is_refused(top: float) -> None:
    with pytest.raises(ValueError, match="whole number from 1 to 3"):
        proxy_quality([1.0, 2.0, 3.0], [1.0, 2.0, 3.0], top=top)


def test_series_that_do_not_belong_together_are_refused() -> None:
    with pytest.raises(ValueError, match="`proxy` has 1 scores and `target` 2"):
        proxy_quality([1.0], [1.0, 2.0])
    with pytest.raises(ValueError, match="None of the 1 architectures has both a `proxy` and a `target`"):
        proxy_quality([math.nan], [1.0])


def test_the_package_lists_what_it_has() -> None:
    assert {"ProxyQuality", "proxy_quality"} <= set(dir(analysis)) & set(analysis.__all__)
