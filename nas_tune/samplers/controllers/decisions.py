"""What a controller decides: every parameter of a space as a few choices, an architecture as the choices it made."""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from nas_tune.space.parameters import Numeric, Parameter

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from nas_tune.space import SearchSpace, Value

MOST_LISTED = 16  # values of a number that are choices of their own
BINS = 10  # choices of a number with more values: equal parts of its linear or logarithmic scale


class Choices(ABC):
    """The choices of one decision.

    Attributes:
        count: How many there are, at least 1.
    """

    count: int

    @abstractmethod
    def place(self, value: Value) -> int:
        """Return the choice that a value belongs to."""

    @abstractmethod
    def value(self, place: int, rng: Generator) -> Value:
        """Return a value of a choice, drawn uniformly where it has several."""


class Listed(Choices):
    """Every value is a choice."""

    def __init__(self, values: Sequence[Value]) -> None:
        self._values = tuple(values)
        self._places = {value: place for place, value in enumerate(self._values)}
        self.count = len(self._values)

    def place(self, value: Value) -> int:
        return self._places[value]

    def value(self, place: int, rng: Generator) -> Value:
        return self._values[place]


class Grid(Choices):
    """The values of a long grid in parts that are equally wide on its linear or logarithmic scale, none empty."""

    def __init__(self, parameter: Numeric) -> None:
        def unit(value: Value) -> float:
            assert isinstance(value, (int, float))
            return parameter.to_unit(value)

        self._values = parameter.values
        edges = [bisect_left(self._values, edge / BINS, key=unit) for edge in range(1, BINS)]
        self._starts = sorted({0, *(edge for edge in edges if edge < len(self._values))})
        self._ends = [*self._starts[1:], len(self._values)]
        self._firsts = [self._values[start] for start in self._starts]
        self.count = len(self._starts)

    def place(self, value: Value) -> int:
        return sum(first <= value for first in self._firsts[1:])  # type: ignore[operator]  # numbers, all of them

    def value(self, place: int, rng: Generator) -> Value:
        return self._values[int(rng.integers(self._starts[place], self._ends[place]))]


class Range(Choices):
    """A continuous range in parts that are equally wide on its linear or logarithmic scale."""

    count = BINS

    def __init__(self, parameter: Numeric) -> None:
        self._parameter = parameter

    def place(self, value: Value) -> int:
        assert isinstance(value, (int, float))
        return min(int(self._parameter.to_unit(value) * BINS), BINS - 1)

    def value(self, place: int, rng: Generator) -> Value:
        return self._parameter.from_unit((place + float(rng.random())) / BINS)


def choices(parameter: Parameter) -> Choices:
    """Return the choices of a parameter.

    Every value of a categorical, and of a number with up to 16 values; other numbers are cut into ten parts.
    """
    if not isinstance(parameter, Numeric) or parameter.count <= MOST_LISTED:
        return Listed(parameter.values)
    return Grid(parameter) if parameter.values else Range(parameter)


class Decisions:
    """The decisions of a space, in its order, without those that have one value.

    Args:
        space: Space of the architectures.

    Attributes:
        rows: Place of each decision, by name.
        choices: What each decides between.
        counts: Number of choices of each, shape `(decisions,)`.
        open: Which columns of a decision are choices, bool of shape `(decisions, most)`.
    """

    def __init__(self, space: SearchSpace) -> None:
        parameters = {name: p for name, p in space.parameters().items() if not p.fixed}
        self.rows = {name: row for row, name in enumerate(parameters)}
        self.choices = tuple(map(choices, parameters.values()))
        self.counts = np.array([each.count for each in self.choices], dtype=np.intp)
        self.open: NDArray[np.bool_] = np.arange(max(self.counts, default=1)) < self.counts[:, None]

    def path(self, architecture: Mapping[str, Value]) -> Path:
        """Return the choices that an architecture made, in the order in which it made them."""
        rows = tuple(row for name in architecture if (row := self.rows.get(name)) is not None)
        names = (name for name in architecture if name in self.rows)
        return Path(rows, tuple(self.choices[row].place(architecture[n]) for row, n in zip(rows, names, strict=True)))


@dataclass(frozen=True, slots=True)
class Path:
    """The way to one architecture: only its active decisions.

    Args:
        rows: Place of each decision.
        places: What was chosen there.
    """

    rows: tuple[int, ...]
    places: tuple[int, ...]


@dataclass(frozen=True)
class Batch:
    """Several paths, one after the other.

    Args:
        paths: The paths.

    Attributes:
        rows: Decisions of all paths, int of shape `(steps,)`.
        places: What was chosen there, int of shape `(steps,)`.
        members: Which path each step is of, int of shape `(steps,)`.
    """

    paths: Sequence[Path]

    def __len__(self) -> int:
        return len(self.paths)

    @cached_property
    def rows(self) -> NDArray[np.intp]:
        return np.array([row for path in self.paths for row in path.rows], dtype=np.intp)

    @cached_property
    def places(self) -> NDArray[np.intp]:
        return np.array([place for path in self.paths for place in path.places], dtype=np.intp)

    @cached_property
    def lengths(self) -> NDArray[np.intp]:
        """Number of decisions of each path, shape `(paths,)`."""
        return np.array([len(path.rows) for path in self.paths], dtype=np.intp)

    @cached_property
    def members(self) -> NDArray[np.intp]:
        return np.repeat(np.arange(len(self.paths)), self.lengths)

    def total(self, steps: NDArray[np.floating]) -> NDArray[np.float64]:
        """Sum a number of each step over the path that it is of; shape `(paths,)`."""
        return sums(self.members, steps, len(self.paths))


def sums(places: NDArray[np.intp], numbers: NDArray[np.floating], count: int) -> NDArray[np.float64]:
    """Sum the numbers at each of the places 0 to `count` - 1; shape `(count,)`."""
    return np.bincount(places, weights=numbers, minlength=count).astype(np.float64, copy=False)
