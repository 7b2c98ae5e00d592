"""Transfer from earlier tasks: what it takes over, and what evidence makes it forget."""

from __future__ import annotations

import math
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
import pytest
from numpy.random import default_rng
from numpy.typing import NDArray

from nas_tune.analysis.rank import kendall_tau
from nas_tune.errors import ArchitectureError, PredictorError
from nas_tune.predictors.gaussian_process import GaussianProcess
from nas_tune.predictors.normal_scores import NormalScores
from nas_tune.predictors.predictor import ConditionedPredictor, Prediction, SamplingPredictor
from nas_tune.predictors.transfer import Transfer
from nas_tune.space import Architecture, Categorical, SearchSpace
from tests.predictors.kernels.grams import drawn
from tests.predictors.trained_cells import TrainedCells
from tests.space.strategies import nested

Rows = NDArray[np.int64]
SPACE = SearchSpace({name: Categorical("x", "y", "z") for name in "abcdef"})


class Table:
    """A predictor that knows the values it was given up to their noise, and expects their mean of all else."""

    def __init__(self) -> None:
        self._known: dict[Architecture, float] = {}
        self._std: dict[Architecture, float] = {}
        self._mean = 0.0

    def fit(
        self, architectures: Sequence[Architecture], values: Sequence[float], noise: Sequence[float] | None = None
    ) -> Self:
        self._known = dict(zip(architectures, values, strict=True))
        self._mean, variance = float(np.mean(list(values))), float(np.var(list(values)))
        self._std = {
            a: math.sqrt(variance * n) for a, n in zip(architectures, noise or [0.0] * len(values), strict=True)
        }
        return self

    def predict(self, architectures: Sequence[Architecture]) -> Prediction:
        means = [self._known.get(a, self._mean) for a in architectures]
        return Prediction(np.array(means), np.array([self._std.get(a, 2.0) for a in architectures]))


def different(count: int) -> list[Architecture]:
    return list(dict.fromkeys(drawn(SPACE, 4 * count)))[:count]


def additive(seed: int, architectures: Sequence[Architecture], decisions: str = "abcdef") -> NDArray[np.float64]:
    """Values of a random task: a term for each choice of some decisions."""
    terms = default_rng(seed).normal(size=(6, 3))
    return np.array([sum(terms[i]["xyz".index(str(a[n]))] for i, n in enumerate(decisions)) for a in architectures])


def scores(values: Sequence[float]) -> NDArray[np.float64]:
    return NormalScores(values).scores


def related(count: int, *, sign: float = 1.0) -> Transfer:
    """Return a process fitted to `count` values of a task, with 60 values of the same as the earlier ones."""
    earlier, now = drawn(SPACE, 60, 1), drawn(SPACE, count, 2)
    prior = sign * additive(1, earlier)
    return Transfer(GaussianProcess(SPACE), [(earlier, prior.tolist())]).fit(now, additive(1, now).tolist())


def test_it_is_a_predictor_that_draws_and_conditions() -> None:
    transfer = Transfer(Table(), [(different(3), [1.0, 2.0, 3.0])])

    assert isinstance(transfer, SamplingPredictor)
    assert isinstance(transfer, ConditionedPredictor)


@pytest.mark.parametrize("noise", [None, [0.0, 3.0] * 6])
def test_one_coefficient_is_the_mean_of_a_normal_posterior(noise: list[float] | None) -> None:
    architectures = different(12)
    earlier, values = default_rng(0).normal(size=(2, 12))
    values += 2.0 * earlier
    transfer = Transfer(Table(), [(architectures, earlier.tolist())]).fit(architectures, values.tolist(), noise)
    weights = 1.0 / (1.0 + np.array(noise or [0.0] * 12))
    x, y = scores(earlier.tolist()), (values - values.mean()) / values.std()
    x, y = x - np.average(x, weights=weights), y - np.average(y, weights=weights)
    expected = (0.7 / 0.25 + weights @ (x * y)) / (1.0 / 0.25 + weights @ (x * x))

    assert transfer.coefficients == pytest.approx((expected,))


