"""Acquisition functions, against numerical integration."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.random import default_rng
from scipy.integrate import quad
from scipy.stats import norm

from nas_tune.predictors.acquisition import (
    ACQUISITIONS,
    independent_thompson,
    log_expected_improvement,
    log_probability_below,
    upper_confidence_bound,
)
from nas_tune.predictors.predictor import Prediction


def prediction(means: list[float], stds: list[float]) -> Prediction:
    return Prediction(np.array(means), np.array(stds))


@pytest.mark.parametrize("mean", [-4.0, -1.0, 0.0, 0.3, 2.0, 9.0, 40.0])
@pytest.mark.parametrize("std", [0.5, 1.0, 3.0])
def test_log_expected_improvement_is_the_integral(mean: float, std: float) -> None:
    best = 0.7
    center = max(mean, best)
    expected, _ = quad(lambda f: (f - best) * norm.pdf(f, mean, std), best, center + 12.0 * std, epsabs=0.0)

    assert log_expected_improvement(prediction([mean], [std]), best) == pytest.approx([math.log(expected)], rel=1e-6)


@pytest.mark.parametrize("below", [1.5, 4.99, 5.01, 8.0, 24.9, 25.1, 300.0, 999.0, 1001.0, 1e5, 1e8])
def test_far_below_the_best_it_is_still_the_integral(below: float) -> None:
    # with u = -below, E = phi(u) / u^2 * integral of x exp(-x - x^2 / (2 u^2))
    rest, _ = quad(lambda x: x * math.exp(-x - 0.5 * (x / below) ** 2), 0.0, 60.0, epsabs=0.0)
    expected = norm.logpdf(below) - 2.0 * math.log(below) + math.log(rest)

    assert log_expected_improvement(prediction([-below], [1.0]), 0.0) == pytest.approx([expected], abs=1e-7, rel=1e-12)


def test_a_better_mean_is_always_worth_more() -> None:
    means = np.concatenate([-np.logspace(6.0, 0.0, 4_000), np.linspace(-1.0, 10.0, 4_000)[1:]])
    found = log_expected_improvement(Prediction(means, np.ones(len(means))), 0.0)

    assert np.isfinite(found).all()
    assert (np.diff(found) > 0.0).all()


def test_a_certain_improvement_is_worth_itself_and_a_certain_loss_almost_nothing() -> None:
    found = log_expected_improvement(prediction([3.0, 1.0], [0.0, 0.0]), 2.0)

    assert found[0] == pytest.approx(0.0)
    assert found[1] < -1e15


def test_the_bound_is_two_deviations_up() -> None:
    assert upper_confidence_bound(prediction([1.0, 2.0], [0.5, 0.0]), 9.0).tolist() == [2.0, 2.0]


def test_thompson_draws_each_candidate_on_its_own() -> None:
    said = Prediction(np.tile([1.0, -2.0], 20_000), np.tile([0.5, 2.0], 20_000))
    found = independent_thompson(said, 0.0, default_rng(0)).reshape(-1, 2)

    assert found.mean(axis=0) == pytest.approx([1.0, -2.0], abs=0.06)
    assert found.std(axis=0) == pytest.approx([0.5, 2.0], rel=0.03)
    assert abs(np.mean((found - found.mean(axis=0)).prod(axis=1))) < 0.03
    assert found.ravel().tolist() == independent_thompson(said, 5.0, default_rng(0)).tolist()


def test_the_probability_of_a_bound_is_that_of_a_normal_value() -> None:
    mean, std = np.array([0.0, 3.0, -80.0, 80.0]), np.array([1.0, 2.0, 1.0, 1.0])

    assert log_probability_below(mean, std, 1.5) == pytest.approx(norm.logcdf(1.5, mean, std))


def test_every_named_function_gives_a_value_for_each_candidate() -> None:
    said = prediction([0.0, 1.0, 2.0], [1.0, 0.0, 1.0])

    for acquisition in ACQUISITIONS.values():
        assert acquisition(said, 1.0, default_rng(0)).shape == (3,)
