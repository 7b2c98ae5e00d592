"""Many architectures at once: for each decision one column, in which numpy can draw, price and count."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nas_tune.space import Architecture
from nas_tune.space.plan import Walked

if TYPE_CHECKING:
    from numpy.random import Generator

    from nas_tune.space import SearchSpace, Value
    from nas_tune.space.parameters import Parameter
    from nas_tune.space.plan import Plan, Step

Column: TypeAlias = "NDArray[np.signedinteger] | NDArray[np.float64]"


@dataclass(frozen=True)
class Columns:
    """Architectures of a space.

    Attributes:
        space: Their space.
        count: How many there are.
        columns: Of each decision that is active in any of them, shape `(count,)`: its value's place among the
            parameter's values, -1 where it is not active. Of a continuous one the value itself, nan where not active.
    """

    space: SearchSpace
    count: int
    columns: Mapping[str, Column]

    @cached_property
    def parameters(self) -> Mapping[str, Parameter]:
        """The parameters of the space, by name."""
        return self.space.parameters()

    def architecture(self, row: int) -> Architecture:
        """Return one of the architectures."""
        values: dict[str, Value] = {}
        for name, parameter in self.parameters.items():
            column = self.columns.get(name)
            if column is None:
                continue
            entry = column[row]
            if parameter.values and entry >= 0:
                values[name] = parameter.values[entry]
            elif not parameter.values and not np.isnan(entry):
                values[name] = float(entry)
        return Architecture(values)


def draw_columns(space: SearchSpace, count: int, rng: Generator) -> Columns:
    """Draw architectures of a space uniformly, as `space.sample` does but from other random numbers.

    A million takes a fraction of a second for each ten decisions; where the space has constraints, or asks for what
    cannot be laid out ahead (a `Subset` with many combinations), they are drawn one by one, some 20 us each.

    Raises:
        InfeasibleError: 10,000 draws in a row broke a constraint.
    """
    columns: dict[str, Column] = {}
    if space.constrained() or not _is_laid_out(space.plan):
        _draw_one_by_one(space, count, columns, rng)
    else:
        _draw(space.plan, np.arange(count), count, columns, rng)
    return Columns(space, count, columns)


def _is_laid_out(plan: Plan) -> bool:
    return all(not isinstance(step, Walked) and all(map(_is_laid_out, _opened(step))) for step in plan)


def _opened(step: Step) -> list[Plan]:
    return [] if step.opens is None else [step.opens[value] for value in step.values]


def _empty(parameter: Parameter, count: int) -> Column:
    if not parameter.values:
        return np.full(count, np.nan)
    return np.full(count, -1, dtype=np.min_scalar_type(-len(parameter.values)))


def _draw(plan: Plan, rows: NDArray[np.intp], count: int, columns: dict[str, Column], rng: Generator) -> None:
    """Draw the decisions of a plan for some of the rows, then those that their values open."""
    for step in plan:
        assert not isinstance(step, Walked)
        column = columns.setdefault(step.name, _empty(step.parameter, count))
        drawn = _drawn(step, len(rows), column.dtype, rng)
        column[rows] = drawn
        for place, opened in enumerate(_opened(step)):
            inside = rows[drawn == place]
            if opened and len(inside):
                _draw(opened, inside, count, columns, rng)


def _drawn(step: Step, count: int, dtype: np.dtype[np.generic], rng: Generator) -> Column:
    if not step.values:
        return np.array([step.parameter.draw(rng) for _ in range(count)], dtype=np.float64)
    if step.totals is None:
        return rng.integers(len(step.values), size=count, dtype=dtype)
    shares = np.array([total / step.totals[-1] for total in step.totals[:-1]])
    return np.searchsorted(shares, rng.random(count), side="right").astype(dtype)


def _draw_one_by_one(space: SearchSpace, count: int, columns: dict[str, Column], rng: Generator) -> None:
    parameters = space.parameters()
    for row in range(count):
        for name, value in space.sample(rng).items():
            parameter = parameters[name]
            column = columns.get(name)
            if column is None:
                column = columns[name] = _empty(parameter, count)
            if parameter.values:
                column[row] = parameter.values.index(value)
            else:
                assert isinstance(value, float)
                column[row] = value