def test_several_coefficients_are_the_mean_of_a_normal_posterior() -> None:
    architectures = different(20)
    earlier = default_rng(0).normal(size=(2, 20))
    values = earlier[0] + 0.5 * earlier[1] + default_rng(1).normal(size=20)
    transfer = Transfer(Table(), [(architectures, e.tolist()) for e in earlier]).fit(architectures, values.tolist())
    x = np.stack([scores(e.tolist()) for e in earlier], axis=1)
    y = (values - values.mean()) / values.std()
    precision = x.T @ x + np.eye(2) * 2 / 0.25
    expected = np.linalg.solve(precision, x.T @ y + 0.35 * 2 / 0.25 * np.ones(2))
    unknown = Transfer(Table(), [(architectures, e.tolist()) for e in earlier])

    assert unknown.coefficients == (0.35, 0.35)
    assert transfer.coefficients == pytest.approx(tuple(expected))
    assert expected[0] > expected[1] > 0.0


def test_mean_and_deviation_are_those_of_line_and_residual() -> None:
    architectures = different(12)
    known, other = architectures[:10], architectures[10]
    earlier, values = default_rng(0).normal(size=12), default_rng(1).normal(size=10) * 4.0 + 30.0
    transfer = Transfer(Table(), [(architectures, earlier.tolist())]).fit(known, values.tolist())
    x, beta = scores(earlier.tolist()), transfer.coefficients[0]
    away = x[10] - x[:10].mean()
    variance = 1.0 / (4.0 + ((x[:10] - x[:10].mean()) ** 2).sum())
    found = transfer.predict([*known, other])

    assert found.mean[:10] == pytest.approx(values)  # the residual knows them by heart
    assert found.mean[10] == pytest.approx(values.mean() + values.std() * beta * away)
    assert found.std[10] == pytest.approx(math.sqrt(4.0 + values.var() * variance * away**2))


def test_the_noise_of_values_is_that_of_what_is_left_over_of_them() -> None:
    architectures = different(12)
    earlier = default_rng(0).normal(size=12)
    values, noise = 3.0 * earlier + default_rng(1).normal(size=12), [0.0, 0.5, 2.0] * 4
    prior = [(architectures, earlier.tolist())]
    noisy = Transfer(Table(), prior).fit(architectures, values.tolist(), noise).predict(architectures)
    x, weights = scores(earlier.tolist()), 1.0 / (1.0 + np.array(noise))
    away = x - np.average(x, weights=weights)
    by_line = values.var() * away**2 / (4.0 + weights @ away**2)

    assert noisy.std**2 == pytest.approx(by_line + values.var() * np.array(noise))


def test_a_task_that_says_the_opposite_counts_nothing() -> None:
    alone = GaussianProcess(SPACE).fit(drawn(SPACE, 15, 2), additive(1, drawn(SPACE, 15, 2)).tolist())
    transfer, others = related(15, sign=-1.0), drawn(SPACE, 20, 3)

    assert transfer.coefficients == (0.0,)
    assert transfer.predict(others).mean == pytest.approx(alone.predict(others).mean, rel=1e-6)
    assert transfer.predict(others).std == pytest.approx(alone.predict(others).std, rel=1e-6)


@pytest.mark.slow
def test_an_unrelated_task_is_forgotten_as_values_come_and_a_related_one_is_not() -> None:
    earlier, now = drawn(SPACE, 60, 1), drawn(SPACE, 150, 2)

    def coefficient(task: str, seed: int, count: int) -> float:
        """Return what an earlier task on the decisions `task` counts for one on a, b and c."""
        transfer = Transfer(GaussianProcess(SPACE), [(earlier, additive(seed, earlier, task).tolist())])
        return transfer.fit(now[:count], additive(seed, now[:count], "abc").tolist()).coefficients[0]

    few, many = (np.mean([coefficient("def", seed, count) for seed in range(3)]) for count in (3, 150))

    assert few > 0.4
    assert many < 0.15
    assert coefficient("abc", 0, 150) > 0.8


