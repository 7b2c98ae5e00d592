"""A controller's weights as a function of a study: they are rebuilt from its trials, and kept as it grows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np

from nas_tune.samplers.controllers.adam import Adam
from nas_tune.samplers.controllers.baseline import Baseline
from nas_tune.samplers.controllers.decisions import Batch
from nas_tune.samplers.controllers.rewards import rewards

if TYPE_CHECKING:
    from nas_tune.samplers.controllers.algorithm import Algorithm
    from nas_tune.samplers.controllers.controller import Controller, Vector
    from nas_tune.samplers.controllers.rewards import Scale
    from nas_tune.samplers.study_history import Evaluation, StudyHistory

LOG_PROBABILITY = "log_probability"  # note: of the proposal under the policy that drew it, in nats
ALL_KEPT = 16  # newest states that are all kept; of older ones every 2nd, 4th, 8th ... is


@dataclass(frozen=True)
class Learned:
    """A controller after some blocks of trials.

    Args:
        optimiser: Its weights, and Adam's memory.
        baseline: Of the rewards.
        blocks: How many blocks it has learned from.
        last: The last trial of these; `None` before the first block.
    """

    optimiser: Adam
    baseline: Baseline
    blocks: int = 0
    last: Evaluation | None = None


class Training:
    """Learns from the complete trials of a study, by number, in blocks of `batch_size`; the rest waits for its block.

    A trial that ends late, after trials with higher numbers, shifts the blocks from it on: they are learned again,
    from the newest state before it that is kept. What is learned depends on the trials alone, not on when they came.

    Args:
        controller: Who learns.
        algorithm: How.
        weights: Before anything is learned, shape `(weights,)`.
        batch_size: Trials of each block.
        baseline_decay: Of the rewards' moving average. A block's rewards enter it before it is subtracted from them, as
            in NATS-Bench, arXiv:2009.00437.
        scale: Of the rewards.
    """

    def __init__(
        self,
        controller: Controller,
        algorithm: Algorithm,
        weights: Vector,
        batch_size: int,
        baseline_decay: float,
        scale: Scale,
    ) -> None:
        self._controller, self._algorithm = controller, algorithm
        self._batch_size, self._scale = batch_size, scale
        self._start = Learned(Adam.start(weights), Baseline(baseline_decay))
        self._forget()

    def _forget(self) -> None:
        self._kept: WeakKeyDictionary[StudyHistory, list[Learned]] = WeakKeyDictionary()

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in vars(self).items() if name != "_kept"}

    def __setstate__(self, state: dict[str, object]) -> None:
        vars(self).update(state)
        self._forget()

    def after(self, history: StudyHistory) -> Learned:
        """Return the controller that has learned from every block of a study that is whole."""
        kept = self._kept.setdefault(history, [self._start])
        while not self._holds(kept[-1], history.complete):
            kept.pop()
        while (kept[-1].blocks + 1) * self._batch_size <= len(history.complete):
            kept.append(self._learn(kept[-1], history.complete))
            if kept[-1].blocks % ALL_KEPT == 0:
                _thin(kept)
        return kept[-1]

    def _holds(self, learned: Learned, complete: Sequence[Evaluation]) -> bool:
        end = learned.blocks * self._batch_size
        return learned.last is None or (end <= len(complete) and complete[end - 1] is learned.last)

    def _learn(self, learned: Learned, complete: Sequence[Evaluation]) -> Learned:
        start, end = (place * self._batch_size for place in (learned.blocks, learned.blocks + 1))
        block = complete[start:end]
        worth = rewards(complete, start, end, self._scale)
        baseline = learned.baseline.updated(worth)
        batch = Batch([self._controller.decisions.path(evaluation.architecture) for evaluation in block])
        drawn = np.array([_log_probability(evaluation) for evaluation in block])
        optimiser = self._algorithm.step(self._controller, learned.optimiser, batch, worth - baseline.value, drawn)
        return Learned(optimiser, baseline, learned.blocks + 1, block[-1])


def _log_probability(evaluation: Evaluation) -> float:
    noted = evaluation.notes.get(LOG_PROBABILITY)
    return float(noted) if isinstance(noted, (int, float)) else math.nan


def _thin(kept: list[Learned]) -> None:
    newest = kept[-1].blocks
    kept[:] = [one for one in kept if one.blocks % (1 << ((newest - one.blocks) // ALL_KEPT).bit_length()) == 0]
