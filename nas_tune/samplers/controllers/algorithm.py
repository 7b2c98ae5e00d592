"""What an algorithm of policy gradients is: one step of learning from a block of rewarded architectures."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nas_tune.samplers.controllers.adam import Adam
    from nas_tune.samplers.controllers.controller import Controller, Vector
    from nas_tune.samplers.controllers.decisions import Batch


class Algorithm(ABC):
    """How the weights of a controller follow the advantages of what it drew."""

    @abstractmethod
    def step(
        self, controller: Controller, state: Adam, batch: Batch, advantages: Vector, log_probabilities: Vector
    ) -> Adam:
        """Return the state after learning from one block.

        Args:
            controller: Whose weights they are.
            state: Weights, and the optimiser's memory.
            batch: The architectures.
            advantages: Reward minus baseline of each, shape `(paths,)`.
            log_probabilities: Of each under the policy that drew it, in nats, shape `(paths,)`; NaN where nobody has
                written it down.
        """
