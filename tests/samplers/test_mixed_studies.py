"""Studies that hold more than trials of one sampler which went well."""

from __future__ import annotations

import math
from typing import Literal

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.samplers import RandomSampler
from optuna.trial import FrozenTrial, TrialState

from nas_tune.errors import ArchitectureError
from nas_tune.space import Architecture, Categorical, Integer, SearchSpace
from tests.samplers.roster import (
    Fitness,
    Maker,
    architectures,
    distinct,
    every_sampler,
    every_sampler_of_several_objectives,
    make_study,
    search,
    suggested,
)

Place = Literal["before", "between", "after"]
TRIALS = 10  # the models begin after four


@every_sampler
def test_four_threads_share_a_sampler_without_repeating(
    make: Maker, cell_space: SearchSpace, convolutions: Fitness
) -> None:
    study = search(make_study(make(cell_space, seed=0)), cell_space, convolutions, 16, n_jobs=4)

    assert distinct(study.trials, cell_space) == 16


@every_sampler
def test_trials_that_are_asked_for_together_differ(make: Maker, cell_space: SearchSpace, convolutions: Fitness) -> None:
    study = search(make_study(make(cell_space, seed=0)), cell_space, convolutions, 6)

    asked = [study.ask() for _ in range(5)]
    proposed = [cell_space.suggest(trial) for trial in asked]

    assert len({cell_space.canonical_key(architecture) for architecture in proposed}) == 5


@every_sampler
@pytest.mark.parametrize("place", ["before", "between", "after"])
def test_foreign_parameters_disturb_nothing(
    place: Place, make: Maker, cell_space: SearchSpace, convolutions: Fitness
) -> None:
    def objective(trial: optuna.Trial) -> float:
        foreign = 0.0
        if place == "before":
            foreign = trial.suggest_float("momentum", 0.0, 1.0)
        if place == "between":
            cell_space.parameters()["edge_0_1"].suggest(trial, "edge_0_1")
            foreign = trial.suggest_float("momentum", 0.0, 1.0)
        architecture = cell_space.suggest(trial)
        if place == "after":
            foreign = trial.suggest_float("momentum", 0.0, float(trial.number + 1))
        return convolutions(architecture) - 0.0 * foreign

    alone = search(make_study(make(cell_space, seed=0)), cell_space, convolutions, TRIALS)
    study = make_study(make(cell_space, seed=0))
    study.optimize(objective, n_trials=TRIALS)

    assert architectures(study.trials, cell_space) == architectures(alone.trials, cell_space)
    assert len({trial.params["momentum"] for trial in study.trials}) == TRIALS


@every_sampler
def test_trials_of_other_things_are_passed_over(make: Maker, cell_space: SearchSpace, convolutions: Fitness) -> None:
    study = make_study(make(cell_space, seed=0))
    operation = cell_space.parameters()["edge_0_1"].distribution
    half = dict.fromkeys(list(cell_space.nodes)[:3], "none")
    for _ in range(3):
        study.add_trial(optuna.create_trial(params={"x": 1.0}, distributions={"x": FloatDistribution(0, 1)}, value=9.0))
        study.add_trial(optuna.create_trial(params=half, distributions=dict.fromkeys(half, operation), value=9.0))
        study.add_trial(optuna.create_trial(value=9.0))
        search(study, cell_space, convolutions, 4)

    own = [trial for trial in study.trials if len(trial.params) == len(cell_space.nodes)]
    assert len(own) == distinct(own, cell_space) == 12


@every_sampler
def test_trials_of_another_sampler_are_learned_from_and_not_repeated(make: Maker, joint_space: SearchSpace) -> None:
    study = optuna.create_study(sampler=RandomSampler(seed=0), direction="maximize")
    search(study, joint_space, lambda a: float(len(a)), 6)
    study.sampler = make(joint_space, seed=0)

    search(study, joint_space, lambda a: float(len(a)), 8)

    assert distinct(study.trials, joint_space) == 14


@every_sampler
def test_enqueued_trials_are_tried_whole_and_completed(make: Maker, joint_space: SearchSpace) -> None:
    study = make_study(make(joint_space, seed=0))
    whole = joint_space.architecture(
        {
            "op": "conv",
            "op.conv.kernel": 5,
            "op.conv.width": 64,
            "blocks.length": 0,
            "lr": 0.01,
            "dropout": 0.2,
        }
    )
    part = {"op": "conv", "op.conv.kernel": 7, "blocks.length": 2, "momentum": 0.9}
    search(study, joint_space, lambda a: float(len(a)), 5)
    study.enqueue_trial(dict(whole))
    for _ in range(3):
        study.enqueue_trial(part)

    def objective(trial: optuna.Trial) -> float:
        return len(joint_space.suggest(trial)) + trial.suggest_float("momentum", 0.0, 1.0)

    study.optimize(objective, n_trials=6)

    assert joint_space.architecture(study.trials[5].params) == whole
    assert all(part.items() <= trial.params.items() for trial in study.trials[6:9])
    assert distinct(study.trials, joint_space) == 11


