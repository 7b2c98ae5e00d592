"""The blend: mean ranks, on the scale of the values."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Self

import numpy as np
import pytest
from numpy.random import default_rng
from scipy.stats import norm, rankdata, spearmanr

from nas_tune.predictors.blend import Blend
from nas_tune.predictors.forest import ExtraTrees, RandomForest
from nas_tune.predictors.mlp_ensemble import MLPEnsemble
from nas_tune.predictors.predictor import Prediction
from nas_tune.predictors.rank_map import RankMap
from nas_tune.space import Architecture, Categorical, SearchSpace
from tests.predictors.nas_bench_201 import SPACE, quality, split
from tests.space.cells import Cells

LINE = SearchSpace({"x": Categorical(*range(101))})
CELLS = tuple(LINE.enumerate())


class Formula:
    """Says what a formula says of `x`, whatever it is fitted to."""

    def __init__(self, formula: Callable[[float], float], std: float = 0.0) -> None:
        self.formula, self.std = formula, std

    def fit(
        self, architectures: Sequence[Architecture], values: Sequence[float], noise: Sequence[float] | None = None
    ) -> Self:
        return self

    def predict(self, architectures: Sequence[Architecture]) -> Prediction:
        mean = np.array([self.formula(float(str(a["x"]))) for a in architectures])
        return Prediction(mean, np.full(len(mean), self.std))


def _blend(*formulas: Formula) -> Blend:
    return Blend(LINE, predictors=formulas).fit(CELLS, range(101))


def test_one_predictor_is_its_own_blend() -> None:
    one = _blend(Formula(lambda x: (x - 30) ** 3, 2.5)).predict(CELLS)

    assert np.array([(x - 30.0) ** 3 for x in range(101)]) == pytest.approx(one.mean, rel=1e-9, abs=1e-6)
    assert one.std == pytest.approx(2.5)


def test_the_order_is_that_of_the_mean_normal_score_of_the_ranks() -> None:
    members = [
        Formula(lambda x: x),
        Formula(lambda x: -((x - 60.0) ** 2)),
        Formula(lambda x: math.exp(x / 5) * (80 - x)),
    ]
    blend = _blend(*members)
    known = [*CELLS, *blend.references()]
    scores = np.mean([norm.ppf((rankdata(m.predict(known).mean) - 0.5) / len(known)) for m in members], axis=0)

    assert spearmanr(scores[:101], blend.predict(CELLS).mean).statistic == pytest.approx(1, abs=1e-6)


def _tent(height: float, x: float) -> float:
    return -height * abs(x - 50)


def test_no_predictor_counts_more_because_its_scale_is_wider() -> None:
    narrow, wide = (_blend(Formula(lambda x: x), Formula(partial(_tent, s))) for s in (1, 1_000))

    assert np.array_equal(np.argsort(narrow.predict(CELLS).mean), np.argsort(wide.predict(CELLS).mean))


def test_predictors_that_agree_are_averaged_on_the_scale_of_the_values() -> None:
    mean, std = _blend(Formula(lambda x: x, 3), Formula(lambda x: 3 * x + 8, 5)).predict(CELLS)

    assert 2 * np.arange(101.0) + 4 == pytest.approx(mean)
    assert std == pytest.approx(4)


def test_predictors_without_functions_are_drawn_as_far_from_their_mean_everywhere() -> None:
    blend = _blend(Formula(lambda x: x, 3), Formula(lambda x: 100 - x, 5))
    functions = np.array([blend.sample(CELLS, default_rng(seed)) for seed in range(1_000)])
    mean, std = blend.predict(CELLS)

    assert (np.abs(functions.mean(0) - mean) < 4.5 * std / np.sqrt(1_000)).all()
    assert functions.std(0) == pytest.approx(std, rel=0.1)


def test_a_rank_map_is_strictly_increasing_and_inverted_beyond_what_it_knows() -> None:
    known = default_rng(0).normal(size=50).round(1)
    ranks = RankMap(known, 1.0)
    line = np.linspace(-9, 9, 400)

    assert (np.diff(ranks.scores(line)) > 0).all()
    assert line == pytest.approx(ranks.numbers(ranks.scores(line)))
    assert norm.ppf((rankdata(known) - 0.5) / 50) == pytest.approx(ranks.scores(known))
    assert [-0.5, 0, 1] == pytest.approx(RankMap(np.full(3, 7.0), 2.0).scores(np.array([6.0, 7, 9])))


def test_the_blend_of_a_space_is_a_forest_perceptrons_and_a_graph_network() -> None:
    names = [type(predictor).__name__ for predictor in Blend(Cells()).predictors]

    assert ["RandomForest", "MLPEnsemble", "GraphNetwork"] == names


@pytest.mark.data
@pytest.mark.slow
def test_a_blend_of_trained_predictors_covers_and_orders(data_dir: Path) -> None:
    data = split(data_dir, 100, 0)
    members = (RandomForest(SPACE), ExtraTrees(SPACE), MLPEnsemble(SPACE))
    tau, covered = quality(Blend(SPACE, predictors=members), data)

    assert tau >= np.mean([quality(member, data)[0] for member in members])
    assert 0.5 <= covered <= 0.85
