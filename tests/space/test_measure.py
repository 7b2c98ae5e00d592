"""Measures, and the conditions that their comparison with a bound makes."""

from __future__ import annotations

import math
import operator
import pickle
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_tune.errors import SpaceError
from nas_tune.space import Architecture, Categorical, Condition, Measure, SearchSpace
from nas_tune.space.measure import readable

Relation = Callable[[object, object], object]
RELATIONS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
NUMBERS = st.one_of(st.integers(-(10**12), 10**12), st.floats(allow_nan=False, allow_infinity=False))


def width(architecture: Architecture) -> float:
    value = architecture["width"]
    assert isinstance(value, (int, float))
    return value


def of(value: float) -> Architecture:
    return Architecture({"width": value})


WIDTH = Measure("width", width, "channels")


def test_a_measure_is_the_number_of_an_architecture() -> None:
    assert WIDTH(of(24)) == 24


@pytest.mark.parametrize("relation", RELATIONS)
@given(NUMBERS, NUMBERS)
def test_a_condition_is_the_comparison_itself_and_its_excess_says_so_by_its_sign(
    relation: str, value: float, bound: float
) -> None:
    compare = RELATIONS[relation]
    for limit in (bound, value):
        condition = compare(WIDTH, limit)

        assert condition(of(value)) is compare(value, limit)
        assert (condition.excess(of(value)) <= 0) is compare(value, limit)


def test_a_condition_can_be_written_from_the_bound() -> None:
    assert [(20 > WIDTH)(of(value)) for value in (19, 20, 21)] == [True, False, False]
    assert (20 > WIDTH).reason == "width < 20 channels"


@pytest.mark.parametrize(
    ("condition", "value", "excess"),
    [
        (WIDTH < 200, 300, 0.5),
        (WIDTH <= 200, 150, -0.25),
        (WIDTH > 200, 150, 0.25),
        (WIDTH >= 200, 300, -0.5),
        (WIDTH <= 0, 3, 3.0),
        (WIDTH > -4, -5, 0.25),
        (WIDTH <= 20, 20, 0.0),
        (WIDTH < 20, math.inf, math.inf),
        (WIDTH < 20, math.nan, 1.0),
        (WIDTH >= 20, math.nan, 1.0),
    ],
)
def test_the_excess_is_the_share_of_the_bound_by_which_it_is_missed(
    condition: Condition, value: float, excess: float
) -> None:
    assert condition.excess(of(value)) == excess


@pytest.mark.parametrize(
    ("measure", "bound", "reason"),
    [
        (Measure("MACs", width), 600e6, "MACs < 600 M"),
        (Measure("MACs", width), 600_000_001, "MACs < 600.000001 M"),
        (Measure("MACs", width), 1_234_567_890_123, "MACs < 1234567890123"),
        (Measure("MACs", width, "MACs"), 4.5e9, "MACs < 4.5 G"),
        (Measure("parameters", width), 856_000, "parameters < 856 k"),
        (Measure("parameters", width), 99_999, "parameters < 99999"),
        (Measure("latency", width, "ms"), 20, "latency < 20 ms"),
        (Measure("latency", width, "ms"), 0.1 + 0.2, "latency < 0.30000000000000004 ms"),
        (Measure("change", width), -2e6, "change < -2 M"),
    ],
)
def test_the_reason_reads_well_and_says_the_bound_exactly(measure: Measure, bound: float, reason: str) -> None:
    assert (measure < bound).reason == reason


@given(NUMBERS)
def test_a_readable_number_is_exact(value: float) -> None:
    number, _, prefix = readable(value).partition(" ")

    assert float(number) * {"": 1, "k": 1e3, "M": 1e6, "G": 1e9}[prefix] == value


@pytest.mark.parametrize("bound", [math.nan, math.inf, "600e6", None, True])
def test_a_bound_that_is_no_finite_number_is_refused(bound: object) -> None:
    with pytest.raises(SpaceError, match="width < bound: `bound` is .*; give a finite number"):
        WIDTH < bound  # type: ignore[operator]  # noqa: B015 - the comparison is the test


def test_a_chained_comparison_is_refused_instead_of_losing_its_first_half() -> None:
    with pytest.raises(SpaceError, match=r"'width > 100 channels'.*`\(low < measure\) & \(measure < high\)`.*`where`"):
        100 < WIDTH < 600  # noqa: B015 - the comparison is the test


def test_both_conditions_have_to_hold_and_the_worse_one_counts() -> None:
    both = (WIDTH >= 10) & (WIDTH < 20)

    assert [value for value in range(30) if both(of(value))] == list(range(10, 20))
    assert both.reason == "width >= 10 channels and width < 20 channels"
    assert [both.excess(of(value)) for value in (5, 30, 15)] == [0.5, 0.5, -0.25]


def test_a_condition_is_joined_to_conditions_only() -> None:
    with pytest.raises(TypeError, match="unsupported operand"):
        (WIDTH > 3) & True  # type: ignore[operator]


def test_a_space_with_a_condition_of_a_measure_pickles_and_gives_its_reason() -> None:
    space = SearchSpace({"width": Categorical(*range(30))}).where(WIDTH < 5).where(WIDTH > 1, "some width")

    again = pickle.loads(pickle.dumps(space))

    assert list(again.reasons()) == ["width < 5 channels", "some width"]
    assert [a["width"] for a in again.enumerate()] == [2, 3, 4]
    assert again.signature() == space.signature()


def test_equal_measures_make_equal_conditions() -> None:
    assert WIDTH == Measure("width", width, "channels")
    assert hash(WIDTH) == hash(Measure("width", width, "channels"))
