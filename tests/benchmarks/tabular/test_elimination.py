from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.random import default_rng

from benchmarks.tabular import elimination

CHAIN = ((0,), (0, 1), (1, 2), (2, 3), (3,))
LOOP = ((0, 1), (1, 2), (2, 3), (0, 3), (2,))
TWO_PARTS = ((0, 2), (1,), (1, 3), (3,))
TRIPLE = ((0, 1, 3), (1, 2), (0,))


@pytest.mark.parametrize("scopes", [CHAIN, LOOP, TWO_PARTS, TRIPLE])
@pytest.mark.parametrize("seed", range(5))
def test_the_maximum_is_that_of_an_enumeration(scopes: tuple[tuple[int, ...], ...], seed: int) -> None:
    sizes, rng = (2, 3, 4, 3), default_rng(seed)
    terms = {scope: rng.standard_normal([sizes[variable] for variable in scope]) for scope in scopes}
    points = itertools.product(*map(range, sizes))
    expected = max(points, key=lambda point: elimination.total(terms, point))

    value, actual = elimination.maximum(terms)

    assert actual == expected
    assert value == pytest.approx(elimination.total(terms, expected))


def test_a_single_variable_is_maximised() -> None:
    assert elimination.maximum({(0,): np.array([1.0, 5.0, 2.0])}) == (5.0, (1,))
