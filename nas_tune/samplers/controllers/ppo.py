"""Proximal policy optimisation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nas_tune.samplers.controllers.algorithm import Algorithm

if TYPE_CHECKING:
    from nas_tune.samplers.controllers.adam import Adam
    from nas_tune.samplers.controllers.controller import Controller, Vector
    from nas_tune.samplers.controllers.decisions import Batch

MOST_LOG_RATIO = 20.0  # a path that had next to no probability teaches no infinite lesson


@dataclass(frozen=True)
class Ppo(Algorithm):
    """Several steps of Adam up the clipped surrogate, each with all architectures of the block.

    An architecture whose probability nobody has written down (an enqueued one) counts as drawn by the policy that the
    block begins with.

    Args:
        learning_rate: Of Adam.
        entropy_weight: Weight of the policy's entropy, in nats.
        clip: How far from 1 the ratio of new to old probability may go and still teach.
        epochs: Steps for each block.

    Reference: Schulman et al., arXiv:1707.06347, eq. 7; for architectures Zoph et al., NASNet, arXiv:1707.07012.
        Deviations: the advantage is reward minus baseline, there is no value network.
    """

    learning_rate: float
    entropy_weight: float = 0.0
    clip: float = 0.2
    epochs: int = 10

    def step(
        self, controller: Controller, state: Adam, batch: Batch, advantages: Vector, log_probabilities: Vector
    ) -> Adam:
        old = log_probabilities
        if np.isnan(old).any():
            old = np.where(np.isnan(old), controller.log_probabilities(state.weights, batch), old)

        def credit(new: Vector) -> Vector:
            return surrogate_slope(new - old, advantages, self.clip) / len(batch)

        for _ in range(self.epochs):
            gradient = controller.gradient(state.weights, batch, credit, self.entropy_weight)
            state = state.ascend(gradient, self.learning_rate)
        return state


def surrogate_slope(log_ratios: Vector, advantages: Vector, clip: float) -> Vector:
    """Return the derivative of min(ratio A, clipped ratio A) with respect to the new log-probability.

    Args:
        log_ratios: New minus old log-probability of each path, in nats, shape `(paths,)`.
        advantages: A, shape `(paths,)`.
        clip: The ratio is clipped to [1 - `clip`, 1 + `clip`].

    Returns:
        ratio x A, and 0 where the minimum is the clipped term; shape `(paths,)`.
    """
    ratios = np.exp(np.minimum(log_ratios, MOST_LOG_RATIO))
    clipped = np.where(advantages > 0, ratios > 1 + clip, ratios < 1 - clip)
    return np.where(clipped, 0.0, ratios * advantages)
