"""The Gaussian process: its posterior against the closed form and scikit-learn, its hyperparameters, its draws."""

from __future__ import annotations

import math
import pickle
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from numpy.random import default_rng
from numpy.typing import NDArray
from scipy.stats import norm
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel

from nas_tune.analysis.rank import kendall_tau
from nas_tune.errors import ArchitectureError, PredictorError
from nas_tune.predictors.gaussian_process import GaussianProcess
from nas_tune.predictors.kernels import HammingKernel, Kernel
from nas_tune.predictors.normal_scores import NormalScores
from nas_tune.predictors.predictor import ConditionedPredictor, SamplingPredictor
from nas_tune.space import Architecture, Categorical, SearchSpace
from tests.predictors.kernels.grams import drawn
from tests.predictors.trained_cells import TrainedCells
from tests.space.cells import Cells
from tests.space.strategies import nested

Array = NDArray[np.float64]
SPACE = SearchSpace({name: Categorical("x", "y", "z") for name in "abcd"})
KERNEL = HammingKernel(SPACE)


class Hyperparameters(NamedTuple):
    """What the process learned: a weight for each group, the variance of the function, the trend's share, the noise."""

    weights: Array
    scale: float
    trend: float
    noise: float
    centre: Array

    @classmethod
    def of(cls, process: GaussianProcess) -> Hyperparameters:
        covariance = process._covariance
        assert covariance is not None
        scale, trend = covariance.log_scale.exp().item(), covariance.log_trend.exp().item()
        return cls(np.array(process.weights), scale, trend, covariance.noise.item(), covariance.centre.numpy())

    def covariance(self, a: Array, b: Array, kernel: Kernel = KERNEL) -> Array:
        squares, weights = (a[:, None] - b[None]) ** 2, self.weights[list(kernel.groups)]
        a, b = a - self.centre, b - self.centre
        trend = (a * weights) @ b.T + (a**2 * weights) @ (b**2).T
        return np.asarray(self.scale * np.exp(-0.5 * squares @ weights) + self.trend * trend + 1.0)


def quality(architecture: Architecture) -> float:
    return 2.0 * (architecture["a"] == "x") - (architecture["b"] == "y") * (architecture["c"] == "z")


def data(count: int, seed: int = 0) -> tuple[list[Architecture], list[float]]:
    architectures = drawn(SPACE, count, seed)
    noise = default_rng(seed).normal(0.0, 0.2, count)
    return architectures, [30.0 + 5.0 * (quality(a) + e) for a, e in zip(architectures, noise, strict=True)]


def closed_form(
    known: Hyperparameters, architectures: list[Architecture], values: list[float], extra: list[float], at: Array
) -> tuple[Array, Array]:
    """Mean and standard deviation by Rasmussen & Williams, eq. 2.25 and 2.26, of standardised values."""
    x, y = KERNEL.encode(architectures), np.array(values)
    inverse = np.linalg.inv(known.covariance(x, x) + np.diag(known.noise + np.array(extra)))
    cross = known.covariance(at, x)
    mean = cross @ inverse @ ((y - y.mean()) / y.std())
    variance = known.covariance(at, at).diagonal() - np.einsum("ij,jk,ik->i", cross, inverse, cross)
    return y.mean() + y.std() * mean, y.std() * np.sqrt(variance)


def penalised(process: GaussianProcess, values: list[float], x: Array, logs: Array) -> float:
    """Log posterior density of the logarithms of weights, variance, trend and noise (without its floor)."""
    covariance, y = process._covariance, np.array(values)
    assert covariance is not None
    *weights, scale, trend, noise = logs
    known = Hyperparameters(
        np.exp(weights), math.exp(scale), math.exp(trend), math.exp(noise), covariance.centre.numpy()
    )
    matrix = known.covariance(x, x) + (known.noise + 1e-5) * np.eye(len(x))
    scaled = (y - y.mean()) / y.std()
    likelihood = -0.5 * scaled @ np.linalg.solve(matrix, scaled) - 0.5 * np.linalg.slogdet(matrix)[1]
    prior = np.sum(norm.logpdf(weights, covariance.weights_prior.loc.numpy(), 1.5)) + norm.logpdf(scale, 0.0, 0.7)
    prior = prior + norm.logpdf(trend, math.log(0.1), 1.5) + norm.logpdf(noise, math.log(0.01), 1.5)
    return float(likelihood + prior)


