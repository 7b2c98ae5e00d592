"""A trainer whose steps can be computed by hand."""

from __future__ import annotations

import torch

from nas_tune.supernet import SuperNetRecipe, SuperNetTrainer
from nas_tune.supernet.paths import Paths
from tests.supernet.networks import CLASSES, Case

LR = 0.1


def trainer_in_float64(case: Case, paths: Paths) -> SuperNetTrainer:
    """Return a trainer whose batch is all inputs, and whose step is `LR` times the gradient."""
    torch.manual_seed(0)
    recipe = SuperNetRecipe(
        batch_size=8, lr=LR, momentum=0.0, weight_decay=0.0, schedule="constant", clip_norm=None, precision="fp32"
    )
    inputs, labels = 2 * case.inputs(8).double(), torch.arange(8) % CLASSES
    return SuperNetTrainer(case.make().supernet().double(), inputs, labels, paths=paths, recipe=recipe)
