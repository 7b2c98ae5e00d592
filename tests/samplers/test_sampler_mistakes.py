"""Mistakes that samplers name, and what Hyperband's brackets share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import optuna
import pytest
from numpy.random import Generator
from numpy.typing import NDArray
from optuna.samplers import BaseSampler

from nas_tune.errors import SamplerError
from nas_tune.predictors import GaussianProcess, Prediction
from nas_tune.samplers import (
    LocalSearchSampler,
    ParetoEvolutionSampler,
    PredictorSampler,
    RegularizedEvolutionSampler,
)
from nas_tune.space import SearchSpace


@pytest.mark.parametrize(
    ("make", "given"),
    [
        (PredictorSampler, {"predictor": GaussianProcess}),
        (PredictorSampler, {"independent_sampler": "tpe"}),
        (RegularizedEvolutionSampler, {"population_size": 12.5}),
        (RegularizedEvolutionSampler, {"crossover_probability": "a"}),
        (ParetoEvolutionSampler, {"sample_size": 2.5}),
        (LocalSearchSampler, {"draws": 1.5}),
    ],
)
def test_an_argument_of_another_kind_is_named(
    make: Callable[..., BaseSampler], given: dict[str, Any], cell_space: SearchSpace
) -> None:
    with pytest.raises(SamplerError, match=f"`{next(iter(given))}`"):
        make(cell_space, **given)


def test_more_than_five_objectives_are_refused_at_once(cell_space: SearchSpace) -> None:
    study = optuna.create_study(directions=["maximize"] * 6, sampler=PredictorSampler(cell_space, seed=0))

    with pytest.raises(SamplerError, match="6 objectives"):
        cell_space.suggest(study.ask())


@pytest.mark.parametrize("worth", [np.array([np.nan]), np.array(1.0), np.zeros((2, 2))])
def test_an_acquisition_that_says_nothing_is_named(worth: NDArray[np.float64], cell_space: SearchSpace) -> None:
    def acquisition(prediction: Prediction, best: float, rng: Generator) -> NDArray[np.float64]:
        return np.resize(worth, len(prediction.mean)) if worth.shape == (1,) else worth

    sampler = PredictorSampler(cell_space, acquisition=acquisition, initial_trials=2, seed=0)
    study = optuna.create_study(sampler=sampler)

    with pytest.raises(SamplerError, match="`acquisition` returned"):
        study.optimize(lambda trial: float(len(str(cell_space.suggest(trial)))), n_trials=4)


def test_the_predictor_learns_from_all_brackets_of_hyperband(cell_space: SearchSpace) -> None:
    seen: list[int] = []

    class Counted(PredictorSampler):  # a test may look inside
        def propose(self, request):  # type: ignore[no-untyped-def]
            seen.append(len(request.history.finished))
            return super().propose(request)

    def objective(trial: optuna.Trial) -> float:
        cell_space.suggest(trial)
        for step in range(9):
            trial.report(float(step), step)
        return 1.0

    pruner = optuna.pruners.HyperbandPruner(min_resource=1, max_resource=9)
    study = optuna.create_study(sampler=Counted(cell_space, initial_trials=50, seed=0), pruner=pruner)
    study.optimize(objective, n_trials=8)

    assert seen == list(range(8))
