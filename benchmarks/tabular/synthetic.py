"""Tables that are computed: errors whose logarithm is a sum of random effects, with an optimum that is known exactly.

They are of the kind of the trained tables, and nobody has tuned to them: more architectures than anybody could train,
many parameters, conditional ones, interactions. The seed of a table makes another one of its kind. There is no noise:
validation and test are one number.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, final

from benchmarks.tabular.table import Best, Score, Table

if TYPE_CHECKING:
    from nas_tune.space import Architecture, SearchSpace

TYPICAL_ERROR = 6.0  # in %, of a merit of 0
SPREAD = 0.35  # natural logarithm of the error for each unit of merit, which is a standard deviation of the space


@final
class SyntheticTable(Table):
    """A table whose error is ``6 % * exp(-0.35 * merit)``: log-normal where the merit is a sum of many effects.

    Args:
        name: By which the command line knows it.
        space: What is searched.
        merit: Merit of an architecture, about standard normal over the space.
        find_best: Returns the architecture of the largest merit.
    """

    def __init__(
        self,
        name: str,
        space: SearchSpace,
        merit: Callable[[Architecture], float],
        find_best: Callable[[], Architecture],
    ) -> None:
        super().__init__(name, space, "minimize")
        self.merit, self._find = merit, find_best

    def evaluate(self, architecture: Architecture, fidelity: int | None = None) -> Score:
        self._complete(fidelity)
        error = TYPICAL_ERROR * math.exp(-SPREAD * self.merit(architecture))
        return Score(error, error)

    def _find_best(self) -> Best:
        architecture = self._find()
        score = self.evaluate(architecture)
        return Best(architecture, score.validation, score.test)
