"""Hypervolume and its expected improvement, against Monte Carlo, closed forms and Optuna."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis.strategies import integers
from numpy.random import default_rng
from numpy.typing import NDArray
from optuna._hypervolume import compute_hypervolume
from scipy.stats import norm

from nas_tune.errors import PredictorError
from nas_tune.predictors.hypervolume import Boxes, boxes, expected_improvement, hypervolume

Array = NDArray[np.float64]


def some_points(seed: int, most: int = 7) -> Array:
    """Draw points of 1 to 4 objectives on a grid around the reference 0: some below it, dominated or equal."""
    rng = default_rng(seed)
    return rng.integers(-1, 5, size=(int(rng.integers(0, most)), int(rng.integers(1, 5)))).astype(float)


def inclusion_exclusion(points: Array) -> float:
    """Volume of the union of the boxes between 0 and each point."""
    corners = np.maximum(points, 0.0)
    return sum(
        (-1.0) ** (size + 1) * float(np.min([corners[i] for i in chosen], axis=0).prod())
        for size in range(1, len(corners) + 1)
        for chosen in combinations(range(len(corners)), size)
    )


def gained(cells: Boxes, point: Array) -> float:
    """Volume of the part of the boxes that a point dominates."""
    return float(np.clip(np.minimum(point, cells.upper) - cells.lower, 0.0, None).prod(axis=1).sum())


@given(integers(0, 2**32 - 1))
def test_the_volume_is_that_of_a_union_of_boxes(seed: int) -> None:
    points = some_points(seed)

    assert hypervolume(points, np.zeros(points.shape[1])) == pytest.approx(inclusion_exclusion(points), abs=1e-9)


@pytest.mark.parametrize(("objectives", "points"), [(2, 200), (3, 80), (4, 30), (5, 15)])
def test_the_volume_is_the_one_that_optuna_computes(objectives: int, points: int) -> None:
    rng = default_rng(objectives)
    front, reference = rng.normal(size=(points, objectives)), np.full(objectives, -1.5)
    above = front[(front > reference).all(axis=1)]

    assert hypervolume(front, reference) == pytest.approx(compute_hypervolume(-above, -reference), rel=1e-9)


@given(integers(0, 2**32 - 1))
def test_the_volume_grows_with_points_and_stretches_with_units(seed: int) -> None:
    points = some_points(seed)
    reference = np.zeros(points.shape[1])
    volume = hypervolume(points, reference)

    assert hypervolume(points[1:], reference) <= volume + 1e-9
    assert hypervolume(points[::-1], reference) == pytest.approx(volume)
    assert hypervolume(3 * points + 1, reference + 1) == pytest.approx(3 ** points.shape[1] * volume)
    assert hypervolume(np.vstack([points, points]), reference) == pytest.approx(volume)


def test_without_points_above_the_reference_there_is_no_volume() -> None:
    assert hypervolume(np.empty((0, 3)), np.zeros(3)) == 0.0
    assert hypervolume([], [0.0, 0.0]) == 0.0
    assert hypervolume([[5.0, -1.0], [0.0, 3.0]], [0.0, 0.0]) == 0.0


@given(integers(0, 2**32 - 1))
def test_a_place_above_the_reference_is_in_one_box_unless_it_is_dominated(seed: int) -> None:
    points = some_points(seed)
    cells = boxes(points, np.zeros(points.shape[1]))

    for place in default_rng(seed).uniform(0.0, 5.0, size=(50, points.shape[1])):
        inside = ((cells.lower < place) & (place < cells.upper)).all(axis=1).sum()
        assert inside == (not (points >= place).all(axis=1).any())


@given(integers(0, 2**32 - 1))
def test_what_a_point_takes_of_the_boxes_is_what_it_adds_to_the_volume(seed: int) -> None:
    points = some_points(seed)
    reference, new = np.zeros(points.shape[1]), default_rng(seed).uniform(-0.5, 6.0, size=(points.shape[1],))

    added = hypervolume(np.vstack([points, new]), reference) - hypervolume(points, reference)
    assert gained(boxes(points, reference), new) == pytest.approx(added, abs=1e-9)


def test_two_objectives_make_strips() -> None:
    cells = boxes([[1.0, 3.0], [2.0, 2.0], [1.5, 1.0]], [0.0, 0.0])

    assert cells.lower.tolist() == [[2.0, 0.0], [1.0, 2.0], [0.0, 3.0]]
    assert cells.upper.tolist() == [[np.inf, 2.0], [np.inf, 3.0], [np.inf, np.inf]]


def test_with_one_objective_it_is_the_expected_improvement_in_closed_form() -> None:
    means, stds, best = np.linspace(-3, 3, 13), np.linspace(0.1, 2.0, 13), 0.7
    z = (means - best) / stds
    expected = stds * norm.pdf(z) + (means - best) * norm.cdf(z)

    found = expected_improvement(means[:, None], stds[:, None], [[best], [0.2]], [-1.0])
    assert found == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("objectives", [2, 3, 4])
def test_it_is_the_mean_of_what_draws_add_to_the_volume(objectives: int) -> None:
    rng = default_rng(objectives)
    front, reference = rng.normal(size=(6, objectives)), np.full(objectives, -1.5)
    means, stds = rng.normal(0.5, size=(3, objectives)), rng.uniform(0.5, 1.0, size=(3, objectives))
    cells = boxes(front, reference)

    found = expected_improvement(means, stds, front, reference)
    for mean, std, value in zip(means, stds, found, strict=True):
        draws = rng.normal(mean, std, size=(20_000, 1, objectives))
        added = np.clip(np.minimum(draws, cells.upper) - cells.lower, 0.0, None).prod(axis=2).sum(axis=1)
        assert abs(added.mean() - value) < 4 * added.std() / math.sqrt(len(added))


@given(integers(0, 2**32 - 1))
def test_without_uncertainty_it_is_what_the_point_adds(seed: int) -> None:
    points = some_points(seed)
    reference, new = np.zeros(points.shape[1]), default_rng(seed).uniform(-0.5, 6.0, size=(points.shape[1],))

    found = expected_improvement(new[None], np.zeros((1, len(new))), points, reference)
    assert found[0] == pytest.approx(gained(boxes(points, reference), new), abs=1e-9)


def test_it_does_not_depend_on_which_candidates_come_together(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = default_rng(0)
    front, means, stds = rng.normal(size=(8, 3)), rng.normal(size=(50, 3)), rng.uniform(0.0, 1.0, size=(50, 3))
    together = expected_improvement(means, stds, front, np.full(3, -2.0))

    monkeypatch.setattr("nas_tune.predictors.hypervolume.MOST_PRODUCTS", 100)
    assert expected_improvement(means, stds, front, np.full(3, -2.0)).tolist() == together.tolist()
    assert expected_improvement(np.empty((0, 3)), np.empty((0, 3)), front, np.full(3, -2.0)).shape == (0,)


def test_a_hopeless_candidate_is_expected_to_add_nothing() -> None:
    found = expected_improvement([[-1e3, -1e3]], [[1e-3, 1e-3]], [[1.0, 1.0]], [0.0, 0.0])

    assert found.tolist() == [0.0]


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(PredictorError, match=r"points have the shape \(1, 3\). Give one row for each point and 2"):
        hypervolume([[1.0, 2.0, 3.0]], [0.0, 0.0])
    with pytest.raises(PredictorError, match="must be finite"):
        boxes([[1.0, math.inf]], [0.0, 0.0])
    with pytest.raises(PredictorError, match=r"`reference` has the shape \(\)"):
        hypervolume([1.0], 0.0)
    with pytest.raises(PredictorError, match=r"`means` of shape \(1, 1\) and `stds` of shape \(1, 2\)"):
        expected_improvement([[1.0]], [[1.0, 1.0]], [], [0.0, 0.0])
    with pytest.raises(PredictorError, match="`stds` at least 0"):
        expected_improvement([[1.0, 1.0]], [[1.0, -1.0]], [], [0.0, 0.0])
