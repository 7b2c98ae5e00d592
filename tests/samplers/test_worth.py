"""What a candidate is worth: held against closed forms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Self

import numpy as np
import pytest
from numpy.random import Generator, default_rng
from numpy.typing import NDArray
from optuna.trial import TrialState
from scipy.stats import norm

from nas_tune.errors import SamplerError
from nas_tune.predictors.hypervolume import hypervolume
from nas_tune.predictors.predictor import Prediction
from nas_tune.samplers.feasibility import Feasibility
from nas_tune.samplers.objectives import ExactObjective, LearnedObjective
from nas_tune.samplers.study_history import Evaluation
from nas_tune.samplers.surrogate import Observations
from nas_tune.samplers.worth import EXPLORING, MARGIN, Evaluated, Objective, Worth
from nas_tune.space import Architecture, Float, SearchSpace

SPACE = SearchSpace({name: Float(-9.0, 9.0) for name in "abst"})


class Table:
    """A predictor that reads mean and deviation out of the architecture.

    Args:
        mean: Parameter that is the mean.
        std: Parameter that is the deviation.
    """

    def __init__(self, mean: str, std: str) -> None:
        self._mean, self._std = mean, std

    def fit(
        self, architectures: Sequence[Architecture], values: Sequence[float], noise: Sequence[float] | None = None
    ) -> Self:
        return self

    def predict(self, architectures: Sequence[Architecture]) -> Prediction:
        return Prediction(numbers(architectures, self._mean), numbers(architectures, self._std))

    def sample(self, architectures: Sequence[Architecture], rng: Generator) -> NDArray[np.float64]:
        slope = rng.standard_normal()
        return numbers(architectures, self._mean) + slope * numbers(architectures, self._std)


def numbers(architectures: Sequence[Architecture], name: str) -> NDArray[np.float64]:
    return np.array([float(str(architecture[name])) for architecture in architectures])


def made(count: int, seed: int = 0) -> list[Architecture]:
    rng = default_rng(seed)
    return [
        Architecture({"a": rng.normal(), "b": rng.normal(), "s": rng.uniform(0.1, 2), "t": rng.uniform(0.1, 2)})
        for _ in range(count)
    ]


def objective(mean: str = "a", std: str = "s") -> LearnedObjective:
    return LearnedObjective(Table(mean, std), SPACE)


def feasible(
    architectures: Sequence[Architecture] = (), excesses: Sequence[float] = (), predictor: Table | None = None
) -> Feasibility:
    feasibility = Feasibility(predictor or Table("b", "t"), SPACE)
    pairs = zip(architectures, excesses, strict=True)
    told = [Evaluation(i, a, TrialState.COMPLETE, (0.0,), constraints={"c": e}) for i, (a, e) in enumerate(pairs)]
    feasibility.learn(told, ())
    return feasibility


def evaluated(architectures: Sequence[Architecture], met: Sequence[bool] | None = None, names: str = "a") -> Evaluated:
    scores = np.stack([numbers(architectures, name) for name in names], axis=1)
    return Evaluated(architectures, scores, np.ones(len(scores), bool) if met is None else np.array(met))


def worth(
    acquisition: str,
    known: Evaluated,
    feasibility: Feasibility,
    objectives: Sequence[Objective] | None = None,
    number: int = 0,
    seed: int = 0,
) -> Worth:
    return Worth(acquisition, objectives or [objective()], feasibility, known, number, seed)


def log_expected_improvement(candidates: Sequence[Architecture], best: float) -> NDArray[np.float64]:
    mean, std = numbers(candidates, "a"), numbers(candidates, "s")
    u = (mean - best) / std
    return np.asarray(np.log(std * (u * norm.cdf(u) + norm.pdf(u))))


def test_the_improvement_is_over_the_best_that_is_expected_of_the_feasible() -> None:
    known, candidates = made(6), made(20, seed=1)
    met = (numbers(known, "a") < numbers(known, "a").max()).tolist()

    found = worth("ei", evaluated(known, met), feasible())(candidates)

    best = max(a for a, m in zip(numbers(known, "a"), met, strict=True) if m)
    np.testing.assert_allclose(found, log_expected_improvement(candidates, best))


def test_the_improvement_counts_as_far_as_it_is_feasible() -> None:
    known, candidates = made(6), made(20, seed=1)
    feasibility = feasible(known, [1.0, -1.0, -1.0, 2.0, -1.0, 1.0])

    found = worth("ei", evaluated(known), feasibility)(candidates)

    expected = log_expected_improvement(candidates, numbers(known, "a").max())
    np.testing.assert_allclose(found, expected + feasibility.log_probability(candidates))


def test_the_confidence_bound_is_lowered_only_for_what_is_rather_infeasible() -> None:
    known, candidates = made(6), made(20, seed=1)
    feasibility = feasible(known, [1.0, -1.0, -1.0, 2.0, -1.0, 1.0])

    found = worth("ucb", evaluated(known), feasibility)(candidates)

    bound = numbers(candidates, "a") + 2.0 * numbers(candidates, "s")
    probable = np.exp(feasibility.log_probability(candidates))
    np.testing.assert_allclose(found[probable >= 0.5], bound[probable >= 0.5])
    np.testing.assert_allclose(found[probable < 0.5], (bound + np.log(2.0 * probable))[probable < 0.5])
    assert 0 < (probable < 0.5).sum() < 20


def test_one_trial_of_four_explores_by_default() -> None:
    known, candidates = evaluated(made(6)), made(20, seed=1)
    expected = {name: worth(name, known, feasible())(candidates) for name in ("ei", "ucb")}

    for number in range(2 * EXPLORING):
        found = worth("auto", known, feasible(), number=number)(candidates)
        name = "ucb" if number in (EXPLORING - 1, 2 * EXPLORING - 1) else "ei"
        np.testing.assert_array_equal(found, expected[name])


def test_while_nothing_is_feasible_feasibility_is_looked_for() -> None:
    known, candidates = made(6), made(20, seed=1)
    feasibility = feasible(known, [1.0, 3.0, 1.0, 2.0, 2.0, 1.0])

    found = worth("ei", evaluated(known, [False] * 6), feasibility)(candidates)

    assert candidates[int(found.argmax())] == candidates[int(feasibility.log_probability(candidates).argmax())]


def test_thompson_sampling_maximises_one_function_however_often_it_is_asked() -> None:
    known, candidates = evaluated(made(6)), made(20, seed=1)
    drawn = worth("thompson", known, feasible(), seed=4)

    found = np.concatenate([drawn(candidates[:7]), drawn(candidates[7:])])

    np.testing.assert_array_equal(found, drawn(candidates))
    slopes = (found - numbers(candidates, "a")) / numbers(candidates, "s")
    np.testing.assert_allclose(slopes, slopes[0])
    assert (worth("thompson", known, feasible(), seed=5)(candidates) != found).any()


def test_independent_draws_spread_by_the_deviation() -> None:
    candidates = [Architecture({"a": 1.0, "b": 0.0, "s": 0.5, "t": 1.0})] * 4_000

    found = worth("its", evaluated(made(6)), feasible())(candidates)

    assert found.mean() == pytest.approx(1.0, abs=0.03)
    assert found.std() == pytest.approx(0.5, abs=0.03)


def test_a_users_acquisition_is_asked_for_predictions_and_the_best() -> None:
    known, candidates = made(6), made(20, seed=1)

    def margin(prediction: Prediction, best: float, rng: Generator) -> NDArray[np.float64]:
        return np.asarray(prediction.mean - best - prediction.std)

    found = Worth(margin, [objective()], feasible(), evaluated(known), 0, 0)(candidates)

    expected = numbers(candidates, "a") - numbers(known, "a").max() - numbers(candidates, "s")
    np.testing.assert_allclose(found, expected)


def test_with_two_objectives_certain_values_are_worth_the_volume_that_they_add() -> None:
    known = made(8)
    candidates = [Architecture({**a, "s": 0.0, "t": 0.0}) for a in made(30, seed=1)]

    found = worth("auto", evaluated(known, names="ab"), feasible(), [objective(), objective("b", "t")])(candidates)

    points = np.stack([numbers(known, name) for name in "ab"], axis=1)
    reference = points.min(axis=0) - MARGIN
    gains = [
        hypervolume(np.vstack([points, [[a, b]]]), reference) - hypervolume(points, reference)
        for a, b in zip(numbers(candidates, "a"), numbers(candidates, "b"), strict=True)
    ]
    assert 3 < sum(gain > 1e-9 for gain in gains) < 30
    np.testing.assert_allclose(np.exp(found), gains, atol=1e-9)


def test_with_two_objectives_the_expected_volume_is_that_of_many_draws() -> None:
    known, candidate = made(8), made(1, seed=3)
    objectives = [objective(), objective("b", "t")]
    rng, (first,) = default_rng(0), candidate
    means, stds = ([float(str(first[name])) for name in names] for names in ("ab", "st"))
    points = np.stack([numbers(known, name) for name in "ab"], axis=1)
    reference = points.min(axis=0) - MARGIN

    (found,) = worth("auto", evaluated(known, names="ab"), feasible(), objectives)(candidate)

    draws = np.array(means) + np.array(stds) * rng.standard_normal((4_000, 2))
    before = hypervolume(points, reference)
    gains = [hypervolume(np.vstack([points, [draw]]), reference) - before for draw in draws]
    assert np.exp(found) == pytest.approx(np.mean(gains), abs=4 * np.std(gains) / 4_000**0.5)


def test_an_exact_objective_is_scored_among_what_was_evaluated() -> None:
    exact = ExactObjective(lambda architecture: 10.0 * float(str(architecture["a"])), sign=-1.0)
    known, candidates = made(9), made(4, seed=1)
    values = tuple((-10.0 * numbers(known, "a")).tolist())

    exact.learn(Observations(tuple(known), values), (), ())

    np.testing.assert_allclose(np.sort(exact.scores), norm.ppf((np.arange(9) + 0.5) / 9))
    np.testing.assert_allclose(exact.predict(known).mean, exact.scores)
    assert (exact.predict(candidates).std == 0).all()
    order = np.argsort(numbers(candidates, "a"))
    assert (np.diff(exact.draw(candidates, default_rng(0))[order]) <= 0).all()


def test_a_cost_beyond_all_that_were_paid_is_no_worse_than_the_worst() -> None:
    exact = ExactObjective(lambda architecture: float(str(architecture["a"])), sign=-1.0)
    known = [Architecture({"a": a, "b": 0.0, "s": 1.0, "t": 1.0}) for a in (-1.0, 0.0, 1.0)]
    exact.learn(Observations(tuple(known), (1.0, 0.0, -1.0)), (), ())

    dear, cheap = exact.predict([Architecture({"a": a}) for a in (9.0, -2.0)]).mean

    assert dear == exact.scores.min()
    assert cheap > exact.scores.max()


@pytest.mark.parametrize("wrong", [1.5, -2.0, math.nan])
def test_an_exact_objective_that_disagrees_with_a_trial_is_refused(wrong: float) -> None:
    exact = ExactObjective(lambda architecture: wrong, sign=-1.0)

    with pytest.raises(SamplerError, match="a function in `exact` says"):
        exact.learn(Observations(tuple(made(1)), (-2.0,)), (), ())


def test_an_exact_objective_measures_an_architecture_once() -> None:
    measured: list[Architecture] = []

    def measure(architecture: Architecture) -> float:
        measured.append(architecture)
        return 1.0

    exact, candidates = ExactObjective(measure, sign=1.0), made(5)
    exact.learn(Observations(tuple(candidates), (1.0,) * 5), (), ())
    for _ in range(3):
        exact.predict(candidates)

    assert len(measured) == 5
    assert set(measured) == set(candidates)
