"""The factor of a deviation, and the values that it is learned from."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.random import default_rng

from nas_tune.predictors.calibration import folds, left_out, spread_scale
from nas_tune.space import Categorical, SearchSpace

CELLS = tuple(SearchSpace({"x": Categorical(*range(300))}).enumerate())


def test_the_factor_is_how_much_too_narrow_a_normal_deviation_is() -> None:
    rng = default_rng(0)
    stds = rng.uniform(0.5, 2, 20_000)

    assert spread_scale(rng.normal(0, 3 * stds), stds, 1.0) == pytest.approx(3, rel=0.03)
    assert spread_scale(rng.normal(0, stds / 4), stds, 0.1) == pytest.approx(0.25, rel=0.03)
    assert 1.0 == spread_scale(rng.normal(0, stds / 4), stds, 1.0)


def test_few_values_give_a_larger_quantile_and_none_the_factor_one() -> None:
    assert 4.0 == spread_scale(np.arange(5.0), np.ones(5), 0.0)  # the fifth of five: 0.6827 * 6 is above 4
    assert 7.0 == spread_scale(np.arange(1.0, 11), np.ones(10), 0.0) - 1
    assert 1.0 == spread_scale(np.zeros(0), np.zeros(0), 1.0)
    assert 1.0 == spread_scale(np.ones(3), np.zeros(3), 1.0)


@pytest.mark.parametrize(("n", "rounds", "least"), [(5, 5, 5), (50, 4, 40), (100, 2, 40), (300, 1, 60)])
def test_as_many_fifths_are_left_out_as_hold_forty_values(n: int, rounds: int, least: int) -> None:
    out = left_out(folds(CELLS[:n], default_rng(0)))

    assert (rounds, n) == out.shape
    assert out.sum() == least and out.sum(0).max() == 1


def test_equal_architectures_lie_in_one_fold_and_few_are_not_left_out() -> None:
    fold = folds(CELLS[:20] * 2, default_rng(0))

    assert np.array_equal(fold[:20], fold[20:])
    assert (0, 8) == left_out(folds(CELLS[:4] * 2, default_rng(0))).shape
