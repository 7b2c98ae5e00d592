"""An objective as a search sees it: scores of what was tried, and expectations of what was not."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from nas_tune.errors import SamplerError
from nas_tune.predictors.normal_scores import NormalScores
from nas_tune.predictors.predictor import Prediction, SamplingPredictor
from nas_tune.samplers.surrogate import Hint, Observations, Surrogate

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from nas_tune.predictors.predictor import Predictor
    from nas_tune.space import Architecture, SearchSpace


class LearnedObjective:
    """An objective that a predictor learns.

    Args:
        predictor: A copy of it learns.
        space: Space of the architectures.
    """

    def __init__(self, predictor: Predictor, space: SearchSpace) -> None:
        self._surrogate = Surrogate(predictor, space)
        self.scores: NDArray[np.float64] = np.zeros(0)

    def learn(self, known: Observations, hints: Sequence[Hint], believed: Sequence[Architecture]) -> None:
        """Learn the complete trials, hints of others and what is believed of running ones."""
        if known.values:  # else the predictor says what it knows of other tasks
            self.scores = self._surrogate.learn(known, hints, believed)(known.values)

    def predict(self, architectures: Sequence[Architecture]) -> Prediction:
        """Return what is expected of architectures, as normal scores."""
        return self._surrogate.predictor.predict(architectures)

    def draw(self, architectures: Sequence[Architecture], rng: Generator) -> NDArray[np.float64]:
        """Return the values of one function that the predictor draws."""
        predictor = self._surrogate.predictor
        assert isinstance(predictor, SamplingPredictor)  # checked when the sampler was made
        return predictor.sample(architectures, rng)


class ExactObjective:
    """An objective that is computed without training, such as the number of parameters.

    Args:
        measure: Value of an architecture, in the unit of the study.
        sign: 1 if it is maximised, -1 if it is minimised.
    """

    def __init__(self, measure: Callable[[Architecture], float], sign: float) -> None:
        self._measure, self._sign = measure, sign
        self._known: dict[Architecture, float] = {}
        self._map = NormalScores([0.0])
        self.scores: NDArray[np.float64] = np.zeros(0)

    def learn(self, known: Observations, hints: Sequence[Hint], believed: Sequence[Architecture]) -> None:
        """Take the scores of the complete trials as the scale."""
        self._check(known)
        self._map = NormalScores(known.values)
        self.scores = self._map.scores

    def predict(self, architectures: Sequence[Architecture]) -> Prediction:
        """Return the computed scores; their deviation is 0.

        What is worse than anything evaluated scores as the worst: else it would lie below the reference point of the
        hypervolume, and what it may gain in the other objectives would count for nothing.
        """
        values = [self._value(architecture) for architecture in architectures]
        return Prediction(np.maximum(self._map(values), self.scores.min()), np.zeros(len(values)))

    def draw(self, architectures: Sequence[Architecture], rng: Generator) -> NDArray[np.float64]:
        """Return the computed scores."""
        return self.predict(architectures).mean

    def _check(self, known: Observations) -> None:
        """Compare the latest trial with what is computed of it: a wrong place, sign or unit would go unseen."""
        if known.values:
            computed, value = self._value(known.architectures[-1]), known.values[-1]
            if not math.isinf(computed) and not math.isclose(computed, value, rel_tol=1e-6, abs_tol=1e-9):
                raise SamplerError(
                    f"PredictorSampler: a function in `exact` says {self._sign * computed:.6g} of an architecture "
                    f"whose trial has {self._sign * value:.6g}. Give a function of the objective at its place."
                )

    def _value(self, architecture: Architecture) -> float:
        if architecture not in self._known:
            self._known[architecture] = self._sign * float(self._measure(architecture))
        return self._known[architecture]
