"""Architectures as the choices that a controller makes."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from numpy.random import default_rng

from nas_tune.samplers.controllers.decisions import BINS, Batch, Decisions, choices
from nas_tune.space import Categorical, Float, Integer, Parameter
from tests.samplers.controllers.policies import conditional_space


@pytest.mark.parametrize(
    ("parameter", "count"),
    [
        (Categorical(*range(40)), 40),
        (Categorical(None, True, "a", 0.5), 4),
        (Integer(1, 16), 16),
        (Integer(1, 17), BINS),
        (Integer(1, 20, log=True), 9),  # no value lies in the second tenth
        (Float(0.0, 1.0, step=0.1), 11),
        (Float(0.0, 1.0, step=1e-6), BINS),
        (Float(0.0, 1.0), BINS),
        (Float(1e-4, 1e-1, log=True), BINS),
    ],
)
def test_a_parameter_has_a_choice_for_each_value_or_for_each_tenth_of_its_range(
    parameter: Parameter, count: int
) -> None:
    assert choices(parameter).count == count


@pytest.mark.parametrize(
    "parameter",
    [
        Categorical(None, True, "a", 0.5),
        Integer(3, 99, step=4),
        Integer(1, 1024, log=True),
        Float(0.0, 1.0, step=0.01),
        Float(-2.0, 3.0),
        Float(1e-4, 1e-1, log=True),
    ],
)
def test_a_value_drawn_for_a_choice_belongs_to_it(parameter: Parameter) -> None:
    rng, some = default_rng(0), choices(parameter)

    places = [place for place in range(some.count) for _ in range(20)]
    values = [some.value(place, rng) for place in places]

    assert [some.place(value) for value in values] == places
    assert [parameter.parse(value, "x") for value in values] == values


def test_the_tenths_of_a_long_grid_share_its_values_out_evenly() -> None:
    parameter = Integer(0, 99)
    some = choices(parameter)

    assert Counter(some.place(value) for value in parameter.values) == dict.fromkeys(range(10), 10)


def test_a_choice_of_several_values_is_drawn_uniformly() -> None:
    rng, some = default_rng(0), choices(Integer(0, 99))

    counts = Counter(some.value(3, rng) for _ in range(2_000))

    assert set(counts) == set(range(30, 40))
    assert sum((count - 200) ** 2 / 200 for count in counts.values()) < 27.9  # chi-squared, 9 degrees, p = 0.001


def test_a_path_holds_the_active_decisions_in_their_order() -> None:
    space = conditional_space()
    decisions = Decisions(space)
    architecture = space.architecture(
        {"op": "pool", "op.pool.mode": "mean", "blocks.length": 1, "blocks.0": "b", "inputs": "0", "only": "one"}
    )

    path = decisions.path(architecture)

    names = list(decisions.rows)
    assert [names[row] for row in path.rows] == ["op", "op.pool.mode", "blocks.length", "blocks.0", "inputs"]
    assert path.places == (2, 1, 1, 1, 0)
    assert decisions.open.sum(axis=1).tolist() == decisions.counts.tolist() == [3, 3, 2, 2, 3, 2, 2, 2]


def test_a_batch_sums_steps_over_their_paths() -> None:
    space, rng = conditional_space(), default_rng(0)
    decisions = Decisions(space)
    paths = [decisions.path(space.sample(rng)) for _ in range(5)]

    batch = Batch(paths)

    assert batch.total(np.ones(len(batch.rows))).tolist() == [len(path.rows) for path in paths]
    assert batch.total(batch.places.astype(float)).tolist() == [sum(path.places) for path in paths]
