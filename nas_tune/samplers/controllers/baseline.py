"""The baseline that is subtracted from rewards: their exponential moving average."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from nas_tune.samplers.controllers.controller import Vector


@dataclass(frozen=True)
class Baseline:
    """A moving average without the pull of its start towards 0.

    Args:
        decay: What is left of the average after another reward, at least 0 and below 1.
        total: Sum of the rewards, each decayed by those after it, times 1 - `decay`.
        weight: The same sum of ones.
    """

    decay: float
    total: float = 0.0
    weight: float = 0.0

    def updated(self, rewards: Vector) -> Baseline:
        """Return the baseline after more rewards, shape `(trials,)`, the newest last."""
        shares = (1.0 - self.decay) * self.decay ** np.arange(len(rewards) - 1, -1, -1)
        left = self.decay ** len(rewards)
        total, weight = float(shares @ rewards), float(shares.sum())
        return replace(self, total=left * self.total + total, weight=left * self.weight + weight)

    @property
    def value(self) -> float:
        """The average, corrected for its start at 0 as in Adam; 0 before the first reward."""
        return self.total / self.weight if self.weight else 0.0
