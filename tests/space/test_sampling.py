"""Counting, enumerating and sampling random nested spaces."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from scipy.stats import chi2

from nas_tune.errors import SpaceError
from nas_tune.space import (
    Architecture,
    Categorical,
    Float,
    Repeat,
    SearchSpace,
    Subset,
    Switch,
)
from tests.space.strategies import nested, seeds, spaces

UNLIKELY = 1e-7  # of a chi-square statistic, over all the examples of a run


@given(spaces(400))
@settings(max_examples=60)
def test_size_equals_the_enumeration_and_all_are_distinct(space: SearchSpace) -> None:
    every = list(space.enumerate())

    assert space.size() == len(every) == len(set(every))
    assert all(space.architecture(architecture) == architecture for architecture in every)


@given(spaces(400, constrained=True))
@settings(max_examples=40)
def test_the_size_under_constraints_counts_the_feasible(space: SearchSpace) -> None:
    every = list(space.enumerate())

    assert space.size() == len(every) == len(set(every)) <= space.weight()
    assert all(not any(space.violations("", architecture)) for architecture in every)


def unlikely(counts: Counter[Architecture], every: list[Architecture]) -> float:
    """Return the chance of counts at least as uneven under a uniform law over `every`."""
    assert set(counts) <= set(every)
    expected = counts.total() / len(every)
    statistic = sum((counts[architecture] - expected) ** 2 / expected for architecture in every)
    return float(chi2.sf(statistic, max(len(every) - 1, 1)))


@given(spaces(60), seeds)
@settings(max_examples=25)
def test_samples_are_uniform_over_architectures(space: SearchSpace, seed: int) -> None:
    rng, every = np.random.default_rng(seed), list(space.enumerate())

    counts = Counter(space.sample(rng) for _ in range(20 * len(every)))

    assert unlikely(counts, every) > UNLIKELY


@given(spaces(60, constrained=True), seeds)
@settings(max_examples=25)
def test_samples_under_constraints_are_uniform_over_the_feasible(space: SearchSpace, seed: int) -> None:
    rng, every = np.random.default_rng(seed), list(space.enumerate())

    counts = Counter(space.sample(rng) for _ in range(20 * len(every)))

    assert unlikely(counts, every) > UNLIKELY


def test_a_subset_asked_item_by_item_is_uniform_too() -> None:
    space, rng = SearchSpace({"ins": Subset(range(9), 4)}), np.random.default_rng(3)

    counts = Counter(space.sample(rng) for _ in range(126 * 40))

    assert "ins.0" not in space.parameters()  # 126 combinations are one categorical
    assert unlikely(counts, list(space.enumerate())) > 1e-3
    large = SearchSpace({"ins": Subset(range(10), 4)})
    counts = Counter(large.sample(rng) for _ in range(210 * 40))
    assert "ins.0" in large.parameters()
    assert unlikely(counts, list(large.enumerate())) > 1e-3


def test_a_rare_branch_is_drawn_as_often_as_it_has_architectures() -> None:
    wide = SearchSpace({str(i): Categorical(0, 1) for i in range(80)})  # 2^80: beyond any machine integer
    space = SearchSpace({"op": Switch({"wide": wide, "one": SearchSpace({})}), "n": Repeat(Categorical(0, 1), 0, 2)})
    rng = np.random.default_rng(0)

    drawn = [space.sample(rng) for _ in range(2000)]

    assert space.size() == (2**80 + 1) * 7
    assert {architecture["op"] for architecture in drawn} == {"wide"}
    assert abs(np.mean([architecture["n.length"] == 2 for architecture in drawn]) - 4 / 7) < 0.05


def test_continuous_parameters_are_drawn_uniformly_on_their_scale() -> None:
    space = SearchSpace({"lr": Float(1e-4, 1e-1, log=True), "p": Float(-1.0, 3.0)})
    rng = np.random.default_rng(0)

    drawn = [space.sample(rng) for _ in range(4000)]

    for name, unit in (
        ("lr", [(math.log10(float(str(a["lr"]))) + 4) / 3 for a in drawn]),
        ("p", [(float(str(a["p"])) + 1) / 4 for a in drawn]),
    ):
        counts = np.histogram(unit, 20, (0, 1))[0]
        assert chi2.sf(float(((counts - 200) ** 2 / 200).sum()), 19) > 1e-3, name


def test_the_same_seed_gives_the_same_sample() -> None:
    assert nested().sample(np.random.default_rng(7)) == nested().sample(np.random.default_rng(7))


def test_sizes_are_exact_or_infinite() -> None:
    assert nested().size() == (6 + 2 + 1) * 6 * (2 + 4 + 8) * 4 * 3
    assert SearchSpace({}).size() == 1
    assert list(SearchSpace({}).enumerate()) == [Architecture({})]
    assert SearchSpace({"lr": Float(0, 1)}).size() == math.inf
    assert SearchSpace({"lr": Float(1, 1)}).size() == 1
    assert SearchSpace({"never": Repeat(Float(0, 1), 0, 0)}).size() == 1


def test_a_continuous_space_cannot_be_enumerated_and_says_which_parameter() -> None:
    space = SearchSpace({"train": SearchSpace({"lr": Float(0, 1)})})

    with pytest.raises(SpaceError, match="`train.lr` is continuous, so the space cannot be enumerated: give it a step"):
        next(space.enumerate())


def test_a_constrained_space_too_large_to_count_says_so() -> None:
    space = SearchSpace({str(i): Categorical(0, 1) for i in range(30)}).where(lambda a: True, "anything")

    with pytest.raises(SpaceError, match=r"feasible part of 1,073,741,824 architectures cannot be counted.*weight\(\)"):
        space.size()
