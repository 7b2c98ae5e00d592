"""A first filter: of many candidates only the promising ones go on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

from nas_tune.errors import PredictorError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from nas_tune.space import Architecture


@runtime_checkable
class CandidateFilter(Protocol):
    """Chooses among candidates by what it knows without evaluating them."""

    def __call__(self, candidates: Sequence[Architecture], keep: int) -> tuple[Architecture, ...]:
        """Return the `keep` most promising candidates, best first; all of them where there are not more.

        Raises:
            PredictorError: `keep` is below 0.
        """


@dataclass(frozen=True)
class ScoreFilter:
    """Keeps the candidates with the highest scores, of equal ones the first; a score that is NaN is the lowest.

    ``ScoreFilter(RankVote(zero_cost).rank)`` filters by a vote of proxies, and with
    ``ScoreFilter(lambda pool: predictor.predict(pool).mean)`` a predictor of what is maximised filters.

    Args:
        scores: Returns the score of each candidate of a pool, shape `(n,)`; larger is better.
    """

    scores: Callable[[Sequence[Architecture]], ArrayLike]

    def __call__(self, candidates: Sequence[Architecture], keep: int) -> tuple[Architecture, ...]:
        """Return the `keep` candidates with the highest scores, best first.

        Raises:
            PredictorError: `keep` is below 0, or there are other numbers of scores than of candidates.
        """
        if keep < 0:
            raise PredictorError(f"ScoreFilter: `keep` is {keep}. Give how many candidates go on, at least 0.")
        if not candidates:
            return ()
        found = np.asarray(self.scores(candidates), dtype=np.float64)
        if found.shape != (len(candidates),):
            raise PredictorError(
                f"ScoreFilter: `scores` gave shape {found.shape} for {len(candidates)} candidates. "
                "Return one score for each."
            )
        order = np.argsort(-np.where(np.isnan(found), -np.inf, found), kind="stable")
        return tuple(candidates[int(place)] for place in order[:keep])
