"""Path strategies: which architectures a training step of the super-net runs."""

from nas_tune.supernet.paths.attentive import AttentivePaths
from nas_tune.supernet.paths.controller import ControllerPaths, PathController
from nas_tune.supernet.paths.cost_prior import CostPrior, prior_of
from nas_tune.supernet.paths.estimators import Estimator, HeldOutAccuracy, MinibatchLoss, PredictedAccuracy
from nas_tune.supernet.paths.extremes import largest, smallest
from nas_tune.supernet.paths.fair import FairPaths
from nas_tune.supernet.paths.greedy import GreedyPaths
from nas_tune.supernet.paths.path import LearningPaths, Path, Paths, Step
from nas_tune.supernet.paths.progressive_shrinking import Phase, ProgressiveShrinking
from nas_tune.supernet.paths.sandwich import SandwichPaths
from nas_tune.supernet.paths.uniform import UniformPaths
from nas_tune.supernet.paths.warm_up import WarmUp

__all__ = [
    "AttentivePaths",
    "ControllerPaths",
    "CostPrior",
    "Estimator",
    "FairPaths",
    "GreedyPaths",
    "HeldOutAccuracy",
    "LearningPaths",
    "MinibatchLoss",
    "Path",
    "PathController",
    "Paths",
    "Phase",
    "PredictedAccuracy",
    "ProgressiveShrinking",
    "SandwichPaths",
    "Step",
    "UniformPaths",
    "WarmUp",
    "largest",
    "prior_of",
    "smallest",
]
