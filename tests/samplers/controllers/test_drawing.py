"""How architectures are drawn again."""

from __future__ import annotations

import math

import pytest
from numpy.random import default_rng

from nas_tune.errors import InfeasibleError
from nas_tune.samplers.controllers.decisions import Decisions
from nas_tune.samplers.controllers.drawing import draw, propose
from nas_tune.samplers.controllers.lstm import LstmController
from nas_tune.samplers.controllers.tabular import TabularPolicy
from nas_tune.space import Architecture, Categorical, SearchSpace
from tests.samplers.controllers.policies import some_weights

SPACE = SearchSpace({"a": Categorical(0, 1), "b": Categorical(0, 1)})
SETTLED = TabularPolicy([[1.0, 0.0], [1.0, 0.0]])
EVEN = TabularPolicy([[0.5, 0.5], [0.5, 0.5]])


def nothing(architecture: Architecture) -> bool:
    return False


def test_a_settled_policy_finds_new_architectures_near_its_best() -> None:
    best = Architecture({"a": 0, "b": 0})

    found = [
        propose(SPACE, Decisions(SPACE), SETTLED, {}, best.__eq__, default_rng(seed)).architecture
        for seed in range(100)
    ]

    assert found.count(best) <= 10
    assert found.count(Architecture({"a": 1, "b": 1})) <= 10


def test_the_probability_of_a_widened_draw_is_that_of_the_mixture() -> None:
    drawn = draw(SPACE, Decisions(SPACE), SETTLED, {"a": 1}, 0.0, default_rng(0))
    widened = [draw(SPACE, Decisions(SPACE), SETTLED, {}, 0.2, default_rng(seed)) for seed in range(200)]

    assert drawn.log_probability is None
    ones = [sum(map(bool, one.architecture.values())) for one in widened]
    expected = [math.log(0.1) * count + math.log(0.9) * (2 - count) for count in ones]
    assert [one.log_probability for one in widened] == pytest.approx(expected)
    assert 20 <= sum(ones) <= 60


def test_the_first_draw_is_accepted_where_all_are_taken() -> None:
    rng = default_rng(0)
    first = draw(SPACE, Decisions(SPACE), EVEN, {}, 0.0, default_rng(0))

    assert propose(SPACE, Decisions(SPACE), EVEN, {}, lambda _: True, rng) == first


def test_a_policy_that_only_draws_infeasible_architectures_gives_way_to_the_space() -> None:
    space = SPACE.where(lambda a: a["a"] == 1, "a is 1")

    drawn = propose(space, Decisions(space), SETTLED, {}, nothing, default_rng(0))

    assert drawn.architecture["a"] == 1
    assert drawn.log_probability is None


def test_fixed_values_stay_even_where_they_break_a_constraint() -> None:
    space = SPACE.where(lambda a: a["a"] == 1, "a is 1")

    assert propose(space, Decisions(space), EVEN, {"a": 0, "b": 1}, nothing, default_rng(0)).architecture == (
        Architecture({"a": 0, "b": 1})
    )


def test_an_empty_space_is_infeasible() -> None:
    space = SPACE.where(lambda a: False, "nothing")

    with pytest.raises(InfeasibleError, match="nothing"):
        propose(space, Decisions(space), EVEN, {}, nothing, default_rng(0))


def test_what_is_drawn_after_a_fixed_value_depends_on_it() -> None:
    decisions, rng, draws = Decisions(SPACE), default_rng(0), 1_000
    controller = LstmController(decisions, size=4)
    policy = controller.policy(3 * some_weights(controller, seed=9))
    chances, shares = [], []
    for fixed in (0, 1):
        drawing = policy.begin()
        drawing.take(0, fixed)
        chances.append(drawing.probabilities(1)[1])
        found = [draw(SPACE, decisions, policy, {"a": fixed}, 0.0, rng).architecture for _ in range(draws)]
        assert {architecture["a"] for architecture in found} == {fixed}
        shares.append(sum(architecture["b"] == 1 for architecture in found) / draws)

    assert abs(chances[0] - chances[1]) > 0.3
    assert shares == pytest.approx(chances, abs=4 * math.sqrt(0.25 / draws))
