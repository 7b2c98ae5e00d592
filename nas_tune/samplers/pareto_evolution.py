"""Evolution of a Pareto front as an Optuna sampler."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from nas_tune.samplers.aging_evolution import Breeding, Member, check_breeding, propose
from nas_tune.samplers.derived import Derived
from nas_tune.samplers.skyband import Skyband
from nas_tune.samplers.space_sampler import Proposal, Request, SpaceSampler

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

    from nas_tune.samplers.study_history import Evaluation, StudyHistory
    from nas_tune.space import Architecture, SearchSpace

PARENT = "parent"  # note: number of the trial that was mutated; not written for random proposals


class ParetoEvolutionSampler(SpaceSampler):
    """Breeds from the best trials of a study with any number of objectives, as NSGA-II ranks them.

    The parents are the best `population_size` of all completed trials: by rank of non-dominated sorting, within a rank
    the least crowded first. Until so many trials are evaluated, architectures are drawn uniformly from the space. Then
    each trial draws `sample_size` survivors, takes the best of them, crosses it with another such winner (sometimes)
    and mutates one decision. So the population is renewed with every trial, not with every generation: a process never
    waits, and any process reads the same population out of the study. With one objective, the survivors are the trials
    of the best values.

    A trial that broke a constraint (`trial.set_constraint`) ranks behind every feasible one and behind those that broke
    less. Running and enqueued trials count as taken. Failed trials count for nothing and may be tried again. Pruned
    trials are taken, but have no children: they have no values to rank.

    The defaults suit the 100 to 500 trials of a typical study: population 20 and binary tournaments were the best of
    the few settings tried with accuracy and latency of NAS-Bench-201. With 3 objectives or more, where most trials are
    on the front, a larger population keeps more of it. Published searches evaluate far more, on a super-net: FairNAS
    (arXiv:1907.01845) runs NSGA-II with a population of 70 for 200 generations (quoted from memory, not checked against
    the paper); AttentiveNAS and AlphaNet (arXiv:2011.09011, arXiv:2102.07954) breed from up to 512 parents, for 20
    rounds, 128 mutants (each decision with probability 0.2) and 128 crossings, and keep the best of every bin of 25 and
    10 million multiply-adds.

    Args:
        space: Space that the objective suggests, `space.suggest(trial, prefix)`, alone or beside other parameters.
        population_size: Trials that breed, and random trials in the beginning.
        sample_size: Members of each tournament, at most `population_size`; 2 in NSGA-II. 1 makes the parent a random
            one.
        crossover_probability: How often the parent is first crossed with the winner of a second tournament.
        avoid_duplicates: Draw again when a network (compared by `space.canonical_key`) is known, at most 32 times.
        independent_sampler: Proposes the parameters that are not of the space; by default Optuna's `TPESampler`, seeded
            from `seed`, trial and parameter.
        prefix: What `space.suggest` is given.
        seed: Makes a proposal a function of seed, trial number and history. Processes with one seed do not repeat each
            other. `None` takes fresh entropy for every trial.

    Raises:
        SamplerError: An argument is out of its range.

    Reference: Deb et al., "A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II", doi:10.1109/4235.996017.
        Deviations: one child at a time, survivors of all trials, operators of the space, known networks are avoided.
    """

    several_objectives: ClassVar[bool] = True

    def __init__(
        self,
        space: SearchSpace,
        *,
        population_size: int = 20,
        sample_size: int = 2,
        crossover_probability: float = 0.5,
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
        self._evaluated = Derived(partial(Evaluated, population_size), Evaluated.add)

    def propose(self, request: Request) -> Proposal:
        """Breed a child of the survivors, or draw from the space while there are too few."""
        population = self._population(request.history)
        child = propose(self._space, population, self._breeding, request.fixed, request.is_taken, request.rng)
        return Proposal(child.architecture, {} if child.parent is None else {PARENT: child.parent})

    def _population(self, history: StudyHistory) -> tuple[Member, ...]:
        return self._evaluated.of(history).survivors() if history.evaluated >= self._population_size else ()


class Evaluated:
    """The complete trials of a study, of which the best survive.

    Args:
        size: How many survive.
    """

    def __init__(self, size: int) -> None:
        self._band = Skyband(size)
        self._architectures: dict[int, Architecture] = {}

    def add(self, evaluation: Evaluation) -> None:
        """Add a finished trial; one that is not complete has no values, and is no survivor."""
        if evaluation.complete:
            excess = math.inf if math.isnan(evaluation.excess) else evaluation.excess
            self._band.add(evaluation.number, evaluation.values, excess)
            self._architectures[evaluation.number] = evaluation.architecture

    def survivors(self) -> tuple[Member, ...]:
        """Return the survivors, the best first; their value is their place, so that a tournament takes the better."""
        best = self._band.survivors()
        return tuple(Member(number, self._architectures[number], -place) for place, number in enumerate(best))