def fitted_logs(process: GaussianProcess) -> Array:
    known = Hyperparameters.of(process)
    return np.log([*known.weights, known.scale, known.trend, known.noise - 1e-5])


def slopes(process: GaussianProcess, values: list[float], x: Array, logs: Array) -> Array:
    steps = 1e-4 * np.eye(len(logs))
    rises = [penalised(process, values, x, logs + s) - penalised(process, values, x, logs - s) for s in steps]
    return np.array(rises) / 2e-4


def test_it_is_a_predictor_that_draws_and_conditions() -> None:
    assert isinstance(GaussianProcess(SPACE), SamplingPredictor)
    assert isinstance(GaussianProcess(SPACE), ConditionedPredictor)


@pytest.mark.parametrize("extra", [None, [0.0, 5.0, 0.3] * 8])
def test_the_posterior_is_the_closed_form(extra: list[float] | None) -> None:
    architectures, values = data(24)
    process = GaussianProcess(SPACE, kernel=KERNEL).fit(architectures, values, extra)
    others = drawn(SPACE, 9, 1)
    mean, std = closed_form(
        Hyperparameters.of(process), architectures, values, extra or [0.0] * 24, KERNEL.encode(others)
    )

    assert process.predict(others).mean == pytest.approx(mean, rel=1e-6)
    assert process.predict(others).std == pytest.approx(std, rel=1e-6)


def test_the_posterior_and_the_likelihood_are_those_of_scikit_learn() -> None:
    architectures, values = data(24)
    process = GaussianProcess(SPACE, kernel=KERNEL).fit(architectures, values)
    assert process._covariance is not None
    process._covariance.log_trend.data.fill_(-60.0)  # scikit-learn has no kernel like it
    process.condition(architectures, values)
    known = Hyperparameters.of(process)
    scales = 1.0 / np.sqrt(known.weights[list(KERNEL.groups)])
    kernel = ConstantKernel(known.scale) * RBF(scales) + ConstantKernel(1.0)
    other = GaussianProcessRegressor(kernel, alpha=known.noise, optimizer=None, normalize_y=True)
    x, at = KERNEL.encode(architectures), KERNEL.encode(drawn(SPACE, 9, 1))
    mean, std = other.fit(x, values).predict(at, return_std=True)
    found = process.predict(drawn(SPACE, 9, 1))
    logs = fitted_logs(process)
    before = other.log_marginal_likelihood_value_
    likelihood = penalised(process, values, x, logs) - _log_prior(process, logs)

    assert found.mean == pytest.approx(mean, rel=1e-6)
    assert found.std == pytest.approx(std, rel=1e-6)
    assert likelihood - 12.0 * math.log(2.0 * math.pi) == pytest.approx(before, rel=1e-6)


def _log_prior(process: GaussianProcess, logs: Array) -> float:
    """The prior density by the process itself, where its hyperparameters are the ones asked for."""
    assert process._covariance is not None
    assert fitted_logs(process) == pytest.approx(logs)
    return process._covariance.log_prior().item()


@pytest.mark.parametrize("seed", range(3))
def test_the_hyperparameters_are_a_maximum_of_the_penalised_likelihood(seed: int) -> None:
    architectures, values = data(40, seed)
    process = GaussianProcess(SPACE, kernel=KERNEL).fit(architectures, values)
    x, logs = KERNEL.encode(architectures), fitted_logs(process)
    rng = default_rng(seed)
    best = penalised(process, values, x, logs)
    around = [penalised(process, values, x, logs + rng.normal(0.0, 0.1, len(logs))) for _ in range(40)]

    assert np.abs(slopes(process, values, x, logs)).max() < 0.05
    assert np.abs(slopes(process, values, x, logs + 0.5)).max() > 0.2
    assert max(around) <= best


def test_what_matters_weighs_more() -> None:
    process = GaussianProcess(SPACE, kernel=KERNEL).fit(*data(80))

    assert process.weights[0] > 5.0 * process.weights[3]


