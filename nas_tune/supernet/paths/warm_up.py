"""Warm-up: a strategy that begins once another one has trained the weights for a while."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nas_tune.errors import NasTuneError
from nas_tune.supernet.paths.path import LearningPaths
from nas_tune.supernet.paths.uniform import UniformPaths

if TYPE_CHECKING:
    from numpy.random import Generator

    from nas_tune.space import SearchSpace
    from nas_tune.supernet.paths.path import Path, Paths, Step


@dataclass(frozen=True)
class WarmUp:
    """Selects as `first` until the warm-up is over, as `paths` afterwards; `paths` then sees the true step.

    Steps and epochs count from the first step of the super-net's training, also those that were skipped. The memory is
    that of both strategies: those that learn nothing have none.

    Args:
        paths: The strategy after the warm-up.
        steps: Length of the warm-up in steps.
        epochs: Length of the warm-up in passes over the training inputs, instead of `steps`.
        first: The strategy of the warm-up.

    Raises:
        NasTuneError: Not exactly one of `steps` and `epochs` is given, or it is no number of at least 0.

    Reference: methods that learn while they share weights begin after some epochs of fair training: 15 of 50 in
    PC-DARTS, arXiv:1907.05737; 10 of 25 in P-DARTS, arXiv:1904.12760.
    """

    paths: Paths
    steps: int | None = None
    epochs: float | None = None
    first: Paths = field(default_factory=UniformPaths)

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.epochs is None):
            raise NasTuneError(f"WarmUp: `steps` is {self.steps} and `epochs` {self.epochs}; give one of them.")
        length = self.epochs if self.steps is None else self.steps
        if not (isinstance(length, (int, float)) and math.isfinite(length) and length >= 0):
            raise NasTuneError(f"WarmUp: the length is {length!r}; give a finite number of at least 0.")
        for name in ("paths", "first"):
            if not callable(getattr(getattr(self, name), "select", None)):
                raise NasTuneError(f"WarmUp: `{name}` is {getattr(self, name)!r}; give a path strategy.")

    def select(self, step: Step, space: SearchSpace, rng: Generator) -> tuple[Path, ...]:
        """Select as the strategy whose turn it is."""
        return (self.first if self._warming(step) else self.paths).select(step, space, rng)

    def _warming(self, step: Step) -> bool:
        if self.steps is not None:
            return step.number < self.steps
        assert self.epochs is not None
        return step.epoch < self.epochs

    def memory(self) -> Mapping[str, object]:
        """Return the memories of the strategies that have one, ``"paths"`` and ``"first"``."""
        return {name: memory for name, inner in self._learning().items() if (memory := inner.memory())}

    def remember(self, memory: Mapping[str, object]) -> None:
        """Give each strategy its memory."""
        for name, inner in self._learning().items():
            own = memory.get(name, {})
            assert isinstance(own, Mapping)
            inner.remember(own)

    def _learning(self) -> dict[str, LearningPaths]:
        both = {"paths": self.paths, "first": self.first}
        return {name: inner for name, inner in both.items() if isinstance(inner, LearningPaths)}
