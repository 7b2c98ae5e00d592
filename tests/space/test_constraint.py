"""Constraints as a study records them."""

from __future__ import annotations

import warnings

import optuna

from nas_tune.space import Categorical, SearchSpace, Switch
from nas_tune.space.constraint import record


def test_a_trial_holds_0_for_what_it_meets_and_1_for_what_it_breaks() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    trial = optuna.create_study().ask()

    record(trial, ["small", "odd", "small"], ["odd"])

    assert trial.constraints == {"small": 0.0, "odd": 1.0}


def test_evaluating_the_best_trial_again_warns_of_nothing() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    space = SearchSpace({"op": Categorical("a", "b")}).where(lambda a: True, "anything")
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(lambda trial: len(space.suggest(trial)), n_trials=2)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert space.suggest(study.best_trial) == space.architecture(study.best_params)


def test_infeasible_trials_are_pruned_and_the_study_goes_on() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    even = SearchSpace({"k": Categorical(1, 2, 3)}).where(lambda a: a["k"] == 2, "even kernel")
    space = SearchSpace({"op": Switch({"conv": even})})
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))

    study.optimize(lambda trial: len(space.suggest(trial)), n_trials=12)

    for trial in study.trials:
        met = trial.params["op.conv.k"] == 2
        assert trial.state == (optuna.trial.TrialState.COMPLETE if met else optuna.trial.TrialState.PRUNED)
        assert trial.constraints == {"even kernel": 0.0 if met else 1.0}