def test_conditioning_keeps_the_hyperparameters() -> None:
    process = GaussianProcess(SPACE, kernel=KERNEL).fit(*data(24))
    known, others = Hyperparameters.of(process), drawn(SPACE, 9, 1)
    architectures, values = data(15, 7)
    mean, std = closed_form(known, architectures, values, [0.1] * 15, KERNEL.encode(others))
    found = process.condition(architectures, values, [0.1] * 15).predict(others)

    assert process.weights == tuple(known.weights)
    assert found.mean == pytest.approx(mean, rel=1e-6)
    assert found.std == pytest.approx(std, rel=1e-6)


def test_conditioning_on_the_same_data_changes_nothing() -> None:
    space = Cells()
    architectures = drawn(space, 15)
    values = default_rng(0).normal(size=15).tolist()
    process = GaussianProcess(space).fit(architectures, values)
    before = process.predict(drawn(space, 5, 1))
    process.condition(architectures[:4], values[:4])

    assert process.condition(architectures, values).predict(drawn(space, 5, 1)).mean.tolist() == before.mean.tolist()


def test_noisier_values_count_less() -> None:
    architectures = drawn(SPACE, 1) * 2
    values = [0.0, 1.0]
    process = GaussianProcess(SPACE).fit(architectures, values)
    equal = process.predict(architectures).mean[0]
    first, second = (
        process.condition(architectures, values, n).predict(architectures).mean[0] for n in ([0, 9], [9, 0])
    )

    assert equal == pytest.approx(0.5)
    assert first < 0.15 < 0.85 < second


@pytest.mark.slow
@pytest.mark.parametrize("extra", [0.0, 100.0])
def test_draws_have_the_mean_and_the_deviations_of_the_posterior(extra: float) -> None:
    architectures, values = data(8)
    process = GaussianProcess(SPACE, kernel=KERNEL).fit(architectures, values)
    process.condition(architectures, values, [extra] * 8)  # with so much noise, a draw is one of the prior
    others = [architectures[0], *drawn(SPACE, 4, 5)]
    said, rng = process.predict(others), default_rng(0)
    draws = np.array([process.sample(others, rng) for _ in range(800)])

    # five standard errors of the mean and of the deviation of 800 draws
    assert np.abs(draws.mean(axis=0) - said.mean).max() < 5.0 * (said.std / math.sqrt(800)).max()
    assert draws.std(axis=0) == pytest.approx(said.std, rel=5.0 / math.sqrt(1600))


@pytest.mark.slow
def test_draws_are_joint() -> None:
    architectures, values = data(8)
    process = GaussianProcess(SPACE, kernel=KERNEL).fit(architectures, values)
    known, (one, other) = Hyperparameters.of(process), drawn(SPACE, 2, 12)
    x, at = KERNEL.encode(architectures), KERNEL.encode([one, other])
    cross = known.covariance(at, x)
    inverse = np.linalg.inv(known.covariance(x, x) + known.noise * np.eye(8))
    expected = known.covariance(at, at) - cross @ inverse @ cross.T
    draws = np.array([process.sample([one, other], default_rng(i)) for i in range(800)])

    assert np.corrcoef(draws.T)[0, 1] == pytest.approx(
        expected[0, 1] / math.sqrt(expected[0, 0] * expected[1, 1]), abs=5.0 / math.sqrt(800)
    )


def test_a_generator_of_the_same_state_draws_the_same_function() -> None:
    space = nested()
    architectures = drawn(space, 10)
    process = GaussianProcess(space).fit(architectures, list(range(10)))
    others = drawn(space, 6, 1)
    together = process.sample(others, default_rng(3))

    assert process.sample(others[4:], default_rng(3)) == pytest.approx(together[4:], rel=1e-9)
    assert np.abs(process.sample(others, default_rng(4)) - together).max() > 1e-3


@pytest.mark.parametrize("space", [nested(), Cells()], ids=["nested", "cell"])
def test_the_same_data_give_the_same_process(space: SearchSpace) -> None:
    architectures, others = drawn(space, 12), drawn(space, 6, 1)
    values = default_rng(0).normal(size=12).tolist()
    process = GaussianProcess(space).fit(drawn(space, 5, 9), [1.0, 2.0, 3.0, 4.0, 5.0]).fit(architectures, values)
    again = GaussianProcess(space).fit(architectures, values)
    copy = pickle.loads(pickle.dumps(process))

    assert again.weights == process.weights
    for other in (again, copy):
        assert other.predict(others).mean.tolist() == process.predict(others).mean.tolist()
        assert other.predict(others).std.tolist() == process.predict(others).std.tolist()
        assert other.sample(others, default_rng(0)).tolist() == process.sample(others, default_rng(0)).tolist()
    assert copy.fit(architectures, values).weights == process.weights


