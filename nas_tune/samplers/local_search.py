"""Local search as an Optuna sampler."""

from __future__ import annotations

from typing import TYPE_CHECKING

from optuna.trial import TrialState

from nas_tune.errors import SamplerError
from nas_tune.samplers.aging_evolution import Member
from nas_tune.samplers.derived import Derived
from nas_tune.samplers.hill_climbing import Climb, neighbourhood, propose
from nas_tune.samplers.space_sampler import Proposal, Request, SpaceSampler

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

    from nas_tune.samplers.study_history import Evaluation
    from nas_tune.space import Architecture, SearchSpace

CLIMB = "climb"  # note: which climb a trial belongs to, from 0
CENTRE = "centre"  # note: number of the trial whose neighbour it is; not written for draws


class LocalSearchSampler(SpaceSampler):
    """Climbs: tries the neighbours of the best architecture one by one, and moves to the first that is better.

    Each climb draws `draws` architectures uniformly from the space and starts at the best of them. It tries the
    neighbours of its centre (`space.neighbours`: one decision changed, a number by one step) in random order and moves
    as soon as one is better. Where none is, it is at a local optimum, and the next climb begins. Everything is read
    back from the study: several processes may share one, and a run that was killed continues as if nothing had been.

    Processes that search together try different neighbours of one centre, and go on from the best result, whoever has
    found it. While the neighbours of an optimum are still running, the next climb draws; one of them that turns out
    better is climbed on from first. While draws run, further ones are drawn.

    A network is tried once, whichever climb meets it. Failed trials count for nothing and may be tried again. Pruned
    trials are not better than any. A trial that broke a constraint (`trial.set_constraint`) is worse than one that
    broke less, whatever the values. Enqueued trials, and trials of other samplers, are draws of the climb that they
    meet: one that is better than the centre is climbed on from.

    Args:
        space: Space that the objective suggests, `space.suggest(trial, prefix)`, alone or beside other parameters.
        draws: Architectures that each climb draws; 10 in naszilla.
        most_neighbours: Neighbours of one centre that are tried; of a larger neighbourhood a random choice.
        independent_sampler: Proposes the parameters that are not of the space; by default Optuna's `TPESampler`, seeded
            from `seed`, trial and parameter.
        prefix: What `space.suggest` is given.
        seed: Makes a proposal a function of seed, trial number and history. Processes with one seed do not repeat each
            other. `None` takes fresh entropy for every trial.

    Raises:
        SamplerError: An argument is out of its range.

    Reference: White et al., "Exploring the Loss Landscape in Neural Architecture Search", arXiv:2005.02960.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        draws: int = 10,
        most_neighbours: int = 200,
        independent_sampler: BaseSampler | None = None,
        prefix: str = "",
        seed: int | None = None,
    ) -> None:
        super().__init__(
            space, avoid_duplicates=True, independent_sampler=independent_sampler, prefix=prefix, seed=seed
        )
        if not isinstance(draws, int) or not isinstance(most_neighbours, int) or draws < 1 or most_neighbours < 1:
            raise SamplerError(
                f"LocalSearchSampler: `draws` is {draws}, `most_neighbours` {most_neighbours}. Take whole numbers."
            )
        self._draws, self._most_neighbours = draws, most_neighbours
        self._climbs = Derived(Climbs, Climbs.add)

    def propose(self, request: Request) -> Proposal:
        """Return a neighbour of the centre that nobody has tried, or a draw where a climb begins."""
        known = self._climbs.of(request.history)

        def near(centre: Member) -> tuple[Architecture, ...]:
            if centre.number not in known.near:
                known.near[centre.number] = neighbourhood(self._space, centre, self._most_neighbours)
            return known.near[centre.number]

        step = propose(self._space, known.climbs(), self._draws, near, request.fixed, request.is_taken, request.rng)
        centre = {} if step.centre is None else {CENTRE: step.centre}
        return Proposal(step.architecture, {CLIMB: step.climb, **centre})


class Climbs:
    """The climbs of a study.

    Attributes:
        near: Neighbours of the centres, by number.
    """

    def __init__(self) -> None:
        self._climbs: dict[int, Climb] = {}
        self.near: dict[int, tuple[Architecture, ...]] = {}

    def add(self, evaluation: Evaluation) -> None:
        """Add a finished trial; a failed one counts for nothing."""
        if evaluation.state == TrialState.FAIL:
            return
        place = evaluation.notes.get(CLIMB, 0)
        assert isinstance(place, int)  # as it was written
        member = None
        if evaluation.complete:
            member = Member(evaluation.number, evaluation.architecture, evaluation.value, evaluation.excess)
        before = self._climbs.get(place, Climb())
        after = self._climbs[place] = before.after(member, drawn=CENTRE not in evaluation.notes)
        if before.centre is not None and after.centre is not before.centre:
            self.near.pop(before.centre.number, None)

    def climbs(self) -> tuple[Climb, ...]:
        """Return all climbs, from the first to the last that has an evaluated trial."""
        return tuple(self._climbs.get(place, Climb()) for place in range(max(self._climbs, default=-1) + 1))
