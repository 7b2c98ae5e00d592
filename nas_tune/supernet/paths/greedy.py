"""Greedy paths: of several candidates the better ones are trained, and remembered as candidates."""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nas_tune.errors import CheckpointError, NasTuneError
from nas_tune.supernet.paths.arguments import check_whole
from nas_tune.supernet.paths.estimators import Estimator, HeldOutAccuracy, check_estimator, memory_of, remind
from nas_tune.supernet.paths.path import Path

if TYPE_CHECKING:
    from numpy.random import Generator

    from nas_tune.space import Architecture, SearchSpace
    from nas_tune.supernet.paths.path import Step


@dataclass
class Pool:
    """Good candidates, the best first: the score of each by its JSON text."""

    scores: dict[str, float] = field(default_factory=dict)

    def add(self, scores: Mapping[str, float], room: int) -> None:
        """Keep the best `room` of old and new ones; a new score replaces the old one, of equal scores the older stays.

        A score that is not finite is not kept.
        """
        known = {text: score for text, score in {**self.scores, **scores}.items() if math.isfinite(score)}
        best = heapq.nlargest(room, known.items(), key=lambda entry: entry[1])
        self.scores = dict(best)

    def draw(self, space: SearchSpace, rng: Generator) -> Architecture:
        """Draw one of them uniformly."""
        texts = list(self.scores)
        return space.from_json(texts[int(rng.integers(len(texts)))])


@dataclass(frozen=True)
class GreedyPaths:
    """The best `kept` of `candidates` architectures, each drawn from a pool of good ones or from the space.

    A candidate is drawn from the pool with a probability that rises linearly from `first_share` to `last_share` over
    the schedule of the learning rate, and uniformly from the space otherwise. The kept ones share the step's batch and
    the optimiser's step, and enter the pool, which holds the `pool_size` best scores; a score is as old as the step
    that gave it.

    The numbers and the schedule are unverified: written from memory of the paper. Deviations: it judges by the loss of
    a small validation batch, here the default is the accuracy on held-out inputs; it trains the kept paths one after
    the other; its stop by a steady pool is left out.

    Args:
        candidates: Architectures that are judged at each step.
        kept: Of these, the number that is trained; each counts 1 / `kept`.
        first_share: Probability of a candidate from the pool at the beginning.
        last_share: And at the end.
        pool_size: Most architectures in the pool.
        estimator: Judges candidates: `HeldOutAccuracy`, `MinibatchLoss`, or `PredictedAccuracy` for a pool by predicted
            rank.

    Raises:
        NasTuneError: An argument is out of its range.

    Reference: You et al., GreedyNAS, arXiv:2003.11236, section 3.
    """

    candidates: int = 10
    kept: int = 5
    first_share: float = 0.0
    last_share: float = 0.8
    pool_size: int = 1000
    estimator: Estimator = HeldOutAccuracy()
    _pool: Pool = field(default_factory=Pool, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_estimator("GreedyPaths", self.estimator)
        for name in ("candidates", "kept", "pool_size"):
            check_whole("GreedyPaths", name, getattr(self, name))
        if self.kept > self.candidates:
            raise NasTuneError(f"GreedyPaths: `kept` is {self.kept} of {self.candidates} `candidates`; keep fewer.")
        for name in ("first_share", "last_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise NasTuneError(f"GreedyPaths: `{name}` is {getattr(self, name)}; a probability lies in [0, 1].")

    def select(self, step: Step, space: SearchSpace, rng: Generator) -> tuple[Path, ...]:
        share = self.first_share + (self.last_share - self.first_share) * min(step.progress, 1.0)
        drawn = [self._candidate(share, space, rng) for _ in range(self.candidates)]
        scores = self.estimator.scores(step, space, drawn, rng)
        order = sorted(range(len(drawn)), key=lambda place: _worth(scores[place]), reverse=True)[: self.kept]
        self._pool.add({drawn[place].to_json(): scores[place] for place in order}, self.pool_size)
        return tuple(Path(drawn[place], weight=1.0 / self.kept) for place in order)

    def _candidate(self, share: float, space: SearchSpace, rng: Generator) -> Architecture:
        from_pool = rng.random() < share and self._pool.scores
        return self._pool.draw(space, rng) if from_pool else space.sample(rng)

    def memory(self) -> Mapping[str, object]:
        """Return the pool, the best first, and what the estimator has learned."""
        return {
            "pool": [[text, score] for text, score in self._pool.scores.items()],
            "estimator": memory_of(self.estimator),
        }

    def remember(self, memory: Mapping[str, object]) -> None:
        try:
            self._pool.scores = {str(text): float(score) for text, score in memory.get("pool", ())}  # type: ignore[attr-defined]  # checked by the attempt
        except (TypeError, ValueError) as error:
            raise CheckpointError(f"The memory is of no GreedyPaths: its pool is {memory['pool']!r}.") from error
        remind(self.estimator, memory.get("estimator", {}))


def _worth(score: float) -> float:
    return -math.inf if math.isnan(score) else score
