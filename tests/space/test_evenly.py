"""Drawing decision by decision."""

from __future__ import annotations

from collections import Counter

import pytest
from numpy.random import default_rng

from nas_tune.errors import InfeasibleError
from nas_tune.space import Categorical, Float, Integer, Repeat, SearchSpace, Switch
from nas_tune.space.evenly import draw_evenly

WIDE = SearchSpace({"kernel": Categorical(3, 5, 7), "width": Integer(1, 100)})
SPACE = SearchSpace(
    {"blocks": Repeat(Switch({"conv": WIDE, "skip": SearchSpace({})}), 1, 3), "lr": Float(1e-4, 1e-1, log=True)}
)


def test_every_value_of_a_decision_is_as_likely_as_the_others() -> None:
    rng = default_rng(0)
    drawn = [draw_evenly(SPACE, rng) for _ in range(3_000)]
    lengths = Counter(a["blocks.length"] for a in drawn)
    first = Counter(a["blocks.0"] for a in drawn)

    assert all(abs(count - 1_000) < 4 * (3_000 * 2 / 9) ** 0.5 for count in lengths.values())
    assert abs(first["skip"] - 1_500) < 4 * 750**0.5
    assert sum(SPACE.sample(rng)["blocks.0"] == "skip" for _ in range(3_000)) < 60  # 1 of 301 drawn uniformly


def test_without_conditions_it_draws_what_the_space_samples() -> None:
    space = SearchSpace({"a": Categorical(*range(5)), "b": Categorical("x", "y"), "c": Float(0.0, 1.0)})

    assert [draw_evenly(space, default_rng(seed)) for seed in range(20)] == [
        space.sample(default_rng(seed)) for seed in range(20)
    ]


def test_constraints_hold() -> None:
    short = SPACE.where(lambda a: a["blocks.length"] == 1 and a["blocks.0"] == "skip", "one skip")

    assert all(draw_evenly(short, default_rng(seed))["blocks.0"] == "skip" for seed in range(20))


def test_a_space_without_feasible_architectures_says_so() -> None:
    with pytest.raises(InfeasibleError, match="nothing at all"):
        draw_evenly(SearchSpace({"a": Categorical(0, 1)}).where(lambda a: False, "nothing at all"), default_rng(0))
