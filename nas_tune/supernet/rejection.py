"""Early rejection: an architecture that cannot be among the best is not judged to the end."""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln, logsumexp

from nas_tune.errors import NasTuneError


@dataclass(frozen=True)
class EarlyRejection:
    """Rejects an architecture after a first part of the inputs if it is too far below the best ones so far.

    The first part is a random sample of the inputs, drawn without replacement, so the number of right answers in it is
    hypergeometric. An architecture is rejected when it had at most `risk` probability of so few right answers if it
    were right as often, on all inputs, as the `keep`-th best of those judged to the end; this is exact, and the upper
    confidence bound of level `1 - risk` for what it gets right then lies below that architecture. One that belongs to
    the `keep` best of all is therefore rejected with probability `risk` at most.

    Args:
        keep: Best architectures that are to be found.
        share: Of the inputs in the first part, in (0, 1).
        risk: Probability to reject one of the best, in (0, 1).

    Raises:
        NasTuneError: An argument is out of its range.
    """

    keep: int
    share: float = 0.25
    risk: float = 0.01

    def __post_init__(self) -> None:
        if self.keep < 1 or not 0 < self.share < 1 or not 0 < self.risk < 1:
            raise NasTuneError(f"{self}: `keep` is at least 1, `share` and `risk` lie between 0 and 1.")

    def first(self, count: int) -> int:
        """Return how many of `count` inputs are in the first part."""
        return min(max(round(self.share * count), 1), count)

    def hopeless(self, right: int, judged: int, count: int, best: list[int]) -> bool:
        """Say whether an architecture is rejected.

        Args:
            right: Its right answers to the inputs judged so far.
            judged: Number of these inputs.
            count: Number of all inputs.
            best: Right answers, to all inputs, of the architectures judged to the end.
        """
        if len(best) < self.keep:
            return False
        return at_most(right, judged, heapq.nlargest(self.keep, best)[-1], count) < self.risk


def at_most(right: int, drawn: int, rights: int, count: int) -> float:
    """Return the probability of at most `right` right answers among `drawn` of `count`, of which `rights` are right."""
    possible = np.arange(max(drawn - (count - rights), 0), min(right, drawn, rights) + 1)
    if not len(possible):
        return 0.0
    ways = _log_choose(rights, possible) + _log_choose(count - rights, drawn - possible)
    return min(math.exp(float(logsumexp(ways)) - float(_log_choose(count, np.asarray(drawn)))), 1.0)


def _log_choose(n: int, k: np.ndarray) -> np.ndarray:
    logarithm: np.ndarray = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
    return logarithm
