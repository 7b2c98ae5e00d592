"""Counts of values that decisions share, by hand."""

from __future__ import annotations

import math

import pytest

from nas_tune.predictors.kernels import CountKernel
from nas_tune.space import Categorical, Integer, Repeat, SearchSpace
from tests.predictors.kernels.grams import drawn


def test_operations_that_edges_share_are_counted() -> None:
    space = SearchSpace({**{f"edge_{i}": Categorical("conv", "pool") for i in range(3)}, "act": Categorical("a", "b")})
    found = CountKernel(space).encode(
        [space.architecture({"edge_0": "pool", "edge_1": "conv", "edge_2": "pool", "act": "a"})]
    )

    assert found[0] == pytest.approx([1.0 / math.sqrt(3.0), 2.0 / math.sqrt(3.0)])


def test_of_numbers_the_sum_counts() -> None:
    width, size = Integer(10, 20), Categorical(7, 3, 5)
    space = SearchSpace({"w0": width, "w1": width, "depth": Integer(1, 4), "k0": size, "k1": size})
    found = CountKernel(space).encode([space.architecture({"w0": 15, "w1": 20, "depth": 2, "k0": 5, "k1": 7})])

    # ranks of 5 and 7 are 1/2 and 1; widths lie at 1/2 and 1
    assert found[0] == pytest.approx([1.5 / math.sqrt(2.0), 1.5 / math.sqrt(2.0)])


def test_what_is_not_there_counts_nothing() -> None:
    space = SearchSpace({"ops": Repeat(Categorical("a", "b"), 0, 4), "sizes": Repeat(Categorical(1, 2, 3), 0, 2)})
    one = {"ops.length": 2, "ops.0": "b", "ops.1": "b", "sizes.length": 1, "sizes.0": 3}
    none = {"ops.length": 0, "sizes.length": 0}
    found = CountKernel(space).encode([space.architecture(one), space.architecture(none)])

    assert found[0] == pytest.approx([0.0, 2.0 / 2.0, 1.0 / math.sqrt(2.0)])
    assert found[1].tolist() == [0.0, 0.0, 0.0]


def test_where_an_operation_stands_does_not_count() -> None:
    edges = ("a", "b", "c", "d")
    space = SearchSpace({edge: Categorical("conv", "pool", "skip") for edge in edges})
    architecture = drawn(space, 1)[0]
    turned = space.architecture({a: architecture[b] for a, b in zip(edges, reversed(edges), strict=True)})
    found = CountKernel(space).encode([architecture, turned])

    assert found[0].tolist() == found[1].tolist()


def test_decisions_with_values_of_their_own_have_no_counts() -> None:
    space = SearchSpace({"a": Categorical("x", "y"), "b": Categorical("x", "z"), "c": Integer(1, 3)})

    assert CountKernel(space).encode(drawn(space, 4)).shape == (4, 0)
    assert CountKernel(space).groups == CountKernel(space).blocks == ()
