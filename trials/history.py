"""What training a network gave, epoch by epoch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class EpochResult:
    """One epoch.

    Attributes:
        epoch: Its number, from 1.
        loss: Mean training loss over the samples, with label smoothing.
        accuracy: On the validation split, in [0, 1]; None without one.
        seconds: Wall time of training and validation.
        lr: Learning rate of the last step.
    """

    epoch: int
    loss: float
    accuracy: float | None
    seconds: float
    lr: float


OnEpoch = Callable[[EpochResult], None]


@dataclass(frozen=True)
class TrainingResult:
    """A whole training.

    Attributes:
        history: The epochs that ran.
        best_accuracy: Highest validation accuracy; None without a validation split.
        best_epoch: The first epoch that reached it.
        stopped_early: Whether ``patience`` ended the training before its last epoch.
        seconds: Wall time.
    """

    history: tuple[EpochResult, ...]
    best_accuracy: float | None
    best_epoch: int | None
    stopped_early: bool
    seconds: float

    @classmethod
    def of(cls, history: tuple[EpochResult, ...], *, stopped_early: bool) -> TrainingResult:
        """Summarise epochs."""
        best = best_epoch(history)
        return cls(
            history=history,
            best_accuracy=best.accuracy if best else None,
            best_epoch=best.epoch if best else None,
            stopped_early=stopped_early,
            seconds=sum(result.seconds for result in history),
        )

    @property
    def accuracy(self) -> float | None:
        """The score: the last epoch's validation accuracy, or the best one after an early stop.

        The maximum over epochs of a full schedule would favour noisy training; after an early stop
        the last epoch is by definition worse than the one that mattered.
        """
        return self.best_accuracy if self.stopped_early else self.history[-1].accuracy


def best_epoch(history: tuple[EpochResult, ...]) -> EpochResult | None:
    """The first epoch with the highest validation accuracy; None without validation."""
    judged = [result for result in history if result.accuracy is not None]
    return max(judged, key=lambda result: result.accuracy or 0.0, default=None)
