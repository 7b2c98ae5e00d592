"""How likely an architecture meets the constraints that trials have recorded, `trial.set_constraint`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from nas_tune.predictors.acquisition import log_probability_below
from nas_tune.samplers.surrogate import Observations, Surrogate

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nas_tune.predictors.predictor import Predictor
    from nas_tune.samplers.study_history import Evaluation
    from nas_tune.space import Architecture, SearchSpace

MARGIN = 0.5  # score between the known side of a constraint and the other, as long as nobody has been there


class Feasibility:
    """Learns every constraint that was broken at least once.

    A trial that records no constraint, or not this one, says nothing about it. What the space itself demands (`where`)
    is not learned: its proposals meet it.

    Args:
        predictor: Copies of it learn the constraints.
        space: Space of the architectures.
    """

    def __init__(self, predictor: Predictor, space: SearchSpace) -> None:
        self._predictor, self._space = predictor, space
        self._surrogates: dict[str, Surrogate] = {}
        self._bounds: dict[str, float] = {}

    def learn(self, evaluations: Sequence[Evaluation], believed: Sequence[Architecture]) -> None:
        """Learn the finished trials, complete or not, and what is believed of running ones."""
        self._bounds = {}
        for name in dict.fromkeys(name for e in evaluations for name in e.constraints):
            told = [e for e in evaluations if name in e.constraints]
            excesses = np.array([e.constraints[name] for e in told])
            if (excesses > 0).any():
                surrogate = self._surrogates.setdefault(name, Surrogate(self._predictor, self._space))
                known = Observations(tuple(e.architecture for e in told), tuple((-excesses).tolist()))
                self._bounds[name] = _bound(surrogate.learn(known, (), believed)(known.values), excesses)

    def log_probability(self, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        """Return the logarithm of the probability that all constraints are met, taken as independent, shape `(n,)`."""
        total = np.zeros(len(architectures))
        for name, bound in self._bounds.items():
            mean, std = self._surrogates[name].predictor.predict(architectures)
            total += log_probability_below(-mean, std, bound)
        return total


def _bound(scores: NDArray[np.float64], excesses: NDArray[np.float64]) -> float:
    """Return the score of an excess between the largest that is met and the smallest that is broken."""
    broken = -float(scores[excesses > 0].max())
    met = scores[excesses <= 0]
    return (broken - float(met.min())) / 2.0 if len(met) else broken - MARGIN
