"""Architectures as rows: what is remembered, what is checked."""

from __future__ import annotations

import pickle
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.random import default_rng
from numpy.typing import NDArray

from nas_tune.errors import PredictorError
from nas_tune.predictors.features import Features, standardization
from nas_tune.predictors.memory import Memory
from nas_tune.space import Architecture, Categorical, SearchSpace

SPACE = SearchSpace({"x": Categorical(*range(8))})
CELLS = list(SPACE.enumerate())


def test_a_row_is_the_encoding_and_the_further_columns() -> None:
    def twice(cells: Sequence[Architecture]) -> NDArray[np.float64]:
        return np.array([[2.0 * float(str(cell["x"])), 1.0] for cell in cells])

    features = Features("Forest", SPACE, "one-hot", twice)

    assert np.array_equal(np.hstack([np.eye(8), twice(CELLS)])[::-1], features(CELLS[::-1]))
    assert 8 == features.encoded


@pytest.mark.parametrize("room", [1, 3, 8, 100])
def test_what_was_computed_once_is_remembered_as_far_as_there_is_room(room: int) -> None:
    asked: list[Architecture] = []

    def compute(cells: Sequence[Architecture]) -> list[str]:
        asked.extend(cells)
        return [str(cell["x"]) for cell in cells]

    memory, rng = Memory("Forest", SPACE, compute, room), default_rng(0)
    for _ in range(60):
        cells = [CELLS[i] for i in rng.integers(8, size=int(rng.integers(1, 6)))]

        assert [str(cell["x"]) for cell in cells] == memory(cells)
        assert len(memory._known) <= room
    assert (room < 8) == (len(asked) > 8)


def test_a_memory_is_pickled_empty() -> None:
    features = Features("Forest", SPACE, "one-hot")
    features(CELLS)
    size = len(pickle.dumps(Features("Forest", SPACE, "one-hot")))

    assert abs(len(pickle.dumps(features)) - size) < 2_000


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (np.zeros(8), r"`features` returned the shape \(8,\) for 8 architectures. Return one row for each"),
        (np.zeros((3, 2)), r"the shape \(3, 2\) for 8"),
        (np.full((8, 1), np.nan), "what is not finite or above 1e\\+18. Give what has no value a number"),
        (np.full((8, 1), 1e30), "take the logarithm of what is large"),
    ],
)
def test_further_columns_of_another_form_are_refused(columns: NDArray[np.float64], message: str) -> None:
    with pytest.raises(PredictorError, match=f"Forest: .*{message}"):
        Features("Forest", SPACE, "one-hot", lambda cells: columns)(CELLS)


def test_another_number_of_columns_than_before_is_refused() -> None:
    features = Features("Forest", SPACE, "one-hot", lambda cells: np.zeros((len(cells), len(cells))))
    features(CELLS[:2])
    with pytest.raises(PredictorError, match="another number of columns than before"):
        features(CELLS[:3])


def test_only_further_columns_are_standardised() -> None:
    matrix = np.array([[1, 4, 5], [0, 8, 5], [0, 6, 5]], dtype=np.float32)
    standard = standardization(matrix, 1)(matrix)

    assert np.array_equal(matrix[:, 0], standard[:, 0])
    assert np.array([-1.224745, 1.224745, 0]) == pytest.approx(standard[:, 1], abs=1e-5)
    assert not standard[:, 2].any()
