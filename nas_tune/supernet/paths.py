"""Path strategies: which architectures a training step of the super-net runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from numpy.random import Generator

    from nas_tune.space import Architecture, SearchSpace


@dataclass(frozen=True)
class Path:
    """One architecture of a step and the weight of its loss in the step's gradient."""

    architecture: Architecture
    weight: float = 1.0


class Paths(Protocol):
    """Selects the paths of each training step; all of a step's gradients are summed before the optimiser steps."""

    def select(self, step: int, space: SearchSpace, rng: Generator) -> tuple[Path, ...]: ...


@dataclass(frozen=True)
class UniformPaths:
    """One architecture per step, drawn uniformly from the space.

    Reference: Guo et al., Single Path One-Shot NAS, arXiv:1904.00420, section 3.2.
    """

    def select(self, step: int, space: SearchSpace, rng: Generator) -> tuple[Path, ...]:
        return (Path(space.sample(rng)),)
