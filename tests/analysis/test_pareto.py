"""The Pareto table against its definition, by brute force."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.random import default_rng
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.trial import TrialState, create_trial

from nas_tune.analysis import ParetoEntry, five_numbers, five_numbers_by_bin, pareto_table, study_pareto_table
from nas_tune.analysis.evaluations import EVALUATION, FROM_SCRATCH, SHARED_WEIGHTS
from nas_tune.space import Architecture, Categorical, SearchSpace

SPACE = SearchSpace({"op": Categorical(*range(40))})
Direction = Literal["maximize", "minimize"]
CANDIDATES = st.lists(st.tuples(st.integers(-5, 5), st.integers(1, 60)), max_size=40)


def architectures(count: int) -> list[Architecture]:
    return [SPACE.architecture({"op": place}) for place in range(count)]


def table_of(scored: list[tuple[int, int]], worst: bool = False, maximize: bool = True) -> tuple[ParetoEntry, ...]:
    scores, costs = [float(score) for score, _ in scored], [float(cost) for _, cost in scored]
    return pareto_table(architectures(len(scored)), scores, costs, width=7.0, worst=worst, maximize=maximize)


def dominated(score: float, cost: float, others: list[tuple[float, float]]) -> bool:
    """By one at least as good in both and better in one."""
    return any(other >= score and price <= cost and (other, price) != (score, cost) for other, price in others)


@given(CANDIDATES)
def test_the_table_is_what_its_definition_says(scored: list[tuple[int, int]]) -> None:
    best: dict[int, tuple[int, int]] = {}
    for place in {round(cost / 7) for _, cost in scored}:
        inside = [pair for pair in scored if round(pair[1] / 7) == place]
        top = max(score for score, _ in inside)
        best[place] = (top, min(cost for score, cost in inside if score == top))
    pairs = [(float(score), float(cost)) for score, cost in best.values()]
    expected = sorted((cost, score) for score, cost in pairs if not dominated(score, cost, pairs))

    assert expected == [(entry.cost, entry.score) for entry in table_of(scored)]


@given(CANDIDATES, st.booleans())
def test_an_entry_is_one_of_the_candidates_in_its_bin(scored: list[tuple[int, int]], worst: bool) -> None:
    table = table_of(scored, worst)

    assert len({entry.bin for entry in table}) == len(table)
    for entry in table:
        place = entry.architecture["op"]
        assert isinstance(place, int)
        assert scored[place] == (entry.score, entry.cost)
        assert round(entry.cost / 7) == entry.bin


@given(CANDIDATES, st.booleans())
def test_no_entry_of_the_best_table_is_dominated(scored: list[tuple[int, int]], maximize: bool) -> None:
    sign = 1 if maximize else -1
    pairs = [(sign * entry.score, entry.cost) for entry in table_of(scored, maximize=maximize)]

    assert not any(dominated(score, cost, pairs) for score, cost in pairs)


@given(CANDIDATES)
def test_the_worst_table_is_the_best_one_in_the_mirror(scored: list[tuple[int, int]]) -> None:
    """Costs are mirrored by a multiple of the width, so that the bins stay the same."""
    mirrored = table_of([(-score, 140 - cost) for score, cost in scored])

    assert [(-entry.score, 140 - entry.cost) for entry in reversed(mirrored)] == [
        (entry.score, entry.cost) for entry in table_of(scored, worst=True)
    ]


@given(CANDIDATES)
def test_minimising_is_maximising_the_negative(scored: list[tuple[int, int]]) -> None:
    negative = table_of([(-score, cost) for score, cost in scored])

    assert [(entry.bin, -entry.score, entry.cost) for entry in negative] == [
        (entry.bin, entry.score, entry.cost) for entry in table_of(scored, maximize=False)
    ]


def test_the_bins_of_attentive_nas_round_to_the_nearest() -> None:
    """A 203 M network is in bin 8 of 25 M, as is one of 211 M; 279 M is in bin 11."""
    table = pareto_table(architectures(3), [0.77, 0.78, 0.79], [203e6, 211e6, 279e6], width=25e6)

    assert [(8, 211e6), (11, 279e6)] == [(entry.bin, entry.cost) for entry in table]


def test_what_was_not_measured_is_left_out() -> None:
    table = pareto_table(architectures(4), [0.5, math.nan, math.inf, 0.9], [10.0, 10.0, 10.0, math.nan], width=1.0)

    assert [0.5] == [entry.score for entry in table]


def test_impossible_tables_are_refused() -> None:
    with pytest.raises(ValueError, match="1 of `architectures`, 2 of `scores`, 1 of `costs`"):
        pareto_table(architectures(1), [0.1, 0.2], [1.0], width=1.0)
    for width in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="`width` is"):
            pareto_table([], [], [], width=width)


def study_of(direction: Direction) -> optuna.Study:
    study = optuna.create_study(direction=direction)
    kinds: dict[str, BaseDistribution] = {"op": CategoricalDistribution(tuple(range(40)))}

    def add(op: int, value: float | None, macs: object, evaluation: str, state: TrialState) -> None:
        facts = {EVALUATION: evaluation} | ({} if macs is None else {"macs": macs})
        trial = create_trial(value=value, params={"op": op}, distributions=kinds, user_attrs=facts, state=state)
        study.add_trial(trial)

    add(0, 0.5, 100, SHARED_WEIGHTS, TrialState.COMPLETE)
    add(1, 0.6, 104, SHARED_WEIGHTS, TrialState.COMPLETE)
    add(2, 0.4, 200, SHARED_WEIGHTS, TrialState.COMPLETE)
    add(3, 0.7, 300, SHARED_WEIGHTS, TrialState.COMPLETE)
    add(4, 0.9, 300, FROM_SCRATCH, TrialState.COMPLETE)
    add(5, 0.9, None, SHARED_WEIGHTS, TrialState.COMPLETE)
    add(6, 0.9, 100, SHARED_WEIGHTS, TrialState.PRUNED)
    add(7, None, 100, SHARED_WEIGHTS, TrialState.FAIL)
    study.ask()
    return study


@pytest.mark.parametrize(
    ("direction", "evaluation", "worst", "expected"),
    [
        ("maximize", SHARED_WEIGHTS, False, [1, 3]),
        ("maximize", None, False, [1, 4]),
        ("maximize", SHARED_WEIGHTS, True, [2, 3]),
        ("minimize", SHARED_WEIGHTS, False, [0, 2]),
    ],
    ids=["shared", "all", "worst", "minimize"],
)
def test_a_study_gives_the_table_of_its_completed_trials(
    direction: Direction, evaluation: str | None, worst: bool, expected: list[int]
) -> None:
    table = study_pareto_table(study_of(direction), SPACE, width=10, evaluation=evaluation, worst=worst)

    assert expected == [entry.architecture["op"] for entry in table]


def test_a_study_without_the_objective_or_the_cost_says_so() -> None:
    assert () == study_pareto_table(study_of("maximize"), SPACE, width=10, cost="parameters")
    with pytest.raises(ValueError, match="`objective` is 1, and the study has 1"):
        study_pareto_table(study_of("maximize"), SPACE, width=10, objective=1)


def test_five_numbers_are_the_quartiles_of_numpy() -> None:
    scores = default_rng(0).normal(size=31)
    found = five_numbers([*scores, math.nan])

    assert tuple(np.percentile(scores, (0, 25, 50, 75, 100))) == pytest.approx(tuple(vars(found).values()))
    with pytest.raises(ValueError, match="no finite number"):
        five_numbers([math.nan])


def test_five_numbers_are_told_of_each_bin_by_rising_cost() -> None:
    found = five_numbers_by_bin([5.0, 1.0, 3.0, math.nan, 2.0], [21.0, 9.0, 11.0, 50.0, math.inf], width=10)

    assert {1: five_numbers([1.0, 3.0]), 2: five_numbers([5.0])} == found
    assert [1, 2] == list(found)
