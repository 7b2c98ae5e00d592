"""A study as a pandas frame: one row per trial, whatever became of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pandas
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from nas_tune.errors import SpaceError

if TYPE_CHECKING:
    from typing import TypeAlias

    import optuna
    from optuna.trial import FrozenTrial

    from nas_tune.space import Architecture, SearchSpace
    from nas_tune.space.node import Value

    Columns: TypeAlias = "dict[str, pandas.Series]"

FOREIGN = "foreign."
PARAMETER = "parameter."
_CHOICE_DTYPES = {bool: "boolean", int: "Int64", float: "float64", str: "string"}
FACTS = (
    "state",
    "key",
    "parameters",
    "macs",
    "fidelity",
    "evaluation",
    "duration",
    "datetime_start",
    "datetime_complete",
)


def trials_frame(study: optuna.Study, space: SearchSpace) -> pandas.DataFrame:
    """Tabulate all trials of a study, also running, pruned and failed ones.

    The index is the trial `number`. The columns are, in this order:

    - `value`, or one for each objective: its metric name where the study has them, else `value_0`, `value_1`, ...;
    - `state` ("COMPLETE", "PRUNED", "FAIL", "RUNNING", "WAITING");
    - one for each parameter of the space under its own name, missing where it is inactive or was never suggested;
      a parameter called like another column is `parameter.<name>`;
    - `foreign.<name>` for each parameter outside the space;
    - `key`, the canonical key, equal for equal networks; missing where the parameters form no architecture of `space`;
    - `parameters` and `macs` (one multiply-add is one) from the trial's user attributes of these names;
    - `fidelity`, the last reported step, else the user attribute `epochs`;
    - `evaluation` from the user attribute of this name, for example "shared-weights";
    - `duration`, `datetime_start`, `datetime_complete`.

    Args:
        study: Study with any number of trials.
        space: The space whose architectures the trials are.

    Returns:
        The frame; an empty study gives all columns and no row.
    """
    trials = study.get_trials(deepcopy=False)
    architectures = [trial_architecture(trial, space) for trial in trials]
    names = value_columns(study)
    columns = {name: _floats([_value(trial, place) for trial in trials]) for place, name in enumerate(names)}
    columns["state"] = pandas.Series([trial.state.name for trial in trials], dtype="string")
    columns |= _parameter_columns(trials, architectures, space, reserved={*names, *FACTS})
    columns["key"] = pandas.Series(_keys(architectures, space), dtype="string")
    columns |= _fact_columns(trials)
    frame = pandas.DataFrame(columns)
    frame.index = pandas.Index([trial.number for trial in trials], dtype="int64", name="number")
    return frame


def value_columns(study: optuna.Study) -> tuple[str, ...]:
    """Names of the columns that hold the objective values; a metric called like another column is `value_<place>`."""
    if len(study.directions) == 1:
        return ("value",)
    names = study.metric_names or [""] * len(study.directions)
    taken = {"", *FACTS} | {name for name in names if names.count(name) > 1}
    return tuple(f"value_{place}" if name in taken else name for place, name in enumerate(names))


def parameter_columns(frame: pandas.DataFrame) -> tuple[str, ...]:
    """Names of the columns of a `trials_frame` that hold parameters of the space."""
    columns = list(frame.columns)
    inner = columns[columns.index("state") + 1 : columns.index("key")]
    return tuple(name for name in inner if not name.startswith(FOREIGN))


def trial_architecture(trial: FrozenTrial, space: SearchSpace) -> Architecture | None:
    """The architecture that a trial tried, `None` where its parameters form none of `space`."""
    try:
        return space.architecture(trial.params)
    except SpaceError:
        return None


def _value(trial: FrozenTrial, place: int) -> float | None:
    return trial.values[place] if trial.values is not None else None


def _keys(architectures: Sequence[Architecture | None], space: SearchSpace) -> list[str | None]:
    distinct = {architecture for architecture in architectures if architecture is not None}
    known = {architecture: space.canonical_key(architecture) for architecture in distinct}
    return [None if architecture is None else known[architecture] for architecture in architectures]


def _parameter_columns(
    trials: Sequence[FrozenTrial], architectures: Sequence[Architecture | None], space: SearchSpace, reserved: set[str]
) -> Columns:
    """The architecture knows parameters with a single value, which no trial was asked for."""
    own = {name: parameter.distribution for name, parameter in space.parameters().items()}
    foreign = {name: kind for trial in trials for name, kind in trial.distributions.items() if name not in own}
    titles = {name: PARAMETER + name if name in reserved else name for name in own}
    titles |= {name: FOREIGN + name for name in foreign}
    rows = [trial.params | dict(known or {}) for trial, known in zip(trials, architectures, strict=True)]
    return {titles[name]: _column(rows, name, kind) for name, kind in (own | foreign).items()}


def _column(rows: Sequence[Mapping[str, Value]], name: str, kind: BaseDistribution) -> pandas.Series:
    dtype = _dtype(kind)
    if dtype == "float64":
        return pandas.Series([row.get(name) for row in rows], dtype=dtype)
    return pandas.Series([row.get(name, pandas.NA) for row in rows], dtype=dtype)


def _dtype(kind: BaseDistribution) -> str:
    """The narrowest type that also holds a missing value; `object` for choices of several types."""
    if isinstance(kind, IntDistribution):
        return "Int64"
    if isinstance(kind, FloatDistribution):
        return "float64"
    types = {type(choice) for choice in kind.choices} if isinstance(kind, CategoricalDistribution) else set()
    return _CHOICE_DTYPES.get(types.pop(), "object") if len(types) == 1 else "object"


def _fact_columns(trials: Sequence[FrozenTrial]) -> Columns:
    attributes = [trial.user_attrs for trial in trials]
    return {
        "parameters": pandas.Series([_whole(facts, "parameters") for facts in attributes], dtype="Int64"),
        "macs": pandas.Series([_whole(facts, "macs") for facts in attributes], dtype="Int64"),
        "fidelity": pandas.Series([_fidelity(trial) for trial in trials], dtype="Int64"),
        "evaluation": pandas.Series([_text(facts, "evaluation") for facts in attributes], dtype="string"),
        "duration": pandas.Series([trial.duration for trial in trials], dtype="timedelta64[us]"),
        "datetime_start": pandas.Series([trial.datetime_start for trial in trials], dtype="datetime64[us]"),
        "datetime_complete": pandas.Series([trial.datetime_complete for trial in trials], dtype="datetime64[us]"),
    }


def _fidelity(trial: FrozenTrial) -> int | None:
    return max(trial.intermediate_values) if trial.intermediate_values else _whole(trial.user_attrs, "epochs")


def _whole(facts: Mapping[str, object], name: str) -> int | None:
    value = facts.get(name)
    return int(value) if isinstance(value, (int, float)) and float(value).is_integer() else None


def _text(facts: Mapping[str, object], name: str) -> str | None:
    return None if facts.get(name) is None else str(facts[name])


def _floats(values: Sequence[float | None]) -> pandas.Series:
    return pandas.Series(values, dtype="float64")
