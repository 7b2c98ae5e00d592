"""Every sampler under test, with settings so small that a dozen trials show what it does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Literal, Protocol, Self, TypeAlias

import numpy as np
import optuna
import pytest
from optuna.study import Study
from optuna.trial import FrozenTrial

from nas_tune.predictors.predictor import Prediction
from nas_tune.samplers import (
    LocalSearchSampler,
    ParetoEvolutionSampler,
    PolicyGradientSampler,
    PredictorSampler,
    RegularizedEvolutionSampler,
)
from nas_tune.samplers.controllers.learning import ALGORITHMS, CONTROLLERS, AlgorithmName, ControllerName, default
from nas_tune.samplers.space_sampler import SpaceSampler
from nas_tune.space import Architecture, SearchSpace, Value

Direction: TypeAlias = Literal["maximize", "minimize"]
Fitness: TypeAlias = Callable[[Mapping[str, Value]], float]


class Maker(Protocol):
    """Makes a sampler of a space."""

    def __call__(self, space: SearchSpace, *, seed: int | None = None, prefix: str = "") -> SpaceSampler: ...


class NearestNeighbour:
    """The least that a user's own predictor can be: the value of the architecture that shares most decisions."""

    def __init__(self) -> None:
        self._known: list[Architecture] = []
        self._values: list[float] = []

    def fit(
        self, architectures: Sequence[Architecture], values: Sequence[float], noise: Sequence[float] | None = None
    ) -> Self:
        self._known, self._values = list(architectures), list(values)
        return self

    def predict(self, architectures: Sequence[Architecture]) -> Prediction:
        shared = np.array([[len(a.items() & b.items()) for b in self._known] for a in architectures])
        return Prediction(np.array(self._values)[shared.argmax(axis=1)], 1.0 / (1.0 + shared.max(axis=1)))


def policy_gradient(
    algorithm: AlgorithmName,
    controller: ControllerName,
    space: SearchSpace,
    *,
    seed: int | None = None,
    prefix: str = "",
) -> SpaceSampler:
    learning = replace(default(algorithm, controller), batch_size=4, epochs=2)
    return PolicyGradientSampler(
        space, algorithm=algorithm, controller=controller, learning=learning, seed=seed, prefix=prefix
    )


def nearest_neighbour(space: SearchSpace, *, seed: int | None = None, prefix: str = "") -> SpaceSampler:
    predictor = NearestNeighbour()
    return PredictorSampler(space, predictor=predictor, initial_trials=4, seed=seed, prefix=prefix)


ROSTER: dict[str, Maker] = {
    "regularized-evolution": partial(RegularizedEvolutionSampler, population_size=4, sample_size=2),
    "local-search": partial(LocalSearchSampler, draws=3),
    "pareto-evolution": partial(ParetoEvolutionSampler, population_size=4),
    **{f"{a}-{c}": partial(policy_gradient, a, c) for a in ALGORITHMS for c in CONTROLLERS},
    "predictor": partial(PredictorSampler, initial_trials=4),
    "predictor-thompson": partial(PredictorSampler, initial_trials=4, acquisition="thompson"),
    "predictor-nearest-neighbour": nearest_neighbour,
}
SEVERAL = tuple(name for name in ROSTER if name.startswith("pareto") or name.startswith("predictor"))
SINGLE = tuple(name for name in ROSTER if name not in SEVERAL)

every_sampler = pytest.mark.parametrize("make", ROSTER.values(), ids=ROSTER)
every_sampler_of_several_objectives = pytest.mark.parametrize("make", [ROSTER[n] for n in SEVERAL], ids=SEVERAL)


def make_study(sampler: SpaceSampler, direction: Direction = "maximize") -> Study:
    return optuna.create_study(sampler=sampler, direction=direction, study_name="search")


def search(study: Study, space: SearchSpace, fitness: Fitness, trials: int, *, n_jobs: int = 1) -> Study:
    study.optimize(lambda trial: fitness(space.suggest(trial)), n_trials=trials, n_jobs=n_jobs)
    return study


def copied(study: Study, sampler: SpaceSampler) -> Study:
    """Return a study of the same trials in a storage of its own, which another sampler goes on with."""
    copy = optuna.create_study(sampler=sampler, directions=study.directions, study_name=study.study_name)
    copy.add_trials(study.get_trials())
    return copy


def suggested(study: Study, space: SearchSpace) -> Architecture:
    """Return what the study is asked to try next, and leave the trial running."""
    return space.suggest(study.ask())


def architectures(trials: Sequence[FrozenTrial], space: SearchSpace) -> list[Architecture]:
    return [space.architecture(trial.params) for trial in trials]


def distinct(trials: Sequence[FrozenTrial], space: SearchSpace) -> int:
    """Return how many different networks the trials hold."""
    return len({space.canonical_key(architecture) for architecture in architectures(trials, space)})


def told(trials: Sequence[FrozenTrial]) -> list[tuple[object, ...]]:
    """Return what two studies must agree in to be the same."""
    return [(t.number, t.state, t.params, t.values, t.system_attrs) for t in trials]
