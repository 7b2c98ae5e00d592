"""Who proposes: Optuna samplers that search a `SearchSpace`. The algorithm of each is a pure function beside it."""

from nas_tune.samplers.regularized_evolution import RegularizedEvolutionSampler

__all__ = ["RegularizedEvolutionSampler"]
