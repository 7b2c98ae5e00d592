"""Pareto order against its definition, by enumeration."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis.strategies import composite, integers, lists, sampled_from, tuples
from numpy.random import default_rng
from optuna.study._multi_objective import _fast_non_domination_rank

from nas_tune.samplers.non_dominated import Points, crowding, dominators, fronts, ranks, survivors
from nas_tune.samplers.skyband import Skyband

Row = tuple[tuple[float, ...], float]  # values and excess


@composite
def rows(draw: object, most: int = 16) -> list[Row]:
    """Draw points on a small grid, so that ties of every kind are common."""
    m = draw(integers(1, 4))  # type: ignore[operator]
    value = sampled_from([float("-inf"), 0.0, 1.0, 2.0, 3.0])
    found: list[Row] = draw(  # type: ignore[operator]
        lists(tuples(tuples(*[value] * m), sampled_from([0.0, 0.0, 0.5, 1.0])), min_size=1, max_size=most)
    )
    return found


def points(found: Sequence[Row]) -> Points:
    return Points(np.array([values for values, _ in found]), np.array([excess for _, excess in found]))


def beats(a: Row, b: Row) -> bool:
    if a[1] != b[1]:
        return a[1] < b[1]
    return all(x >= y for x, y in zip(a[0], b[0], strict=True)) and a[0] != b[0]


def peeled(found: Sequence[Row]) -> list[int]:
    """Rank by the definition: take off what nothing left dominates, again and again."""
    rank, left = [-1] * len(found), set(range(len(found)))
    for level in itertools.count():
        if not left:
            return rank
        front = {i for i in left if not any(beats(found[j], found[i]) for j in left)}
        for i in front:
            rank[i] = level
        left -= front
    raise AssertionError


@given(rows())
def test_ranks_are_those_of_the_definition(found: list[Row]) -> None:
    assert ranks(points(found)).tolist() == peeled(found)


@given(rows())
def test_dominators_are_counted(found: list[Row]) -> None:
    assert dominators(points(found)).tolist() == [sum(beats(a, b) for a in found) for b in found]


def test_feasible_points_have_the_ranks_that_optuna_gives() -> None:
    for m in (2, 3, 4):
        values = default_rng(m).integers(8, size=(120, m)).astype(float)
        expected = _fast_non_domination_rank(-values)

        assert np.array_equal(ranks(Points(values, np.zeros(120))), expected)


def test_with_one_objective_the_rank_is_the_place_of_the_value() -> None:
    values = default_rng(0).permutation(50).astype(float)

    assert np.array_equal(ranks(Points(values[:, None], np.zeros(50))), 49 - values)


def test_the_crowding_distance_is_that_of_a_hand_example() -> None:
    # ranges 4 and 8; the second point has the neighbours 0 and 3 of 4, 8 and 1 of 8, the third 1 and 4, 4 and 0
    front = np.array([[0.0, 8.0], [1.0, 4.0], [3.0, 1.0], [4.0, 0.0]])

    assert crowding(front).tolist() == [np.inf, 3 / 4 + 7 / 8, 3 / 4 + 4 / 8, np.inf]


def test_an_infinite_value_counts_as_the_nearest_finite_one() -> None:
    front = np.array([[-np.inf, 9.0], [0.0, 8.0], [1.0, 4.0], [4.0, 0.0], [np.inf, -np.inf]])

    assert crowding(front)[[1, 2, 3]].tolist() == [1 / 4 + 5 / 9, 4 / 4 + 8 / 9, 3 / 4 + 4 / 9]


def test_points_with_equal_values_are_not_apart() -> None:
    assert crowding(np.ones((3, 2))).tolist() == [0.0] * 3
    assert crowding(np.full((2, 1), -np.inf)).tolist() == [0.0] * 2
    assert crowding(np.empty((0, 2))).tolist() == []


@given(rows(), integers(1, 8))
def test_survivors_come_front_by_front_and_the_least_crowded_first(found: list[Row], size: int) -> None:
    every = points(found)
    order = survivors(every, dominators(every), size).tolist()

    rank = peeled(found)
    crowd = np.empty(len(found))
    for front in fronts(every, dominators(every)):
        crowd[front] = crowding(every.values[front])
    expected = sorted(range(len(found)), key=lambda i: (rank[i], -crowd[i], i))
    assert order == expected[:size]


@given(rows(24), integers(1, 6), integers(0, 2**32 - 1))
def test_a_skyband_has_the_survivors_of_all_points_in_whatever_order_they_came(
    found: list[Row], size: int, seed: int
) -> None:
    band = Skyband(size)
    for i in default_rng(seed).permutation(len(found)).tolist():
        band.add(i, *found[i])

    every = points(found)
    assert band.survivors() == tuple(survivors(every, dominators(every), size).tolist())


@given(rows(24), integers(1, 6))
def test_a_skyband_holds_the_points_that_fewer_dominate(found: list[Row], size: int) -> None:
    band = Skyband(size)
    for i, row in enumerate(found):
        band.add(i, *row)

    assert len(band) == sum(sum(beats(a, b) for a in found) < size for b in found)


def test_a_skyband_stays_small() -> None:
    band = Skyband(20)
    for i, values in enumerate(default_rng(0).random((2_000, 2)).tolist()):
        band.add(i, values, 0.0)

    assert len(band) < 200


def test_without_points_nothing_survives() -> None:
    assert Skyband(3).survivors() == ()


@pytest.mark.parametrize("size", [1, 5])
def test_a_feasible_point_survives_before_a_better_one_that_is_not(size: int) -> None:
    band = Skyband(size)
    band.add(0, (9.0, 9.0), 0.1)
    band.add(1, (0.0, 0.0), 0.0)
    band.add(2, (5.0, 5.0), 0.2)

    assert band.survivors() == (1, 0, 2)[:size]
