"""Regularized (aging) evolution as pure functions: the population forgets its oldest, the best of a few breeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeGuard

from nas_tune.errors import SamplerError, SpaceError
from nas_tune.samplers.fixing import completed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.random import Generator

    from nas_tune.space import Architecture, SearchSpace, Value

MOST_TRIES = 32  # proposals that are taken already before one of them is accepted
TRIES_PER_MUTATION = 8


@dataclass(frozen=True)
class Member:
    """An evaluated architecture.

    Args:
        number: When it was born: the smaller, the older.
        architecture: What was evaluated.
        value: Its fitness, larger is better.
        excess: By how much it breaks constraints; the smaller wins, whatever the values.
    """

    number: int
    architecture: Architecture
    value: float
    excess: float = 0.0


@dataclass(frozen=True)
class Child:
    """An architecture to evaluate, and the number of the member it was bred from; `None` if it was drawn at random."""

    architecture: Architecture
    parent: int | None


@dataclass(frozen=True)
class Breeding:
    """How a population breeds.

    Args:
        sample_size: Members that are drawn, with replacement, for each tournament; the best of them is the parent.
        crossover_probability: How often the parent is first crossed with the winner of a second tournament.
    """

    sample_size: int = 10
    crossover_probability: float = 0.0


def check_breeding(owner: str, population_size: object, sample_size: object, crossover_probability: object) -> None:
    """Check the numbers of a sampler that breeds.

    Raises:
        SamplerError: A size is no whole number of at least 1, more are drawn than live, or a probability is none.
    """
    if not _whole(sample_size) or not _whole(population_size) or not 1 <= sample_size <= population_size:
        raise SamplerError(
            f"{owner}: `sample_size` is {sample_size} and `population_size` {population_size}. "
            "Take whole numbers, 1 <= `sample_size` <= `population_size`."
        )
    if not isinstance(crossover_probability, (int, float)) or not 0.0 <= crossover_probability <= 1.0:
        raise SamplerError(f"{owner}: `crossover_probability` is {crossover_probability}. Take 0 to 1.")


def _whole(number: object) -> TypeGuard[int]:
    return isinstance(number, int) and not isinstance(number, bool)


def propose(
    space: SearchSpace,
    population: Sequence[Member],
    breeding: Breeding,
    fixed: Mapping[str, Value],
    is_taken: Callable[[Architecture], bool],
    rng: Generator,
) -> Child:
    """Draw the next architecture to evaluate.

    A proposal that is taken is drawn again, with one mutation more after every 8 tries, so that the search widens where
    everything near is known; after 32 tries the first one is accepted, taken as it is. Where no mutant is feasible, the
    proposal is drawn from the space.

    Args:
        space: What is searched.
        population: Members that may breed; with none, the proposal is drawn uniformly from the space.
        breeding: How they breed.
        fixed: Values that the proposal has to have.
        is_taken: Says that an architecture is evaluated already, or being evaluated.
        rng: Source of randomness.

    Returns:
        The proposal. Its architecture breaks a constraint of the space only if no try with the `fixed` values met all.

    Reference: Real et al., arXiv:1802.01548, algorithm 1. Deviations: a mutation changes one uniformly drawn decision,
        never none (5 % of the paper's children are copies), and known architectures are avoided.
    """
    known, infeasible = [], []
    for tries in range(MOST_TRIES):
        try:
            proposal = breed(space, population, breeding, 1 + tries // TRIES_PER_MUTATION, rng)
        except SpaceError:  # nothing can be mutated, or no mutant is feasible
            return Child(completed(space, space.sample(rng), fixed, rng), None)
        proposal = Child(completed(space, proposal.architecture, fixed, rng), proposal.parent)
        if fixed and any(space.violations("", proposal.architecture)):
            infeasible.append(proposal)
        elif is_taken(proposal.architecture):
            known.append(proposal)
        else:
            return proposal
    return (known + infeasible)[0]


def breed(
    space: SearchSpace, population: Sequence[Member], breeding: Breeding, mutations: int, rng: Generator
) -> Child:
    """Mutate the winner of a tournament; without a population, draw from the space."""
    if not population:
        return Child(space.sample(rng), None)
    parent = tournament(population, breeding.sample_size, rng)
    child = parent.architecture
    if breeding.crossover_probability and rng.random() < breeding.crossover_probability:
        child = space.crossover(child, tournament(population, breeding.sample_size, rng).architecture, rng)
    for _ in range(mutations):
        child = space.mutate(child, rng)
    return Child(child, parent.number)


def tournament(population: Sequence[Member], sample_size: int, rng: Generator) -> Member:
    """Return the best of `sample_size` members drawn with replacement, of equally good ones the first drawn."""
    drawn: list[int] = rng.integers(len(population), size=sample_size).tolist()
    return max((population[i] for i in drawn), key=_fitness)


def _fitness(member: Member) -> tuple[float, float]:
    return -member.excess, member.value
