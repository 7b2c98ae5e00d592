"""Normal scores: monotone whatever the values, exact where they are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm, rankdata

from nas_tune.predictors.normal_scores import NormalScores

finite = st.floats(-1e6, 1e6).map(lambda x: round(x, 3))
numbers = st.one_of(finite, st.sampled_from([math.inf, -math.inf]))
known = st.lists(numbers, min_size=1, max_size=20)


@given(known)
def test_scores_are_the_normal_quantiles_of_the_ranks(values: list[float]) -> None:
    expected = norm.ppf((rankdata(values) - 0.5) / len(values))

    assert NormalScores(values).scores == pytest.approx(expected)


@given(known, st.lists(numbers, min_size=2, max_size=20))
def test_a_larger_value_never_has_a_lower_score(values: list[float], given_values: list[float]) -> None:
    scores = NormalScores(values)
    found = scores(sorted([*given_values, *values]))

    assert np.isfinite(found).all()
    assert (np.diff(found) >= 0.0).all()


@given(known)
def test_known_values_have_the_scores_of_their_ranks(values: list[float]) -> None:
    scores = NormalScores(values)

    assert scores(values) == pytest.approx(scores.scores, abs=1e-9)


@given(st.lists(finite, min_size=2, max_size=20, unique=True))
def test_between_known_values_scores_are_interpolated(values: list[float]) -> None:
    scores = NormalScores(values)
    ordered = np.sort(np.array(values))
    middles = scores((ordered[1:] + ordered[:-1]) / 2.0)

    assert middles == pytest.approx((scores(ordered)[1:] + scores(ordered)[:-1]) / 2.0, abs=1e-6)


def test_ties_share_a_score() -> None:
    found = NormalScores([3.0, 1.0, 3.0, 2.0]).scores

    assert found[0] == found[2] == pytest.approx(norm.ppf((3.5 - 0.5) / 4))
    assert NormalScores([5.0, 5.0, 5.0]).scores.tolist() == [0.0, 0.0, 0.0]


def test_an_outlier_lies_no_further_off_than_its_rank() -> None:
    tame, wild = NormalScores([0.0, 1.0, 2.0, 3.0]).scores, NormalScores([-1e9, 1.0, 2.0, 3.0]).scores

    assert wild.tolist() == tame.tolist()


def test_beyond_the_known_values_the_slope_goes_on_for_a_while() -> None:
    scores = NormalScores([0.0, 1.0, 4.0])
    slope = 2.0 * scores.scores[2] / 4.0

    assert scores([6.0, -2.0]) == pytest.approx([scores.scores[2] + 2.0 * slope, scores.scores[0] - 2.0 * slope])
    assert scores([1e12, math.inf]).tolist() == [scores.scores[2] + 5.0] * 2
    assert scores([-1e12, -math.inf]).tolist() == [scores.scores[0] - 5.0] * 2


def test_infinite_values_are_beaten_by_all_others() -> None:
    scores = NormalScores([-math.inf, 1.0, -math.inf, 2.0])

    assert scores([-math.inf]).tolist() == [scores.scores[0]]
    assert scores([-1e12]).tolist() == [scores.scores[0]]
    assert scores.scores[0] < scores([1.0])[0] < scores([2.0])[0]


def test_where_all_known_values_are_equal_others_still_differ() -> None:
    assert NormalScores([7.0, 7.0])([6.0, 7.0, 8.5]).tolist() == [-1.0, 0.0, 1.5]
    assert NormalScores([-math.inf])([-math.inf, 3.0]).tolist() == [0.0, 3.0]