@every_sampler
def test_an_enqueued_value_that_cannot_be_fails_its_trial_alone(make: Maker, joint_space: SearchSpace) -> None:
    study = make_study(make(joint_space, seed=0))
    search(study, joint_space, lambda a: float(len(a)), 5)
    study.enqueue_trial({"lr": 5.0, "op": "skip"})

    with pytest.warns(UserWarning, match="out of"):
        study.optimize(lambda t: float(len(joint_space.suggest(t))), n_trials=1, catch=ArchitectureError)
    search(study, joint_space, lambda a: float(len(a)), 4)

    assert [trial.number for trial in study.trials if trial.state == TrialState.FAIL] == [5]
    assert study.trials[5].params["lr"] == 5.0


@every_sampler
def test_proposals_meet_the_constraints_of_the_space_and_record_it(
    make: Maker, cell_space: SearchSpace, convolutions: Fitness
) -> None:
    space = cell_space.where(lambda a: convolutions(a) <= 3, "at most three")
    study = make_study(make(space, seed=0))
    study.enqueue_trial(dict.fromkeys(cell_space.nodes, "nor_conv_3x3"))  # six of them

    search(study, space, convolutions, 12)

    assert [trial.state for trial in study.trials] == [TrialState.PRUNED, *[TrialState.COMPLETE] * 11]
    assert study.trials[0].constraints == {"at most three": 1.0}
    assert all(max(trial.constraints.values()) <= 0.0 for trial in study.trials[1:])
    assert distinct(study.trials[1:], space) == 11


@every_sampler
def test_constraints_that_trials_record_may_come_late_and_be_infinite(make: Maker, cell_space: SearchSpace) -> None:
    def objective(trial: optuna.Trial) -> float:
        count = list(cell_space.suggest(trial).values()).count("none")
        if trial.number > 3:
            trial.set_constraint("none", {5: math.inf, 6: -math.inf}.get(trial.number, count - 1.0))
        return float(count)

    study = make_study(make(cell_space, seed=0))
    study.optimize(objective, n_trials=12)

    assert distinct(study.trials, cell_space) == 12


@every_sampler
def test_nothing_but_failures_is_survived(make: Maker, cell_space: SearchSpace) -> None:
    def objective(trial: optuna.Trial) -> float:
        cell_space.suggest(trial)
        if trial.number % 2:
            raise optuna.TrialPruned
        return math.nan

    study = make_study(make(cell_space, seed=0))
    study.optimize(objective, n_trials=10)
    search(study, cell_space, lambda a: math.inf, 4)

    assert [trial.state for trial in study.trials].count(TrialState.FAIL) == 5
    assert study.best_value == math.inf


@every_sampler
@pytest.mark.parametrize("nodes", [{}, {"a": Categorical("only"), "b": Integer(3, 3)}], ids=["empty", "single"])
def test_a_space_of_one_architecture_is_searched(nodes: dict[str, Categorical | Integer], make: Maker) -> None:
    space = SearchSpace(nodes)

    study = search(make_study(make(space, seed=0)), space, lambda a: 1.0, 8)

    assert {trial.state for trial in study.trials} == {TrialState.COMPLETE}


@every_sampler
def test_an_exhausted_space_is_searched_on(make: Maker) -> None:
    space = SearchSpace({"a": Categorical(0, 1, 2), "b": Categorical(0, 1)})

    study = search(make_study(make(space, seed=0)), space, lambda a: float(str(a["a"])), 10)

    assert {trial.state for trial in study.trials} == {TrialState.COMPLETE}
    assert distinct(study.trials[:6], space) >= 5  # some draw at most 32 times for what nobody has tried
    assert distinct(study.trials, space) == 6


@every_sampler_of_several_objectives
def test_three_objectives_with_constraints_and_failures(make: Maker, joint_space: SearchSpace) -> None:
    def objective(trial: optuna.Trial) -> tuple[float, float, float]:
        architecture = joint_space.suggest(trial)
        trial.set_constraint("length", len(architecture) - 6.0)
        if trial.number == 2:
            raise FloatingPointError
        dropout, lr = float(str(architecture["dropout"])), float(str(architecture["lr"]))
        return dropout, math.inf if trial.number == 4 else lr, float(len(architecture))

    study = optuna.create_study(sampler=make(joint_space, seed=0), directions=["maximize", "minimize", "maximize"])
    study.optimize(objective, n_trials=9, catch=FloatingPointError)

    assert distinct(study.trials, joint_space) == 9
    assert any(_feasible(trial) for trial in study.trials[5:])


@every_sampler
def test_a_study_of_another_space_is_begun_anew(make: Maker, cell_space: SearchSpace, joint_space: SearchSpace) -> None:
    study = make_study(make(cell_space, seed=0))
    search(study, cell_space, lambda a: 1.0, 6)
    study.sampler = make(joint_space, seed=0)

    found: list[Architecture] = [suggested(study, joint_space) for _ in range(3)]

    assert len(set(found)) == 3


def _feasible(trial: FrozenTrial) -> bool:
    return all(excess <= 0 for excess in trial.constraints.values())
