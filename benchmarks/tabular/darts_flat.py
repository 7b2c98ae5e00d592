"""Two DARTS cells as 22 categorical parameters: an effect of every value, and of pairs of values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.random import Generator, default_rng
from numpy.typing import NDArray

from benchmarks.sampler_overhead import darts_cell
from benchmarks.tabular import elimination
from benchmarks.tabular.synthetic import SyntheticTable
from nas_tune.space import Architecture, SearchSpace, Value

BAND = 4  # a parameter interacts with so many behind it; the two cells alternate, so that half of them is the other's
PAIR_SHARE = 0.5  # standard deviation of the effect of a pair, beside 1 of a value


def darts_flat(seed: int = 0) -> SyntheticTable:
    """Make the table of a normal and a reduction cell, 1.0767e18 architectures.

    The merit is a sum of normal effects: of each value of each parameter, and of each pair of values of two parameters
    that lie at most four apart when the cells alternate. It has mean 0 and variance 1 over the space. The optimum is
    exact, by elimination of the parameters one after the other.

    Args:
        seed: Of the effects.
    """
    space = SearchSpace({"normal": darts_cell(), "reduction": darts_cell()})
    parameters = {name: tuple(p.values) for name, p in space.parameters().items() if not p.fixed}
    names = sorted(parameters, key=lambda name: (name.partition(".")[2], name))
    effects = random_effects([len(parameters[name]) for name in names], default_rng(seed))
    merit = Merit(space, tuple(names), tuple(parameters[name] for name in names), effects)
    return SyntheticTable("darts-flat", space, merit, merit.best)


def random_effects(sizes: list[int], rng: Generator) -> dict[tuple[int, ...], NDArray[np.float64]]:
    """Draw effects of variables of these sizes and of their near pairs, centred; their sum has variance 1."""
    effects: dict[tuple[int, ...], NDArray[np.float64]] = {}
    for i, size in enumerate(sizes):
        effects[(i,)] = _centred(rng.standard_normal(size))
        for j in range(i + 1, min(i + 1 + BAND, len(sizes))):
            effects[(i, j)] = PAIR_SHARE * _centred(rng.standard_normal((size, sizes[j])))
    scale = np.sqrt(sum(float(np.mean(table**2)) for table in effects.values()))
    return {scope: table / scale for scope, table in effects.items()}


def _centred(table: NDArray[np.float64]) -> NDArray[np.float64]:
    for axis in range(table.ndim):
        table = table - table.mean(axis=axis, keepdims=True)
    return table


@final
@dataclass(frozen=True, eq=False)
class Merit:
    """The merit of an architecture.

    Attributes:
        space: Of the architectures.
        names: The parameters in the order of the effects.
        values: What each of them can be.
        effects: An array by the places of the parameters that it reads.
    """

    space: SearchSpace
    names: tuple[str, ...]
    values: tuple[tuple[Value, ...], ...]
    effects: elimination.Terms

    def __call__(self, architecture: Architecture) -> float:
        point = [values.index(architecture[name]) for name, values in zip(self.names, self.values, strict=True)]
        return elimination.total(self.effects, point)

    def best(self) -> Architecture:
        """Return the architecture of the largest merit."""
        _, point = elimination.maximum(self.effects)
        chosen = {name: values[i] for name, values, i in zip(self.names, self.values, point, strict=True)}
        return self.space.architecture(chosen)
