"""Tables that hold a value for every point of a grid, in arrays."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, final

import numpy as np

from benchmarks.tabular.table import Best, Direction, Score, Table
from nas_tune.errors import ArchitectureError
from nas_tune.space import Architecture, Value

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nas_tune.space import Measure, SearchSpace


@final
class Grid:
    """The numbering of the points of a grid: the last parameter runs fastest.

    Args:
        values: What each parameter can be, by name.
    """

    def __init__(self, values: Mapping[str, tuple[Value, ...]]) -> None:
        self.values: Final = dict(values)
        self.size: Final = math.prod(map(len, values.values()))
        self._places = {name: {value: i for i, value in enumerate(choices)} for name, choices in values.items()}

    def place(self, architecture: Mapping[str, Value]) -> int:
        """Return the number of a point.

        Raises:
            ArchitectureError: A value is missing, or not on the grid.
        """
        number = 0
        for name, places in self._places.items():
            if name not in architecture or architecture[name] not in places:
                raise ArchitectureError(
                    f"`{name}` is {architecture.get(name, 'missing')!r} in {architecture!r}; this table has the values "
                    f"{', '.join(map(repr, places))}. Ask it for architectures of its own space."
                )
            number = number * len(places) + places[architecture[name]]
        return number

    def point(self, number: int) -> dict[str, Value]:
        """Return the values of a point; the inverse of `place`."""
        indices = np.unravel_index(number, [len(choices) for choices in self.values.values()])
        return {name: choices[int(i)] for (name, choices), i in zip(self.values.items(), indices, strict=True)}


@dataclass(frozen=True, eq=False)
class Schedule:
    """What the trainings of one length gave, an entry for each point of the grid.

    Attributes:
        validation: Shape `(points,)`.
        test: Shape `(points,)`.
    """

    validation: NDArray[np.float64]
    test: NDArray[np.float64]


@final
class GridTable(Table):
    """A table over a grid.

    Args:
        name: By which the command line knows it.
        space: What is searched; its architectures are the points of `grid`.
        direction: ``"maximize"`` or ``"minimize"``.
        grid: The numbering of the points.
        schedules: What the trainings gave, by their length, the complete one last.
        seconds: Of the complete training, shape `(points,)`; a shorter one takes its share.
        also: A second objective that is minimised.
    """

    def __init__(
        self,
        name: str,
        space: SearchSpace,
        direction: Direction,
        grid: Grid,
        schedules: Mapping[int, Schedule],
        *,
        seconds: NDArray[np.float64] | None = None,
        also: Measure | None = None,
    ) -> None:
        super().__init__(name, space, direction, tuple(schedules), also)
        self.grid, self.schedules, self.seconds = grid, dict(schedules), seconds

    def evaluate(self, architecture: Architecture, fidelity: int | None = None) -> Score:
        length, place = self._complete(fidelity), self.grid.place(architecture)
        schedule = self.schedules[length]
        seconds = None if self.seconds is None else float(self.seconds[place]) * length / self.fidelities[-1]
        return Score(float(schedule.validation[place]), float(schedule.test[place]), seconds)

    def _find_best(self) -> Best:
        complete = self.schedules[self.fidelities[-1]]
        find = np.argmax if self.direction == "maximize" else np.argmin
        place = int(find(complete.validation))
        architecture = self.space.architecture(self.grid.point(place))
        test = float(complete.test[find(complete.test)])
        return Best(architecture, float(complete.validation[place]), test)
