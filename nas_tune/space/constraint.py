"""Constraints of a space, and how a study records them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import optuna

    from nas_tune.space.architecture import Architecture


@dataclass(frozen=True)
class Constraint:
    """Only architectures that `predicate` accepts; `reason` says in words what it demands."""

    predicate: Callable[[Architecture], bool]
    reason: str


def record(trial: optuna.trial.BaseTrial, reasons: Iterable[str], broken: Sequence[str]) -> None:
    """Write every constraint's state into the trial, 0 met, 1 broken; what the trial already holds stays."""
    known = trial.constraints
    for reason in dict.fromkeys(reasons):
        if reason not in known:
            trial.set_constraint(reason, float(reason in broken))