def test_the_order_of_an_earlier_task_is_all_that_counts() -> None:
    earlier, now, others = drawn(SPACE, 20, 1), drawn(SPACE, 8, 2), drawn(SPACE, 5, 3)
    values = additive(1, earlier)
    found = [
        Transfer(GaussianProcess(SPACE), [(earlier, prior)]).fit(now, additive(1, now).tolist()).predict(others).mean
        for prior in (
            values.tolist(),
            np.exp(values).tolist(),
            np.where(values == values.min(), -np.inf, values).tolist(),
        )
    ]

    assert found[0].tolist() == found[1].tolist() == found[2].tolist()


def test_before_values_come_it_says_what_the_earlier_tasks_do() -> None:
    earlier, others = drawn(SPACE, 60, 1), drawn(SPACE, 40, 3)
    prior = [(earlier, additive(seed, earlier).tolist()) for seed in (1, 1)]
    transfer = Transfer(GaussianProcess(SPACE), prior)
    said = GaussianProcess(SPACE).fit(earlier, scores(prior[0][1]).tolist()).predict(others)
    found = transfer.predict(others)
    each = 0.125 * said.mean**2 + (0.125 + 0.35**2) * said.std**2

    assert found.mean == pytest.approx(0.7 * said.mean)
    assert found.std == pytest.approx(np.sqrt(2.0 * each))
    assert kendall_tau(found.mean, additive(1, others)) > 0.8


@pytest.mark.slow
def test_draws_have_the_mean_and_the_deviations_of_the_prediction() -> None:
    others, count = drawn(SPACE, 5, 3), 300
    earlier = drawn(SPACE, 20, 1)
    unfitted = Transfer(GaussianProcess(SPACE), [(earlier, additive(1, earlier).tolist())])
    for transfer in (unfitted, related(8)):
        said, rng = transfer.predict(others), default_rng(0)
        draws = np.array([transfer.sample(others, rng) for _ in range(count)])

        assert np.abs((draws.mean(axis=0) - said.mean) / said.std).max() < 5.0 / math.sqrt(count)
        assert draws.std(axis=0) == pytest.approx(said.std, rel=5.0 / math.sqrt(2 * count))


def test_a_generator_of_the_same_state_draws_the_same_function() -> None:
    transfer, others = related(8), drawn(SPACE, 6, 3)

    assert transfer.sample(others[4:], default_rng(0)) == pytest.approx(transfer.sample(others, default_rng(0))[4:])


def test_a_predictor_that_draws_nothing_is_moved_as_a_whole() -> None:
    architectures = different(6)
    transfer = Transfer(Table(), [(architectures[:4], [1.0, 2.0, 3.0, 4.0])]).fit(architectures[:3], [1.0, 2.0, 3.0])
    drawn_values = transfer.sample(architectures[4:], default_rng(0))

    assert drawn_values[0] == pytest.approx(drawn_values[1])
    assert transfer.condition(architectures[:3], [3.0, 2.0, 1.0]).predict(architectures[:3]).mean == pytest.approx(
        [3.0, 2.0, 1.0]
    )


def test_conditioning_on_the_same_data_changes_nothing() -> None:
    transfer, others, now = related(12), drawn(SPACE, 6, 3), drawn(SPACE, 12, 2)
    before, coefficients = transfer.predict(others), transfer.coefficients
    transfer.condition(now[:3], [1.0, 2.0, 3.0])
    between = transfer.predict(others)
    after = transfer.condition(now, additive(1, now).tolist()).predict(others)

    assert np.abs(between.mean - before.mean).max() > 1e-3
    assert (after.mean.tolist(), after.std.tolist()) == (before.mean.tolist(), before.std.tolist())
    assert transfer.coefficients == coefficients


def test_the_same_data_give_the_same_predictor() -> None:
    one, others = related(12), drawn(SPACE, 6, 3)
    copy = pickle.loads(pickle.dumps(one))

    for other in (related(12), copy):
        assert other.coefficients == one.coefficients
        assert other.predict(others).mean.tolist() == one.predict(others).mean.tolist()
        assert other.sample(others, default_rng(0)).tolist() == one.sample(others, default_rng(0)).tolist()


