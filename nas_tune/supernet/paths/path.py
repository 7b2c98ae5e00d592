"""What a path strategy is: it selects the architectures of each training step of the super-net."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

if TYPE_CHECKING:
    from numpy.random import Generator

    from nas_tune.space import Architecture, SearchSpace
    from nas_tune.supernet.distillation import Distillation

Judging: TypeAlias = "Callable[[Sequence[Architecture]], tuple[float, ...]]"


@dataclass(frozen=True)
class Path:
    """One architecture of a step.

    Attributes:
        architecture: What is run.
        weight: Of its loss in the step's gradient, which is the sum over the paths.
        distillation: Loss against the logits of the step's first path; `None` is the loss against the labels.
        regularised: Whether dropout and drop-path act on it; of a sandwich only the largest network needs them
            (BigNAS, arXiv:2003.11142, section 3.1).
    """

    architecture: Architecture
    weight: float = 1.0
    distillation: Distillation | None = None
    regularised: bool = True


@dataclass(frozen=True)
class Step:
    """The training step for which paths are selected.

    Attributes:
        number: Steps before it, also those that were skipped.
        start: Step at which the current schedule of the learning rate began.
        end: Step at which it ends; `start` while there is none.
        steps_per_epoch: Steps that see every training input once.
        input_shape: Shape of one input, for what architectures cost.
        losses: Cross-entropy of architectures on the batch of this step, with the statistics of the batch and no
            gradient.
        accuracies: Accuracy of architectures in [0, 1] on a batch of held-out inputs, with the statistics of that
            batch. It raises `NasTuneError` where the trainer has no held-out inputs.
    """

    number: int
    start: int
    end: int
    steps_per_epoch: int
    input_shape: tuple[int, ...]
    losses: Judging
    accuracies: Judging

    @property
    def epoch(self) -> float:
        """Passes over the training inputs before this step."""
        return self.number / self.steps_per_epoch

    @property
    def progress(self) -> float:
        """Share of the schedule that is done, in [0, 1]; 0 while there is none."""
        return (self.number - self.start) / (self.end - self.start) if self.end > self.start else 0.0


class Paths(Protocol):
    """Selects the paths of each training step; all of a step's gradients are summed before the optimiser steps.

    What it selects is a function of its arguments and, if it is one of `LearningPaths`, of its memory.
    """

    def select(self, step: Step, space: SearchSpace, rng: Generator) -> tuple[Path, ...]:
        """Return the paths of a step, at least one.

        Args:
            step: Its number and schedule, and what judges architectures at it.
            space: Space of the super-net.
            rng: The only source of randomness, a function of the trainer's seed and the step.
        """
        ...


@runtime_checkable
class LearningPaths(Protocol):
    """What a strategy has beside `select` if it learns while it selects: a memory that checkpoints keep.

    The memory is of mappings with string keys, sequences, strings, whole and finite numbers, `True`, `False`, `None`.
    """

    def memory(self) -> Mapping[str, object]:
        """Return what was learned."""

    def remember(self, memory: Mapping[str, object]) -> None:
        """Forget what was learned, and go on from a memory as `memory` returns it; an empty one is new."""
