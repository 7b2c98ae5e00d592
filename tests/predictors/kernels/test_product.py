"""Products of kernels."""

from __future__ import annotations

import numpy as np
import pytest

from nas_tune.errors import PredictorError
from nas_tune.predictors.kernels import (
    CountKernel,
    HammingKernel,
    Kernel,
    ProductKernel,
    WeisfeilerLehmanKernel,
    default_kernel,
)
from nas_tune.space import Repeat, SearchSpace
from tests.predictors.kernels.grams import drawn, gram
from tests.space.cells import Cells
from tests.space.strategies import nested


def test_the_matrix_is_the_product_of_the_matrices() -> None:
    space = Cells(3)
    architectures = drawn(space, 10)
    parts: list[Kernel] = [HammingKernel(space), WeisfeilerLehmanKernel(space), CountKernel(space)]
    product = ProductKernel(*parts).fit(architectures)
    weights = [[0.3, 0.2, 0.5], [0.7, 0.9], [0.1, 0.4, 0.2, 0.8, 0.6]]
    expected = np.ones((10, 10))
    for part, weight in zip(parts, weights, strict=True):
        expected = expected * gram(part, architectures, weight)

    assert gram(product, architectures, sum(weights, [])) == pytest.approx(expected)
    assert product.blocks == (0, 0, 0, 1, 1, 2, 2, 2, 2, 2)


def test_products_nest() -> None:
    space = Cells(3)
    inner = ProductKernel(HammingKernel(space), CountKernel(space))
    outer = ProductKernel(WeisfeilerLehmanKernel(space), inner, HammingKernel(space)).fit(drawn(space, 5))

    assert outer.blocks == (0, 0, 1, 1, 1, 2, 2, 2, 2, 2, 3, 3, 3)
    assert max(outer.groups) == len(outer.blocks) - 1
    assert list(outer.groups) == sorted(outer.groups)


def test_only_spaces_that_draw_graphs_have_subtrees_by_default() -> None:
    def kinds(space: SearchSpace) -> list[type]:
        return [type(kernel) for kernel in default_kernel(space).kernels]

    assert kinds(nested()) == [HammingKernel, CountKernel]
    assert kinds(Cells()) == [HammingKernel, CountKernel, WeisfeilerLehmanKernel]
    assert kinds(SearchSpace({"cells": Repeat(Cells(3), 1, 2)})) == [HammingKernel, CountKernel, WeisfeilerLehmanKernel]


def test_a_product_of_nothing_is_refused() -> None:
    with pytest.raises(PredictorError, match="has no kernels"):
        ProductKernel()
