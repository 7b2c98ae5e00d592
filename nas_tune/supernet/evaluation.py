"""Scoring architectures with shared weights."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nas_tune.errors import TaskError
from nas_tune.space import Architecture
from nas_tune.supernet.batch_norm import resting
from nas_tune.supernet.out_of_memory import is_out_of_memory, smaller
from nas_tune.supernet.rejection import EarlyRejection
from nas_tune.supernet.statistics import Borrowed, Statistics, borrowing
from nas_tune.supernet.supernet import SuperNet


@dataclass(frozen=True)
class Score:
    """What an architecture got right.

    Attributes:
        accuracy: Share of right answers in [0, 1]; nan where a logit is not finite.
        judged: Number of inputs that it was judged on.
        complete: Whether these are all; `False` for one that was rejected early.
    """

    accuracy: float
    judged: int
    complete: bool = True


class Judge:
    """Measures the accuracy of architectures with the shared weights, batch norm recalibrated for each.

    The statistics of batch norm are measured once for each architecture while the weights stay; see `Statistics`.
    Nothing waits for the device before all are judged, but for early rejection and where scores are asked for one by
    one.

    Args:
        calibration: Training inputs for the statistics, shape `(N, ...)`; or `Statistics` that judges share.
        inputs: Validation inputs, shape `(M, ...)`.
        labels: Their classes, shape `(M,)`.
        batch_size: Inputs of one forward pass; halved, for the architectures that follow too, where they do not fit
            into memory (but not for one that does not fit at all).
        rejection: How hopeless architectures are rejected early; by default none is.
        rng: Draws the first part of the inputs, if there is one; by default always the same.

    Raises:
        TaskError: There are no inputs, or not a label for each.
    """

    def __init__(
        self,
        calibration: Tensor | Statistics,
        inputs: Tensor,
        labels: Tensor,
        batch_size: int = 512,
        *,
        rejection: EarlyRejection | None = None,
        rng: np.random.Generator | None = None,
    ) -> None:
        if not len(inputs) or len(inputs) != len(labels):
            raise TaskError(
                f"A Judge has {len(inputs)} inputs and {len(labels)} labels; give a label for each of some."
            )
        self.statistics = calibration if isinstance(calibration, Statistics) else Statistics(calibration, batch_size)
        self.inputs, self.labels, self.batch_size, self.rejection = inputs, labels, batch_size, rejection
        if rejection is not None:
            order = (np.random.default_rng(0) if rng is None else rng).permutation(len(inputs))
            shuffled = torch.from_numpy(order).to(inputs.device)
            self.inputs, self.labels = inputs[shuffled], labels[shuffled]

    @property
    def calibration(self) -> Tensor:
        """Training inputs for the statistics, shape `(N, ...)`."""
        return self.statistics.calibration

    def accuracies(self, supernet: SuperNet, architectures: Sequence[Architecture]) -> tuple[float, ...]:
        """Return the accuracy of each architecture, a share in [0, 1]; nan where a logit is not finite.

        One that is rejected early has the accuracy on the first part of the inputs.

        Raises:
            InfeasibleError: An architecture does not fit into memory, even with one input at a time.
        """
        return tuple(score.accuracy for score in self.scores(supernet, architectures))

    def scores(self, supernet: SuperNet, architectures: Sequence[Architecture]) -> tuple[Score, ...]:
        """Return the score of each architecture; see `accuracies`."""
        with self._sitting(supernet) as sitting:
            self.statistics.refresh(supernet)
            if self.rejection is not None:
                return tuple(sitting.score(architecture) for architecture in architectures)
            rights = [sitting.rights(architecture) for architecture in architectures]
        values = torch.stack(rights).tolist() if rights else []
        return tuple(_score(right, len(self.labels)) for right in values)

    def each(
        self, supernet: SuperNet, architectures: Iterable[Architecture], *, steady: bool = False
    ) -> Generator[float]:
        """Yield the accuracies one by one; at the end, or when it is closed, the super-net is as it was before.

        Args:
            supernet: The shared weights.
            architectures: Judged when they are asked for.
            steady: Whether the weights stay the same until the end, so that they are compared with those of the cached
                statistics only once.
        """
        with self._sitting(supernet) as sitting:
            for place, architecture in enumerate(architectures):
                if not (steady and place):
                    self.statistics.refresh(supernet)
                yield sitting.score(architecture).accuracy

    @contextmanager
    def _sitting(self, supernet: SuperNet) -> Iterator[_Sitting]:
        with resting(supernet), borrowing() as borrowed:
            yield _Sitting(self, supernet, borrowed)


class _Sitting:
    """Judges architectures one after the other, by a super-net in eval mode whose statistics are borrowed."""

    def __init__(self, judge: Judge, supernet: SuperNet, borrowed: Borrowed) -> None:
        self._judge, self._supernet, self._borrowed = judge, supernet, borrowed
        self._best: list[int] = []  # right answers of those judged to the end

    @torch.no_grad()
    def score(self, architecture: Architecture) -> Score:
        """Judge an architecture until it is hopeless."""
        rejection, count = self._judge.rejection, len(self._judge.labels)
        if rejection is None:
            return _score(int(self.rights(architecture)), count)
        first = rejection.first(count)
        with self._supernet.select(architecture):
            self._judge.statistics.put(self._supernet, architecture, self._borrowed)
            right = int(self._rights(architecture, 0, first))
            if right < 0 or rejection.hopeless(right, first, count, self._best):
                return _score(right, first, complete=first == count)
            more = int(self._rights(architecture, first, count))
        if more < 0:
            return _score(more, count)
        self._best.append(right + more)
        return _score(right + more, count)

    @torch.no_grad()
    def rights(self, architecture: Architecture) -> Tensor:
        """Return the number of right answers to all inputs on the device, -1 where a logit is not finite."""
        with self._supernet.select(architecture):
            self._judge.statistics.put(self._supernet, architecture, self._borrowed)
            return self._rights(architecture, 0, len(self._judge.labels))

    def _rights(self, architecture: Architecture, start: int, stop: int) -> Tensor:
        labels, batch_size = self._judge.labels, self._judge.batch_size
        right = torch.zeros((), dtype=torch.long, device=labels.device)
        finite = torch.ones((), dtype=torch.bool, device=labels.device)
        while start < stop:
            end = min(start + batch_size, stop)
            logits = self._logits(start, end)
            if isinstance(logits, str):
                batch_size = smaller(end - start, 1, architecture, logits)
                continue
            right += (logits.argmax(-1) == labels[start:end]).sum()
            finite &= logits.isfinite().all()
            start = end
        self._judge.batch_size = batch_size
        return torch.where(finite, right, -1)

    def _logits(self, start: int, end: int) -> Tensor | str:
        """Run a batch; where it does not fit into memory, return what torch said."""
        try:
            output = self._supernet(self._judge.inputs[start:end])
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            return str(error)
        logits: Tensor = output[0] if isinstance(output, tuple) else output
        return logits


def _score(right: int, judged: int, *, complete: bool = True) -> Score:
    return Score(right / judged if right >= 0 else math.nan, judged, complete)
