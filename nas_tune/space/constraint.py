"""Conditions on architectures, and how a study records them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from nas_tune.errors import SpaceError

if TYPE_CHECKING:
    import optuna

    from nas_tune.space.architecture import Architecture


@dataclass(frozen=True)
class Condition:
    """What a space demands of an architecture; `&` demands both of two conditions.

    Attributes:
        excess: By how much an architecture misses the demand: 0 or below where it is met, above 0 where it is
            broken, relative to the bound where there is one. It is what a study records.
        reason: The demand in words, such as ``"MACs < 600 M"``, for errors and for the study.
    """

    excess: Callable[[Architecture], float]
    reason: str

    def __call__(self, architecture: Architecture) -> bool:
        """Say whether an architecture meets the condition."""
        return self.excess(architecture) <= 0

    def __and__(self, other: Condition) -> Condition:
        if not isinstance(other, Condition):
            return NotImplemented
        return Condition(partial(_greater, self.excess, other.excess), f"{self.reason} and {other.reason}")

    def __bool__(self) -> bool:
        raise SpaceError(
            f"The condition '{self.reason}' is true or false of an architecture only. Python asks for its truth in "
            "`low < measure < high`, `and`, `or`, `not` and `if`: write `(low < measure) & (measure < high)`, or "
            "give each to a `where` of its own."
        )


def _greater(
    first: Callable[[Architecture], float], second: Callable[[Architecture], float], architecture: Architecture
) -> float:
    return max(first(architecture), second(architecture))


def _refused(predicate: Callable[[Architecture], bool], architecture: Architecture) -> float:
    return float(not predicate(architecture))


def condition(predicate: Condition | Callable[[Architecture], bool], reason: str | None = None) -> Condition:
    """Make what `where` was given a condition; the excess of a plain predicate is 1 where it refuses, else 0.

    Args:
        predicate: A condition or a function that judges an architecture.
        reason: The demand in words; without one a condition's own.

    Raises:
        SpaceError: `predicate` is no function, or a plain one comes without a reason.
    """
    if not callable(predicate):
        raise SpaceError(
            f"where: `predicate` is {predicate!r}; give a function from architecture to bool, or a condition such as "
            "`cost.macs < 600e6`."
        )
    if isinstance(predicate, Condition):
        return predicate if reason is None else Condition(predicate.excess, reason)
    if not reason:
        raise SpaceError(
            "where: a plain function needs a `reason`, which errors and the study show: say in words what it demands, "
            'such as where(accepts, "an odd kernel").'
        )
    return Condition(partial(_refused, predicate), reason)


def record(trial: optuna.trial.BaseTrial, reasons: Iterable[str], excesses: Iterable[tuple[str, float]]) -> None:
    """Write every condition's excess into the trial; what the trial already holds stays.

    Optuna counts a trial feasible where all are 0 or below, and adds up what is above.

    Args:
        trial: The trial that proposes the architecture.
        reasons: Of every condition of the space. One that stands in no active part is met: 0.
        excesses: Reason and excess of the conditions of the active parts; of equal reasons the greatest counts.
    """
    greatest: dict[str, float] = {}
    for reason, excess in excesses:
        greatest[reason] = max(excess, greatest.get(reason, excess))
    known = trial.constraints
    for reason in dict.fromkeys(reasons):
        if reason not in known:
            trial.set_constraint(reason, greatest.get(reason, 0.0))
