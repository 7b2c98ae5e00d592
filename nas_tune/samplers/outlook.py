"""What a study's history lets expect of architectures that were not tried, and which of them to try next."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from optuna.trial import TrialState

from nas_tune.samplers.acquisition_search import Effort, maximise
from nas_tune.samplers.feasibility import Feasibility
from nas_tune.samplers.fidelity import hints_of_pruned
from nas_tune.samplers.objectives import ExactObjective, LearnedObjective
from nas_tune.samplers.surrogate import Hint, Observations, finite
from nas_tune.samplers.worth import Evaluated, Objective, Worth
from nas_tune.space.graphs import draws_graphs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nas_tune.predictors.acquisition import Acquisition
    from nas_tune.predictors.predictor import Predictor
    from nas_tune.predictors.zero_cost.candidate_filter import CandidateFilter
    from nas_tune.samplers.space_sampler import Request
    from nas_tune.samplers.study_history import Evaluation
    from nas_tune.space import Architecture, SearchSpace

FAILURE_NOISE = 0.3  # variance of the score of a failed trial, the worst there is: it may have failed by chance
FILTERED = 4  # times as many candidates are drawn as a filter keeps
LARGE_GRAPH = 16  # nodes, above which most of a proposal's time goes into drawing graphs: fewer candidates are scored
KEPT = 24  # candidates that a filter keeps


class Outlook:
    """Learns the history of a study and proposes the architecture that is worth most.

    Args:
        space: What is searched.
        predictor: Copies of it learn each objective and each constraint.
        acquisition: Name or function.
        exact: What computes an objective without training, by its place; in the study's unit.
        candidate_filter: Chooses among the random candidates.
    """

    def __init__(
        self,
        space: SearchSpace,
        predictor: Predictor,
        acquisition: str | Acquisition,
        exact: Mapping[int, Callable[[Architecture], float]],
        candidate_filter: CandidateFilter | None,
    ) -> None:
        self._space, self._predictor, self._acquisition = space, predictor, acquisition
        self._exact, self._filter = exact, candidate_filter
        large = draws_graphs(space) and space.graph_nodes() > LARGE_GRAPH
        self._effort = Effort(steps=16, rounds=6) if large else Effort()
        self._objectives: list[Objective] = []
        self._feasibility = Feasibility(predictor, space)

    def best(self, request: Request) -> Architecture:
        """Return what to try next; at least one trial of the study is complete."""
        evaluated = self._learn(request)
        worth = Worth(
            self._acquisition,
            self._objectives,
            self._feasibility,
            evaluated,
            request.number,
            int(request.rng.integers(2**32)),
        )
        return maximise(
            self._space,
            worth,
            _best_first(evaluated),
            request.is_taken,
            request.rng,
            effort=self._effort,
            fixed=request.fixed,
            drawn=self._drawn(request),
        )

    def _learn(self, request: Request) -> Evaluated:
        history = request.history
        believed = [architecture for number, architecture in history.running.items() if number != request.number]
        architectures = tuple(evaluation.architecture for evaluation in history.complete)
        if len(self._objectives) != len(history.signs):
            self._objectives = [self._objective(place, sign) for place, sign in enumerate(history.signs)]
        hints = hints_of_pruned(history.finished) if len(self._objectives) == 1 else []
        for place, objective in enumerate(self._objectives):
            values = finite([evaluation.values[place] for evaluation in history.complete])
            known = Observations(architectures, tuple(values.tolist()))
            objective.learn(known, [*hints, *_failures(history.finished, values)], believed)
        self._feasibility.learn(history.finished, believed)
        scores = np.stack([objective.scores for objective in self._objectives], axis=1)
        return Evaluated(architectures, scores, np.array([e.excess <= 0 for e in history.complete], dtype=bool))

    def _objective(self, place: int, sign: float) -> Objective:
        if place in self._exact:
            return ExactObjective(self._exact[place], sign)
        return LearnedObjective(self._predictor, self._space)

    def _drawn(self, request: Request) -> Sequence[Architecture]:
        if self._filter is None:
            return ()
        return self._filter([self._space.sample(request.rng) for _ in range(FILTERED * KEPT)], KEPT)


def _failures(evaluations: Sequence[Evaluation], values: NDArray[np.float64]) -> list[Hint]:
    """Return what failed trials say: about the worst score that there can be."""
    worst = -float(np.sqrt(2.0 * np.log(1.0 + len(values))))  # near the least of so many normal scores
    failed = (evaluation for evaluation in evaluations if evaluation.state == TrialState.FAIL)
    return [Hint(evaluation.architecture, worst, FAILURE_NOISE) for evaluation in failed]


def _best_first(evaluated: Evaluated) -> list[Architecture]:
    """Return the evaluated architectures: feasible ones first, then by the sum of their scores."""
    order = np.lexsort((-evaluated.scores.sum(axis=1), ~evaluated.feasible))
    return [evaluated.architectures[i] for i in order.tolist()]
