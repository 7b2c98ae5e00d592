"""The computed tables have a standard merit, and the optimum that they say."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from numpy.random import Generator, default_rng

from benchmarks.tabular.darts_conditional import darts_conditional
from benchmarks.tabular.darts_flat import darts_flat
from benchmarks.tabular.mixed_chain import Effects, mixed_chain
from benchmarks.tabular.synthetic import SyntheticTable
from nas_tune.space import Value

MAKERS = (darts_flat, darts_conditional, mixed_chain)
Maker = Callable[[int], SyntheticTable]


def climb(table: SyntheticTable, rng: Generator) -> float:
    """Return the merit that 1,500 mutations reach from a random start, each kept where it is no worse."""
    here = table.space.sample(rng)
    merit = table.merit(here)
    for _ in range(1_500):
        mutant = table.space.mutate(here, rng)
        if (reached := table.merit(mutant)) >= merit:
            here, merit = mutant, reached
    return merit


@pytest.mark.parametrize("make", MAKERS)
def test_the_merit_is_standard(make: Maker) -> None:
    table, rng = make(1), default_rng(5)

    merits = [table.merit(table.space.sample(rng)) for _ in range(600)]

    assert np.mean(merits) == pytest.approx(0.0, abs=0.2)
    assert np.std(merits) == pytest.approx(1.0, abs=0.12)


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("seed", range(3))
def test_the_optimum_is_better_than_all_its_neighbours(make: Maker, seed: int) -> None:
    table = make(seed)
    best = table.best.architecture

    assert max(map(table.merit, table.space.neighbours(best))) < table.merit(best)
    assert table.regret(best) == table.validation_regret(best) == 0.0


@pytest.mark.parametrize("make", MAKERS)
def test_a_climb_ends_below_the_optimum_and_far_above_chance(make: Maker) -> None:
    table = make(0)

    reached = climb(table, default_rng(0))

    assert 2.5 < reached <= table.merit(table.best.architecture) + 1e-9


@pytest.mark.parametrize("make", MAKERS)
def test_the_same_seed_makes_the_same_table_and_another_a_different_one(make: Maker) -> None:
    architecture = make(0).space.sample(default_rng(0))
    first, again, other = (make(seed).evaluate(architecture) for seed in (0, 0, 1))

    assert first == again != other


def cell(inputs: Sequence[str], operations: Sequence[str]) -> dict[str, Value]:
    values: dict[str, Value] = {}
    for node, pair in enumerate(inputs):
        values[f"node_{node}"] = pair
        for i, source in enumerate(pair.split(",")):
            values[f"node_{node}.{source}"] = operations[2 * node + i]
    return values


def test_two_forms_of_one_network_have_one_merit() -> None:
    table = darts_conditional(0)
    first = cell(
        ("input_0,input_1", "input_0,input_1", "node_0,node_1", "input_0,node_0"),
        ("sep_conv_3x3", "skip_connect", "dil_conv_5x5", "max_pool_3x3", "avg_pool_3x3", "sep_conv_5x5")
        + ("skip_connect", "dil_conv_3x3"),
    )
    swapped = cell(
        ("input_0,input_1", "input_0,input_1", "node_0,node_1", "input_0,node_1"),
        ("dil_conv_5x5", "max_pool_3x3", "sep_conv_3x3", "skip_connect", "sep_conv_5x5", "avg_pool_3x3")
        + ("skip_connect", "dil_conv_3x3"),
    )
    a, b = (table.space.architecture({"normal": form, "reduce": first}) for form in (first, swapped))

    assert a != b
    assert table.space.canonical_key(a) == table.space.canonical_key(b)
    assert table.merit(a) == pytest.approx(table.merit(b), abs=1e-12)


def test_the_two_cells_interact() -> None:
    table = darts_conditional(0)
    deep = cell(("input_0,input_1", "input_0,node_0", "input_0,node_1", "input_0,node_2"), ("skip_connect",) * 8)
    flat = cell(("input_0,input_1",) * 4, ("skip_connect",) * 8)

    def merit(normal: dict[str, Value], reduction: dict[str, Value]) -> float:
        return table.merit(table.space.architecture({"normal": normal, "reduce": reduction}))

    assert abs(merit(deep, deep) - merit(deep, flat) - merit(flat, deep) + merit(flat, flat)) > 0.1


def test_the_best_learning_rate_moves_with_the_length() -> None:
    effects = Effects(default_rng(0))

    assert effects.rate("adam", 6) - effects.rate("adam", 2) == pytest.approx(4 * effects.drift)
    assert effects.drift != 0.0
