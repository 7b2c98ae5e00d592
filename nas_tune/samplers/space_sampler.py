"""Optuna's contract for a sampler that proposes whole architectures; what is proposed is for each sampler to say."""

from __future__ import annotations

import logging
import threading
import time
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, ClassVar
from weakref import WeakKeyDictionary

import numpy as np
from optuna.samplers import BaseSampler, TPESampler
from optuna.storages import InMemoryStorage

from nas_tune.errors import ArchitectureError, SamplerError, StudyError
from nas_tune.samplers import study_records
from nas_tune.samplers.study_history import CANONICAL_KEY, StudyHistory
from nas_tune.space import SearchSpace

if TYPE_CHECKING:
    from numpy.random import Generator
    from optuna.distributions import BaseDistribution
    from optuna.storages import BaseStorage
    from optuna.study import Study
    from optuna.trial import FrozenTrial, TrialState

    from nas_tune.space import Architecture, Value

_LOGGER = logging.getLogger("nas_tune")
MOST_CONTESTS = 8  # proposals that another process made at the same moment, before one of them is accepted
MOST_PATIENCE, PAUSE = 0.5, 0.002  # seconds to wait for a process that may be dead, and between two looks
WITHDRAWN = ""  # key of no network


@dataclass(frozen=True)
class Request:
    """What a sampler is asked.

    Attributes:
        number: Number of the trial.
        history: The study as it is now.
        fixed: Values that the proposal has to have, of an enqueued trial (`fixing.completed` gives them).
        is_taken: Says that a network is evaluated already, or being evaluated; always false where duplicates are
            allowed.
        rng: Source of randomness: a function of seed and trial number.
    """

    number: int
    history: StudyHistory
    fixed: Mapping[str, Value]
    is_taken: Callable[[Architecture], bool]
    rng: Generator


@dataclass(frozen=True)
class Proposal:
    """An architecture to evaluate, and what the sampler writes into its trial beside it."""

    architecture: Architecture
    notes: Mapping[str, str | int | float] = field(default_factory=dict)


