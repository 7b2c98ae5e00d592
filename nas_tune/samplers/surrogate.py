"""A predictor at work in a study: which data it learns, and when its hyperparameters are worth learning again."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nas_tune.predictors.normal_scores import NormalScores
from nas_tune.predictors.predictor import ConditionedPredictor, Predictor
from nas_tune.space.parameters import Numeric

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nas_tune.space import Architecture, SearchSpace

MOST_LEARNED = 1_000  # values that a predictor learns: the best and the latest of more
MOST_HINTS = 300  # hints that a predictor learns, chosen likewise
MOST_FITTED = 300  # values that hyperparameters are learned from


@dataclass(frozen=True)
class Observations:
    """Evaluated architectures in the order in which they were asked for.

    Attributes:
        architectures: What was evaluated.
        values: Value of each, finite; larger is better.
    """

    architectures: tuple[Architecture, ...]
    values: tuple[float, ...]

    def part(self, places: Sequence[int]) -> Observations:
        """Return the observations at some places."""
        return Observations(tuple(self.architectures[i] for i in places), tuple(self.values[i] for i in places))

    def thinned(self, most: int) -> Observations:
        """Return at most `most` of the observations: one half the best, the other the latest of the others."""
        return self.part(kept(self.values, most)) if len(self.values) > most else self


@dataclass(frozen=True)
class Hint:
    """What is known of an architecture without a value: a score, and how little it says.

    Attributes:
        architecture: What was tried.
        score: Normal score among the complete trials.
        noise: Variance of the score beyond that of a value.
    """

    architecture: Architecture
    score: float
    noise: float


class Surrogate:
    """Learns normal scores of values, with hints and with what it believes of running trials.

    Hyperparameters are learned at few sizes of the study only, always from the trials that were there then: whichever
    process asks, they are the same.

    Args:
        predictor: What learns; a copy of it does.
        space: Space of the architectures.
    """

    def __init__(self, predictor: Predictor, space: SearchSpace) -> None:
        self.predictor: Predictor = copy.deepcopy(predictor)
        self._numbers = frozenset(name for name, p in space.parameters().items() if isinstance(p, Numeric))
        self._fitted: Observations | None = None

    def learn(
        self, observations: Observations, hints: Sequence[Hint], believed: Sequence[Architecture]
    ) -> Callable[[Sequence[float]], NDArray[np.float64]]:
        """Learn a study as it is now.

        Args:
            observations: The complete trials, at least one.
            hints: What pruned and failed trials say.
            believed: What is being evaluated: it counts as if it came out as expected (the Kriging believer), so that
                nothing near is proposed for what is being found out already.

        Returns:
            The map from values to scores.

        Reference: Ginsbourger et al., "Kriging Is Well-Suited to Parallelize Optimization", 2010, section 4.2.
        """
        scores = self._scores(observations)
        known = observations.thinned(MOST_LEARNED)
        hints = [hints[place] for place in kept([hint.score for hint in hints], MOST_HINTS)]
        architectures = [*known.architectures, *(hint.architecture for hint in hints)]
        values = [*scores(known.values).tolist(), *(hint.score for hint in hints)]
        noise = [*[0.0] * len(known.values), *(hint.noise for hint in hints)]
        self._learn(observations, architectures, values, noise)
        if believed:
            means = self.predictor.predict(believed).mean.tolist()
            noise = [*noise, *[0.0] * len(means)]
            self._learn(observations, [*architectures, *believed], [*values, *means], noise)
        return scores

    def _scores(self, observations: Observations) -> NormalScores:
        """Rank the best value of each structure: networks that differ in numbers alone share a place.

        Else a search that tunes numbers fills the upper ranks with values that hardly differ, and takes what is left
        to gain there for more than what other structures promise.
        """
        best: dict[object, float] = {}
        for architecture, value in zip(observations.architectures, observations.values, strict=True):
            structure = tuple(item if item[0] not in self._numbers else item[0] for item in architecture.items())
            best[structure] = max(value, best.get(structure, value))
        return NormalScores(list(best.values()))

    def _learn(
        self,
        observations: Observations,
        architectures: Sequence[Architecture],
        values: Sequence[float],
        noise: Sequence[float],
    ) -> None:
        if not isinstance(self.predictor, ConditionedPredictor):
            self.predictor.fit(architectures, values, noise)
            return
        start = observations.part(range(scheduled(len(observations.values)))).thinned(MOST_FITTED)
        if start != self._fitted:
            self.predictor.fit(start.architectures, self._scores(start)(start.values).tolist())
            self._fitted = start
        self.predictor.condition(architectures, values, noise)


def kept(values: Sequence[float], most: int) -> list[int]:
    """Return the places of at most `most` values: one half the best, the other the latest of the others."""
    count = len(values)
    if count <= most:
        return list(range(count))
    best = set(np.argsort(-np.array(values), kind="stable")[: most // 2].tolist())
    others = [place for place in range(count) if place not in best]
    return sorted([*best, *others[len(best) - most :]])


def finite(values: Sequence[float]) -> NDArray[np.float64]:
    """Return values with the infinite ones put at the ends of the finite ones."""
    found = np.array(values, dtype=np.float64)
    inside = found[np.isfinite(found)]
    return np.clip(found, inside.min(), inside.max()) if len(inside) else np.sign(found)


def scheduled(count: int) -> int:
    """Return from how many of `count` values hyperparameters are learned: all of up to 20, then ever rarer sizes."""
    size = min(count, 20)
    while (larger := size + max(size // 16, 1 + size // 40)) <= count:
        size = larger
    return size
