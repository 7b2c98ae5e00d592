"""Uniform paths: every architecture, or every one inside a cost window, is as likely as any other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nas_tune.errors import NasTuneError
from nas_tune.supernet.paths.path import Path
from nas_tune.supernet.paths.pricing import macs_of
from nas_tune.supernet.paths.windows import checked_windows, draw_within

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.random import Generator

    from nas_tune.space import Architecture, Measure, SearchSpace
    from nas_tune.supernet.paths.path import Step
    from nas_tune.supernet.paths.windows import Window


@dataclass(frozen=True, repr=False)
class UniformPaths:
    """One architecture per step, drawn uniformly from the space.

    With windows, one of them is drawn uniformly first, then an architecture uniformly from those inside it. The
    released code takes whatever comes after 500 draws outside; here every path lies in its window, and a window in
    which nothing is found ends the training with an error.

    Args:
        windows: Bounds (low, high) of the cost, both within; none is the whole space. The released code has seven
            windows of 10 M multiply-adds from 290 M to 360 M.
        measure: The cost; multiply-adds of the trainer's input by default.

    Raises:
        NasTuneError: A window is not a pair of ascending numbers, or there is a measure without windows.

    Reference: Guo et al., Single Path One-Shot NAS, arXiv:1904.00420, section 3.2; the windows are those of the
    released code.
    """

    windows: Sequence[Window] = ()
    measure: Measure | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "windows", checked_windows("UniformPaths", self.windows))
        if self.measure is not None and not self.windows:
            raise NasTuneError(f"UniformPaths: `measure` is {self.measure.name}, but there are no `windows` of it.")

    def __repr__(self) -> str:
        """Name the measure, whose function has no text that is the same in every process."""
        windows = [f"windows={self.windows!r}"] if self.windows else []
        measure = [] if self.measure is None else [f"measure={self.measure.name!r}"]
        return f"UniformPaths({', '.join(windows + measure)})"

    def select(self, step: Step, space: SearchSpace, rng: Generator) -> tuple[Path, ...]:
        return (Path(self._drawn(step, space, rng)),)

    def _drawn(self, step: Step, space: SearchSpace, rng: Generator) -> Architecture:
        if not self.windows:
            return space.sample(rng)
        measure = macs_of(space, step.input_shape) if self.measure is None else self.measure
        return draw_within(space, measure, self.windows[int(rng.integers(len(self.windows)))], rng)
