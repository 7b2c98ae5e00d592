"""Where nothing can be learned, every sampler is random search; one that were not has seen what it should not."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import partial

import numpy as np
import pytest
from numpy.typing import NDArray

from nas_tune.space import SearchSpace, Value
from tests.samplers.roster import ROSTER, Maker, distinct, make_study, search

TRIALS = 16
OTHERS = tuple(name for name in ROSTER if not name.startswith("predictor"))


def reward(architecture: Mapping[str, Value], seed: int) -> float:
    """Return a uniform number in [0, 1) that has nothing to do with what the architecture is."""
    digest = hashlib.sha256(repr((seed, sorted(architecture.items()))).encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def levels(make: Maker, space: SearchSpace, searches: int) -> NDArray[np.float64]:
    """Return the chance that random search is no better, for each search: uniform if it is random search.

    Of n different networks with independent uniform rewards the best is below x with probability x^n.
    """
    found = []
    for seed in range(searches):
        study = search(make_study(make(space, seed=seed)), space, partial(reward, seed=seed), TRIALS)
        found.append(study.best_value ** distinct(study.trials, space))
    return np.array(found)


def check(name: str, space: SearchSpace, searches: int) -> None:
    found = levels(ROSTER[name], space, searches)

    standard_error = (1 / 12 / searches) ** 0.5
    assert abs(found.mean() - 0.5) < 2 * standard_error


@pytest.mark.parametrize("name", OTHERS)
def test_permuted_rewards_make_every_sampler_random_search(name: str, cell_space: SearchSpace) -> None:
    check(name, cell_space, 16 if "lstm" in name else 40)


@pytest.mark.slow
def test_permuted_rewards_make_a_predictor_random_search(cell_space: SearchSpace) -> None:
    check("predictor", cell_space, 16)
