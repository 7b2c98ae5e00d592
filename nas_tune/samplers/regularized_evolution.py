"""Regularized evolution as an Optuna sampler."""

from __future__ import annotations

import logging
import threading
import zlib
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np
from optuna.samplers import BaseSampler, TPESampler
from optuna.study import StudyDirection

from nas_tune.errors import ArchitectureError, SamplerError, StudyError
from nas_tune.samplers import study_records
from nas_tune.samplers.aging_evolution import Breeding, Proposal, propose
from nas_tune.samplers.study_history import StudyHistory
from nas_tune.space import SearchSpace

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.storages import BaseStorage
    from optuna.study import Study
    from optuna.trial import FrozenTrial, TrialState

    from nas_tune.space import Architecture, Value

PARENT = "RegularizedEvolution:parent"  # number of the trial that was mutated; not written for random proposals
_LOGGER = logging.getLogger("nas_tune")
CANONICAL_KEY = "RegularizedEvolution:canonical_key"  # of the architecture of a trial, before it is all suggested


class RegularizedEvolutionSampler(BaseSampler):
    """Mutates the best of a few recent trials; a population in which the oldest dies, not the worst.

    The population is the last `population_size` completed trials of the study, by number. Until so many are evaluated,
    architectures are drawn uniformly from the space. Then each trial draws `sample_size` members with replacement and
    mutates one decision of the best. Everything is read back from the study: several processes may share one, and a run
    that was killed continues as if nothing had been.

    The defaults suit the 60 to 300 trials of a typical study: population 30 and sample 10 are naszilla's, and the best
    pair tried on NAS-Bench-201 at 100 and 150 trials. The paper's search of 20,000 trials had 100 and 25 (quoted from
    memory, not checked against the paper); NATS-Bench takes 10 and 3.

    Running and enqueued trials count as taken. Failed trials count for nothing and may be tried again. Pruned trials
    are taken, but have no children: their values are of a lower fidelity than those of the population.

    Args:
        space: Space that the objective suggests, `space.suggest(trial, prefix)`, alone or beside other parameters.
        population_size: Completed trials that live, and random trials in the beginning.
        sample_size: Members of each tournament, at most `population_size`. 1 makes the parent a random one.
        crossover_probability: How often the parent is first crossed with the winner of a second tournament; 0 in the
            paper.
        avoid_duplicates: Draw again when a network (compared by `space.canonical_key`) is known, at most 32 times.
        independent_sampler: Proposes the parameters that are not of the space; by default Optuna's `TPESampler`, seeded
            from `seed`, trial and parameter.
        prefix: What `space.suggest` is given.
        seed: Makes a proposal a function of seed, trial number and history. Processes with one seed do not repeat each
            other. `None` takes fresh entropy for every trial.

    Raises:
        SamplerError: An argument is out of its range.

    Reference: Real et al., "Regularized Evolution for Image Classifier Architecture Search", arXiv:1802.01548.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        population_size: int = 30,
        sample_size: int = 10,
        crossover_probability: float = 0.0,
        avoid_duplicates: bool = True,
        independent_sampler: BaseSampler | None = None,
        prefix: str = "",
        seed: int | None = None,
    ) -> None:
        if not isinstance(space, SearchSpace):
            raise SamplerError(f"RegularizedEvolutionSampler: `space` is {space!r}. Give a SearchSpace.")
        _check(population_size, sample_size, crossover_probability, seed)
        self._space, self._prefix, self._seed = space, prefix, seed
        self._population_size = population_size
        self._breeding = Breeding(sample_size, crossover_probability)
        self._avoid_duplicates = avoid_duplicates
        self._independent_sampler = independent_sampler
        self._parameters = space.parameters()
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
        if (
            trial.params
            and not self._warned
            and not any(self._prefix + name in trial.params for name in self._parameters)
        ):
            self._warned = True
            _LOGGER.warning(
                "Trial %d suggested no parameter of the space that RegularizedEvolutionSampler searches (%s): "
                "is it of another space, or suggested with another prefix?",
                trial.number,
                ", ".join(list(self._parameters)[:3]),
            )
        if self._independent_sampler is not None:
            self._independent_sampler.after_trial(study, trial, state, values)

    def reseed_rng(self) -> None:
        """Reseed the independent sampler; the proposals' generators are new for every trial anyway."""
        if self._independent_sampler is not None:
            self._independent_sampler.reseed_rng()

    def _propose(self, study: Study, trial: FrozenTrial, history: StudyHistory) -> Architecture:
        history.update(study.get_trials(deepcopy=False))
        proposal = propose(
            self._space,
            history.population,
            self._breeding,
            self._enqueued(trial),
            partial(history.is_taken, number=trial.number) if self._avoid_duplicates else _nothing_is_taken,
            self._generator(trial),
        )
        self._record(study, trial, proposal, history)
        return proposal.architecture

    def _record(self, study: Study, trial: FrozenTrial, proposal: Proposal, history: StudyHistory) -> None:
        if self._avoid_duplicates:
            study_records.record(study, trial, CANONICAL_KEY, history.key(proposal.architecture))
        if proposal.parent is not None:
            study_records.record(study, trial, PARENT, proposal.parent)

    def _history(self, study: Study) -> StudyHistory:
        self._check_directions(study)
        histories = self._histories.setdefault(study_records.storage(study), {})
        key = study_records.study_key(study)
        if key not in histories:
            maximize = study.directions[0] == StudyDirection.MAXIMIZE
            size = self._population_size
            histories[key] = StudyHistory(self._space, self._prefix, size, maximize, CANONICAL_KEY)
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

    def _generator(self, trial: FrozenTrial) -> np.random.Generator:
        return np.random.default_rng(None if self._seed is None else (self._seed, trial.number))

    def _tpe(self, trial: FrozenTrial, param_name: str) -> TPESampler:
        """Make the default independent sampler: seeded for this one value, it has no state that a resumed run lacks."""
        if self._seed is None:
            return TPESampler()
        place = (self._seed, trial.number, zlib.crc32(param_name.encode()))
        return TPESampler(seed=int(np.random.default_rng(place).integers(2**32)))

    def _check_directions(self, study: Study) -> None:
        if len(study.directions) > 1:
            raise StudyError(
                f"RegularizedEvolutionSampler has one objective, and the study has {len(study.directions)}. Create the "
                "study with a single `direction`; evolution of Pareto fronts is still to come, until then take "
                "`optuna.samplers.NSGAIISampler`."
            )


def _nothing_is_taken(architecture: Architecture) -> bool:
    return False


def _check(population_size: int, sample_size: int, crossover_probability: float, seed: int | None) -> None:
    if not 1 <= sample_size <= population_size:
        raise SamplerError(
            f"RegularizedEvolutionSampler: `sample_size` is {sample_size} and `population_size` {population_size}. "
            "Take 1 <= `sample_size` <= `population_size`."
        )
    if not 0.0 <= crossover_probability <= 1.0:
        raise SamplerError(
            f"RegularizedEvolutionSampler: `crossover_probability` is {crossover_probability}. Take 0 to 1."
        )
    if seed is not None and (not isinstance(seed, int) or seed < 0):
        raise SamplerError(
            f"RegularizedEvolutionSampler: `seed` is {seed}. Take a whole number of at least 0, or None."
        )
