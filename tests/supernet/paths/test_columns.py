"""Architectures drawn as columns are those of the space, each as likely as any other."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from scipy.stats import chisquare, kstest

from nas_tune.space import Categorical, Float, Integer, Node, Repeat, SearchSpace, Subset, Switch
from nas_tune.supernet.paths.columns import draw_columns
from tests.supernet.networks import Chain, Tabular, TwoBranches

INNER = SearchSpace({"kernel": Categorical(1, 3), "norm": Categorical("batch", None)})
SPACES = {
    "flat": SearchSpace({"a": Integer(2, 6, step=2), "b": Categorical("x", None, True), "fixed": Categorical(7)}),
    "repeat": SearchSpace({"blocks": Repeat(Categorical("conv", "skip"), 0, 4)}),
    "switch": SearchSpace(
        {"s": Switch({"one": INNER, "two": SearchSpace({"width": Integer(1, 3)}), "none": SearchSpace({})})}
    ),
    "subset": SearchSpace({"inputs": Subset((0, 1, 2), 2, each=Categorical("a", "b"))}),
    "long-subset": SearchSpace({"inputs": Subset(range(10), 5)}),  # asked for item by item
    "constrained": SearchSpace({"a": Integer(1, 9), "b": Integer(1, 9)}).where(lambda a: a["a"] != a["b"], "unequal"),
}
spaces = pytest.mark.parametrize("space", SPACES.values(), ids=SPACES.keys())


@spaces
def test_every_architecture_is_equally_likely(space: SearchSpace) -> None:
    columns = draw_columns(space, 40 * int(space.size()), np.random.default_rng(0))
    counts = Counter(columns.architecture(row) for row in range(columns.count))
    expected = set(space.enumerate())

    assert expected == set(counts)
    assert chisquare([counts[architecture] for architecture in expected]).pvalue > 0.001


@pytest.mark.parametrize("space", [Chain(), TwoBranches(), Tabular(10, 5)], ids=["chain", "branches", "table"])
def test_a_row_is_an_architecture_in_the_order_of_the_space(space: SearchSpace) -> None:
    columns = draw_columns(space, 50, np.random.default_rng(0))
    for row in range(50):
        architecture = columns.architecture(row)
        own = space.architecture(architecture)

        assert own == architecture
        assert own.to_json() == architecture.to_json()


@pytest.mark.parametrize("inside", [False, True], ids=["at-the-root", "in-a-branch"])
def test_continuous_values_are_uniform_on_their_scale(inside: bool) -> None:
    rate = Float(1e-4, 1e-1, log=True)
    node: Node = Switch({"yes": SearchSpace({"rate": rate}), "no": SearchSpace({})}) if inside else rate
    name = "part.yes.rate" if inside else "part"
    columns = draw_columns(SearchSpace({"part": node}), 2_000, np.random.default_rng(0))
    drawn = [a[name] for row in range(2_000) if name in (a := columns.architecture(row))]

    assert kstest([rate.to_unit(float(str(value))) for value in drawn], "uniform").pvalue > 0.01
    assert not inside or 900 < len(drawn) < 1_100


def test_the_same_seed_gives_the_same_columns() -> None:
    first, second = (draw_columns(TwoBranches(), 200, np.random.default_rng(3)) for _ in range(2))

    assert [first.architecture(row) for row in range(200)] == [second.architecture(row) for row in range(200)]


def test_weights_beyond_machine_integers_are_drawn() -> None:
    space = SearchSpace({"blocks": Repeat(Categorical(*range(9)), 1, 60)})
    columns = draw_columns(space, 2_000, np.random.default_rng(0))
    longest = [columns.architecture(row)["blocks.length"] == 60 for row in range(2_000)]

    assert 8 / 9 == pytest.approx(np.mean(longest), abs=0.02)
