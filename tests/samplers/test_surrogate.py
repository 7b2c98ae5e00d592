"""What a predictor learns of a study."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
import pytest
from numpy.random import default_rng
from scipy.stats import norm

from nas_tune.predictors.gaussian_process import GaussianProcess
from nas_tune.predictors.predictor import Prediction
from nas_tune.samplers.surrogate import Hint, Observations, Surrogate, finite, kept, scheduled
from nas_tune.space import Architecture, Categorical, Float, SearchSpace
from tests.samplers.roster import NearestNeighbour


class Recorded:
    """A conditioned predictor that tells what it was given; it expects a half of everything."""

    def __init__(self) -> None:
        self.fitted: list[list[Architecture]] = []
        self.conditioned: list[tuple[list[Architecture], list[float], list[float]]] = []

    def fit(
        self, architectures: Sequence[Architecture], values: Sequence[float], noise: Sequence[float] | None = None
    ) -> Self:
        self.fitted.append(list(architectures))
        return self

    def condition(
        self, architectures: Sequence[Architecture], values: Sequence[float], noise: Sequence[float] | None = None
    ) -> Self:
        self.conditioned.append((list(architectures), list(values), list(noise or ())))
        return self

    def predict(self, architectures: Sequence[Architecture]) -> Prediction:
        return Prediction(np.full(len(architectures), 0.5), np.ones(len(architectures)))


def observed(space: SearchSpace, count: int) -> Observations:
    """Different architectures, and values that rise and fall."""
    rng, drawn = default_rng(0), dict[Architecture, float]()
    while len(drawn) < count:
        drawn[space.sample(rng)] = float(rng.standard_normal())
    return Observations(tuple(drawn), tuple(drawn.values()))


def recorded(surrogate: Surrogate) -> Recorded:
    assert isinstance(surrogate.predictor, Recorded)
    return surrogate.predictor


def test_scheduled_sizes_never_fall_and_become_rarer() -> None:
    sizes = [scheduled(count) for count in range(2_001)]

    assert sizes[:21] == list(range(21))
    assert all(a <= b for a, b in zip(sizes, sizes[1:], strict=False))
    assert all(size <= count for count, size in enumerate(sizes))
    assert all(scheduled(size) == size for size in set(sizes))
    steps = np.diff(sorted(set(sizes[20:])))
    assert (np.diff(steps) >= 0).all()
    assert len(steps) < 120
    assert all(count - size <= max(count / 10, 1) for count, size in enumerate(sizes))


def test_hyperparameters_are_those_of_the_history_however_it_was_read(cell_space: SearchSpace) -> None:
    everything = observed(cell_space, 43)
    rng = default_rng(1)
    unseen = [cell_space.sample(rng) for _ in range(20)]
    incremental = Surrogate(GaussianProcess(cell_space), cell_space)
    for count in (2, 3, 9, 20, 21, 30, 41, 43):
        incremental.learn(everything.part(range(count)), (), unseen[:2])
    fresh = Surrogate(GaussianProcess(cell_space), cell_space)

    fresh.learn(everything, (), unseen[:2])

    for one, other in zip(incremental.predictor.predict(unseen), fresh.predictor.predict(unseen), strict=True):
        np.testing.assert_array_equal(one, other)


def test_hyperparameters_are_learned_at_scheduled_sizes_alone(cell_space: SearchSpace) -> None:
    surrogate, everything = Surrogate(Recorded(), cell_space), observed(cell_space, 60)
    for count in range(1, 61):
        surrogate.learn(everything.part(range(count)), (), ())

    fitted = [len(architectures) for architectures in recorded(surrogate).fitted]
    assert fitted == sorted({scheduled(count) for count in range(1, 61)})
    assert [len(given[0]) for given in recorded(surrogate).conditioned] == list(range(1, 61))


def test_a_predictor_without_hyperparameters_learns_everything_each_time(cell_space: SearchSpace) -> None:
    surrogate, everything = Surrogate(NearestNeighbour(), cell_space), observed(cell_space, 25)

    scores = surrogate.learn(everything, (), ())

    expected = surrogate.predictor.predict(everything.architectures).mean
    np.testing.assert_allclose(scores(everything.values), expected)


def test_the_given_predictor_itself_learns_nothing(cell_space: SearchSpace) -> None:
    given = Recorded()

    Surrogate(given, cell_space).learn(observed(cell_space, 3), (), ())

    assert not given.fitted and not given.conditioned


def test_scores_are_normal_quantiles_of_the_ranks(cell_space: SearchSpace) -> None:
    known = observed(cell_space, 9)

    scores = Surrogate(Recorded(), cell_space).learn(known, (), ())

    expected = norm.ppf((np.arange(9) + 0.5) / 9)
    np.testing.assert_allclose(np.sort(scores(known.values)), expected)


def test_architectures_that_differ_in_numbers_alone_share_a_rank() -> None:
    space = SearchSpace({"op": Categorical("a", "b", "c"), "lr": Float(0.0, 1.0)})
    tuned = [Architecture({"op": "a", "lr": 0.1 * i}) for i in range(6)]
    others = [Architecture({"op": op, "lr": 0.5}) for op in ("b", "c")]
    known = Observations((*tuned, *others), (3.0, 3.1, 3.2, 3.3, 3.4, 3.5, 1.0, 2.0))

    scores = Surrogate(Recorded(), space).learn(known, (), ())

    np.testing.assert_allclose(scores([1.0, 2.0, 3.5]), norm.ppf([1 / 6, 3 / 6, 5 / 6]), atol=1e-12)


def test_running_trials_count_as_if_they_came_out_as_expected(cell_space: SearchSpace) -> None:
    known, running = observed(cell_space, 4), [cell_space.sample(default_rng(9))]
    surrogate = Surrogate(Recorded(), cell_space)

    surrogate.learn(known, (), running)

    architectures, values, _ = recorded(surrogate).conditioned[-1]
    assert architectures == [*known.architectures, *running]
    assert values[-1] == 0.5


def test_what_is_believed_is_no_longer_uncertain_and_changes_no_expectation(cell_space: SearchSpace) -> None:
    known, running = observed(cell_space, 12), [cell_space.sample(default_rng(9))]
    before, after = (Surrogate(GaussianProcess(cell_space), cell_space) for _ in range(2))

    before.learn(known, (), ())
    after.learn(known, (), running)

    (mean,), (std,) = before.predictor.predict(running)
    (believed,), (sure,) = after.predictor.predict(running)
    assert sure < 0.5 * std
    assert believed == pytest.approx(mean, abs=0.05)


def test_hints_are_learned_with_their_noise(cell_space: SearchSpace) -> None:
    known, tried = observed(cell_space, 4), cell_space.sample(default_rng(9))
    surrogate = Surrogate(Recorded(), cell_space)

    surrogate.learn(known, [Hint(tried, -1.5, 3.0)], ())

    architectures, values, noise = recorded(surrogate).conditioned[-1]
    assert (architectures[-1], values[-1], noise) == (tried, -1.5, [0.0] * 4 + [3.0])


def test_the_best_half_and_the_latest_others_are_kept() -> None:
    values = [9.0, 1.0, 8.0, 2.0, 7.0, 3.0, 0.0, 4.0]

    assert kept(values, 4) == [0, 2, 6, 7]
    assert kept(values, 8) == kept(values, 9) == list(range(8))
    assert kept(values, 5) == [0, 2, 5, 6, 7]


def test_thinning_keeps_order_and_pairs(cell_space: SearchSpace) -> None:
    known = observed(cell_space, 30)

    few = known.thinned(10)

    places = [known.architectures.index(architecture) for architecture in few.architectures]
    assert places == sorted(places)
    assert few.values == tuple(known.values[place] for place in places)
    assert set(np.argsort(known.values)[-5:].tolist()) <= set(places)
    assert known.thinned(30) is known


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1.0, 2.0], [1.0, 2.0]),
        ([-np.inf, 1.0, 3.0, np.inf], [1.0, 1.0, 3.0, 3.0]),
        ([np.inf, -np.inf], [1.0, -1.0]),
        ([], []),
    ],
)
def test_infinite_values_are_put_at_the_ends_of_the_others(values: list[float], expected: list[float]) -> None:
    assert finite(values).tolist() == expected
