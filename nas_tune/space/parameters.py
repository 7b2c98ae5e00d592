"""The parameters a space is made of: `Categorical`, `Integer`, `Float`. Each is one decision with one value."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from nas_tune.errors import ArchitectureError, SpaceError
from nas_tune.space.node import Choose, Node, Value, number, plain, whole

if TYPE_CHECKING:
    import optuna
    from numpy.random import Generator

SIGNIFICANT_DIGITS = 12  # of a drawn float: readable, and an encoding gives it back exactly
MOST_STEPS = 1_000_000  # of a float's grid, which is held as a tuple
STEP_SCALE = 0.2  # standard deviation of a numeric mutation, as a share of the (logarithmic) range


class Parameter(Node):
    """One decision: a finite or continuous set of values with a name given by its place in the space."""

    values: Sequence[Value]

    @property
    def count(self) -> int | float:
        """Number of values, `math.inf` when continuous."""
        return len(self.values)

    @cached_property
    def fixed(self) -> bool:
        """Whether there is nothing to decide: one value."""
        return self.count == 1

    @cached_property
    def distribution(self) -> BaseDistribution:
        """The same set of values as an Optuna distribution."""
        return self._distribution()

    @abstractmethod
    def _distribution(self) -> BaseDistribution: ...

    @abstractmethod
    def suggest(self, trial: optuna.trial.BaseTrial, name: str) -> Value:
        """Ask an Optuna trial for this parameter under `name`."""

    @abstractmethod
    def parse(self, value: object, name: str) -> Value:
        """Return the declared value that equals `value`; numpy scalars are understood.

        Raises:
            ArchitectureError: `value` is not one of the values; the message names the path `name`.
        """

    def draw(self, rng: Generator) -> Value:
        """Draw uniformly (continuous: uniformly on the linear or logarithmic scale)."""
        return self.values[int(rng.integers(len(self.values)))]

    def middle(self) -> Value:
        """Return the value in the middle of the range."""
        return self.values[len(self.values) // 2]

    @abstractmethod
    def mutate(self, value: Value, rng: Generator) -> Value:
        """Draw another value, never `value` itself."""

    @abstractmethod
    def neighbours(self, value: Value) -> Iterator[Value]:
        """Yield the values one edit away from `value`."""

    @abstractmethod
    def describe(self) -> dict[str, Value | list[Value]]:
        """Return the JSON form used in `SearchSpace.signature`."""

    def impossible(self, value: object, name: str) -> ArchitectureError:
        return ArchitectureError(f"`{name}` has the impossible value {value!r}: {self.expects()}.")

    @abstractmethod
    def expects(self) -> str:
        """Say in words which values are possible, for error messages."""

    def walk(self, name: str, choose: Choose) -> None:
        choose(name, self, None)

    def weight(self) -> int:
        return 1 if math.isinf(self.count) else int(self.count)

    def declared(self, name: str) -> Iterator[tuple[str, Parameter]]:
        yield name, self


class Categorical(Parameter):
    """One of `values`, without an order.

    Args:
        *values: `None`, `bool`, `int`, `float` or `str`, all different.

    Raises:
        SpaceError: No value, equal values, or a value that Optuna cannot store.
    """

    def __init__(self, *values: Value) -> None:
        if not values:
            raise SpaceError("Categorical() has no values: give at least one.")
        self.values: tuple[Value, ...] = tuple(plain(value) for value in values)  # type: ignore[misc]  # checked next
        for value in self.values:
            if not isinstance(value, (type(None), bool, int, float, str)) or value != value:
                raise SpaceError(
                    f"Categorical cannot hold {value!r}: an Optuna study stores None, bool, int, float and str. "
                    "Give each choice a name and look the object up by it."
                )
        self._index: dict[object, int] = {value: i for i, value in enumerate(self.values)}
        if len(self._index) != len(self.values):
            raise SpaceError(f"Categorical{self.values} holds equal values (True equals 1): make them different.")

    def __repr__(self) -> str:
        return f"Categorical({', '.join(map(repr, self.values))})"

    def _distribution(self) -> BaseDistribution:
        return CategoricalDistribution(self.values)

    def suggest(self, trial: optuna.trial.BaseTrial, name: str) -> Value:
        return trial.suggest_categorical(name, self.values)

    def index(self, value: Value) -> int:
        """Return the position of `value` among `values`."""
        return self._index[value]

    def parse(self, value: object, name: str) -> Value:
        try:
            known = self.values[self._index[value]]
        except (KeyError, TypeError):
            known = self._known(value, name)
        if type(known) is type(value):
            return known
        if isinstance(known, bool) != isinstance(plain(value), bool):
            raise self.impossible(value, name)
        return known

    def _known(self, value: object, name: str) -> Value:
        try:
            return self.values[self._index[plain(value)]]
        except (KeyError, TypeError):
            raise self.impossible(value, name) from None

    def mutate(self, value: Value, rng: Generator) -> Value:
        step = 1 + int(rng.integers(len(self.values) - 1))
        return self.values[(self._index[value] + step) % len(self.values)]

    def neighbours(self, value: Value) -> Iterator[Value]:
        return (other for other in self.values if other != value)

    def describe(self) -> dict[str, Value | list[Value]]:
        return {"type": "categorical", "values": list(self.values)}

    def expects(self) -> str:
        return "choose from " + ", ".join(map(repr, self.values))


class Numeric(Parameter):
    """What `Integer` and `Float` share: a range, and its linear or logarithmic unit scale."""

    low: float
    high: float
    log: bool

    def to_unit(self, value: float) -> float:
        """Map a value to [0, 1] on the linear or logarithmic scale."""
        if self.low == self.high:
            return 0.0
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    @abstractmethod
    def from_unit(self, unit: float) -> Value:
        """Map [0, 1] to the nearest value; the inverse of `to_unit` on every value that can be drawn."""

    def middle(self) -> Value:
        return self.from_unit(0.5)

    def _from_unit(self, unit: float) -> float:
        unit = min(max(unit, 0.0), 1.0)
        if self.log:
            return float(self.low * (self.high / self.low) ** unit)
        return self.low + unit * (self.high - self.low)

    def mutate(self, value: Value, rng: Generator) -> Value:
        """Take a normal step on the unit scale, reflected at the ends; at least one step of the grid."""
        assert isinstance(value, (int, float))
        unit = self.to_unit(value)
        for _ in range(16):
            moved = abs(unit + STEP_SCALE * float(rng.standard_normal())) % 2.0
            other = self.from_unit(2.0 - moved if moved > 1.0 else moved)
            if other != value:
                return other
        return next(self.neighbours(value), self.high if value == self.low else self.low)

    def _check_range(self) -> None:
        name, low, high = type(self).__name__, self.low, self.high
        if not (math.isfinite(low) and math.isfinite(high) and low <= high):
            raise SpaceError(f"{name}({low}, {high}) is no range: `low` and `high` are finite and `low` <= `high`.")
        if self.log and low <= 0:
            raise SpaceError(f"{name}({low}, {high}, log=True): a logarithmic range starts above 0.")


class Integer(Numeric):
    """A whole number in [`low`, `high`].

    Args:
        low: Smallest value.
        high: Largest value; lowered to the grid when `step` does not divide the range.
        step: Distance between values.
        log: Mutate and encode on a logarithmic scale; a sample stays uniform over the values.

    Raises:
        SpaceError: An empty range, a step below 1, `log` with a step or a range not above 0.
    """

    def __init__(self, low: int, high: int, step: int = 1, log: bool = False) -> None:
        self.low, self.high = whole("Integer", "low", low), whole("Integer", "high", high)
        self.step, self.log = whole("Integer", "step", step), bool(log)
        if step < 1 or (log and step != 1):
            raise SpaceError(f"Integer: `step` is {step}; it is at least 1, and exactly 1 with log=True.")
        self._check_range()
        self.high -= (self.high - self.low) % self.step
        self.values = range(self.low, self.high + 1, self.step)

    def __repr__(self) -> str:
        step = f", step={self.step}" if self.step != 1 else ""
        return f"Integer({self.low}, {self.high}{step}{', log=True' if self.log else ''})"

    def _distribution(self) -> BaseDistribution:
        return IntDistribution(int(self.low), int(self.high), log=self.log, step=self.step)

    def suggest(self, trial: optuna.trial.BaseTrial, name: str) -> Value:
        return trial.suggest_int(name, int(self.low), int(self.high), step=self.step, log=self.log)

    def parse(self, value: object, name: str) -> Value:
        number = plain(value)
        whole = isinstance(number, int) or (isinstance(number, float) and number.is_integer())
        if isinstance(number, bool) or not isinstance(number, (int, float)) or not whole:
            raise self.impossible(value, name)
        if int(number) not in self.values:
            raise self.impossible(value, name)
        return int(number)

    def from_unit(self, unit: float) -> Value:
        steps = round((self._from_unit(unit) - self.low) / self.step)
        return self.values[min(max(steps, 0), len(self.values) - 1)]

    def neighbours(self, value: Value) -> Iterator[Value]:
        assert isinstance(value, int)
        return (other for other in (value - self.step, value + self.step) if other in self.values)

    def describe(self) -> dict[str, Value | list[Value]]:
        return {
            "type": "integer",
            "low": int(self.low),
            "high": int(self.high),
            "step": self.step,
            "log": self.log,
        }

    def expects(self) -> str:
        return f"whole number from {self.low} to {self.high}" + (f" in steps of {self.step}" if self.step > 1 else "")


class Float(Numeric):
    """A real number in [`low`, `high`].

    Args:
        low: Smallest value.
        high: Largest value; lowered to the grid when `step` does not divide the range.
        step: Distance between values; `None` is continuous.
        log: Draw, mutate and encode on a logarithmic scale.

    Raises:
        SpaceError: An empty or infinite range, a step not above 0, `log` with a step or a range not above 0.
    """

    def __init__(self, low: float, high: float, step: float | None = None, log: bool = False) -> None:
        if step is not None and (number("Float", "step", step) <= 0 or log):
            raise SpaceError(f"Float: `step` is {step}; it is above 0, and None with log=True.")
        self.low, self.high = float(number("Float", "low", low)), float(number("Float", "high", high))
        self.step, self.log = None if step is None else float(step), bool(log)
        self._check_range()
        if step is not None:
            start, width = Decimal(str(self.low)), Decimal(str(self.step))
            steps = int((Decimal(str(self.high)) - start) / width)
            if steps > MOST_STEPS:
                raise SpaceError(f"Float: `step` {step} makes over {MOST_STEPS:,} values: leave it out.")
            self.values: tuple[float, ...] = tuple(float(start + i * width) for i in range(steps + 1))
            self.high = self.values[-1]
        else:
            self.values = (self.low,) if self.low == self.high else ()

    def __repr__(self) -> str:
        step = f", step={self.step}" if self.step is not None else ""
        return f"Float({self.low}, {self.high}{step}{', log=True' if self.log else ''})"

    @property
    def count(self) -> int | float:
        return len(self.values) or math.inf

    def _distribution(self) -> BaseDistribution:
        return FloatDistribution(self.low, self.high, log=self.log, step=self.step)

    def suggest(self, trial: optuna.trial.BaseTrial, name: str) -> Value:
        return trial.suggest_float(name, self.low, self.high, step=self.step, log=self.log)

    def parse(self, value: object, name: str) -> Value:
        number = plain(value)
        if isinstance(number, bool) or not isinstance(number, (int, float)) or not self.low <= number <= self.high:
            raise self.impossible(value, name)
        if self.step is None:
            return float(number)
        nearest = self.values[min(round((number - self.low) / self.step), len(self.values) - 1)]
        if abs(nearest - number) > 1e-8 * self.step:
            raise self.impossible(value, name)
        return nearest

    def draw(self, rng: Generator) -> Value:
        return super().draw(rng) if self.values else self.from_unit(float(rng.random()))

    def from_unit(self, unit: float) -> Value:
        value = self._from_unit(unit)
        if self.values:
            steps = round((value - self.low) / self.step) if self.step else 0
            return self.values[min(max(steps, 0), len(self.values) - 1)]
        if self.log:
            readable = float(f"{value:.{SIGNIFICANT_DIGITS}g}")
        else:  # digits of the larger end: near zero a linear scale resolves no more
            readable = round(value, SIGNIFICANT_DIGITS - math.ceil(math.log10(max(abs(self.low), abs(self.high)))))
        return min(max(readable, self.low), self.high)

    def neighbours(self, value: Value) -> Iterator[Value]:
        """Yield the next values of the grid; continuous: one tenth of the range down and up."""
        assert isinstance(value, float)
        if self.values:
            i = self.values.index(value)
            yield from self.values[max(i - 1, 0) : i] + self.values[i + 1 : i + 2]
        else:
            unit = self.to_unit(value)
            for moved in (unit - 0.1, unit + 0.1):
                if (other := self.from_unit(moved)) != value:
                    yield other

    def describe(self) -> dict[str, Value | list[Value]]:
        return {"type": "float", "low": self.low, "high": self.high, "step": self.step, "log": self.log}

    def expects(self) -> str:
        return f"number from {self.low} to {self.high}" + (f" in steps of {self.step}" if self.step else "")
