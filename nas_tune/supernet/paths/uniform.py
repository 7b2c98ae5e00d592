"""Uniform paths: every architecture is as likely as any other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nas_tune.supernet.paths.path import Path

if TYPE_CHECKING:
    from numpy.random import Generator

    from nas_tune.space import SearchSpace
    from nas_tune.supernet.paths.path import Step


@dataclass(frozen=True)
class UniformPaths:
    """One architecture per step, drawn uniformly from the space.

    Reference: Guo et al., Single Path One-Shot NAS, arXiv:1904.00420, section 3.2.
    """

    def select(self, step: Step, space: SearchSpace, rng: Generator) -> tuple[Path, ...]:
        return (Path(space.sample(rng)),)