def test_the_given_predictor_stays_as_it_is() -> None:
    process = GaussianProcess(SPACE)
    Transfer(process, [(drawn(SPACE, 4), [1.0, 2.0, 3.0, 4.0])]).fit(drawn(SPACE, 2), [1.0, 2.0])

    with pytest.raises(PredictorError, match="nothing was fitted"):
        process.predict(drawn(SPACE, 1))


def test_one_value_and_equal_values_are_enough() -> None:
    earlier = drawn(SPACE, 20, 1)
    transfer = Transfer(GaussianProcess(SPACE), [(earlier, additive(1, earlier).tolist()), (earlier, [1.0] * 20)])

    for count in (1, 5):
        found = transfer.fit(drawn(SPACE, count, 2), [4.0] * count).predict(drawn(SPACE, 9, 3))
        assert np.isfinite(found.mean).all()
        assert (found.std > 0.0).all()


def test_what_cannot_be_learned_is_refused() -> None:
    architectures = drawn(SPACE, 3)
    transfer = Transfer(GaussianProcess(SPACE), [(architectures, [1.0, 2.0, 3.0])])

    with pytest.raises(PredictorError, match="Transfer: `predictor` is 'forest'"):
        Transfer("forest", [(architectures, [1.0, 2.0, 3.0])])  # type: ignore[arg-type]
    with pytest.raises(PredictorError, match="Transfer: `prior` holds no earlier task"):
        Transfer(GaussianProcess(SPACE), [])
    with pytest.raises(PredictorError, match="Transfer: 3 architectures"):
        Transfer(GaussianProcess(SPACE), [(architectures, [1.0])])
    with pytest.raises(PredictorError, match="Transfer: 0 architectures"):
        Transfer(GaussianProcess(SPACE), [([], [])])
    with pytest.raises(PredictorError, match="Transfer: `values` must be finite"):
        Transfer(GaussianProcess(SPACE), [(architectures, [1.0, 2.0, math.nan])])
    with pytest.raises(ArchitectureError, match="of another space"):
        Transfer(GaussianProcess(SPACE), [(drawn(nested(), 1), [1.0])])
    with pytest.raises(PredictorError, match="Transfer: nothing was fitted. Call `fit` before `condition`"):
        transfer.condition(architectures, [1.0, 2.0, 3.0])
    with pytest.raises(PredictorError, match="Transfer: 0 architectures"):
        transfer.fit([], [])
    with pytest.raises(PredictorError, match="Transfer: `values` must be finite"):
        transfer.fit(architectures, [1.0, 2.0, math.inf])


@pytest.mark.data
@pytest.mark.slow
def test_cifar10_helps_with_cifar100_and_a_shuffled_task_hardly_hurts(data_dir: Path) -> None:
    cells = TrainedCells.read(data_dir)

    def tau(rows: Rows, asked: Rows, prior: tuple[Rows, Sequence[float]] | None) -> float:
        process = GaussianProcess(cells.space)
        learner = process if prior is None else Transfer(process, [(cells.architectures(prior[0]), prior[1])])
        learner.fit(cells.architectures(rows), scores(cells.cifar100[rows].tolist()).tolist())
        return kendall_tau(learner.predict(cells.architectures(asked)).mean, cells.cifar100[asked])

    gains, losses = [], []
    for seed in range(3):
        rng = default_rng(seed)
        asked, earlier, few, more = np.split(rng.permutation(len(cells.rows))[:660], [500, 600, 610])
        accuracies = cells.cifar10[earlier]
        gains.append(tau(few, asked, (earlier, accuracies.tolist())) - tau(few, asked, None))
        losses.append(tau(more, asked, None) - tau(more, asked, (earlier, rng.permutation(accuracies).tolist())))

    assert min(gains) > 0.05
    assert np.mean(gains) > 0.15
    assert np.mean(losses) < 0.05
