"""Cost windows: architectures drawn uniformly from those whose cost lies between two bounds."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import TYPE_CHECKING, TypeAlias

from nas_tune.errors import InfeasibleError, NasTuneError, SpaceError
from nas_tune.space.measure import readable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.random import Generator

    from nas_tune.space import Architecture, Measure, SearchSpace

Window: TypeAlias = "tuple[float, float]"
"""Least and greatest cost, both within."""

MOST_TRIES = 10_000  # draws outside a window after which the nearest of them is moved into it


def checked_windows(owner: str, windows: Iterable[Window]) -> tuple[Window, ...]:
    """Return windows as tuples.

    Raises:
        NasTuneError: One is not a pair of ascending numbers; the message names `owner`.
    """
    found = tuple(tuple(window) for window in windows)
    for window in found:
        if len(window) != 2 or not window[0] <= window[1]:
            raise NasTuneError(f"{owner}: a window is {window}; give pairs (low, high) with low <= high.")
    return tuple((low, high) for low, high in found)


def draw_within(space: SearchSpace, measure: Measure, window: Window, rng: Generator) -> Architecture:
    """Draw uniformly from the architectures inside a window.

    After 10,000 draws outside it, the nearest of them is mutated until it lies inside, where mutants that are further
    away are dropped. What windows with less than about one in 10,000 architectures give is therefore not uniform.

    Raises:
        InfeasibleError: No architecture was found inside, nor by 10,000 mutants.
    """
    nearest, least, most = None, math.inf, -math.inf
    distance = math.inf
    for _ in range(MOST_TRIES):
        architecture = space.sample(rng)
        value = measure(architecture)
        if window[0] <= value <= window[1]:
            return architecture
        least, most = min(value, least), max(value, most)
        if (off := _distance(value, window)) < distance:
            nearest, distance = architecture, off
    found = None if nearest is None else _moved(space, measure, window, nearest, rng)
    if found is None:
        raise _outside(measure, window, least, most)
    return found


def _moved(
    space: SearchSpace, measure: Measure, window: Window, start: Architecture, rng: Generator
) -> Architecture | None:
    """Mutate an architecture into a window; `None` where no mutant gets there, or there is nothing to mutate."""
    distance = _distance(measure(start), window)
    with suppress(SpaceError):
        for _ in range(MOST_TRIES):
            mutant = space.mutate(start, rng)
            off = _distance(measure(mutant), window)
            if off == 0:
                return mutant
            if off <= distance:
                start, distance = mutant, off
    return None


def _distance(value: float, window: Window) -> float:
    """Return how far a cost lies from a window; infinite where it was not measured."""
    return math.inf if math.isnan(value) else max(window[0] - value, value - window[1], 0.0)


def _outside(measure: Measure, window: Window, least: float, most: float) -> InfeasibleError:
    low, high = map(readable, window)
    drawn = f"{readable(least)} to {readable(most)}" if least <= most else "no number"
    return InfeasibleError(
        f"No architecture was found with {measure.name} from {low} to {high}: {MOST_TRIES:,} draws have {drawn}, and "
        "no mutant of the nearest gets inside. Move the window or make it wider."
    )