class SpaceSampler(BaseSampler, ABC):
    """Asks `propose` for an architecture once in a trial, and answers with it whatever the trial suggests of the space.

    Everything is read back from the study, so that any number of processes may share one and a run that was killed
    continues as if nothing had been. A proposal is written into its trial before anything is suggested, and the study
    is read again: of processes that took one network at the same moment, all but one propose another.

    Args:
        space: Space that the objective suggests, `space.suggest(trial, prefix)`, alone or beside other parameters.
        avoid_duplicates: Whether a network (compared by `space.canonical_key`) that is known counts as taken.
        independent_sampler: Proposes the parameters that are not of the space; by default Optuna's `TPESampler`, seeded
            from `seed`, trial and parameter.
        prefix: What `space.suggest` is given.
        seed: Makes a proposal a function of seed, trial number and history. Processes with one seed do not repeat each
            other. `None` takes fresh entropy for every trial.

    Raises:
        SamplerError: An argument is out of its range.
    """

    several_objectives: ClassVar[bool] = False
    """Whether the sampler searches Pareto fronts."""

    across_brackets: ClassVar[bool] = False
    """Whether trials of all brackets of a Hyperband pruner are one history, or those of each its own."""

    def __init__(
        self,
        space: SearchSpace,
        *,
        avoid_duplicates: bool,
        independent_sampler: BaseSampler | None,
        prefix: str,
        seed: int | None,
    ) -> None:
        if not isinstance(space, SearchSpace):
            raise SamplerError(f"{type(self).__name__}: `space` is {space!r}. Give a SearchSpace.")
        if not isinstance(prefix, str):
            raise SamplerError(f"{type(self).__name__}: `prefix` is {prefix!r}. Give the text that `suggest` is given.")
        if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int) or seed < 0):
            raise SamplerError(
                f"{type(self).__name__}: `seed` is {seed!r}. Take a whole number of at least 0, or None."
            )
        if independent_sampler is not None and not isinstance(independent_sampler, BaseSampler):
            raise SamplerError(
                f"{type(self).__name__}: `independent_sampler` is {independent_sampler!r}. Give an Optuna sampler."
            )
        self._space, self._prefix, self._seed = space, prefix, seed
        self._avoid_duplicates = avoid_duplicates
        self._independent_sampler = independent_sampler
        self._parameters = space.parameters()
        self._name = type(self).__name__.removesuffix("Sampler")
        self._warned = False
        self._forget()

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._histories: WeakKeyDictionary[BaseStorage, dict[tuple[int, int | None], StudyHistory]]
        self._histories = WeakKeyDictionary()

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in vars(self).items() if name not in ("_lock", "_histories")}

    def __setstate__(self, state: dict[str, object]) -> None:
        vars(self).update(state)
        self._forget()

    @abstractmethod
    def propose(self, request: Request) -> Proposal:
        """Return the architecture that a trial is to evaluate, as a function of the request.

        What is derived from a history may be kept for the next call, for as long as the history says the same.
        """

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Propose the architecture of a trial and return the distributions of its active parameters."""
        with self._lock:
            history = self._history(study)
            proposal = self._propose(study, trial, history)
            history.pending[trial.number] = proposal
        distributions = self._space.distributions(proposal)
        return {self._prefix + name: distribution for name, distribution in distributions.items()}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Value]:
        """Return the values of the proposed architecture that `search_space` asks for."""
        with self._lock:
            history = self._history(study)
            proposal = history.pending.pop(trial.number, None) or self._propose(study, trial, history)
        named = {self._prefix + name: value for name, value in proposal.items()}
        return {name: value for name, value in named.items() if name in search_space}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> object:
        """Leave a parameter that the proposal does not hold to the independent sampler.

        Raises:
            StudyError: The parameter is of the space, but is suggested with another distribution.
        """
        self._check_directions(study)
        parameter = self._parameters.get(param_name.removeprefix(self._prefix))
        if parameter and param_name.startswith(self._prefix) and parameter.distribution != param_distribution:
            raise StudyError(
                f"`{param_name}` is a parameter of the sampler's space, {parameter!r}, but the trial suggests it from "
                f"{param_distribution}. Suggest it by `space.suggest(trial)`, or give the sampler a `prefix`."
            )
        sampler = self._independent_sampler or self._tpe(trial, param_name)
        return sampler.sample_independent(study, trial, param_name, param_distribution)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Tell the independent sampler."""
        if self._independent_sampler is not None:
            self._independent_sampler.before_trial(study, trial)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        """Tell the independent sampler, and say it once if the trials are not of the sampler's space."""
        known = any(self._prefix + name in trial.params for name in self._parameters)
        if trial.params and not self._warned and not known:
            self._warned = True
            _LOGGER.warning(
                "Trial %d suggested no parameter of the space that %s searches (%s): "
                "is it of another space, or suggested with another prefix?",
                trial.number,
                type(self).__name__,
                ", ".join(list(self._parameters)[:3]),
            )
        if self._independent_sampler is not None:
            self._independent_sampler.after_trial(study, trial, state, values)

    def reseed_rng(self) -> None:
        """Reseed the independent sampler; the proposals' generators are new for every trial anyway."""
        if self._independent_sampler is not None:
            self._independent_sampler.reseed_rng()

    def _propose(self, study: Study, trial: FrozenTrial, history: StudyHistory) -> Architecture:
        fixed = self._enqueued(trial)
        history.update(self._trials(study))
        for contest in range(MOST_CONTESTS):
            taken = self._taken(history, trial.number, contest)
            proposal = self.propose(Request(trial.number, history, fixed, taken, self._generator(trial, contest)))
            if not self._avoid_duplicates or len(fixed) == len(self._parameters):
                break
            if self._wins(study, trial, history, proposal.architecture):
                break
        else:
            study_records.record(study, trial, self._note(CANONICAL_KEY), history.key(proposal.architecture))
        for name, note in proposal.notes.items():
            study_records.record(study, trial, self._note(name), note)
        return proposal.architecture

    def _taken(self, history: StudyHistory, number: int, contest: int) -> Callable[[Architecture], bool]:
        if not self._avoid_duplicates:
            return _nothing_is_taken
        if not contest:
            return partial(history.is_taken, number=number)
        # processes that have met once leave out a random half each, lest they meet again and again
        chance = np.random.default_rng((number, contest))
        return lambda architecture: chance.random() < 0.5 or history.is_taken(architecture, number)

    def _wins(self, study: Study, trial: FrozenTrial, history: StudyHistory, architecture: Architecture) -> bool:
        """Claim a network in the study, and say whether the trial may have it.

        Who claims at the same moment sees the other's claim, or is seen. The trial of the larger number withdraws, and
        that of the smaller one waits until it has: the other may have begun to suggest the network before.
        """
        known = history.is_taken(architecture, trial.number)  # then it is repeated, for want of another
        if isinstance(study_records.storage(study), InMemoryStorage):  # of this process alone, where a lock is held
            study_records.record(study, trial, self._note(CANONICAL_KEY), history.key(architecture))
            return True
        history.update(self._trials(study))
        if not known and history.is_taken(architecture, trial.number):
            return False
        study_records.record(study, trial, self._note(CANONICAL_KEY), history.key(architecture))
        history.update(self._trials(study))
        patience = time.monotonic() + MOST_PATIENCE
        while not known and history.is_contested(architecture, trial.number) and time.monotonic() < patience:
            time.sleep(PAUSE)
            history.update(self._trials(study))
        if known or not history.is_lost(architecture, trial.number):
            return True
        study_records.record(study, trial, self._note(CANONICAL_KEY), WITHDRAWN)
        return False

    def _trials(self, study: Study) -> list[FrozenTrial]:
        return study_records.all_trials(study) if self.across_brackets else study.get_trials(deepcopy=False)

    def _note(self, name: str) -> str:
        return f"{self._name}:{name}"

    def _history(self, study: Study) -> StudyHistory:
        self._check_directions(study)
        histories = self._histories.setdefault(study_records.storage(study), {})
        study_id, bracket = study_records.study_key(study)
        key = study_id, None if self.across_brackets else bracket
        if key not in histories:
            histories[key] = StudyHistory(self._space, self._prefix, study.directions, self._name)
        return histories[key]

    def _enqueued(self, trial: FrozenTrial) -> dict[str, Value]:
        fixed: dict[str, Value] = {}
        for full, value in study_records.enqueued_params(trial).items():
            name = full.removeprefix(self._prefix)
            if full.startswith(self._prefix) and name in self._parameters:
                try:
                    fixed[name] = self._parameters[name].parse(value, name)
                except ArchitectureError:  # Optuna warns of it, and suggests it as it is
                    continue
        return fixed

    def _generator(self, trial: FrozenTrial, contest: int) -> Generator:
        if self._seed is None:
            return np.random.default_rng()
        return np.random.default_rng((self._seed, trial.number, contest) if contest else (self._seed, trial.number))

    def _tpe(self, trial: FrozenTrial, param_name: str) -> TPESampler:
        """Make the default independent sampler: seeded for this one value, it has no state that a resumed run lacks."""
        if self._seed is None:
            return TPESampler()
        place = (self._seed, trial.number, zlib.crc32(param_name.encode()))
        return TPESampler(seed=int(np.random.default_rng(place).integers(2**32)))

    def _check_directions(self, study: Study) -> None:
        if len(study.directions) > 1 and not self.several_objectives:
            raise StudyError(
                f"{type(self).__name__} has one objective, and the study has {len(study.directions)}. Create the "
                "study with a single `direction`, or take ParetoEvolutionSampler or PredictorSampler."
            )


def _nothing_is_taken(architecture: Architecture) -> bool:
    return False
