"""What evaluating an architecture is worth: an acquisition of the objectives, and how likely it is feasible."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from nas_tune.errors import SamplerError
from nas_tune.predictors.acquisition import ACQUISITIONS
from nas_tune.predictors.hypervolume import expected_improvement
from nas_tune.predictors.predictor import Prediction

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from nas_tune.predictors.acquisition import Acquisition
    from nas_tune.samplers.feasibility import Feasibility
    from nas_tune.samplers.objectives import ExactObjective, LearnedObjective
    from nas_tune.space import Architecture

EXPLORING = 4  # of so many trials, "auto" goes by the upper confidence bound in one
MARGIN = 0.5  # score by which the reference of a hypervolume lies below the worst
MOST_LIKELY = 32  # best trials of which the one of the best expected score is looked for
LEAST = 1e-300

Objective: TypeAlias = "LearnedObjective | ExactObjective"


@dataclass(frozen=True)
class Evaluated:
    """The complete trials.

    Attributes:
        architectures: What was evaluated.
        scores: Normal scores, larger is better, shape `(n, objectives)`.
        feasible: Which of them met all constraints, shape `(n,)`.
    """

    architectures: Sequence[Architecture]
    scores: NDArray[np.float64]
    feasible: NDArray[np.bool_]


class Worth:
    """Ranks candidates by an acquisition; with several objectives by how much their scores' hypervolume should grow.

    Args:
        acquisition: ``"auto"``, ``"thompson"``, a name in `ACQUISITIONS`, or a function of one objective.
        objectives: What is expected of each objective.
        feasibility: How likely the constraints are met.
        evaluated: The complete trials.
        number: Of the trial that asks.
        seed: Of what is drawn: the same function for all candidates.
    """

    def __init__(
        self,
        acquisition: str | Acquisition,
        objectives: Sequence[Objective],
        feasibility: Feasibility,
        evaluated: Evaluated,
        number: int,
        seed: int,
    ) -> None:
        if acquisition == "auto":
            acquisition = "ucb" if number % EXPLORING == EXPLORING - 1 else "ei"
        self._drawn, self._improves = acquisition == "thompson", acquisition == "ei"
        # of a drawn function the value itself counts: its deviation is 0
        self._acquisition = ACQUISITIONS.get(acquisition, _mean) if isinstance(acquisition, str) else acquisition
        self._objectives, self._feasibility, self._evaluated = objectives, feasibility, evaluated
        self._seed = seed

    def __call__(self, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        """Return what each architecture is worth, shape `(n,)`; only the order counts."""
        probable = self._feasibility.log_probability(architectures)
        predictions = [self._expect(place, architectures) for place in range(len(self._objectives))]
        if not self._evaluated.feasible.any():
            return np.asarray(probable + 1e-3 * sum(prediction.mean for prediction in predictions))
        if len(predictions) > 1:
            return np.asarray(np.log(np.maximum(self._growth(predictions), LEAST)) + probable)
        worth = np.asarray(self._acquisition(predictions[0], self._best, np.random.default_rng(self._seed)))
        if worth.shape != (len(architectures),) or np.isnan(worth).any():
            raise SamplerError(
                f"PredictorSampler: `acquisition` returned an array of shape {worth.shape} for {len(architectures)} "
                "candidates, or a NaN. Return a number for each."
            )
        # an improvement is multiplied by its probability; of a score, standard deviations are taken off
        return np.asarray(worth + (probable if self._improves else np.minimum(probable + math.log(2.0), 0.0)))

    def _expect(self, place: int, architectures: Sequence[Architecture]) -> Prediction:
        if not self._drawn:
            return self._objectives[place].predict(architectures)
        drawn = self._objectives[place].draw(architectures, np.random.default_rng((self._seed, place)))
        return Prediction(drawn, np.zeros(len(drawn)))

    @cached_property
    def _best(self) -> float:
        """The best expected score among the feasible: what noise lifted by chance does not count."""
        scores = np.where(self._evaluated.feasible, self._evaluated.scores[:, 0], -np.inf)
        best = np.argsort(-scores, kind="stable")[: min(MOST_LIKELY, int(self._evaluated.feasible.sum()))]
        known = [self._evaluated.architectures[place] for place in best.tolist()]
        return float(self._objectives[0].predict(known).mean.max())

    @cached_property
    def _front(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The undominated scores of the feasible, and the reference below all that was seen."""
        scores = self._evaluated.scores[self._evaluated.feasible]
        better = (scores[:, None] >= scores[None]).all(axis=2) & (scores[:, None] > scores[None]).any(axis=2)
        front = scores[~better.any(axis=0)]
        return front, scores.min(axis=0) - MARGIN

    def _growth(self, predictions: Sequence[Prediction]) -> NDArray[np.float64]:
        means = np.stack([prediction.mean for prediction in predictions], axis=1)
        stds = np.stack([prediction.std for prediction in predictions], axis=1)
        return expected_improvement(means, stds, *self._front)


def _mean(prediction: Prediction, best: float, rng: Generator) -> NDArray[np.float64]:
    return prediction.mean
