"""How a super-net ranks the networks that the same study also trains from scratch, checkpoint by checkpoint."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas
from optuna.study import StudyDirection

from nas_tune.analysis.evaluations import EVALUATION, FROM_SCRATCH, SHARED_WEIGHTS, SUPERNET_STEP
from nas_tune.analysis.frame import trials_frame, value_columns
from nas_tune.analysis.gap import TOPS, OptimizationGap, optimization_gap

if TYPE_CHECKING:
    import optuna
    from numpy.random import Generator
    from optuna.trial import FrozenTrial

    from nas_tune.space import SearchSpace


_LOGGER = logging.getLogger("nas_tune")


@dataclass(frozen=True)
class CheckpointPairs:
    """Networks that one checkpoint of a super-net scored and that were trained from scratch as well.

    Attributes:
        step: Optimiser steps of the super-net, `None` where its trials do not say.
        keys: Canonical key of each network, in their order.
        numbers: The trial in which this checkpoint scored it, the first of several.
        supernet: Score with the shared weights of this checkpoint; larger is better.
        from_scratch: Result of the network's own training; larger is better.
    """

    step: int | None
    keys: tuple[str, ...]
    numbers: tuple[int, ...]
    supernet: tuple[float, ...]
    from_scratch: tuple[float, ...]


def ranking_report(
    study: optuna.Study,
    space: SearchSpace,
    *,
    objective: int = 0,
    tops: Sequence[float] = TOPS,
    rng: Generator | None = None,
) -> pandas.DataFrame:
    """Compare the shared-weights trials of a study with its from-scratch trials, one row for each checkpoint.

    Args:
        study: Study in which trials have the user attribute ``evaluation``, "shared-weights" or "from-scratch", and
            those of shared weights may have ``supernet_step``. Only completed trials with a finite value count: let no
            pruner stop those from scratch, which would leave the best ones only and flatter the ranking. A warning is
            logged where one has.
        space: The space whose architectures the trials are. Two trials are of one network where their canonical keys
            in it are equal; in a joint space that takes the training hyperparameters in.
        objective: Which value of the trials to compare. Where it is minimised it is negated first, so that larger is
            better in `regret` and `mean_gap`.
        tops: The k of precision@k, as for `optimization_gap`.
        rng: Of the bootstrap; without it `tau_low` and `tau_high` are missing.

    Returns:
        A row for each checkpoint with at least one pair, by step, the one that is not known last. The columns are
        `supernet_step`, `pairs`, `tau`, `tau_low`, `tau_high`, `rho`, `precision@<k>` for each of `tops`, `regret`,
        `mean_gap`, `gap_spread` and `reversal_rate`, as in `OptimizationGap`. Without pairs it has no row.

    Raises:
        ValueError: The study has no such `objective`, or `tops` is empty or out of its range.
    """
    found = checkpoint_pairs(study, trials_frame(study, space), objective=objective)
    gaps = [optimization_gap(pairs.supernet, pairs.from_scratch, tops=tops, rng=rng) for pairs in found]
    return ranking_frame([pairs.step for pairs in found], gaps, tops)


def checkpoint_pairs(
    study: optuna.Study, frame: pandas.DataFrame, *, objective: int = 0
) -> tuple[CheckpointPairs, ...]:
    """Match the trials of one network in a study, by checkpoint of the super-net.

    Several trials of one network from scratch, or by one checkpoint, count as their mean.

    Args:
        study: The study; see `ranking_report`.
        frame: Its `trials_frame`.
        objective: Which value of the trials.

    Returns:
        The checkpoints with at least one pair, by step, the one that is not known last.

    Raises:
        ValueError: The study has no such `objective`.
    """
    rows = _judged(study, frame, objective)
    pruned = int(((frame["state"] == "PRUNED") & (frame[EVALUATION] == FROM_SCRATCH)).sum())
    if pruned:
        _LOGGER.warning(
            "%d trainings from scratch were pruned and are left out of the ranking, which flatters it: give the study "
            "`pruner=optuna.pruners.NopPruner()`.",
            pruned,
        )
    truth = rows[rows[EVALUATION] == FROM_SCRATCH].groupby("key")["value"].mean()
    shared = rows[(rows[EVALUATION] == SHARED_WEIGHTS) & rows["key"].isin(truth.index)]
    groups = shared.groupby(SUPERNET_STEP, dropna=False)["value"].groups.values()
    return tuple(_checkpoint(shared.loc[numbers], truth) for numbers in groups)


def ranking_frame(
    steps: Sequence[int | None], gaps: Sequence[OptimizationGap], tops: Sequence[float] = TOPS
) -> pandas.DataFrame:
    """Tabulate the agreement of each checkpoint; `tops` names the columns where there is none."""
    columns: dict[str, pandas.Series] = {
        SUPERNET_STEP: pandas.Series(list(steps), dtype="Int64"),
        "pairs": pandas.Series([gap.pairs for gap in gaps], dtype="Int64"),
        "tau": _floats([gap.tau for gap in gaps]),
        "tau_low": _floats([gap.tau_interval[0] for gap in gaps]),
        "tau_high": _floats([gap.tau_interval[1] for gap in gaps]),
        "rho": _floats([gap.rho for gap in gaps]),
    }
    for place, top in enumerate(tops):
        columns[_precision_name(top)] = _floats([gap.precision[place] for gap in gaps])
    for name in ("regret", "mean_gap", "gap_spread", "reversal_rate"):
        columns[name] = _floats([getattr(gap, name) for gap in gaps])
    return pandas.DataFrame(columns)


def _judged(study: optuna.Study, frame: pandas.DataFrame, objective: int) -> pandas.DataFrame:
    """Completed trials with a finite value and a key: `key`, `value` (larger is better), evaluation and step."""
    names = value_columns(study)
    if not 0 <= objective < len(names):
        raise ValueError(f"`objective` is {objective}, and the study has {len(names)}. Count from 0.")
    sign = 1 if study.directions[objective] == StudyDirection.MAXIMIZE else -1
    steps = {trial.number: _step(trial) for trial in study.get_trials(deepcopy=False)}
    rows = pandas.DataFrame({"key": frame["key"], "value": sign * frame[names[objective]]})
    rows[EVALUATION] = frame[EVALUATION]
    rows[SUPERNET_STEP] = pandas.Series([steps[number] for number in frame.index], index=frame.index, dtype="Int64")
    usable = (frame["state"] == "COMPLETE").to_numpy(bool) & np.isfinite(rows["value"].to_numpy(float))
    kept: pandas.DataFrame = rows.loc[usable].dropna(subset=["key"])
    return kept


def _step(trial: FrozenTrial) -> int | None:
    step = trial.user_attrs.get(SUPERNET_STEP)
    return step if isinstance(step, int) else None


def _checkpoint(rows: pandas.DataFrame, truth: pandas.Series) -> CheckpointPairs:
    step = rows[SUPERNET_STEP].iloc[0]
    scores = rows.groupby("key")["value"].mean()
    numbers = rows.index.to_series().groupby(rows["key"]).min()
    return CheckpointPairs(
        step=None if pandas.isna(step) else int(step),
        keys=tuple(map(str, scores.index)),
        numbers=tuple(map(int, numbers)),
        supernet=tuple(map(float, scores)),
        from_scratch=tuple(map(float, truth.loc[scores.index])),
    )


def _precision_name(top: float) -> str:
    return f"precision@{top}" if isinstance(top, int) else f"precision@{100 * top:g}%"


def _floats(values: Sequence[float]) -> pandas.Series:
    return pandas.Series(values, dtype="float64")
