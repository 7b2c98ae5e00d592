"""Hamming distances: closed forms for each kind of decision."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.random import default_rng

from nas_tune.predictors.kernels import HammingKernel
from nas_tune.space import Categorical, Float, Integer, SearchSpace, Switch
from tests.predictors.kernels.grams import drawn, gram, squared_distances


def test_of_categoricals_the_kernel_is_the_weighted_hamming_distance() -> None:
    space = SearchSpace({"a": Categorical("x", "y"), "b": Categorical("x", "y", "z"), "c": Categorical(True, None)})
    weights = default_rng(0).uniform(0.1, 2.0, 3).tolist()
    architectures = drawn(space, 12)
    expected = [
        [
            math.exp(-sum(w * (one[n] != other[n]) for w, n in zip(weights, "abc", strict=True)))
            for other in architectures
        ]
        for one in architectures
    ]

    assert gram(HammingKernel(space), architectures, weights) == pytest.approx(np.array(expected))


def test_ordered_values_differ_by_their_ranks_too() -> None:
    space = SearchSpace({"kernel": Categorical(7, 3, 5), "name": Categorical("3", "5", "7"), "two": Categorical(1, 2)})
    values = [{"kernel": k, "name": "3", "two": 1} for k in (3, 5, 7)]
    kernel = HammingKernel(space)
    distances = squared_distances(kernel, [space.architecture(value) for value in values])

    assert len(kernel.blocks) == 4  # two weights for the kernel size, one for each of the others
    assert distances[0] == pytest.approx(2.0 * (1.0 - np.eye(3)))
    assert distances[3] == pytest.approx(np.array([[0.0, 0.25, 1.0], [0.25, 0.0, 0.25], [1.0, 0.25, 0.0]]))
    assert not distances[1:3].any()


def test_numbers_differ_on_their_own_scale() -> None:
    space = SearchSpace({"lr": Float(1e-4, 1.0, log=True), "width": Integer(0, 40, step=10), "fixed": Integer(3, 3)})
    one = space.architecture({"lr": 1e-4, "width": 10, "fixed": 3})
    other = space.architecture({"lr": 1e-2, "width": 20, "fixed": 3})
    distances = squared_distances(HammingKernel(space), [one, other])

    assert distances[:, 0, 1] == pytest.approx([0.5**2, 0.25**2])


def test_a_decision_that_was_not_made_is_in_the_middle_of_its_values() -> None:
    branch = SearchSpace({"pool": Categorical("max", "avg"), "rate": Float(0.0, 1.0), "size": Categorical(1, 2, 3)})
    space = SearchSpace({"op": Switch({"on": branch, "off": SearchSpace({})})})
    off = space.architecture({"op": "off"})
    on = [
        space.architecture({"op": "on", "op.on.pool": pool, "op.on.rate": rate, "op.on.size": size})
        for pool, rate, size in (("max", 0.0, 1), ("avg", 1.0, 3))
    ]
    distances = squared_distances(HammingKernel(space), [off, *on])

    # groups: op, pool, size, ranks of size, rate
    assert distances[:, 1, 2] == pytest.approx([0.0, 2.0, 2.0, 1.0, 1.0])
    assert distances[:, 0, 1] == pytest.approx([2.0, 0.5, 2.0 / 3.0, 0.25, 0.25])
    assert distances[:, 0, 1] == pytest.approx(distances[:, 0, 2])


def test_a_space_without_choices_has_no_columns() -> None:
    kernel = HammingKernel(SearchSpace({"a": Categorical("x")}))

    assert kernel.encode(drawn(SearchSpace({"a": Categorical("x")}), 3)).shape == (3, 0)
    assert kernel.blocks == ()
