"""Fair paths: counts within a step, the distribution of the permutations, and the gradient of a step."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import permutations

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from torch import Tensor
from torch.nn.functional import cross_entropy

from nas_tune.errors import InfeasibleError, UnknownNameError
from nas_tune.search_spaces import NASBench201
from nas_tune.space import Architecture, Categorical, Float, ModelSpace, SearchSpace, Subset
from nas_tune.supernet import SuperNet
from nas_tune.supernet.paths import FairPaths, Path
from nas_tune.supernet.paths.fair import most_values
from tests.supernet.networks import CASES, Case, Chain, TwoBranches, moment
from tests.supernet.paths.exact import LR, trainer_in_float64


def _step(space: SearchSpace, number: int = 0, paths: FairPaths | None = None) -> list[Architecture]:
    selected = (paths or FairPaths()).select(moment(number), space, np.random.default_rng((3, number)))
    assert all(Path(path.architecture) == path for path in selected)
    return [path.architecture for path in selected]


def _counts(chosen: Iterable[Architecture], name: str) -> Counter[object]:
    return Counter(a[name] for a in chosen if name in a)


def test_after_t_steps_every_operation_of_every_edge_was_selected_exactly_t_times() -> None:
    space = NASBench201()
    for t in (1, 2, 40):
        chosen = [a for number in range(t) for a in _step(space, number)]

        for name, parameter in space.parameters().items():
            assert {value: t for value in parameter.values} == _counts(chosen, name)


def test_the_columns_of_two_decisions_are_independent_uniform_permutations() -> None:
    space = SearchSpace({"a": Categorical(0, 1, 2), "b": Categorical(0, 1, 2)})
    steps = [_step(space, number) for number in range(2_000)]
    counts = Counter((tuple(a["a"] for a in step), tuple(a["b"] for a in step)) for step in steps)

    every = list(permutations(range(3)))
    assert chisquare([counts[first, second] for first in every for second in every]).pvalue > 0.01


@pytest.mark.parametrize(("most", "fewer"), [(5, 2), (5, 3), (4, 4), (7, 1)])
def test_a_decision_with_fewer_values_takes_them_equally_often_but_for_one(most: int, fewer: int) -> None:
    space = SearchSpace({"a": Categorical(*range(most)), "b": Categorical(*range(fewer))})
    for number in range(20):
        chosen = _step(space, number)

        assert most == len(chosen)
        assert {value: 1 for value in range(most)} == _counts(chosen, "a")
        assert {*_counts(chosen, "b").values()} <= {most // fewer, -(-most // fewer)}


def test_which_values_come_once_more_is_uniform() -> None:
    space = SearchSpace({"a": Categorical(*range(5)), "b": Categorical(*range(3))})
    counts = sum((_counts(_step(space, number), "b") for number in range(500)), Counter[object]())
    twice = [counts[value] - 500 for value in range(3)]

    assert 1_000 == sum(twice)
    assert chisquare(twice).pvalue > 0.01


def test_a_decision_with_half_as_many_values_takes_each_exactly_twice() -> None:
    space = SearchSpace({"a": Categorical(*range(6)), "b": Categorical(*"xyz")})

    assert all({"x": 2, "y": 2, "z": 2} == _counts(_step(space, number), "b") for number in range(20))


@pytest.mark.parametrize("space", [TwoBranches(), Chain()], ids=["two-branches", "chain"])
def test_a_conditional_decision_is_fair_among_the_paths_in_which_it_is_active(space: ModelSpace) -> None:
    for number in range(50):
        chosen = _step(space, number)

        for name, parameter in space.parameters().items():
            counts = _counts(chosen, name)
            times = [counts[value] for value in parameter.values]
            assert max(times) - min(times) <= 1, name


def test_the_items_of_a_large_subset_are_equally_likely() -> None:
    subset = Subset(range(20), 2)
    space = SearchSpace({"inputs": subset})
    taken = Counter(
        item for number in range(1_000) for a in _step(space, number) for item in subset.chosen("inputs", a)
    )

    assert 1_000 * 2 * 2 == taken.total()
    assert chisquare([taken[item] for item in range(20)]).pvalue > 0.01


def test_a_continuous_decision_is_drawn_for_each_path() -> None:
    space = SearchSpace({"op": Categorical(*"abc"), "rate": Float(0.0, 1.0)})

    assert 3 == len({a["rate"] for a in _step(space)})


def test_in_a_constrained_space_every_path_is_feasible_and_the_counts_stay_exact() -> None:
    space = NASBench201().where(lambda a: a["edge_0_1"] != a["edge_2_3"], "different ends")
    for number in range(20):
        chosen = _step(space, number)

        assert not any(a["edge_0_1"] == a["edge_2_3"] for a in chosen)
        assert all({1} == {*_counts(chosen, name).values()} for name in space.parameters())


def test_a_constraint_that_forbids_a_value_is_an_error_that_says_what_to_do() -> None:
    space = NASBench201().where(lambda a: a["edge_0_1"] != "none", "a first edge")

    with pytest.raises(InfeasibleError, match=r"5 paths .* 'a first edge' refused 1,000.*expectation"):
        _step(space)
    assert all(a["edge_0_1"] != "none" for a in _step(space, paths=FairPaths("expectation")))


def test_expectation_fairness_is_as_many_uniform_paths() -> None:
    space = TwoBranches()
    rng = np.random.default_rng((3, 0))

    assert [space.sample(rng) for _ in range(3)] == _step(space, paths=FairPaths("expectation"))


def test_it_selects_by_its_arguments_alone_and_knows_its_kinds() -> None:
    assert _step(NASBench201(), 4) == _step(NASBench201(), 4)
    assert "FairPaths(fairness='strict')" == repr(FairPaths())
    with pytest.raises(UnknownNameError, match="Did you mean 'strict'"):
        FairPaths("stric")  # type: ignore[arg-type]  # the mistake


@pytest.mark.parametrize("case", CASES[:3], ids=lambda case: case.name.replace(" ", "-"))
def test_a_step_takes_one_optimiser_step_along_the_sum_of_the_paths_gradients(case: Case) -> None:
    trainer = trainer_in_float64(case, FairPaths())
    chosen = [path.architecture for path in trainer.select()]
    before = copy.deepcopy(trainer.supernet)
    trainer.step()
    expected = _sum_of_gradients(before, chosen, trainer.inputs, trainer.labels)
    weights = dict(before.named_parameters())

    assert len(chosen) == most_values(trainer.supernet.space) > 1
    for name, weight in trainer.supernet.named_parameters():
        taken = torch.zeros_like(weight) if weight.grad is None else weight.grad
        assert (taken - expected[name]).norm() <= 1e-6 * expected[name].norm().clamp(min=1e-9), name
        torch.testing.assert_close(weights[name] - LR * taken, weight, rtol=1e-12, atol=1e-12)


def _sum_of_gradients(
    supernet: SuperNet, chosen: Sequence[Architecture], inputs: Tensor, labels: Tensor
) -> dict[str, Tensor]:
    """Return the sum of the gradients of the architectures' own losses, each from a backward pass of its own."""
    weights = dict(supernet.named_parameters())
    total = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    for architecture in chosen:
        loss = cross_entropy(supernet.train()(inputs, architecture).float(), labels)
        found = torch.autograd.grad(loss, list(weights.values()), allow_unused=True)
        for name, gradient in zip(weights, found, strict=True):
            total[name] += 0 if gradient is None else gradient
    return total
