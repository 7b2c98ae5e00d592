"""What every predictor on encodings or graphs owes: the interface, determinism, pickling, any space."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import pytest
import torch
from numpy.random import default_rng

from nas_tune.errors import ArchitectureError, PredictorError, UnknownNameError
from nas_tune.predictors.blend import Blend
from nas_tune.predictors.forest import ExtraTrees, RandomForest
from nas_tune.predictors.graph_network import GraphNetwork
from nas_tune.predictors.mlp_ensemble import MLPEnsemble
from nas_tune.predictors.predictor import SamplingPredictor
from nas_tune.space import Architecture, Categorical, Float, SearchSpace
from tests.space.cells import Cells, TwoCells
from tests.space.strategies import nested


def _forest(space: SearchSpace, seed: int = 0) -> SamplingPredictor:
    return RandomForest(space, trees=20, seed=seed)


def _trees(space: SearchSpace, seed: int = 0) -> SamplingPredictor:
    return ExtraTrees(space, trees=20, seed=seed)


def _mlps(space: SearchSpace, seed: int = 0) -> SamplingPredictor:
    return MLPEnsemble(space, layers=3, epochs=15, seed=seed)


def _graphs(space: SearchSpace, seed: int = 0) -> SamplingPredictor:
    return GraphNetwork(space, width=16, epochs=15, seed=seed)


def _blend(space: SearchSpace, seed: int = 0) -> SamplingPredictor:
    return Blend(space, predictors=(_forest(space, seed), _mlps(space, seed)), seed=seed)


Make = Callable[..., SamplingPredictor]
EVERY = pytest.mark.parametrize("make", [_forest, _trees, _mlps, _graphs, _blend])
SPACES = {
    "one": SearchSpace({"op": Categorical("a", "b", "c")}),
    "number": SearchSpace({"lr": Float(1e-4, 1, log=True)}),
    "no choice": SearchSpace({"op": Categorical("a")}),
    "empty": SearchSpace({}),
    "conditional": nested(),
    "cells": TwoCells(),
    "constrained": nested().where(lambda a: a["op"] != "skip", "no skip"),
}


def _some(space: SearchSpace, count: int, seed: int = 0) -> list[Architecture]:
    rng = default_rng(seed)
    return [space.sample(rng) for _ in range(count)]


def _values(cells: Sequence[Architecture]) -> list[float]:
    """Value of each cell of `Cells`: its convolutions, and half for each pooling."""
    ops = [[str(op) for op in cell.values()] for cell in cells]
    return [sum(op.startswith("nor") + 0.5 * op.startswith("avg") for op in cell) for cell in ops]


@EVERY
@pytest.mark.parametrize("name", SPACES)
def test_any_space_can_be_learned_from_any_number_of_values(make: Make, name: str) -> None:
    space = SPACES[name]
    predictor, others = make(space), _some(space, 9, seed=1)
    for count in (1, 2, 7):
        known = _some(space, count)
        mean, std = predictor.fit(known, default_rng(0).normal(1e4, 10, count).tolist()).predict(others + known)

        assert mean.shape == std.shape == (9 + count,)
        assert np.isfinite(mean).all() and np.isfinite(std).all() and (std >= 0).all()
        assert np.abs(mean - 1e4).max() < 1e3


@EVERY
def test_equal_values_are_what_is_expected_of_others(make: Make) -> None:
    space = Cells()
    mean, std = make(space).fit(_some(space, 8), [3.0] * 8).predict(_some(space, 20, seed=1))

    assert np.abs(mean - 3).max() < 0.8  # values that do not vary are not scaled, and networks miss them by a little
    assert (std < 1.5).all()


@EVERY
def test_what_was_learned_orders_what_is_new(make: Make) -> None:
    space = Cells()
    known, others = _some(space, 60), _some(space, 200, seed=1)
    mean, _ = make(space).fit(known, _values(known)).predict(others)

    assert np.corrcoef(mean, _values(others))[0, 1] > 0.5


@EVERY
def test_the_same_data_and_seed_give_the_same_answers_and_no_global_state_counts(make: Make) -> None:
    space = Cells()
    known, others = _some(space, 12), _some(space, 30, seed=1)
    first = make(space).fit(known, _values(known)).predict(others)
    torch.manual_seed(7)
    np.random.seed(7)
    before = torch.random.get_rng_state(), torch.get_num_threads()
    again = make(space).fit(known[:6], _values(known[:6])).fit(known, _values(known)).predict(others)
    other = make(space, seed=1).fit(known, _values(known)).predict(others)

    assert np.array_equal(first.mean, again.mean) and np.array_equal(first.std, again.std)
    assert not np.array_equal(first.mean, other.mean)
    assert torch.equal(before[0], torch.random.get_rng_state()) and before[1] == torch.get_num_threads()


@EVERY
def test_what_is_said_of_one_does_not_depend_on_the_others(make: Make) -> None:
    space = Cells()
    known, others = _some(space, 12), _some(space, 10, seed=1)
    predictor = make(space).fit(known, _values(known))
    together = predictor.predict(others)
    apart = [predictor.predict([other]) for other in others]

    assert together.mean == pytest.approx([one.mean[0] for one in apart], rel=1e-4, abs=1e-5)
    assert together.std == pytest.approx([one.std[0] for one in apart], rel=1e-3, abs=1e-4)
    assert np.allclose(
        predictor.sample(others, default_rng(3))[:4], predictor.sample(others[:4], default_rng(3)), atol=1e-4
    )


@EVERY
def test_a_fitted_predictor_can_be_pickled(make: Make) -> None:
    space = Cells()
    known, others = _some(space, 12), _some(space, 10, seed=1)
    predictor = make(space).fit(known, _values(known))
    copy = pickle.loads(pickle.dumps(predictor))

    assert np.array_equal(predictor.predict(others).mean, copy.predict(others).mean)
    assert np.array_equal(copy.fit(known, _values(known)).predict(others).std, predictor.predict(others).std)


@pytest.mark.slow
@EVERY
def test_the_functions_that_are_drawn_have_the_predicted_mean_and_deviation(make: Make) -> None:
    space = Cells()
    known, others, rng = _some(space, 12), _some(space, 6, seed=1), default_rng(0)
    predictor = make(space).fit(known, _values(known))
    mean, std = predictor.predict(others)
    functions = np.stack([predictor.sample(others, rng) for _ in range(400)])

    assert (np.abs(functions.mean(0) - mean) < 4.5 * std / np.sqrt(400)).all()
    assert functions.std(0) == pytest.approx(std, rel=0.2)


@EVERY
def test_a_noisy_value_counts_less(make: Make) -> None:
    space = SPACES["one"]
    a, b = space.architecture({"op": "a"}), space.architecture({"op": "b"})
    known, values = [a, a, a, a, b, b], [0.0, 0.0, 10.0, 10.0, 4.0, 6.0]
    said = [
        float(make(space).fit(known, values, noise).predict([a]).mean[0])
        for noise in (None, [0, 0, 40, 40, 0, 0], [40, 40, 0, 0, 0, 0])
    ]

    assert said[1] + 2 < said[0] < said[2] - 2


@EVERY
def test_a_prediction_before_learning_is_refused(make: Make) -> None:
    space = Cells()
    for ask in (make(space).predict, lambda cells: make(space).sample(cells, default_rng(0))):
        with pytest.raises(PredictorError, match="before `fit`.*Call fit\\(architectures, values\\) first"):
            ask(_some(space, 1))


@EVERY
def test_a_foreign_architecture_is_refused_by_name(make: Make) -> None:
    space = Cells()
    known = _some(space, 3)
    predictor = make(space).fit(known, [1, 2, 3])
    short = Architecture({name: op for name, op in known[0].items() if name != "edge_2_3"})
    with pytest.raises(ArchitectureError, match="of another space.*no value for `edge_2_3`"):
        predictor.predict([known[0], short])
    with pytest.raises(ArchitectureError, match="of another space.*`edge_0_1` has the impossible value 'conv'"):
        predictor.predict([Architecture({**known[0], "edge_0_1": "conv"})])
    with pytest.raises(ArchitectureError, match="of another space: `edge_3_4` is no active parameter"):
        predictor.fit([Architecture({**known[0], "edge_3_4": "none"})], [1])
    with pytest.raises(PredictorError, match="is no Architecture. Make one by space.architecture"):
        predictor.predict([dict(known[0])])  # type: ignore[list-item]


@EVERY
def test_nothing_asked_is_nothing_said(make: Make) -> None:
    space = Cells()
    predictor = make(space).fit(_some(space, 3), [1, 2, 3])
    mean, std = predictor.predict([])

    assert (0,) == mean.shape == std.shape == predictor.sample([], default_rng(0)).shape


@EVERY
def test_data_that_do_not_fit_are_refused(make: Make) -> None:
    space = Cells()
    with pytest.raises(PredictorError, match="at least one architecture"):
        make(space).fit([], [])
    with pytest.raises(PredictorError, match="must be finite"):
        make(space).fit(_some(space, 2), [1.0, float("nan")])


@pytest.mark.parametrize(
    "kind", [partial(RandomForest, trees=10), partial(ExtraTrees, trees=10), partial(MLPEnsemble, epochs=5)]
)
def test_an_encoding_is_chosen_by_name_or_given(kind: Callable[..., SamplingPredictor]) -> None:
    space = Cells()
    known, others = _some(space, 12), _some(space, 10, seed=1)
    named, given, other = (
        kind(space, encoding=encoding).fit(known, _values(known)).predict(others).mean
        for encoding in ("adjacency", space.encoding("adjacency"), "one-hot")
    )

    assert np.array_equal(named, given)
    assert not np.array_equal(named, other)
    with pytest.raises(UnknownNameError, match="no encoding 'paths'. Did you mean 'path'"):
        kind(space, encoding="paths")


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda s: RandomForest(s, trees=0), "RandomForest: `trees` is 0"),
        (lambda s: ExtraTrees(s, min_samples_leaf=1.5), "ExtraTrees: `min_samples_leaf` is 1.5"),  # type: ignore[arg-type]
        (lambda s: ExtraTrees(s, max_features=0), "`max_features` is 0"),
        (lambda s: RandomForest(s, max_features=1.01), "`max_features` is 1.01"),
        (lambda s: MLPEnsemble(s, members=True), "MLPEnsemble: `members` is True"),
        (lambda s: MLPEnsemble(s, learning_rate=0), "`learning_rate` is 0; give a finite number above 0"),
        (lambda s: GraphNetwork(s, weight_decay=-1.0), "GraphNetwork: `weight_decay` is -1.0"),
        (lambda s: Blend(s, predictors=()), "Blend: `predictors` is \\(\\)"),
        (lambda s: Blend(s, predictors=(1,)), "Blend: `predictors` is \\(1,\\)"),  # type: ignore[arg-type]
    ],
)
def test_an_argument_out_of_range_is_refused_by_name(build: Callable[[SearchSpace], object], message: str) -> None:
    with pytest.raises(PredictorError, match=message):
        build(Cells())
