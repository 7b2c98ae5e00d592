"""The samplers that searches are run with, by name, each with its defaults."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, RandomSampler, TPESampler

from nas_tune.errors import unknown_name

if TYPE_CHECKING:
    from nas_tune.space import SearchSpace

Factory = Callable[["SearchSpace", int], BaseSampler]
NSGA_POPULATION = 20  # of the default 50, two hundred trials would see four generations
DEFAULT = "Predictor"  # what is to beat the reference
REFERENCE = "TPE"


def _predictor(space: SearchSpace, seed: int) -> BaseSampler:
    from nas_tune.samplers import PredictorSampler

    return PredictorSampler(space, seed=seed)


def _regularized_evolution(space: SearchSpace, seed: int) -> BaseSampler:
    from nas_tune.samplers import RegularizedEvolutionSampler

    return RegularizedEvolutionSampler(space, seed=seed)


def _local_search(space: SearchSpace, seed: int) -> BaseSampler:
    from nas_tune.samplers import LocalSearchSampler

    return LocalSearchSampler(space, seed=seed)


def _policy_gradient(space: SearchSpace, seed: int) -> BaseSampler:
    from nas_tune.samplers import PolicyGradientSampler

    return PolicyGradientSampler(space, seed=seed)


OURS: Mapping[str, Factory] = {
    DEFAULT: _predictor,
    "RegularizedEvolution": _regularized_evolution,
    "LocalSearch": _local_search,
    "PolicyGradient": _policy_gradient,
}
"""Samplers of `nas_tune`, each imported when it is made."""

OPTUNAS: Mapping[str, Factory] = {
    "Random": lambda _, seed: RandomSampler(seed=seed),
    REFERENCE: lambda _, seed: TPESampler(seed=seed),
    "NSGA-II": lambda _, seed: NSGAIISampler(seed=seed, population_size=NSGA_POPULATION),
    "GP": lambda _, seed: GPSampler(seed=seed),
}
"""Samplers of Optuna."""

SAMPLERS: Mapping[str, Factory] = {**OURS, **OPTUNAS}
UNASKED: tuple[str, ...] = tuple(name for name in SAMPLERS if name != "GP")
"""What runs if nobody names samplers: all but GP, which takes over a second for each proposal."""


def sampler(name: str, space: SearchSpace, seed: int) -> BaseSampler:
    """Make a sampler for one search.

    Raises:
        UnknownNameError: There is no such sampler.
    """
    if name not in SAMPLERS:
        raise unknown_name("sampler", name, SAMPLERS)
    return SAMPLERS[name](space, seed)
