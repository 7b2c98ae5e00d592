"""Kendall's tau-b against its definition, and where it is undefined."""

from __future__ import annotations

import math
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_tune.analysis import kendall_tau


def tau_b_by_definition(x: list[int], y: list[int]) -> float:
    """Concordant minus discordant pairs over the geometric mean of the pairs untied in each series."""
    pairs = [((a > b) - (a < b), (c > d) - (c < d)) for (a, c), (b, d) in combinations(zip(x, y, strict=True), 2)]
    untied = sum(first != 0 for first, _ in pairs) * sum(second != 0 for _, second in pairs)
    return sum(first * second for first, second in pairs) / math.sqrt(untied) if untied else math.nan


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=12))
def test_tau_equals_its_definition_also_with_ties(pairs: list[tuple[int, int]]) -> None:
    x, y = [first for first, _ in pairs], [second for _, second in pairs]

    assert tau_b_by_definition(x, y) == pytest.approx(kendall_tau(x, y), nan_ok=True)


@pytest.mark.parametrize(("x", "y"), [([], []), ([0.5], [0.7]), ([1, 1, 1], [1, 2, 3]), ([1, 2], [math.nan, 1])])
def test_tau_is_nan_where_it_is_undefined(x: list[float], y: list[float]) -> None:
    assert math.isnan(kendall_tau(x, y))


def test_pairs_with_nan_are_left_out() -> None:
    assert kendall_tau([1, 2, 3], [1, 2, 3]) == kendall_tau([1, math.nan, 2, 3], [1, 9, 2, 3]) == 1.0


def test_series_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="`x` has 2 scores and `y` has 1"):
        kendall_tau([1, 2], [1])
