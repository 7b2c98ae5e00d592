"""A predictor that knows earlier tasks on the same space."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np
from scipy.optimize import nnls

from nas_tune.errors import PredictorError
from nas_tune.predictors.data import Targets, targets
from nas_tune.predictors.normal_scores import NormalScores
from nas_tune.predictors.predictor import ConditionedPredictor, Prediction, Predictor, SamplingPredictor

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from nas_tune.space import Architecture

SHARE = 0.7  # a priori mean of the coefficients' sum
SPREAD = 0.5  # a priori standard deviation of that sum


class Transfer:
    """Adds up what earlier tasks say of an architecture, each as far as the values of this task bear it out.

    Values, standardised, are ``y(x) = a + sum_k beta_k m_k(x) + r(x)``. ``m_k`` is what a copy of the predictor,
    fitted to the normal scores of earlier task ``k``, expects: about 0 where it knows nothing. Another copy learns the
    residual ``r``.

    A priori the intercept is flat and each of K coefficients is normal around 0.7 / K with variance 0.25 / K, so that
    one task counts as four values would. Values are taken to lie around the line with a variance of 1 (plus their own
    noise), all the variance they have. Coefficients are the mode under ``beta_k >= 0``: that of a task which has
    nothing to do with this one goes to 0 as values come, that of one which says the opposite is 0.

    Before the first `fit` it says what the earlier tasks do, in the unit of normal scores.

    Args:
        predictor: What is copied for each task; itself it stays as it is.
        prior: Architectures and values of each earlier task, at least one task; larger values are better there if they
            are here. The unit of each task is its own. Infinite values rank as they are.

    Raises:
        PredictorError: `predictor` is none, there is no earlier task, or one without an architecture, with another
            number of values than of architectures, or with a value that is no number.
        ArchitectureError: An architecture is of another space than that of the predictor.

    Reference: Kennedy & O'Hagan, "Predicting the output from a complex computer code when fast approximations are
        available", 2000, eq. 1; for the coefficients Bishop, "Pattern Recognition and Machine Learning", 2006, eq.
        3.50-3.51. Deviation: coefficients and residual are learned one after the other, and no coefficient is negative.
    """

    def __init__(self, predictor: Predictor, prior: Sequence[tuple[Sequence[Architecture], Sequence[float]]]) -> None:
        if not isinstance(predictor, Predictor):
            raise PredictorError(f"Transfer: `predictor` is {predictor!r}; give one with `fit` and `predict`.")
        if not prior:
            raise PredictorError("Transfer: `prior` holds no earlier task. Give one at least, or take the predictor.")
        self._tasks = tuple(_learned(predictor, *task) for task in prior)
        self._residual = deepcopy(predictor)
        self._line = _Line.unknown(len(self._tasks))
        self._fitted = False

    def fit(
        self, architectures: Sequence[Architecture], values: Sequence[float], noise: Sequence[float] | None = None
    ) -> Self:
        """Learn the coefficients, and what the earlier tasks leave over."""
        known = targets("Transfer", architectures, values, noise)
        line, left, extra = self._explain(architectures, known)
        self._residual.fit(architectures, left, extra)
        self._line, self._fitted = line, True
        return self

    def condition(
        self, architectures: Sequence[Architecture], values: Sequence[float], noise: Sequence[float] | None = None
    ) -> Self:
        """Learn other data; the residual keeps its hyperparameters, if it has a `condition` of its own.

        Raises:
            PredictorError: As `fit`, or `fit` was not called before.
        """
        if not self._fitted:
            raise PredictorError("Transfer: nothing was fitted. Call `fit` before `condition`.")
        known = targets("Transfer", architectures, values, noise)
        line, left, extra = self._explain(architectures, known)
        if isinstance(self._residual, ConditionedPredictor):
            self._residual.condition(architectures, left, extra)
        else:
            self._residual.fit(architectures, left, extra)
        self._line = line
        return self

    def predict(self, architectures: Sequence[Architecture]) -> Prediction:
        """Return mean and standard deviation, shape `(n,)` each; before `fit` those of the earlier tasks alone.

        The variance is that of the coefficients and of the residual; before `fit`, of the coefficients and of what the
        earlier tasks expect.
        """
        if not self._fitted:
            return self._foreseen(architectures)
        rest = self._residual.predict(architectures)
        said = self._said(architectures)
        return Prediction(self._line(said) + rest.mean, np.sqrt(self._line.variance(said) + rest.std**2))

    def sample(self, architectures: Sequence[Architecture], rng: Generator) -> NDArray[np.float64]:
        """Draw coefficients and a residual, before `fit` coefficients and earlier tasks; return values, shape `(n,)`.

        Of a predictor that draws no functions, all values are equally many deviations from their mean.
        """
        line = self._line.drawn(rng)
        if not self._fitted:
            return line(np.stack([_draw(task, architectures, rng) for task in self._tasks], axis=1))
        return line(self._said(architectures)) + _draw(self._residual, architectures, rng)

    @property
    def coefficients(self) -> tuple[float, ...]:
        """What each earlier task counts: deviations of the values for each of its scores; 0 if it is of no use."""
        return tuple(self._line.betas.tolist())

    def _said(self, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        """Return what each earlier task expects, shape `(n, tasks)`."""
        return np.stack([task.predict(architectures).mean for task in self._tasks], axis=1)

    def _foreseen(self, architectures: Sequence[Architecture]) -> Prediction:
        said = [task.predict(architectures) for task in self._tasks]
        means, variances = np.stack([s.mean for s in said], axis=1), np.stack([s.std**2 for s in said], axis=1)
        spread = self._line.covariance.diagonal()
        products = means**2 * spread + variances * (self._line.betas**2 + spread)
        return Prediction(self._line(means), np.sqrt(products.sum(axis=1)))

    def _explain(self, architectures: Sequence[Architecture], known: Targets) -> tuple[_Line, list[float], list[float]]:
        """Return the line, what it leaves over of the values, and the noise as a multiple of that one's variance."""
        said = self._said(architectures)
        line = _Line.learned(said, known)
        left = (known.mean + known.std * known.scaled - line(said)).tolist()
        rest = targets("Transfer", architectures, left, None)
        return line, left, (known.noise * (known.std / rest.std) ** 2).tolist()


