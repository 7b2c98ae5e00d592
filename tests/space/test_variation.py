"""Mutation, crossover and the neighbourhood, over random nested spaces."""

from __future__ import annotations

from collections import Counter
from itertools import count

import numpy as np
import pytest
from hypothesis import assume, given, settings
from scipy.stats import chi2

from nas_tune.errors import ArchitectureError, InfeasibleError, SpaceError
from nas_tune.space import Architecture, Categorical, Float, Integer, Repeat, SearchSpace, Subset, Switch, Value
from nas_tune.space.parameters import Numeric
from tests.space.strategies import KeepsSome, seeds, spaces


def edits(parent: Architecture, child: Architecture) -> list[str]:
    """Return the decisions that both have made, differently."""
    return [name for name in parent if name in child and parent[name] != child[name]]


@given(spaces(), seeds)
@settings(max_examples=60)
def test_a_mutant_differs_in_one_decision_and_in_what_that_opens_or_closes(space: SearchSpace, seed: int) -> None:
    rng = np.random.default_rng(seed)
    parent = space.sample(rng)
    assume(space.distributions(parent))

    child = space.mutate(parent, rng)

    (edit,) = edits(parent, child)
    assert space.architecture(child) == child
    assert list(parent)[: list(parent).index(edit)] == list(child)[: list(child).index(edit)]  # nothing before it


