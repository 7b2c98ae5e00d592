"""Shared weights: one network that holds every architecture of a model space."""

from nas_tune.supernet.batch_norm import recalibrate_batch_norm
from nas_tune.supernet.choices import InputChoice, LayerChoice
from nas_tune.supernet.distillation import AlphaDivergence, Distillation, SoftTargets
from nas_tune.supernet.elastic.sorting import sort_channels
from nas_tune.supernet.evaluation import Judge
from nas_tune.supernet.paths import LearningPaths, Path, Paths, Step, UniformPaths
from nas_tune.supernet.recipe import SuperNetRecipe, published
from nas_tune.supernet.supernet import SuperNet
from nas_tune.supernet.trainer import Plan, SuperNetTrainer

__all__ = [
    "AlphaDivergence",
    "Distillation",
    "InputChoice",
    "Judge",
    "LayerChoice",
    "LearningPaths",
    "Path",
    "Paths",
    "Plan",
    "SoftTargets",
    "Step",
    "SuperNet",
    "SuperNetRecipe",
    "SuperNetTrainer",
    "UniformPaths",
    "published",
    "recalibrate_batch_norm",
    "sort_channels",
]
