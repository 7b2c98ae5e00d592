"""`Measure`: a named number of an architecture, whose comparison with a bound is a condition on architectures."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from nas_tune.space.constraint import Condition
from nas_tune.space.node import number

if TYPE_CHECKING:
    from nas_tune.space.architecture import Architecture

# Excess of an architecture that lies exactly on a bound it has to stay off: above 0, below any other excess.
_ON_THE_BOUND = math.ulp(0.0)
_PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"))
_LEAST_PREFIXED = 1e5


@dataclass(frozen=True)
class Measure:
    """A number of an architecture, such as its multiply-adds.

    `measure(architecture)` is the number; ``measure < 600e6`` and the like are conditions for `space.where`, whose
    excess is the distance to the bound as a share of it. An architecture whose number is NaN (it was not measured)
    meets no condition. A measure pickles when its function does.

    Attributes:
        name: What is measured, such as ``"latency"``.
        function: Measures an architecture, without side effects.
        unit: Of the number, such as ``"ms"``; empty where the name says it, as in ``"MACs"``.
    """

    name: str
    function: Callable[[Architecture], float]
    unit: str = ""

    def __call__(self, architecture: Architecture) -> float:
        """Return the number of an architecture, in `unit`."""
        return self.function(architecture)

    def __lt__(self, bound: float) -> Condition:
        return self._condition("<", bound)

    def __le__(self, bound: float) -> Condition:
        return self._condition("<=", bound)

    def __gt__(self, bound: float) -> Condition:
        return self._condition(">", bound)

    def __ge__(self, bound: float) -> Condition:
        return self._condition(">=", bound)

    def _condition(self, relation: str, bound: float) -> Condition:
        """Compare with a bound.

        Raises:
            SpaceError: `bound` is no finite number.
        """
        limit = number(f"{self.name} {relation} bound", "bound", bound)
        unit = f" {self.unit}" if self.unit and self.unit != self.name else ""
        excess = partial(_excess, self, limit, relation.startswith("<"), "=" in relation)
        return Condition(excess, f"{self.name} {relation} {readable(limit)}{unit}")


def _excess(measure: Measure, bound: float, from_above: bool, closed: bool, architecture: Architecture) -> float:
    """Return how far beyond the bound the number lies, as a share of the bound (as it is where the bound is 0)."""
    value = measure(architecture)
    if math.isnan(value):
        return 1.0
    if value == bound:
        return 0.0 if closed else _ON_THE_BOUND
    return float((value - bound) if from_above else (bound - value)) / (abs(bound) or 1.0)


def readable(value: float) -> str:
    """Write a number exactly, from 100,000 on in thousands, millions or billions: ``"600 M"``."""
    for factor, prefix in _PREFIXES if abs(value) >= _LEAST_PREFIXED else ():
        if abs(value) >= factor and float(text := f"{value / factor:.9g}") * factor == value:
            return f"{text} {prefix}"
    return short if float(short := f"{value:.9g}") == value else repr(value)
