"""The optimisation gap against laws, scipy, enumeration of pairs and a case counted by hand."""

from __future__ import annotations

import math
from itertools import combinations
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.random import default_rng
from scipy import stats

from nas_tune.analysis import optimization_gap

DISTINCT = st.lists(st.integers(-1000, 1000), min_size=2, max_size=15, unique=True)
SCORES = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=2, max_size=15)


@given(DISTINCT)
def test_a_supernet_that_ranks_alike_has_nothing_to_regret(truth: list[int]) -> None:
    gap = optimization_gap([value / 3 - 7 for value in truth], truth)

    assert (1.0, 1.0) == pytest.approx((gap.tau, gap.rho))
    assert (0.0, 0.0) == (gap.reversal_rate, gap.regret)
    assert {1.0} == set(gap.precision)


@given(DISTINCT)
def test_a_supernet_that_ranks_the_other_way_reverses_every_pair(truth: list[int]) -> None:
    gap = optimization_gap([-value for value in truth], truth)

    assert (-1.0, -1.0) == pytest.approx((gap.tau, gap.rho))
    assert 1.0 == gap.reversal_rate
    assert max(truth) - min(truth) == gap.regret


@given(SCORES)
def test_a_pair_is_reversed_where_the_gaps_differ_by_more_than_the_truth_and_in_its_direction(
    scored: list[tuple[int, int]],
) -> None:
    gap = optimization_gap([score for score, _ in scored], [result for _, result in scored])
    reversed_pairs = 0
    for (score1, result1), (score2, result2) in combinations(scored, 2):
        gaps, truth = (result1 - score1) - (result2 - score2), result1 - result2
        reversed_pairs += abs(gaps) > abs(truth) and gaps * truth > 0

    assert reversed_pairs / math.comb(len(scored), 2) == gap.reversal_rate


@given(DISTINCT, st.randoms())
def test_without_ties_the_reversals_are_what_tau_counts(truth: list[int], order: Random) -> None:
    scores = list(truth)
    order.shuffle(scores)
    gap = optimization_gap(scores, truth)

    assert (1 - gap.tau) / 2 == pytest.approx(gap.reversal_rate)


def test_differences_too_small_to_multiply_still_count() -> None:
    assert 1.0 == optimization_gap([0.0, 1e-200], [1e-200, 0.0]).reversal_rate


def test_both_correlations_are_those_of_scipy() -> None:
    scores, truth = default_rng(0).integers(0, 20, (2, 60)).astype(float)
    gap = optimization_gap(scores, truth)

    assert float(stats.kendalltau(scores, truth).statistic) == pytest.approx(gap.tau)
    assert float(stats.spearmanr(scores, truth).statistic) == pytest.approx(gap.rho)


def test_precision_counts_the_truly_best_among_the_predicted_best() -> None:
    truth = [10.0, 9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0]
    scores = [9.0, 2.0, 10.0, 3.0, 8.0, 7.0, 1.0, 0.0, 6.0, 5.0]
    gap = optimization_gap(scores, truth, tops=(0.1, 0.2, 0.5, 4))

    assert (0.1, 0.2, 0.5, 4) == gap.tops
    assert (0.0, 1 / 2, 3 / 5, 2 / 4) == gap.precision
    assert 2.0 == gap.regret


def test_the_gap_is_what_training_alone_adds() -> None:
    gap = optimization_gap([0.5, 0.6, 0.7], [0.8, 0.8, 0.9])

    assert 3 == gap.pairs
    assert (0.7 / 3, np.std([0.3, 0.2, 0.2], ddof=1)) == pytest.approx((gap.mean_gap, gap.gap_spread))


def test_one_network_has_a_gap_and_no_order() -> None:
    gap = optimization_gap([0.5, math.nan], [0.75, 0.9], rng=default_rng(0), resamples=5)

    assert (1, 0.25, 0.0) == (gap.pairs, gap.mean_gap, gap.regret)
    assert all(map(math.isnan, (gap.tau, gap.rho, gap.gap_spread, gap.reversal_rate, *gap.tau_interval)))


def test_the_interval_repeats_with_its_seed_and_is_not_made_without_one() -> None:
    scores, truth = default_rng(1).normal(size=(2, 20))
    first, again = (optimization_gap(scores, truth, resamples=40, rng=default_rng(3)) for _ in range(2))

    assert first == again
    assert first.tau_interval[0] < first.tau < first.tau_interval[1]
    assert all(map(math.isnan, optimization_gap(scores, truth).tau_interval))


def test_the_interval_covers_the_tau_of_the_population_about_as_often_as_it_says() -> None:
    """Two normal variables of correlation r have tau = 2 / pi * arcsin(r)."""
    rng, covered = default_rng(0), 0
    for _ in range(30):
        scores, noise = rng.normal(size=(2, 40))
        gap = optimization_gap(scores, 0.8 * scores + 0.6 * noise, resamples=60, rng=rng)
        covered += gap.tau_interval[0] <= 2 / math.pi * math.asin(0.8) <= gap.tau_interval[1]

    assert 26 <= covered <= 30


def test_an_order_without_exception_leaves_the_interval_no_width() -> None:
    gap = optimization_gap(range(9), range(9), resamples=20, rng=default_rng(0))

    assert (1.0, 1.0) == pytest.approx(gap.tau_interval)


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="`supernet` has 1 scores and `from_scratch` 2"):
        optimization_gap([1.0], [1.0, 2.0])
    with pytest.raises(ValueError, match="has both a `supernet` and a `from_scratch` score"):
        optimization_gap([], [])
    with pytest.raises(ValueError, match="`tops` is empty"):
        optimization_gap([1.0], [1.0], tops=())
    with pytest.raises(ValueError, match="`top` is 1.5"):
        optimization_gap([1.0], [1.0], tops=(1.5,))
    with pytest.raises(ValueError, match="`resamples` is 0"):
        optimization_gap([1.0], [1.0], resamples=0)
