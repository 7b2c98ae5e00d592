"""The algorithm, without a study."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis.strategies import integers
from numpy.random import Generator, default_rng

from nas_tune.samplers.aging_evolution import MOST_TRIES, Breeding, Child, Member, propose, tournament
from nas_tune.space import Architecture, Categorical, SearchSpace, Value


def nothing_is_taken(architecture: Architecture) -> bool:
    return False


def members(space: SearchSpace, values: list[float]) -> tuple[Member, ...]:
    return tuple(Member(i, space.sample(default_rng(i)), value) for i, value in enumerate(values))


def distance(a: Mapping[str, Value], b: Mapping[str, Value]) -> int:
    return sum(a[name] != b[name] for name in a)


def test_the_parent_is_the_best_of_those_drawn(cell_space: SearchSpace) -> None:
    values = default_rng(0).permutation(20).astype(float).tolist()
    population = members(cell_space, values)

    for seed in range(50):
        drawn = default_rng(seed).integers(20, size=5)
        best = max(values[i] for i in drawn)

        assert tournament(population, 5, default_rng(seed)).value == best


def test_a_member_that_breaks_less_wins_whatever_the_values(cell_space: SearchSpace) -> None:
    architecture = cell_space.sample(default_rng(0))
    population = (
        Member(0, architecture, 9.0, 0.5),
        Member(1, architecture, 1.0, 0.1),
        Member(2, architecture, 2.0, 0.1),
    )

    assert tournament(population, 100, default_rng(0)).number == 2


def test_a_sample_of_one_makes_every_member_a_parent_equally_often(cell_space: SearchSpace) -> None:
    population = members(cell_space, [float(i) for i in range(8)])
    rng = default_rng(0)

    counts = np.bincount([tournament(population, 1, rng).number for _ in range(4_000)], minlength=8)

    chi_square = float(((counts - 500) ** 2 / 500).sum())
    assert chi_square < 24.3  # the 99.9 % point with 7 degrees of freedom


def test_a_sample_of_s_draws_the_best_member_as_often_as_drawing_with_replacement_does(cell_space: SearchSpace) -> None:
    population = members(cell_space, [0.0] * 9 + [1.0])
    rng = default_rng(0)

    share = np.mean([tournament(population, 3, rng).number == 9 for _ in range(4_000)])

    expected = 1 - 0.9**3
    assert abs(share - expected) < 3 * np.sqrt(expected * (1 - expected) / 4_000)


def test_a_child_is_its_parent_with_one_decision_changed(cell_space: SearchSpace) -> None:
    population = members(cell_space, [1.0, 4.0, 2.0])
    proposal = propose(cell_space, population, Breeding(10), {}, nothing_is_taken, default_rng(0))

    assert proposal.parent == 1
    assert distance(proposal.architecture, population[1].architecture) == 1


def test_without_a_population_proposals_are_uniform() -> None:
    space = SearchSpace({"a": Categorical(0, 1), "b": Categorical(0, 1, 2)})
    rng = default_rng(0)

    drawn = [propose(space, (), Breeding(1), {}, nothing_is_taken, rng) for _ in range(3_000)]

    counts = [sum(p.architecture == a for p in drawn) for a in space.enumerate()]
    assert {proposal.parent for proposal in drawn} == {None}
    assert sum((count - 500) ** 2 / 500 for count in counts) < 20.5  # 99.9 %, 5 degrees of freedom


def test_crossover_mixes_two_parents_before_the_mutation(cell_space: SearchSpace) -> None:
    none, convolution = (
        Member(i, cell_space.architecture(dict.fromkeys(cell_space.nodes, op)), 0.0)
        for i, op in enumerate(("none", "nor_conv_3x3"))
    )
    rng = default_rng(0)

    proposals = [
        propose(cell_space, (none, convolution), Breeding(1, crossover_probability=1.0), {}, nothing_is_taken, rng)
        for _ in range(50)
    ]

    mixed = [p for p in proposals if {"none", "nor_conv_3x3"} <= set(p.architecture.values())]
    assert max(distance(p.architecture, none.architecture) for p in mixed) > 2
    assert max(distance(p.architecture, convolution.architecture) for p in mixed) > 2


def test_a_taken_architecture_is_not_proposed_while_another_is_near(cell_space: SearchSpace) -> None:
    population = members(cell_space, [1.0])
    taken = set(cell_space.neighbours(population[0].architecture)) | {population[0].architecture}
    rng = default_rng(0)

    for _ in range(100):
        proposal = propose(cell_space, population, Breeding(1), {}, taken.__contains__, rng)

        assert proposal.architecture not in taken
        taken.add(proposal.architecture)


def test_an_exhausted_space_gives_a_duplicate_after_a_bounded_number_of_tries(cell_space: SearchSpace) -> None:
    asked = []

    def everything_is_taken(architecture: Architecture) -> bool:
        asked.append(architecture)
        return True

    proposal = propose(cell_space, members(cell_space, [1.0]), Breeding(1), {}, everything_is_taken, default_rng(0))

    assert proposal.architecture == asked[0]
    assert len(asked) == MOST_TRIES


def test_a_space_with_one_architecture_proposes_it() -> None:
    space = SearchSpace({"only": Categorical("conv")})
    population = (Member(0, space.architecture({"only": "conv"}), 1.0),)

    proposal = propose(space, population, Breeding(1), {}, lambda architecture: True, default_rng(0))

    assert dict(proposal.architecture) == {"only": "conv"}


def test_fixed_values_open_the_decisions_below_them(joint_space: SearchSpace) -> None:
    fixed: dict[str, Value] = {"op": "conv", "op.conv.kernel": 7, "blocks.length": 2}
    rng = default_rng(0)

    for population in ((), members(joint_space, [0.0, 1.0, 2.0])):
        proposal = propose(joint_space, population, Breeding(2), fixed, nothing_is_taken, rng)

        assert joint_space.architecture(proposal.architecture) == proposal.architecture
        assert fixed.items() <= dict(proposal.architecture).items()


def test_fixed_values_are_completed_within_the_constraints() -> None:
    space = SearchSpace({"a": Categorical(*range(4)), "b": Categorical(*range(4))}).where(
        lambda architecture: architecture["a"] == architecture["b"], "a equals b"
    )
    population = (Member(0, space.architecture({"a": 1, "b": 1}), 1.0),)

    for seed in range(20):
        proposal = propose(space, (), Breeding(1), {"a": 3}, nothing_is_taken, default_rng(seed))
        assert dict(proposal.architecture) == {"a": 3, "b": 3}

    proposal = propose(space, population, Breeding(1), {"a": 3, "b": 0}, nothing_is_taken, default_rng(0))
    assert dict(proposal.architecture) == {"a": 3, "b": 0}


def test_the_same_generator_and_history_give_the_same_proposal(joint_space: SearchSpace) -> None:
    def draw(seed: int) -> Child:
        population = members(joint_space, [0.0, 1.0, 2.0])
        return propose(joint_space, population, Breeding(2), {}, nothing_is_taken, default_rng(seed))

    assert draw(1) == draw(1)
    assert draw(1) != draw(2)


@pytest.fixture(scope="module")
def small_space() -> SearchSpace:
    return SearchSpace({f"edge_{i}": Categorical(*range(4)) for i in range(5)})


def best_rank(space: SearchSpace, rank: Callable[[Architecture], int], budget: int, rng: Generator) -> int:
    """Rank, 1 is best, of the best architecture that `budget` evaluations of evolution find."""
    population: tuple[Member, ...] = ()
    found: dict[Architecture, int] = {}
    for number in range(budget):
        parents = population if number >= 10 else ()
        architecture = propose(space, parents, Breeding(5), {}, found.__contains__, rng).architecture
        found[architecture] = rank(architecture)
        population = (*population, Member(number, architecture, -found[architecture]))[-10:]
    return min(found.values())


def test_with_permuted_rewards_evolution_is_random_search(small_space: SearchSpace) -> None:
    architectures, budget, runs = list(small_space.enumerate()), 50, 80
    smooth = sorted(architectures, key=lambda a: sum(map(int, map(str, a.values()))))
    ranks = dict(zip(smooth, range(1, len(smooth) + 1), strict=True))
    best, permuted = [], []
    for seed in range(runs):
        rng = default_rng(seed)
        order = (rng.permutation(len(architectures)) + 1).tolist()
        shuffled = dict(zip(architectures, order, strict=True))
        permuted.append(best_rank(small_space, shuffled.__getitem__, budget, rng))
        best.append(best_rank(small_space, ranks.__getitem__, budget, rng))

    # the best of n drawn without replacement from N has the mean rank (N + 1) / (n + 1)
    expected = (len(architectures) + 1) / (budget + 1)
    standard_error = np.std(permuted, ddof=1) / np.sqrt(runs)
    assert abs(np.mean(permuted) - expected) < 2 * standard_error
    assert np.mean(best) < expected / 3


@given(seed=integers(0, 2**32 - 1))
def test_a_proposal_is_of_the_space_and_holds_every_fixed_value_that_is_active(
    seed: int, joint_space: SearchSpace
) -> None:
    rng = default_rng(seed)
    population = members(joint_space, [0.0, 1.0, 2.0]) if rng.random() < 0.7 else ()
    fixed = {name: value for name, value in joint_space.sample(rng).items() if rng.random() < 0.5}

    proposal = propose(joint_space, population, Breeding(2, 0.5), fixed, nothing_is_taken, rng)

    assert joint_space.architecture(proposal.architecture) == proposal.architecture
    assert all(proposal.architecture[name] == fixed[name] for name in fixed.keys() & proposal.architecture.keys())
