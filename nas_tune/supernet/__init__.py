"""Shared weights: one network that holds every architecture of a model space."""

from nas_tune.supernet.batch_norm import recalibrate_batch_norm
from nas_tune.supernet.choices import InputChoice, LayerChoice
from nas_tune.supernet.distillation import AlphaDivergence, Distillation, SoftTargets
from nas_tune.supernet.elastic.sorting import sort_channels
from nas_tune.supernet.evaluation import Judge, Score
from nas_tune.supernet.few_shot import Split, split, splits
from nas_tune.supernet.gradient_conflict import choose_split, gradient_similarity
from nas_tune.supernet.paths import (
    AttentivePaths,
    ControllerPaths,
    CostPrior,
    Estimator,
    FairPaths,
    GreedyPaths,
    HeldOutAccuracy,
    LearningPaths,
    MinibatchLoss,
    Path,
    PathController,
    Paths,
    Phase,
    PredictedAccuracy,
    ProgressiveShrinking,
    SandwichPaths,
    Step,
    UniformPaths,
    WarmUp,
    prior_of,
)
from nas_tune.supernet.recipe import SuperNetRecipe, published
from nas_tune.supernet.rejection import EarlyRejection
from nas_tune.supernet.statistics import Statistics
from nas_tune.supernet.supernet import SuperNet
from nas_tune.supernet.trainer import Plan, SuperNetTrainer

__all__ = [
    "AlphaDivergence",
    "AttentivePaths",
    "ControllerPaths",
    "CostPrior",
    "Distillation",
    "EarlyRejection",
    "Estimator",
    "FairPaths",
    "GreedyPaths",
    "HeldOutAccuracy",
    "InputChoice",
    "Judge",
    "LayerChoice",
    "LearningPaths",
    "MinibatchLoss",
    "Path",
    "PathController",
    "Paths",
    "Phase",
    "Plan",
    "PredictedAccuracy",
    "ProgressiveShrinking",
    "SandwichPaths",
    "Score",
    "SoftTargets",
    "Split",
    "Statistics",
    "Step",
    "SuperNet",
    "SuperNetRecipe",
    "SuperNetTrainer",
    "UniformPaths",
    "WarmUp",
    "choose_split",
    "gradient_similarity",
    "prior_of",
    "published",
    "recalibrate_batch_norm",
    "sort_channels",
    "split",
    "splits",
]
