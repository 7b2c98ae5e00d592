"""Model-based search as an Optuna sampler: a predictor learns the study, an acquisition says what to try next."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from nas_tune.errors import SamplerError, StudyError
from nas_tune.samplers.fixing import completed
from nas_tune.samplers.space_sampler import Proposal, Request, SpaceSampler
from nas_tune.samplers.study_history import StudyHistory
from nas_tune.space import SearchSpace
from nas_tune.space.evenly import draw_evenly

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler
    from optuna.study import Study

    from nas_tune.predictors.acquisition import Acquisition
    from nas_tune.predictors.predictor import Predictor
    from nas_tune.predictors.zero_cost.candidate_filter import CandidateFilter
    from nas_tune.samplers.outlook import Outlook
    from nas_tune.space import Architecture

NAMES = ("auto", "ei", "ucb", "its", "thompson")
LEAST_KNOWN = 2  # complete trials before anything is learned
POOL = 16  # random candidates of an initial trial that a filter chooses from
MOST_OBJECTIVES = 5  # whose hypervolume is computed exactly, in a second or so for each trial
MOST_DRAWS = 32  # of an initial trial, before a network that is taken is accepted


class PredictorSampler(SpaceSampler):
    """Learns which architectures are good, and proposes the one that is worth most to evaluate next.

    The first trials are random, by turns drawn uniformly from the space and evenly from each decision. Then, for each
    trial, the predictor learns the normal scores of all values, and an acquisition is maximised by evolution and
    climbing in the space itself, so that conditional, constrained, joint and unlimited spaces are searched alike. By
    default the predictor is a `GaussianProcess` and three trials of four maximise the expected improvement, the fourth
    an upper confidence bound, so that a search does not stay where an early model was wrong.

    What else a study says is used, as far as it helps:

    - Running trials count as if they came out as expected, so that parallel workers look elsewhere.
    - Pruned trials count by their last report, for as much as reports of that step agree with final values.
    - Failed trials count as bad ones, with doubt: a region that always fails is left, and one failure forgiven.
    - Constraints that trials record (`trial.set_constraint`) are learned; what the space demands (`where`) holds.
    - Several objectives are searched by the expected growth of their hypervolume. Those in `exact` are not learned but
      computed, such as the number of parameters.

    Args:
        space: Space that the objective suggests, `space.suggest(trial, prefix)`, alone or beside other parameters.
        predictor: What learns, as `nas_tune.predictors.Predictor` says; copies of it for each objective and constraint.
            `None` is `GaussianProcess(space)`.
        acquisition: ``"auto"``; ``"ei"`` (expected improvement), ``"ucb"`` (mean and two standard deviations),
            ``"its"`` (an independent draw for each candidate) or ``"thompson"`` (one drawn function) for every trial;
            or a function as `nas_tune.predictors.acquisition.Acquisition` says. Several objectives, five at most, take
            ``"auto"`` or ``"thompson"``.
        initial_trials: Trials that are drawn at random in the beginning, enqueued ones included.
        exact: Function of the architecture for each objective (by place) that needs no training, in the study's unit.
        prior: Studies of other tasks in the same space: their values tell where to begin and what to expect, for as
            much as this study confirms it. They are read when the sampler is made. For one objective only.
        candidate_filter: Keeps the promising ones of random candidates, such as `ScoreFilter` of zero-cost proxies. It
            is given 16 for a random trial, 96 for another.
        avoid_duplicates: Propose no network (compared by `space.canonical_key`) that is known, if there is another.
        independent_sampler: Proposes the parameters that are not of the space; by default Optuna's `TPESampler`, seeded
            from `seed`, trial and parameter.
        prefix: What `space.suggest` is given.
        seed: Makes a proposal a function of seed, trial number and history. `None` takes fresh entropy for every trial.

    Raises:
        SamplerError: An argument is out of its range.
        StudyError: A study in `prior` holds no complete trial of the space.

    Reference: White et al., BANANAS, arXiv:1910.11858, and Ru et al., NAS-BOWL, arXiv:2006.07556, for the loop; their
        searches are ``PredictorSampler(space, predictor=MLPEnsemble(space), acquisition="its")`` and
        ``PredictorSampler(space, predictor=GaussianProcess(space, kernel=WeisfeilerLehmanKernel(space)))``.
    """

    several_objectives: ClassVar[bool] = True
    across_brackets: ClassVar[bool] = True

    def __init__(
        self,
        space: SearchSpace,
        *,
        predictor: Predictor | None = None,
        acquisition: str | Acquisition = "auto",
        initial_trials: int = 8,
        exact: Mapping[int, Callable[[Architecture], float]] | None = None,
        prior: Study | Sequence[Study] = (),
        candidate_filter: CandidateFilter | None = None,
        avoid_duplicates: bool = True,
        independent_sampler: BaseSampler | None = None,
        prefix: str = "",
        seed: int | None = None,
    ) -> None:
        super().__init__(
            space,
            avoid_duplicates=avoid_duplicates,
            independent_sampler=independent_sampler,
            prefix=prefix,
            seed=seed,
        )
        _check(predictor, acquisition, initial_trials, candidate_filter)
        self._predictor, self._acquisition = predictor, acquisition
        self._initial_trials = initial_trials
        self._exact = _functions(exact)
        self._filter = candidate_filter
        studies = list(prior) if isinstance(prior, Sequence) else [prior]
        self._prior = [self._earlier(study) for study in studies]
        self._outlook: Outlook | None = None

    def __getstate__(self) -> dict[str, object]:
        return {**super().__getstate__(), "_outlook": None}  # what it learned, it learns again

    def propose(self, request: Request) -> Proposal:
        """Return what is worth most by the acquisition; in the beginning, a random architecture."""
        history = request.history
        self._check_objectives(len(history.signs))
        begun = len(history.finished) + len(history.running)
        if not self._prior and (begun < self._initial_trials or len(history.complete) < LEAST_KNOWN):
            return Proposal(self._random(request))
        return Proposal(self._look_out().best(request))

    def _random(self, request: Request) -> Architecture:
        """Draw until a network is not taken; with a filter, of some draws the one that it keeps."""
        architecture = self._draw(request)
        for _ in range(MOST_DRAWS - 1):
            if not request.is_taken(architecture):
                break
            architecture = self._draw(request)
        return architecture

    def _draw(self, request: Request) -> Architecture:
        draw = draw_evenly if request.number % 2 else SearchSpace.sample
        drawn: Sequence[Architecture] = [draw(self._space, request.rng) for _ in range(POOL if self._filter else 1)]
        kept = self._filter(drawn, 1) if self._filter else drawn
        return completed(self._space, kept[0], request.fixed, request.rng)

    def _look_out(self) -> Outlook:
        if self._outlook is None:
            from nas_tune.samplers.outlook import Outlook

            self._outlook = Outlook(self._space, self._learner(), self._acquisition, self._exact, self._filter)
        return self._outlook

    def _learner(self) -> Predictor:
        from nas_tune.predictors.gaussian_process import GaussianProcess

        predictor = self._predictor if self._predictor is not None else GaussianProcess(self._space)
        if not self._prior:
            return predictor
        from nas_tune.predictors.transfer import Transfer

        return Transfer(predictor, self._prior)

    def _earlier(self, study: Study) -> tuple[tuple[Architecture, ...], tuple[float, ...]]:
        if not hasattr(study, "get_trials"):
            raise SamplerError(
                f"PredictorSampler: `prior` holds {study!r}. Give studies, such as optuna.load_study(...)."
            )
        history = StudyHistory(self._space, self._prefix, study.directions, self._name)
        history.update(study.get_trials(deepcopy=False))
        known = [e for e in history.complete if math.isfinite(e.value)]
        if len(study.directions) > 1 or len(known) < LEAST_KNOWN:
            raise StudyError(
                f"PredictorSampler: the study '{study.study_name}' in `prior` has {len(study.directions)} objectives "
                f"and {len(known)} complete trials of this space (prefix '{self._prefix}'). Give studies of one "
                f"objective with at least {LEAST_KNOWN}."
            )
        return tuple(e.architecture for e in known), tuple(e.value for e in known)

    def _check_objectives(self, count: int) -> None:
        if foreign := [place for place in self._exact if not 0 <= place < count]:
            raise SamplerError(
                f"PredictorSampler: `exact` names objective {foreign[0]}, and the study has {count}: 0 to {count - 1}."
            )
        if len(self._exact) == count:
            raise SamplerError(
                "PredictorSampler: `exact` computes every objective. Leave out the one that is trained for."
            )
        if count > MOST_OBJECTIVES:
            raise SamplerError(
                f"PredictorSampler: the study has {count} objectives, and the hypervolume of more than "
                f"{MOST_OBJECTIVES} takes too long. Take ParetoEvolutionSampler."
            )
        if count > 1 and (self._prior or self._acquisition not in ("auto", "thompson")):
            raise SamplerError(
                f"PredictorSampler: with {count} objectives `acquisition` is 'auto' or 'thompson' and `prior` is empty."
            )


def _check(predictor: object, acquisition: str | Acquisition, initial_trials: object, candidate_filter: object) -> None:
    from nas_tune.predictors.predictor import Predictor, SamplingPredictor

    if predictor is not None and (isinstance(predictor, type) or not isinstance(predictor, Predictor)):
        raise SamplerError(f"PredictorSampler: `predictor` is {predictor!r}. Give an object with `fit` and `predict`.")
    if acquisition not in NAMES if isinstance(acquisition, str) else not callable(acquisition):
        raise SamplerError(
            f"PredictorSampler: `acquisition` is {acquisition!r}. Take one of {', '.join(NAMES)}, or a function."
        )
    if acquisition == "thompson" and predictor is not None and not isinstance(predictor, SamplingPredictor):
        raise SamplerError("PredictorSampler: 'thompson' needs a `predictor` that can `sample` functions.")
    if isinstance(initial_trials, bool) or not isinstance(initial_trials, int) or initial_trials < 1:
        raise SamplerError(f"PredictorSampler: `initial_trials` is {initial_trials!r}. Take a whole number from 1.")
    if candidate_filter is not None and not callable(candidate_filter):
        raise SamplerError(f"PredictorSampler: `candidate_filter` is {candidate_filter!r}. Give a function.")


def _functions(
    exact: Mapping[int, Callable[[Architecture], float]] | None,
) -> dict[int, Callable[[Architecture], float]]:
    if exact is None:
        return {}
    if not isinstance(exact, Mapping) or not all(isinstance(place, int) for place in exact):
        raise SamplerError(
            f"PredictorSampler: `exact` is {exact!r}. Give a function for each place, such as {{1: macs}}."
        )
    if bad := [place for place, function in exact.items() if not callable(function)]:
        raise SamplerError(f"PredictorSampler: `exact[{bad[0]}]` is no function of an architecture.")
    return dict(exact)
