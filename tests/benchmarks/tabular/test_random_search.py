from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.random import default_rng

from benchmarks.tabular.random_search import best_of_draws


@pytest.mark.parametrize("draws", [1, 2, 5, 8])
def test_the_law_is_that_of_all_draws(draws: int) -> None:
    validation, test = default_rng(0).random((2, 8)).tolist()
    found = [test[max(drawn, key=validation.__getitem__)] for drawn in itertools.combinations(range(8), draws)]

    mean, deviation = best_of_draws(validation, test, draws)

    assert mean == pytest.approx(np.mean(found))
    assert deviation == pytest.approx(np.std(found), abs=1e-9)
