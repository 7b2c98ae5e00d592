"""BANANAS' ensemble: what it is worth on trained networks, and columns that no data show."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.random import default_rng
from numpy.typing import NDArray

from nas_tune.predictors.mlp_ensemble import MLPEnsemble
from nas_tune.space import Architecture, Categorical, SearchSpace
from tests.predictors.nas_bench_201 import SPACE, quality, split
from tests.space.cells import Cells


def test_columns_that_no_data_show_keep_their_first_weights() -> None:
    """Left out for good, they would make all that was never seen alike."""
    space = SearchSpace({"op": Categorical("a", "b", "c", "d")})
    known, new = list(space.enumerate())[:2], list(space.enumerate())[2:]
    mean, std = MLPEnsemble(space, encoding="one-hot", epochs=30).fit(known, [0.0, 1.0]).predict(new)

    assert mean[0] != mean[1] and std[0] != std[1]


def test_the_scale_of_further_columns_is_of_no_account() -> None:
    space, rng = Cells(), default_rng(0)
    known, others = ([space.sample(rng) for _ in range(20)] for _ in range(2))
    number = {cell: float(rng.normal()) for cell in known + others}

    def said(scale: float) -> NDArray[np.float64]:
        def features(cells: object) -> NDArray[np.float64]:
            assert isinstance(cells, list)
            return np.array([[scale * (number[cell] + 3), 7.0] for cell in cells])

        predictor = MLPEnsemble(space, features=features, layers=2, epochs=10)
        return predictor.fit(known, [number[c] for c in known]).predict(others).mean

    assert said(1.0) == pytest.approx(said(1e8), abs=1e-2)


@pytest.mark.parametrize("known", [5, 30])
def test_repeated_architectures_never_tell_the_calibration_what_was_left_out(known: int) -> None:
    """Copies of an architecture lie in one fold: the factor sees values that were not learned, however often."""
    space, rng = Cells(), default_rng(0)
    cells: list[Architecture] = [space.sample(rng) for _ in range(known)] * 3
    values = default_rng(1).normal(size=known).tolist() * 3
    plain, wide = (
        MLPEnsemble(space, layers=2, epochs=60, calibrate=c).fit(cells, values).predict(cells).std
        for c in (False, True)
    )

    assert wide.mean() > 1.5 * plain.mean()


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize(("n", "least"), [(50, 0.45), (200, 0.65)])
def test_trained_cells_order_a_thousand_others(n: int, least: float, data_dir: Path) -> None:
    """Kendall's tau is 0.56 and 0.75; without the calibration half and less lie within one deviation."""
    found = [quality(MLPEnsemble(SPACE, seed=seed), split(data_dir, n, seed)) for seed in range(2)]
    tau, covered = np.mean(found, axis=0)

    assert tau >= least
    assert 0.5 <= covered <= 0.85
