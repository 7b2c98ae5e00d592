"""Local search as pure functions: climbs from the best of a few draws, each time to the first better neighbour."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.random import default_rng

from nas_tune.samplers import aging_evolution
from nas_tune.samplers.aging_evolution import Breeding, Member

if TYPE_CHECKING:
    from numpy.random import Generator

    from nas_tune.space import Architecture, SearchSpace, Value


@dataclass(frozen=True)
class Climb:
    """One ascent, from its draws to a local optimum.

    Args:
        draws: Evaluated architectures that were drawn for it, not reached from a neighbour.
        centre: The best that it has evaluated so far, of equally good ones the first; `None` before there is any.
    """

    draws: int = 0
    centre: Member | None = None

    def after(self, member: Member | None, drawn: bool) -> Climb:
        """Return the climb after one more evaluation; `None` is one without a value, such as a pruned trial."""
        draws = self.draws + drawn
        if member is None or (self.centre is not None and _fitness(self.centre) >= _fitness(member)):
            return Climb(draws, self.centre)
        return Climb(draws, member)


@dataclass(frozen=True)
class Step:
    """An architecture to evaluate.

    Args:
        architecture: What to evaluate.
        climb: Place of the climb that it belongs to; one beyond the climbs there are begins the next.
        centre: Number of the member whose neighbour it is; `None` if it was drawn.
    """

    architecture: Architecture
    climb: int
    centre: int | None


def propose(
    space: SearchSpace,
    climbs: Sequence[Climb],
    draws: int,
    near: Callable[[Member], Sequence[Architecture]],
    fixed: Mapping[str, Value],
    is_taken: Callable[[Architecture], bool],
    rng: Generator,
) -> Step:
    """Draw the next architecture to evaluate, for the first climb that is not at its end.

    A climb draws from the space until so many draws are evaluated and one of them has a value; then it tries the
    neighbours of its centre in random order. It is at its end where all of them are taken; a neighbour that is still
    running and turns out better opens it again.

    Args:
        space: What is searched.
        climbs: Those that were begun.
        draws: Architectures that each climb draws before it starts at the best of them.
        near: Gives the neighbours of a centre.
        fixed: Values that the proposal has to have; with any, it is a draw.
        is_taken: Says that an architecture is evaluated already, or being evaluated.
        rng: Source of randomness.

    Reference: White et al., "Exploring the Loss Landscape in Neural Architecture Search", arXiv:2005.02960, in the
        variant of naszilla that moves at the first improvement. Deviation: what an earlier climb has evaluated is not
        tried again, and no centre.
    """

    place, centre, free = next(_open_climbs(climbs, draws, near, is_taken, rng))
    if centre is not None and free is not None and not fixed:
        return Step(free, place, centre.number)
    drawn = aging_evolution.propose(space, (), Breeding(), fixed, is_taken, rng)
    return Step(drawn.architecture, place, None)


def _open_climbs(
    climbs: Sequence[Climb],
    draws: int,
    near: Callable[[Member], Sequence[Architecture]],
    is_taken: Callable[[Architecture], bool],
    rng: Generator,
) -> Iterator[tuple[int, Member | None, Architecture | None]]:
    """Yield the climbs that go on: place, and centre and a free neighbour of it where the climb has its draws."""
    for place, climb in enumerate((*climbs, Climb())):
        if climb.draws < draws or climb.centre is None:
            yield place, None, None
        elif (free := _first_free(near(climb.centre), is_taken, rng)) is not None:
            yield place, climb.centre, free


def neighbourhood(space: SearchSpace, centre: Member, most: int) -> tuple[Architecture, ...]:
    """Return the neighbours of a centre; of more than `most` a random choice that depends on the centre's number."""
    near = space.neighbours(centre.architecture)
    if len(near) <= most:
        return near
    chosen = default_rng(centre.number).choice(len(near), size=most, replace=False)
    return tuple(near[i] for i in np.sort(chosen).tolist())


def _first_free(
    near: Sequence[Architecture], is_taken: Callable[[Architecture], bool], rng: Generator
) -> Architecture | None:
    return next((near[i] for i in rng.permutation(len(near)).tolist() if not is_taken(near[i])), None)


def _fitness(member: Member) -> tuple[float, float, int]:
    return -member.excess, member.value, -member.number
