"""The tabular controller: for each decision logits of its own, whatever was decided before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from nas_tune.samplers.controllers.controller import Controller, Draw, Policy
from nas_tune.samplers.controllers.decisions import sums

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from nas_tune.samplers.controllers.controller import Credit, Vector
    from nas_tune.samplers.controllers.decisions import Batch

INITIAL_SCALE = 1e-3  # standard deviation of the first logits


class TabularController(Controller):
    """A softmax over logits for every decision; the decisions are independent but for which of them are active.

    The weights are the logits, decision by decision, padded to the decision with most choices; the padding is never
    used and stays as it is.

    Reference: the REINFORCE controller of NATS-Bench, arXiv:2009.00437; the first logits are N(0, 1) / 1,000 there.
    """

    def initial(self, rng: Generator) -> Vector:
        return INITIAL_SCALE * rng.standard_normal(self.decisions.open.size)

    def policy(self, weights: Vector) -> Policy:
        return TabularPolicy(np.exp(self._log_softmax(weights)).tolist())

    def log_probabilities(self, weights: Vector, batch: Batch) -> Vector:
        return batch.total(self._log_softmax(weights)[batch.rows, batch.places])

    def gradient(self, weights: Vector, batch: Batch, credit: Credit, entropy_weight: float) -> Vector:
        log = self._log_softmax(weights)
        probability = np.exp(log)
        steps = credit(batch.total(log[batch.rows, batch.places]))[batch.members]
        columns = batch.rows * log.shape[1] + batch.places
        taken, visits = sums(columns, steps, log.size).reshape(log.shape), sums(batch.rows, steps, len(log))
        ascent = taken - visits[:, None] * probability
        if entropy_weight:
            shares = np.bincount(batch.rows, minlength=len(log)) / len(batch)
            ascent += entropy_weight * shares[:, None] * self._entropy_gradient(log, probability)
        return ascent.ravel()

    def _log_softmax(self, weights: Vector) -> NDArray[np.float64]:
        open_logits = np.where(self.decisions.open, weights.reshape(self.decisions.open.shape), -np.inf)
        shifted = open_logits - open_logits.max(axis=1, keepdims=True)
        log: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        return log

    def _entropy_gradient(self, log: NDArray[np.float64], probability: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the derivative of -sum p log p with respect to each logit: -p (log p + entropy)."""
        finite = np.where(self.decisions.open, log, 0.0)
        entropy = -(probability * finite).sum(axis=1, keepdims=True)
        slope: NDArray[np.float64] = -probability * (finite + entropy)
        return slope


class TabularPolicy(Policy, Draw):
    """Independent decisions: a draw has nothing to remember.

    Args:
        table: Probability of each choice, by decision.
    """

    def __init__(self, table: Sequence[Sequence[float]]) -> None:
        self._table = table

    def begin(self) -> Draw:
        return self

    def probabilities(self, row: int) -> Sequence[float]:
        return self._table[row]

    def take(self, row: int, place: int) -> None:
        pass
