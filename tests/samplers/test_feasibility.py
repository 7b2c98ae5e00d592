"""How likely constraints are met that trials have recorded."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from numpy.random import default_rng
from optuna.trial import TrialState
from scipy.stats import spearmanr

from nas_tune.predictors.gaussian_process import GaussianProcess
from nas_tune.samplers.feasibility import Feasibility
from nas_tune.samplers.study_history import Evaluation
from nas_tune.space import Architecture, SearchSpace

HALF = math.log(0.5)


def count(architecture: Architecture, operation: str) -> int:
    return list(architecture.values()).count(operation)


def drawn(space: SearchSpace, number: int, seed: int = 0) -> list[Architecture]:
    rng = default_rng(seed)
    return [space.sample(rng) for _ in range(number)]


def evaluation(number: int, architecture: Architecture, constraints: Mapping[str, float]) -> Evaluation:
    return Evaluation(number, architecture, TrialState.COMPLETE, (0.0,), constraints=constraints)


def learned(space: SearchSpace, told: Sequence[tuple[Architecture, Mapping[str, float]]]) -> Feasibility:
    feasibility = Feasibility(GaussianProcess(space), space)
    feasibility.learn([evaluation(i, *one) for i, one in enumerate(told)], ())
    return feasibility


def at_most_one(architecture: Architecture) -> dict[str, float]:
    return {"one none": count(architecture, "none") - 1.5}


def test_a_constraint_that_was_never_broken_is_not_learned(cell_space: SearchSpace) -> None:
    feasibility = learned(cell_space, [(a, {"always": -1.0}) for a in drawn(cell_space, 5)])

    assert feasibility.log_probability(drawn(cell_space, 3)).tolist() == [0.0] * 3
    assert learned(cell_space, []).log_probability(drawn(cell_space, 3)).tolist() == [0.0] * 3


def test_unseen_architectures_are_told_apart(cell_space: SearchSpace) -> None:
    feasibility = learned(cell_space, [(a, at_most_one(a)) for a in drawn(cell_space, 60)])
    unseen = drawn(cell_space, 300, seed=1)

    likely = feasibility.log_probability(unseen) > HALF

    met = np.array([at_most_one(a)["one none"] <= 0 for a in unseen])
    assert (likely == met).mean() > 0.9


def test_bounds_between_what_is_met_and_what_is_broken(cell_space: SearchSpace) -> None:
    known = drawn(cell_space, 60)

    log_probability = learned(cell_space, [(a, at_most_one(a)) for a in known]).log_probability(known)

    met = np.array([at_most_one(a)["one none"] <= 0 for a in known])
    assert ((log_probability > HALF) == met).mean() > 0.95
    assert (log_probability <= 0).all()


def test_probabilities_of_several_constraints_multiply(cell_space: SearchSpace) -> None:
    known, unseen = drawn(cell_space, 30), drawn(cell_space, 10, seed=1)
    names = ("none", "skip_connect")
    excesses = [{name: count(a, name) - 1.5 for name in names} for a in known]

    both = learned(cell_space, list(zip(known, excesses, strict=True)))
    each = [
        learned(cell_space, [(a, {name: told[name]}) for a, told in zip(known, excesses, strict=True)])
        for name in names
    ]

    expected = sum(one.log_probability(unseen) for one in each)
    np.testing.assert_allclose(both.log_probability(unseen), expected)


def test_a_trial_that_records_nothing_says_nothing(cell_space: SearchSpace) -> None:
    known, unseen = drawn(cell_space, 30), drawn(cell_space, 10, seed=1)
    told = [(a, at_most_one(a)) for a in known]

    with_silent = learned(cell_space, [*told, *((a, {}) for a in drawn(cell_space, 20, seed=2))])

    np.testing.assert_array_equal(
        with_silent.log_probability(unseen), learned(cell_space, told).log_probability(unseen)
    )


def test_where_everything_is_broken_what_is_broken_less_is_likelier(cell_space: SearchSpace) -> None:
    known, unseen = drawn(cell_space, 40), drawn(cell_space, 100, seed=1)

    feasibility = learned(cell_space, [(a, {"none": count(a, "none") + 1.0}) for a in known])

    broken = [count(a, "none") for a in unseen]
    log_probability = feasibility.log_probability(unseen)
    assert spearmanr(broken, log_probability).statistic < -0.7
    assert log_probability.max() < HALF


def test_infinite_excesses_are_the_greatest(cell_space: SearchSpace) -> None:
    known = drawn(cell_space, 40)
    told = [(a, {"none": math.inf if count(a, "none") > 1 else -math.inf}) for a in known]
    others = [(a, {"none": 1e9 if count(a, "none") > 1 else -1e9}) for a in known]

    log_probability = learned(cell_space, told).log_probability(known)

    np.testing.assert_allclose(log_probability, learned(cell_space, others).log_probability(known))
    assert (log_probability < HALF).sum() > 5


@pytest.mark.parametrize("state", [TrialState.PRUNED, TrialState.FAIL])
def test_trials_without_values_teach_their_constraints(state: TrialState, cell_space: SearchSpace) -> None:
    known, unseen = drawn(cell_space, 30), drawn(cell_space, 10, seed=1)
    feasibility = Feasibility(GaussianProcess(cell_space), cell_space)

    feasibility.learn([Evaluation(i, a, state, constraints=at_most_one(a)) for i, a in enumerate(known)], ())

    expected = learned(cell_space, [(a, at_most_one(a)) for a in known]).log_probability(unseen)
    np.testing.assert_array_equal(feasibility.log_probability(unseen), expected)