def test_units_of_the_values_do_not_matter() -> None:
    architectures, values = data(20)
    others = drawn(SPACE, 5, 3)
    plain = GaussianProcess(SPACE).fit(architectures, values).predict(others)
    scaled = GaussianProcess(SPACE).fit(architectures, [1e-3 * v - 7.0 for v in values]).predict(others)

    assert scaled.mean == pytest.approx(1e-3 * plain.mean - 7.0, rel=1e-6)
    assert scaled.std == pytest.approx(1e-3 * plain.std, rel=1e-3)


@pytest.mark.parametrize("space", [nested(), Cells(), SearchSpace({})], ids=["nested", "cell", "empty"])
def test_little_can_be_learned_from_little(space: SearchSpace) -> None:
    architectures = drawn(space, 8)
    equal = GaussianProcess(space).fit(architectures, [3.0] * 8).predict(architectures)
    one = GaussianProcess(space).fit(architectures[:1], [3.0]).predict(architectures)
    same = GaussianProcess(space).fit(architectures[:1] * 40, [2.0, 4.0] * 20).predict(architectures[:1])

    assert equal.mean == pytest.approx([3.0] * 8)
    assert one.mean == pytest.approx([3.0] * 8)
    assert (one.std >= one.std[0] - 1e-9).all()
    assert same.mean == pytest.approx([3.0])
    assert same.std[0] < 0.3
    assert GaussianProcess(space).fit(architectures, [3.0] * 8).predict([]).mean.shape == (0,)


def test_it_is_surer_where_it_has_seen_values() -> None:
    architectures, values = data(12)
    process = GaussianProcess(SPACE).fit(architectures, values)
    unknown = [a for a in drawn(SPACE, 60, 2) if a not in architectures]

    assert process.predict(architectures).std.max() < process.predict(unknown).std.mean()


def test_what_cannot_be_learned_is_refused() -> None:
    process = GaussianProcess(SPACE)
    for ask in (process.predict, lambda a: process.sample(a, default_rng(0)), lambda a: process.condition(a, [1.0])):
        with pytest.raises(PredictorError, match="GaussianProcess: nothing was fitted. Call `fit"):
            ask(drawn(SPACE, 1))
    with pytest.raises(PredictorError, match="nothing was fitted"):
        process.weights  # noqa: B018
    with pytest.raises(PredictorError, match="GaussianProcess: 0 architectures"):
        process.fit([], [])
    with pytest.raises(PredictorError, match="must be finite"):
        process.fit(drawn(SPACE, 2), [1.0, math.nan])
    with pytest.raises(ArchitectureError, match="GaussianProcess: the architecture is of another space"):
        process.fit(drawn(nested(), 1), [1.0])
    with pytest.raises(ArchitectureError, match="GaussianProcess: the architecture is of another space"):
        process.fit(*data(3)).condition(drawn(nested(), 1), [1.0])


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize(("name", "count", "least"), [("hamming", 200, 0.55), ("default", 100, 0.70)])
def test_it_ranks_the_cells_of_nas_bench_201(name: str, count: int, least: float, data_dir: Path) -> None:
    cells = TrainedCells.read(data_dir)
    taus = []
    for seed in range(3):
        rows = default_rng(seed).permutation(len(cells.rows))[: count + 1_000]
        architectures, accuracies = cells.architectures(rows), cells.cifar100[rows]
        kernel = HammingKernel(cells.space) if name == "hamming" else None
        began = time.process_time()
        process = GaussianProcess(cells.space, kernel=kernel)
        process.fit(architectures[:count], NormalScores(accuracies[:count]).scores.tolist())
        taus.append(kendall_tau(process.predict(architectures[count:]).mean, accuracies[count:]))

        assert time.process_time() - began < 5.0

    assert np.mean(taus) >= least
