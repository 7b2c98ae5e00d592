"""Sandwich paths: the largest network, random ones and the smallest in each step, the largest teaching the others."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from nas_tune.errors import NasTuneError
from nas_tune.supernet.distillation import SoftTargets
from nas_tune.supernet.paths import extremes
from nas_tune.supernet.paths.path import Path

if TYPE_CHECKING:
    from numpy.random import Generator

    from nas_tune.space import Architecture, SearchSpace
    from nas_tune.supernet.distillation import Distillation
    from nas_tune.supernet.paths.path import Step


@dataclass(frozen=True)
class SandwichPaths:
    """The largest architecture with the labels' loss, then uniform ones and the smallest, which learn from it.

    Dropout and drop-path act on the largest alone.

    Args:
        random: Number of uniform architectures.
        largest: The first path; the one with the most multiply-adds by default, see `extremes.largest`.
        smallest: The last path; by default the one with the fewest that leads from input to output.
        distillation: Loss of all paths but the first against the logits of the first; `None` is the labels' loss.

    Raises:
        NasTuneError: `random` is no whole number of at least 0.

    Reference: Yu et al., BigNAS, arXiv:2003.11142, section 3.1, whose defaults these are; the rule is from Yu & Huang,
    Universally Slimmable Networks, arXiv:1903.05134, section 3.2.
    """

    random: int = 2
    largest: Architecture | None = None
    smallest: Architecture | None = None
    distillation: Distillation | None = field(default_factory=SoftTargets)

    def __post_init__(self) -> None:
        if isinstance(self.random, bool) or not isinstance(self.random, int) or self.random < 0:
            raise NasTuneError(f"SandwichPaths: `random` is {self.random!r}; give a whole number of at least 0.")

    def select(self, step: Step, space: SearchSpace, rng: Generator) -> tuple[Path, ...]:
        """Select the paths.

        Raises:
            ArchitectureError: `largest` or `smallest` is of another space.
            SpaceError: One of them is not given, and the space builds no networks that could be priced.
        """
        first, last = self._ends(step, space)
        learning = partial(Path, distillation=self.distillation, regularised=False)
        drawn = (learning(space.sample(rng)) for _ in range(self.random))
        return Path(first), *drawn, learning(last)

    def _ends(self, step: Step, space: SearchSpace) -> tuple[Architecture, Architecture]:
        first, last = self.largest, self.smallest
        return (
            extremes.largest(space, step.input_shape) if first is None else space.architecture(first),
            extremes.smallest(space, step.input_shape) if last is None else space.architecture(last),
        )
