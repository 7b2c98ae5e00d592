"""What the samplers read and write in a study beyond Optuna's public interface; no other file does.

A sampler gets a `Study` and a `FrozenTrial`, and neither has a public way to set a system attribute of a running trial
(`Trial.set_system_attr` is gone), to tell two studies apart, or to see what `enqueue_trial` has fixed. Optuna's own
samplers, and those of OptunaHub, use the same names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.study import Study
    from optuna.trial import FrozenTrial

FIXED_PARAMS = "fixed_params"  # the system attribute that `enqueue_trial` writes


def storage(study: Study) -> BaseStorage:
    """Return the storage of a study."""
    return study._storage


def study_key(study: Study) -> tuple[int, int | None]:
    """Return what tells the studies of one storage apart: the id, and the bracket that a Hyperband pruner shows."""
    return study._study_id, getattr(study, "_bracket_id", None)


def all_trials(study: Study) -> list[FrozenTrial]:
    """Return every trial of a study, also where a Hyperband pruner shows those of one bracket alone."""
    return study._storage.get_all_trials(study._study_id, deepcopy=False)


def record(study: Study, trial: FrozenTrial, attribute: str, value: str | int | float) -> None:
    """Write a system attribute of a running trial."""
    study._storage.set_trial_system_attr(trial._trial_id, attribute, value)


def recorded_key(trial: FrozenTrial, name: str) -> str | None:
    """Return what any of the samplers wrote into a trial as its note `name`, `None` if none has."""
    for attribute, value in trial.system_attrs.items():
        if attribute.endswith(f":{name}") and isinstance(value, str):
            return value
    return None


def enqueued_params(trial: FrozenTrial) -> Mapping[str, object]:
    """Return the values that `enqueue_trial` has fixed; none for a trial that was asked for."""
    fixed: Mapping[str, object] = trial.system_attrs.get(FIXED_PARAMS, {})
    return fixed
