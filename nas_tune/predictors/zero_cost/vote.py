"""A vote of proxies over a pool of candidates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import rankdata

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nas_tune.predictors.zero_cost.zero_cost import ZeroCost
    from nas_tune.space import Architecture


@dataclass(frozen=True)
class RankVote:
    """Orders a pool by the mean of its ranks by each proxy, so that no unit of a proxy outweighs another.

    Args:
        zero_cost: Scores by the proxies that vote; synflow, jacob_cov and snip are the published vote.

    Reference: Abdelfattah et al., arXiv:2101.08134. Deviation: there the majority of the proxies decides
        each pair of candidates; a mean of ranks also weighs by how much.
    """

    zero_cost: ZeroCost

    def rank(self, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        """Return the mean rank of each within the pool, shape `(n,)`, from 1 for the last to n for the best.

        Equal scores share the mean of their ranks.
        """
        if not architectures:
            return np.zeros(0)
        ranks = rankdata(self.zero_cost.table(architectures), axis=0)
        found: NDArray[np.float64] = ranks.mean(axis=1)
        return found