def _learned(predictor: Predictor, architectures: Sequence[Architecture], values: Sequence[float]) -> Predictor:
    scores = NormalScores(values).scores.tolist() if len(values) else []
    targets("Transfer", architectures, scores, None)
    return deepcopy(predictor).fit(architectures, scores)


class _Line(NamedTuple):
    """What coefficients make of the earlier tasks, in the unit of the values.

    Attributes:
        betas: Coefficients, shape `(tasks,)`.
        covariance: Of the coefficients, shape `(tasks, tasks)`; 0 for those at their bound.
        pivot: What the tasks expect on average where there are values, shape `(tasks,)`.
        mean: Value at the pivot.
        std: Unit of the values.
    """

    betas: NDArray[np.float64]
    covariance: NDArray[np.float64]
    pivot: NDArray[np.float64]
    mean: float
    std: float

    @classmethod
    def unknown(cls, tasks: int) -> _Line:
        variance = np.eye(tasks) * SPREAD**2 / tasks
        return cls(np.full(tasks, SHARE / tasks), variance, np.zeros(tasks), 0.0, 1.0)

    @classmethod
    def learned(cls, said: NDArray[np.float64], known: Targets) -> _Line:
        before = cls.unknown(said.shape[1])
        pivot, level = np.average(said, axis=0, weights=known.weights), np.average(known.scaled, weights=known.weights)
        root = np.sqrt(known.weights)[:, None]
        sure = np.sqrt(1.0 / before.covariance.diagonal())
        rows = np.vstack([root * (said - pivot), np.diag(sure)])
        betas, _ = nnls(rows, np.concatenate([root[:, 0] * (known.scaled - level), sure * before.betas]))
        free = np.flatnonzero(betas > 0.0)
        covariance = np.zeros_like(before.covariance)
        covariance[np.ix_(free, free)] = np.linalg.inv(rows[:, free].T @ rows[:, free])
        return cls(betas, covariance, pivot, known.mean + known.std * float(level), known.std)

    def __call__(self, said: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return values, shape `(n,)`, for what the tasks expect, shape `(n, tasks)`."""
        return np.asarray(self.mean + self.std * ((said - self.pivot) @ self.betas))

    def variance(self, said: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the variance that values have by the coefficients, shape `(n,)`."""
        away = said - self.pivot
        return np.asarray(self.std**2 * ((away @ self.covariance) * away).sum(axis=1).clip(0.0))

    def drawn(self, rng: Generator) -> _Line:
        """Draw other coefficients, normal around these; a drawn one may be below 0."""
        values, vectors = np.linalg.eigh(self.covariance)
        moved = vectors @ (np.sqrt(values.clip(0.0)) * rng.standard_normal(len(values)))
        return self._replace(betas=self.betas + moved)


def _draw(predictor: Predictor, architectures: Sequence[Architecture], rng: Generator) -> NDArray[np.float64]:
    if isinstance(predictor, SamplingPredictor):
        return predictor.sample(architectures, rng)
    said = predictor.predict(architectures)
    return said.mean + said.std * rng.standard_normal()
