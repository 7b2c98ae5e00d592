"""Adam on a vector of weights."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from nas_tune.samplers.controllers.controller import Vector

FIRST_DECAY, SECOND_DECAY, EPSILON = 0.9, 0.999, 1e-8


@dataclass(frozen=True)
class Adam:
    """Weights, and what Adam remembers of the gradients before.

    Args:
        weights: The weights, shape `(weights,)`.
        first: Decayed sum of the gradients, shape `(weights,)`.
        second: Decayed sum of their squares, shape `(weights,)`.
        steps: How many steps were taken.

    Reference: Kingma & Ba, arXiv:1412.6980, algorithm 1, with the decays 0.9 and 0.999 and epsilon 1e-8 given there.
    """

    weights: Vector
    first: Vector
    second: Vector
    steps: int = 0

    @staticmethod
    def start(weights: Vector) -> Adam:
        """Return the state before the first step."""
        return Adam(weights, np.zeros_like(weights), np.zeros_like(weights))

    def ascend(self, gradient: Vector, learning_rate: float) -> Adam:
        """Return the state after a step up the gradient, shape `(weights,)`."""
        steps = self.steps + 1
        first = FIRST_DECAY * self.first + (1 - FIRST_DECAY) * gradient
        second = SECOND_DECAY * self.second + (1 - SECOND_DECAY) * gradient * gradient
        rate = learning_rate / (1 - FIRST_DECAY**steps)
        scale = np.sqrt(second / (1 - SECOND_DECAY**steps)) + EPSILON
        return replace(self, weights=self.weights + rate * first / scale, first=first, second=second, steps=steps)
