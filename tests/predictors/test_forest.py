"""Forests: scikit-learn's means, the total variance, and what they are worth on trained networks."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
from numpy.random import default_rng
from sklearn.ensemble import ExtraTreesRegressor, RandomForestRegressor

from nas_tune.predictors.forest import ExtraTrees, RandomForest
from nas_tune.space import Categorical, SearchSpace
from tests.predictors.nas_bench_201 import SPACE, quality, split
from tests.space.cells import Cells


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (RandomForest, partial(RandomForestRegressor, max_features=1 / 3)),
        (ExtraTrees, partial(ExtraTreesRegressor, bootstrap=True)),
    ],
)
@pytest.mark.parametrize("leaf", [1, 4])
def test_mean_and_total_variance_are_those_of_the_trees_of_scikit_learn(
    ours: type[RandomForest], theirs: partial[RandomForestRegressor], leaf: int
) -> None:
    space, rng = Cells(), default_rng(0)
    known, others = ([space.sample(rng) for _ in range(50)] for _ in range(2))
    values = rng.normal(5, 3, size=50)
    scaled = (values - values.mean()) / values.std()  # as ours does: rounding decides between splits of equal gain
    encoded, asked = (np.array([space.encode(cell) for cell in cells]) for cells in (known, others))
    forest = theirs(n_estimators=30, random_state=5, min_samples_leaf=leaf).fit(encoded, scaled)
    fitted = ours(space, trees=30, seed=5, min_samples_leaf=leaf, calibrate=False).fit(known, values.tolist())
    mean, std = fitted.predict(others)

    per_tree = np.array([tree.predict(asked) for tree in forest.estimators_])
    inside = np.array([tree.tree_.impurity[tree.apply(asked)] for tree in forest.estimators_])
    assert values.mean() + values.std() * forest.predict(asked) == pytest.approx(mean)
    assert values.std() * np.sqrt(per_tree.var(0) + inside.mean(0)) == pytest.approx(std, abs=1e-6)


def test_the_unit_of_the_values_is_of_no_account() -> None:
    space, rng = Cells(), default_rng(0)
    known, others = ([space.sample(rng) for _ in range(30)] for _ in range(2))
    values = rng.normal(size=30)
    plain = RandomForest(space).fit(known, values.tolist()).predict(others)
    tiny = RandomForest(space).fit(known, (2.0**-30 * values).tolist()).predict(others)

    assert plain.mean == pytest.approx(tiny.mean * 2.0**30)
    assert plain.std == pytest.approx(tiny.std * 2.0**30)


def test_all_in_a_leaf_are_drawn_together() -> None:
    space = SearchSpace({"a": Categorical(0, 1), "b": Categorical(0, 1)})
    cells = list(space.enumerate())
    forest = RandomForest(space, min_samples_leaf=4, trees=5).fit(cells, [0.0, 1.0, 2.0, 3.0])  # one leaf a tree
    functions = np.array([forest.sample(cells, default_rng(seed)) for seed in range(20)])

    assert np.ptp(functions, axis=1).max() < 1e-12
    assert np.ptp(functions[:, 0]) > 0.5


def test_calibration_scales_the_deviation_alone() -> None:
    space, rng = Cells(), default_rng(0)
    known, others = ([space.sample(rng) for _ in range(40)] for _ in range(2))
    values = rng.normal(size=40).tolist()
    plain, scaled = (RandomForest(space, calibrate=c).fit(known, values).predict(others) for c in (False, True))
    factor = scaled.std / plain.std

    assert np.array_equal(plain.mean, scaled.mean)
    assert np.ptp(factor) < 1e-9 and 0.5 <= factor[0]


def test_further_columns_are_learned_from() -> None:
    space = Cells()
    rng = default_rng(0)
    known, others = ([space.sample(rng) for _ in range(60)] for _ in range(2))
    secret = {cell: float(rng.normal()) for cell in known + others}
    truth = [secret[cell] for cell in others]

    def error(**given: object) -> float:
        predictor = RandomForest(space, max_features=1.0, **given)  # type: ignore[arg-type]
        return float(np.abs(predictor.fit(known, [secret[c] for c in known]).predict(others).mean - truth).mean())

    assert error(features=lambda cells: np.array([[secret[cell]] for cell in cells])) < 0.3 * error()


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize("kind", [RandomForest, ExtraTrees])
def test_two_hundred_trained_cells_order_a_thousand_others(kind: type[RandomForest], data_dir: Path) -> None:
    """Kendall's tau of a plain random forest is 0.55 here; a fair deviation covers 68 %."""
    found = [quality(kind(SPACE, seed=seed), split(data_dir, 200, seed)) for seed in range(5)]
    tau, covered = np.mean(found, axis=0)

    assert tau >= 0.50
    assert 0.5 <= covered <= 0.85