@given(spaces(), seeds)
@settings(max_examples=40)
def test_every_value_of_a_child_is_from_a_parent_that_has_made_the_decision(space: SearchSpace, seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = space.sample(rng), space.sample(rng)

    child = space.crossover(a, b, rng)

    assert space.architecture(child) == child
    for name, value in child.items():
        parents = [parent for parent in (a, b) if name in parent]
        assert not parents or value in [parent[name] for parent in parents]
    assert space.crossover(a, a, rng) == a


@given(spaces(), seeds)
@settings(max_examples=40)
def test_neighbours_are_distinct_inside_and_one_edit_away(space: SearchSpace, seed: int) -> None:
    centre = space.sample(np.random.default_rng(seed))

    near = space.neighbours(centre)

    assert len(set(near)) == len(near)
    assert all(space.architecture(neighbour) == neighbour for neighbour in near)
    assert all(len(edits(centre, neighbour)) == 1 for neighbour in near)


@given(spaces(300), seeds)
@settings(max_examples=40)
def test_in_a_finite_space_neighbours_are_mutual(space: SearchSpace, seed: int) -> None:
    centre = space.sample(np.random.default_rng(seed))

    assert all(centre in space.neighbours(neighbour) for neighbour in space.neighbours(centre)[:50])


@given(spaces(300), seeds)
@settings(max_examples=40)
def test_neighbours_hold_every_mutant_of_a_categorical(space: SearchSpace, seed: int) -> None:
    rng = np.random.default_rng(seed)
    centre = space.sample(rng)
    assume(space.distributions(centre))
    near = set(space.neighbours(centre))

    for _ in range(30):
        mutant = space.mutate(centre, rng)
        (edit,) = edits(centre, mutant)
        assert mutant in near or isinstance(space.parameters()[edit], Numeric)


@given(spaces(100, constrained=True), seeds)
@settings(max_examples=40)
def test_variation_under_constraints_stays_feasible(space: SearchSpace, seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = space.sample(rng), space.sample(rng)
    feasible = set(space.enumerate())
    assume(len(feasible) > 1 and space.distributions(a))

    assert space.mutate(a, rng) in feasible - {a}
    assert space.crossover(a, b, rng) in feasible
    assert set(space.neighbours(a)) < feasible


def test_mutation_picks_decisions_and_values_evenly() -> None:
    space = SearchSpace({"a": Categorical(0, 1, 2), "b": Categorical(0, 1), "fixed": Categorical("only")})
    rng = np.random.default_rng(0)
    parent = space.architecture({"a": 1, "b": 0})

    counts = Counter(space.mutate(parent, rng) for _ in range(4000))

    expected: dict[tuple[Value, Value], int] = {(0, 0): 1000, (2, 0): 1000, (1, 1): 2000}
    assert {(mutant["a"], mutant["b"]) for mutant in counts} == set(expected)
    statistic = sum((n - expected[m["a"], m["b"]]) ** 2 / expected[m["a"], m["b"]] for m, n in counts.items())
    assert chi2.sf(statistic, 2) > 1e-3


def test_crossover_takes_either_parent_with_equal_chance() -> None:
    space = SearchSpace({str(i): Integer(0, 1) for i in range(1000)})
    zeros, ones = ({str(i): value for i in range(1000)} for value in (0, 1))

    child = space.crossover(zeros, ones, np.random.default_rng(0))

    assert 400 < sum(value == 1 for value in child.values()) < 600


def test_a_longer_child_keeps_the_copies_of_the_longer_parent() -> None:
    space, rng = SearchSpace({"deep": Repeat(Categorical(*range(50)), 1, 3)}), np.random.default_rng(0)
    short = space.architecture({"deep.length": 1, "deep.0": 7})
    long = space.architecture({"deep.length": 3, "deep.0": 8, "deep.1": 9, "deep.2": 10})

    children = {space.crossover(short, long, rng) for _ in range(60)}

    assert {tuple(child.values()) for child in children} == {(1, 7), (1, 8), (3, 7, 9, 10), (3, 8, 9, 10)}


def test_mutating_a_large_subset_exchanges_members() -> None:
    space, rng = SearchSpace({"ins": Subset(range(10), 4)}), np.random.default_rng(0)
    subset = space["ins"]
    assert isinstance(subset, Subset)
    architecture = space.sample(rng)

    for _ in range(50):
        before = subset.chosen("ins", architecture)
        architecture = space.mutate(architecture, rng)
        after = subset.chosen("ins", architecture)
        assert len(after) == 4 and after != before


def test_numbers_mutate_on_their_scale_and_reflect_at_the_ends() -> None:
    space = SearchSpace({"lr": Float(1e-4, 1e-1, log=True)})
    rng = np.random.default_rng(0)

    steps = [space.mutate({"lr": 1e-4}, rng)["lr"] for _ in range(2000)]

    decades = np.log10(np.array(steps, dtype=float)) + 4
    assert 0 < decades.min() and decades.max() <= 3
    assert abs(float(np.sqrt(np.mean(decades**2))) / 3 - 0.2) < 0.01  # a folded normal of 0.2 of the range


def test_nas_bench_like_cells_have_the_known_number_of_neighbours() -> None:
    space = SearchSpace({f"edge{i}": Categorical(*"abcde") for i in range(6)})

    assert len(space.neighbours(space.sample(np.random.default_rng(0)))) == 24  # 6 edges, 4 other operations


def test_an_edit_that_opens_too_much_is_completed_once() -> None:
    big = SearchSpace({str(i): Categorical(0, 1) for i in range(11)})
    space = SearchSpace({"op": Switch({"big": big, "none": SearchSpace({})})})

    (neighbour,) = space.neighbours(space.architecture({"op": "none"}))

    assert neighbour["op"] == "big"


def test_a_continuous_neighbour_is_a_tenth_of_the_range_away_and_inside() -> None:
    space = SearchSpace({"x": Float(0, 10), "op": Switch({"a": SearchSpace({"y": Float(2, 4)}), "b": SearchSpace({})})})

    near = space.neighbours({"x": 9.5, "op": "b"})

    assert [dict(neighbour) for neighbour in near] == [
        {"x": 8.5, "op": "b"},
        {"x": 10.0, "op": "b"},
        {"x": 9.5, "op": "a", "op.a.y": 3.0},  # what opens takes the middle of its range
    ]


def test_a_space_without_a_second_value_cannot_be_mutated() -> None:
    space = SearchSpace({"op": Categorical("only")})

    with pytest.raises(
        SpaceError, match="Nothing can be mutated: every active parameter of the architecture has a single"
    ):
        space.mutate({"op": "only"}, np.random.default_rng(0))


def test_the_only_feasible_architecture_has_no_mutant_and_no_neighbour() -> None:
    space = SearchSpace({"a": Categorical(0, 1), "b": Categorical(0, 1)}).where(lambda x: x["a"] == x["b"] == 0, "zero")
    rng = np.random.default_rng(0)
    only = space.sample(rng)

    assert space.neighbours(only) == ()
    assert space.crossover(only, only, rng) == only
    with pytest.raises(InfeasibleError, match="'zero' refused .*'other than its parent' refused"):
        space.mutate(only, rng)


def test_mutation_reaches_over_infeasible_architectures() -> None:
    space = SearchSpace({"a": Categorical(0, 1), "b": Categorical(0, 1)}).where(lambda x: x["a"] == x["b"], "equal")

    mutant = space.mutate({"a": 0, "b": 0}, np.random.default_rng(0))

    assert dict(mutant) == {"a": 1, "b": 1}


def test_an_architecture_of_another_space_is_refused_by_name() -> None:
    space, rng = SearchSpace({"op": Categorical("a", "b"), "k": Integer(1, 3)}), np.random.default_rng(0)
    other = Architecture({"op": "a"})

    for use in (lambda: space.mutate(other, rng), lambda: space.distributions(other), lambda: space.neighbours(other)):
        with pytest.raises(ArchitectureError, match="no value for `k`: whole number from 1 to 3"):
            use()
    with pytest.raises(ArchitectureError, match="`k` has the impossible value 7"):
        space.mutate({"op": "a", "k": 7}, rng)


def test_variation_reads_plain_mappings_with_numpy_scalars() -> None:
    space = SearchSpace({"op": Categorical("a", "b"), "x": Float(0, 2, step=1)})
    raw = {"op": np.str_("a"), "x": np.int64(1), "foreign": 3}

    assert set(space.mutate(raw, np.random.default_rng(0))) == {"op", "x"}  # type: ignore[arg-type]
    assert len(space.neighbours(raw)) == 3  # type: ignore[arg-type]
    assert space.canonical_key(raw) == space.canonical_key({"op": "a", "x": 1.0})  # type: ignore[arg-type]


def test_evolution_by_mutation_alone_visits_the_whole_space() -> None:
    space = SearchSpace({"deep": Repeat(Categorical("a", "b"), 0, 2), "n": Integer(1, 4, log=True)}).where(
        KeepsSome(4), "some"
    )
    rng, left = np.random.default_rng(0), set(space.enumerate())
    architecture = space.sample(rng)

    for step in count():
        left.discard(architecture)
        if not left:
            break
        assert step < 2000
        architecture = space.mutate(architecture, rng)
