"""What trials are worth."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.random import default_rng
from numpy.testing import assert_allclose
from optuna.trial import TrialState
from scipy.stats import rankdata

from nas_tune.samplers.controllers.rewards import WINDOW, rewards
from nas_tune.samplers.study_history import Evaluation
from nas_tune.space import Architecture


def evaluations(values: Sequence[float], excesses: Sequence[float] = ()) -> list[Evaluation]:
    broken = [*excesses, *[0.0] * (len(values) - len(excesses))]
    pairs = enumerate(zip(values, broken, strict=True))
    return [Evaluation(n, Architecture({}), TrialState.COMPLETE, (v,), constraints={"c": e}) for n, (v, e) in pairs]


@pytest.mark.parametrize(("start", "end"), [(0, 1), (0, 20), (30, 40), (100, 110), (0, 120)])
def test_a_rank_is_the_middle_rank_among_the_last_trials(start: int, end: int) -> None:
    values = default_rng(0).integers(0, 30, 150).astype(float)
    window = values[min(start, max(end - WINDOW, 0)) : end]

    found = rewards(evaluations(values.tolist()), start, end, "rank")

    expected = (rankdata(window) - 0.5) / len(window)
    assert_allclose(found, expected[len(window) - (end - start) :])


def test_ranks_are_the_same_on_any_scale() -> None:
    values = default_rng(0).standard_normal(60)

    plain, scaled = (rewards(evaluations(list(v)), 40, 60, "rank") for v in (values, np.exp(3 * values) - 1_000))

    assert plain.tolist() == scaled.tolist()


def test_who_breaks_constraints_by_more_ranks_lower_whatever_the_values() -> None:
    found = rewards(evaluations([9.0, 8.0, 1.0, 2.0], [2.0, 0.5, -1.0, 0.0]), 0, 4, "rank")

    assert found.tolist() == [0.125, 0.375, 0.625, 0.875]


def test_infinite_values_have_a_rank() -> None:
    assert rewards(evaluations([math.inf, 0.0, -math.inf, math.inf]), 0, 4, "rank").tolist() == [
        0.75,
        0.375,
        0.125,
        0.75,
    ]


def test_values_are_as_they_are_less_what_constraints_are_broken_by() -> None:
    assert rewards(evaluations([3.0, 0.25, -7.0], [0.0, 0.5]), 1, 3, "value").tolist() == [-0.25, -7.0]


def test_an_infinite_value_is_the_best_or_worst_so_far() -> None:
    some = evaluations([3.0, -1.0, math.inf, -math.inf, 100.0])

    assert rewards(some, 2, 4, "value").tolist() == [3.0, -1.0]
    assert rewards(evaluations([math.inf]), 0, 1, "value").tolist() == [0.0]
