"""Parameters: what they accept, refuse, draw and scale."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from nas_tune.errors import ArchitectureError, SpaceError
from nas_tune.space import Categorical, Float, Integer, Parameter
from nas_tune.space.parameters import Numeric
from tests.space.strategies import continuous_floats, grids, integers, seeds

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Categorical(), r"Categorical\(\) has no values: give at least one"),
        (lambda: Categorical(1, "a", 1), r"Categorical\(1, 'a', 1\) holds equal values"),
        (lambda: Categorical(True, 1), r"holds equal values \(True equals 1\): make them different"),
        (
            lambda: Categorical((3, 3)),  # type: ignore[arg-type]
            r"Categorical cannot hold \(3, 3\): an Optuna study stores None, bool, int",
        ),
        (lambda: Categorical(NAN), "Categorical cannot hold nan"),
        (lambda: Integer(3, 1), r"Integer\(3, 1\) is no range"),
        (lambda: Integer(0, 4, log=True), r"Integer\(0, 4, log=True\): a logarithmic range starts above 0"),
        (lambda: Integer(1, 4, step=0), "Integer: `step` is 0; it is at least 1, and exactly 1 with log=True"),
        (
            lambda: Integer(1, 4, step=2, log=True),
            "Integer: `step` is 2; it is at least 1, and exactly 1 with log=True",
        ),
        (lambda: Integer(1.5, 4), "Integer: `low` is 1.5; give a whole number"),  # type: ignore[arg-type]
        (lambda: Integer(1, INF), "Integer: `high` is inf; give a finite number"),  # type: ignore[arg-type]
        (lambda: Integer("1", 4), "Integer: `low` is '1'; give a finite number"),  # type: ignore[arg-type]
        (lambda: Integer(False, 4), "Integer: `low` is False; give a finite number"),
        (lambda: Float(1, 0), r"Float\(1.0, 0.0\) is no range: `low` and `high` are finite and `low` <= `high`"),
        (lambda: Float(NAN, 1), "Float: `low` is nan; give a finite number"),
        (lambda: Float("0", 1), "Float: `low` is '0'; give a finite number"),  # type: ignore[arg-type]
        (lambda: Float(0, 1, log=True), r"Float\(0.0, 1.0, log=True\): a logarithmic range starts above 0"),
        (lambda: Float(0, 1, step=0), "Float: `step` is 0; it is above 0, and None with log=True"),
        (lambda: Float(0, 1, step=INF), "Float: `step` is inf; give a finite number"),
        (lambda: Float(1, 2, step=0.1, log=True), "Float: `step` is 0.1; it is above 0, and None with log=True"),
        (lambda: Float(0, 1, step=1e-9), "Float: `step` 1e-09 makes over 1,000,000 values: leave it out"),
    ],
)
def test_what_cannot_be_a_parameter_is_refused(make: Callable[[], Parameter], message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        make()


def test_a_grid_ends_on_its_last_value() -> None:
    assert tuple(Integer(1, 10, step=4).values) == (1, 5, 9)
    assert Float(0, 1, step=0.3).values == (0.0, 0.3, 0.6, 0.9)
    assert Float(0.1, 0.5, step=0.1).values == (0.1, 0.2, 0.3, 0.4, 0.5)  # 0.1 + 0.2 is 0.3 here
    assert Float(-0.3, 0.3, step=0.2).values == (-0.3, -0.1, 0.1, 0.3)


def test_distributions_are_those_of_optuna() -> None:
    assert Categorical("a", None).distribution == CategoricalDistribution(("a", None))
    assert Integer(1, 10, step=4).distribution == IntDistribution(1, 9, step=4)
    assert Integer(1, 10, log=True).distribution == IntDistribution(1, 10, log=True)
    assert Float(0, 1, step=0.3).distribution == FloatDistribution(0, 0.9, step=0.3)
    assert Float(1e-3, 1, log=True).distribution == FloatDistribution(1e-3, 1, log=True)


def test_values_are_read_as_they_were_declared() -> None:
    assert Categorical(1, 2).parse(np.float64(2.0), "x") == 2
    assert type(Categorical(1, 2).parse(2.0, "x")) is int
    assert Categorical(True, False).parse(np.True_, "x") is True
    assert Categorical(None, "None").parse(None, "x") is None
    assert Categorical(*np.arange(3)).values == (0, 1, 2)
    assert type(Categorical(*np.arange(3)).values[1]) is int
    assert type(Integer(1, 3).parse(np.float32(3), "x")) is int
    assert type(Float(1, 3).parse(3, "x")) is float
    assert Float(0, 1, step=0.1).parse(0.1 + 0.2, "x") == 0.3  # the sum is 0.30000000000000004
    assert Float(0, 1, step=0.1).parse(np.float64(1), "x") == 1.0


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        (Categorical(1, 2), True),
        (Categorical(True, False), 1),
        (Categorical(0.5), NAN),
        (Categorical("a"), {"a": 1}),
        (Integer(0, 4, step=2), 3),
        (Integer(0, 4), np.array([1, 2])),
        (Integer(0, 4), None),
        (Integer(0, 4), INF),
        (Float(0, 1), 1.0000001),
        (Float(0, 1), "0.5"),
        (Float(0, 1, step=0.25), 0.3),
    ],
)
def test_impossible_values_name_the_path(parameter: Parameter, value: object) -> None:
    with pytest.raises(ArchitectureError, match=r"^`cell\.x` has the impossible value "):
        parameter.parse(value, "cell.x")


numbers = st.one_of(integers(30), grids(30), continuous_floats())


@given(numbers, seeds)
@settings(max_examples=150)
def test_the_unit_scale_gives_every_drawn_number_back(parameter: Numeric, seed: int) -> None:
    value = parameter.draw(np.random.default_rng(seed))

    assert isinstance(value, (int, float))
    assert 0 <= parameter.to_unit(value) <= 1
    assert parameter.from_unit(parameter.to_unit(value)) == value
    assert parameter.parse(value, "x") == value


@given(numbers, st.floats(-0.5, 1.5))
@settings(max_examples=150)
def test_every_point_of_the_unit_scale_is_a_value(parameter: Numeric, unit: float) -> None:
    value = parameter.from_unit(unit)

    assert parameter.parse(value, "x") == value
    assert parameter.parse(parameter.middle(), "x") == parameter.middle()


@given(numbers, seeds)
@settings(max_examples=100)
def test_a_mutated_number_is_another_value_inside(parameter: Numeric, seed: int) -> None:
    rng = np.random.default_rng(seed)
    value = parameter.draw(rng)
    if parameter.count > 1:
        mutant = parameter.mutate(value, rng)
        assert mutant != value
        assert parameter.parse(mutant, "x") == mutant


@pytest.mark.parametrize("parameter", [Float(1.0, 1.0 + 1e-15), Float(-1e-300, 1e-300), Float(0, 5e-324)])
def test_the_narrowest_ranges_can_be_drawn_from_and_mutated(parameter: Float) -> None:
    rng = np.random.default_rng(0)

    for _ in range(20):
        value = parameter.draw(rng)
        assert parameter.low <= float(str(value)) <= parameter.high
        assert parameter.mutate(value, rng) != value


def test_drawn_numbers_are_readable() -> None:
    rng = np.random.default_rng(0)

    drawn = [Float(1e-4, 1e-1, log=True).draw(rng) for _ in range(100)] + [Float(0, 1).draw(rng) for _ in range(100)]

    assert all(float(f"{float(str(value)):.12g}") == value for value in drawn)


def test_the_logarithmic_scale_halves_by_ratio() -> None:
    assert Float(1e-4, 1.0, log=True).middle() == 1e-2
    assert Integer(1, 100, log=True).middle() == 10
    assert math.isclose(Integer(1, 100, log=True).to_unit(10), 0.5)
    assert Integer(0, 10, step=5).middle() == 5
    assert Categorical("a", "b", "c").middle() == "b"


def test_integer_neighbours_are_the_next_steps() -> None:
    assert list(Integer(0, 9, step=3).neighbours(3)) == [0, 6]
    assert list(Integer(0, 9, step=3).neighbours(9)) == [6]
    assert list(Float(0, 1, step=0.5).neighbours(0.5)) == [0.0, 1.0]
    assert list(Float(2, 2).neighbours(2.0)) == []
    assert list(Categorical("a", None, 3).neighbours(None)) == ["a", 3]


def test_parameters_survive_pickling_with_what_they_cached() -> None:
    for parameter in (Categorical("a", 1), Integer(1, 5), Float(0, 1, step=0.1)):
        assert parameter.distribution and not parameter.fixed
        again = pickle.loads(pickle.dumps(parameter))
        assert repr(again) == repr(parameter)
        assert again.distribution == parameter.distribution
