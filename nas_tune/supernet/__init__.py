"""Shared weights: one network that holds every architecture of a model space."""

from nas_tune.supernet.batch_norm import recalibrate_batch_norm
from nas_tune.supernet.choices import InputChoice, LayerChoice
from nas_tune.supernet.elastic.sorting import sort_channels
from nas_tune.supernet.evaluation import Judge
from nas_tune.supernet.paths import Path, Paths, UniformPaths
from nas_tune.supernet.supernet import SuperNet
from nas_tune.supernet.trainer import Plan, SuperNetRecipe, SuperNetTrainer

__all__ = [
    "InputChoice",
    "Judge",
    "LayerChoice",
    "Path",
    "Paths",
    "Plan",
    "SuperNet",
    "SuperNetRecipe",
    "SuperNetTrainer",
    "UniformPaths",
    "recalibrate_batch_norm",
    "sort_channels",
]
