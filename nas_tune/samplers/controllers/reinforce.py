"""REINFORCE."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nas_tune.samplers.controllers.algorithm import Algorithm

if TYPE_CHECKING:
    from nas_tune.samplers.controllers.adam import Adam
    from nas_tune.samplers.controllers.controller import Controller, Vector
    from nas_tune.samplers.controllers.decisions import Batch


@dataclass(frozen=True)
class Reinforce(Algorithm):
    """One step of Adam along the mean of advantage x gradient of the log-probability.

    Every architecture counts as drawn by the policy that it teaches, also where several processes let it be older.

    Args:
        learning_rate: Of Adam.
        entropy_weight: Weight of the policy's entropy, in nats.

    Reference: Williams, "Simple statistical gradient-following algorithms", 1992; for architectures Zoph & Le,
        arXiv:1611.01578, eq. 3.
    """

    learning_rate: float
    entropy_weight: float = 0.0

    def step(
        self, controller: Controller, state: Adam, batch: Batch, advantages: Vector, log_probabilities: Vector
    ) -> Adam:
        credit = advantages / len(batch)
        gradient = controller.gradient(state.weights, batch, lambda _: credit, self.entropy_weight)
        return state.ascend(gradient, self.learning_rate)
