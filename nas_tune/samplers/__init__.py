"""Who proposes: Optuna samplers that search a `SearchSpace`. The algorithm of each is a pure function beside it.

What learns by gradients or fits a predictor imports its libraries when it first proposes: this package is light.
"""

from nas_tune.samplers.enqueue import enqueue
from nas_tune.samplers.local_search import LocalSearchSampler
from nas_tune.samplers.pareto_evolution import ParetoEvolutionSampler
from nas_tune.samplers.policy_gradient import PolicyGradientSampler
from nas_tune.samplers.predictor import PredictorSampler
from nas_tune.samplers.regularized_evolution import RegularizedEvolutionSampler

__all__ = [
    "LocalSearchSampler",
    "ParetoEvolutionSampler",
    "PolicyGradientSampler",
    "PredictorSampler",
    "RegularizedEvolutionSampler",
    "enqueue",
]
