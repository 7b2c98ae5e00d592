"""What a trial records about itself in its study, for tables and the dashboard."""

from __future__ import annotations

from optuna.trial import BaseTrial

from nas_tune.costs import Cost


def record(trial: BaseTrial | None, **facts: str | int | float) -> None:
    """Write user attributes; without a trial, nothing."""
    if trial is not None:
        for name, value in facts.items():
            trial.set_user_attr(name, value)


def record_cost(trial: BaseTrial | None, cost: Cost) -> None:
    """Write the attributes ``parameters`` and ``macs``."""
    record(trial, parameters=cost.parameters, macs=cost.macs)
