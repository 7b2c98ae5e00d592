"""The accuracy of an inherited network after a short training with hyperparameters of its own."""

from __future__ import annotations

import math

from torch import Tensor, nn

from nas_tune.errors import DivergedError
from nas_tune.supernet import recalibrate_batch_norm
from nas_tune.trials import Recipe, Task, evaluate, train


def fine_tuned_accuracy(network: nn.Module, task: Task, recipe: Recipe, calibration: Tensor, seed: int = 0) -> float:
    """Train a network, which changes in place, and measure it on the validation split.

    Batch norm starts from statistics of the network's own and is measured anew at the end.

    Args:
        network: Extracted from a super-net, on the device of the task.
        task: Its train split is trained on.
        recipe: Hyperparameters; a few epochs are enough to tell a good learning rate from a bad one.
        calibration: Inputs for the statistics of batch norm, shape `(N, ...)`.
        seed: Order of the samples.

    Returns:
        A share in [0, 1]; nan where the training diverged, which is a finding about the recipe and no failure.
    """
    recalibrate_batch_norm(network, [calibration])
    try:
        train(network, task.train, recipe, seed=seed, device=task.train.inputs.device)
        recalibrate_batch_norm(network, [calibration])
        return evaluate(network, task.validation)
    except DivergedError:
        return math.nan
