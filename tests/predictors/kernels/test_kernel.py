"""Laws of all kernels: what they promise of their columns, and matrices that are positive semi-definite."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.random import default_rng
from torch import as_tensor, int64

from nas_tune.predictors.kernels import (
    CountKernel,
    DistanceKernel,
    HammingKernel,
    Kernel,
    WeisfeilerLehmanKernel,
    default_kernel,
)
from nas_tune.predictors.squared_exponential import SquaredExponential
from nas_tune.space import Architecture, Categorical, Float, Integer, Repeat, SearchSpace, Subset, Switch
from tests.predictors.kernels.grams import drawn, gram
from tests.space.cells import Cells, TwoCells
from tests.space.strategies import nested, seeds, spaces


def different(a: Architecture, b: Architecture) -> float:
    """Count the parameters that only one has, or that differ."""
    return float(sum(a.get(name) != b.get(name) for name in {*a, *b}))


def joint() -> SearchSpace:
    """Branches, a length, a subset and numbers of every kind around a cell that draws a graph of its own."""
    branch = SearchSpace({"kernel": Categorical(3, 5, 7), "width": Integer(8, 64, step=8)})
    return SearchSpace(
        {
            "op": Switch({"conv": branch, "skip": SearchSpace({})}),
            "blocks": Repeat(Categorical("a", "b"), 0, 3),
            "inputs": Subset("abcd", 2, each=Categorical("sum", "mean")),
            "cell": Cells(3),
            "lr": Float(1e-4, 1e-1, log=True),
        }
    )


KERNELS: dict[str, Callable[[SearchSpace], Kernel]] = {
    "hamming": HammingKernel,
    "counts": CountKernel,
    "subtrees": lambda space: WeisfeilerLehmanKernel(space, depth=2),
    "distance": lambda space: DistanceKernel(different),
    "default": default_kernel,
}


def check(kernel: Kernel, space: SearchSpace, seed: int) -> None:
    """Fit to some architectures; check the columns of others, and the matrix of all with random weights."""
    architectures = drawn(space, 14, seed)
    columns = kernel.fit(architectures[:7]).encode(architectures)
    weights = np.exp(default_rng(seed).normal(0.0, 2.0, len(kernel.blocks)))

    assert columns.shape == (14, len(kernel.groups))
    assert set(kernel.groups) <= set(range(len(kernel.blocks)))
    assert np.isfinite(columns).all()
    assert kernel.encode([]).shape == (0, len(kernel.groups))

    matrix = gram(kernel, architectures, weights.tolist())
    covariance = SquaredExponential(weights)
    covariance.columns = as_tensor(kernel.groups, dtype=int64)
    rows = as_tensor(columns)
    whole = covariance.forward(rows, rows).detach().numpy()
    covariance.log_trend.data.fill_(-60.0)
    found = covariance.forward(rows, rows).detach().numpy() - 1.0

    assert np.linalg.eigvalsh(whole).min() > -1e-8 * np.abs(whole).max()
    assert np.linalg.eigvalsh(matrix).min() > -1e-8
    assert found == pytest.approx(matrix, abs=1e-6)


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("space", [joint(), nested(), Cells(), TwoCells()], ids=["joint", "nested", "cell", "cells"])
def test_matrices_are_positive_semi_definite(name: str, space: SearchSpace) -> None:
    for seed in range(3):
        check(KERNELS[name](space), space, seed)


@pytest.mark.parametrize("name", KERNELS)
@settings(max_examples=12)
@given(data=st.data())
def test_matrices_are_positive_semi_definite_on_any_space(name: str, data: st.DataObject) -> None:
    space = data.draw(spaces())

    check(KERNELS[name](space), space, data.draw(seeds))


@pytest.mark.parametrize("name", KERNELS)
def test_the_same_architecture_has_the_same_columns_in_any_company(name: str) -> None:
    space = joint()
    architectures = drawn(space, 9)
    kernel = KERNELS[name](space).fit(architectures[:5])

    assert kernel.encode(architectures)[4:] == pytest.approx(kernel.encode(architectures[4:]), abs=1e-15)
