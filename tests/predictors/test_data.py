"""What predictors check of the data that they are fitted to."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from nas_tune.errors import NasTuneError, PredictorError
from nas_tune.predictors.data import targets
from nas_tune.space import Categorical, SearchSpace
from tests.predictors.kernels.grams import drawn

SPACE = SearchSpace({"op": Categorical("a", "b")})


def test_values_are_standardised() -> None:
    found = targets("Any", drawn(SPACE, 4), [1.0, 3.0, 1.0, 3.0], [0.0, 1.0, 3.0, 0.0])

    assert found.scaled.tolist() == [-1.0, 1.0, -1.0, 1.0]
    assert (found.mean, found.std) == (2.0, 1.0)
    assert found.noise.tolist() == [0.0, 1.0, 3.0, 0.0]
    assert found.weights.tolist() == [1.0, 0.5, 0.25, 1.0]


@pytest.mark.parametrize("value", [0.0, 0.1, -3.0, 1e9])
def test_equal_values_are_zeros(value: float) -> None:
    found = targets("Any", drawn(SPACE, 3), [value] * 3, None)

    assert found.scaled.tolist() == [0.0] * 3
    assert found.std == 1.0
    assert found.mean == pytest.approx(value)


@pytest.mark.parametrize(
    ("count", "values", "noise"),
    [(0, [], None), (2, [1.0], None), (1, [1.0, 2.0], None), (2, [1.0, 2.0], [0.0]), (0, [1.0], None)],
)
def test_numbers_that_do_not_fit_are_refused(
    count: int, values: Sequence[float], noise: Sequence[float] | None
) -> None:
    with pytest.raises(PredictorError, match=f"Any: {count} architectures, .* Give at least one architecture"):
        targets("Any", drawn(SPACE, count), values, noise)


@pytest.mark.parametrize(
    ("values", "noise"),
    [([1.0, math.nan], None), ([1.0, math.inf], None), ([1.0, 2.0], [0.0, -1.0]), ([1.0, 2.0], [0.0, math.inf])],
)
def test_what_is_not_finite_is_refused(values: Sequence[float], noise: Sequence[float] | None) -> None:
    with pytest.raises(NasTuneError, match="Any: `values` must be finite, and `noise` finite and at least 0"):
        targets("Any", drawn(SPACE, 2), values, noise)
