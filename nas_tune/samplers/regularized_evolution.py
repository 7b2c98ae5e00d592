"""Regularized evolution as an Optuna sampler."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nas_tune.samplers.aging_evolution import Breeding, Member, check_breeding, propose
from nas_tune.samplers.space_sampler import Proposal, Request, SpaceSampler

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

    from nas_tune.samplers.study_history import Evaluation, StudyHistory
    from nas_tune.space import SearchSpace

PARENT = "parent"  # note: number of the trial that was mutated; not written for random proposals


class RegularizedEvolutionSampler(SpaceSampler):
    """Mutates the best of a few recent trials; a population in which the oldest dies, not the worst.

    The population is the last `population_size` completed trials of the study, by number. Until so many are evaluated,
    architectures are drawn uniformly from the space. Then each trial draws `sample_size` members with replacement and
    mutates one decision of the best. Everything is read back from the study: several processes may share one, and a run
    that was killed continues as if nothing had been.

    The defaults suit the 60 to 300 trials of a typical study: population 30 and sample 10 are naszilla's, and the best
    pair tried on NAS-Bench-201 at 100 and 150 trials. The paper's search of 20,000 trials had 100 and 25 (quoted from
    memory, not checked against the paper); NATS-Bench takes 10 and 3.

    Running and enqueued trials count as taken. Failed trials count for nothing and may be tried again. Pruned trials
    are taken, but have no children: their values are of a lower fidelity than those of the population. A trial that
    broke a constraint (`trial.set_constraint`) loses every tournament against one that broke less.

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
        super().__init__(
            space,
            avoid_duplicates=avoid_duplicates,
            independent_sampler=independent_sampler,
            prefix=prefix,
            seed=seed,
        )
        check_breeding(type(self).__name__, population_size, sample_size, crossover_probability)
        self._population_size = population_size
        self._breeding = Breeding(sample_size, crossover_probability)

    def propose(self, request: Request) -> Proposal:
        """Breed a child of the population, or draw from the space while there is none."""
        population = population_of(request.history, self._population_size)
        child = propose(self._space, population, self._breeding, request.fixed, request.is_taken, request.rng)
        return Proposal(child.architecture, {} if child.parent is None else {PARENT: child.parent})


def population_of(history: StudyHistory, size: int) -> tuple[Member, ...]:
    """Return the last `size` completed trials; none before as many trials are complete or pruned.

    A pruned trial is no member: its value is of a lower fidelity than theirs. It does count as evaluated, so that a
    pruner does not prolong the random beginning.
    """
    if history.evaluated < size:
        return ()
    return tuple(map(_member, history.complete[-size:]))


def _member(evaluation: Evaluation) -> Member:
    return Member(evaluation.number, evaluation.architecture, evaluation.value, evaluation.excess)
