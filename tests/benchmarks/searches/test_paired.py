from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.random import default_rng
from scipy import stats

from benchmarks.searches.paired import Paired, band, paired, standard_error

# Heights of cross- and self-fertilised maize in eighths of an inch: Darwin's 15 pairs.
CROSSED = (188, 96, 168, 176, 153, 172, 177, 163, 146, 173, 186, 168, 177, 184, 96)
SELFED = (139, 163, 160, 160, 147, 149, 149, 122, 132, 144, 130, 144, 102, 124, 144)


def test_the_difference_in_standard_errors_is_the_statistic_of_the_paired_t_test() -> None:
    compared = paired(CROSSED, SELFED)

    assert compared.difference == pytest.approx(20.93, abs=0.01)
    assert compared.standard_errors == pytest.approx(float(stats.ttest_rel(CROSSED, SELFED).statistic))


def test_the_chance_is_that_of_the_signed_ranks() -> None:
    ranks = stats.rankdata(np.abs(np.subtract(CROSSED, SELFED)))
    below = ranks[np.less(CROSSED, SELFED)].sum()
    sums = np.zeros(1)
    for rank in ranks:  # the distribution of the rank sum, sign by sign
        sums = np.concatenate([sums, sums + rank])

    assert paired(CROSSED, SELFED).p_value == pytest.approx(2 * np.mean(sums <= below), abs=2e-3)


def test_samplers_that_never_differ_are_equal() -> None:
    assert paired([0.0, 0.5], [0.0, 0.5]) == Paired(0.0, 0.0, 1.0)
    assert paired([0.0, 0.5], [0.0, 0.5]).standard_errors == 0.0


def test_a_difference_that_all_seeds_share_is_finite() -> None:
    assert -math.inf < paired([1.0, 2.0], [1.5, 2.5]).standard_errors < -1e3


def test_a_single_seed_has_no_standard_error() -> None:
    assert math.isnan(standard_error([1.0]))


@pytest.mark.parametrize("second", [(), (1.0, 2.0)])
def test_other_seeds_cannot_be_compared(second: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="one of each for every seed"):
        paired(second[:1], second)


def test_the_band_covers_the_mean_as_often_as_it_says() -> None:
    rng = default_rng(0)
    bands = [band(rng.standard_normal(20).tolist(), rng) for _ in range(150)]

    covered = np.mean([low <= 0.0 <= high for low, high in bands])

    assert 0.87 <= covered <= 0.98
