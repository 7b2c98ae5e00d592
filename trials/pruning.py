"""Telling Optuna's pruners how a trial goes."""

from __future__ import annotations

import optuna
from optuna.trial import BaseTrial

from .history import EpochResult, OnEpoch


def report_to(trial: BaseTrial) -> OnEpoch:
    """A callback for ``train`` that reports the validation accuracy of each epoch.

    In a study of several objectives, which Optuna cannot prune, it does nothing.

    Raises:
        optuna.TrialPruned: From the callback, when the study's pruner gives the trial up.
    """

    def report(result: EpochResult) -> None:
        if result.accuracy is None or _has_several_objectives(trial):
            return
        trial.report(result.accuracy, step=result.epoch)
        if trial.should_prune():
            raise optuna.TrialPruned(f"Pruned after epoch {result.epoch} at accuracy {result.accuracy:.4f}.")

    return report


def _has_several_objectives(trial: BaseTrial) -> bool:
    return isinstance(trial, optuna.Trial) and len(trial.study.directions) > 1
