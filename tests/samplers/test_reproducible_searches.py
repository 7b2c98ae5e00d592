"""Seed and history decide what is proposed next, whichever object proposes it."""

from __future__ import annotations

import math
import pickle

import optuna
from optuna.study import Study
from optuna.trial import TrialState

from nas_tune.space import SearchSpace
from tests.samplers.roster import (
    Direction,
    Fitness,
    Maker,
    architectures,
    copied,
    every_sampler,
    every_sampler_of_several_objectives,
    make_study,
    search,
    suggested,
    told,
)


class Ending:
    """An objective in which trials end in every way there is.

    Args:
        space: What is suggested, beside a parameter that is not of it.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._space = space

    def __call__(self, trial: optuna.Trial) -> float:
        before = trial.suggest_float("momentum", 0.0, 1.0)
        architecture = self._space.suggest(trial)
        value = sum(0.1 * i * len(str(v)) for i, v in enumerate(architecture.values())) - before
        trial.report(value / 2.0, step=1)
        trial.set_constraint("length", value - 4.0)
        if trial.number % 7 == 3:
            raise optuna.TrialPruned
        if trial.number % 7 == 5:
            raise FloatingPointError
        return {6: math.inf, 9: math.nan, 11: -math.inf}.get(trial.number, value)

    def optimise(self, study: Study, trials: int) -> Study:
        study.optimize(self, n_trials=trials, catch=FloatingPointError)
        return study


def two_values(space: SearchSpace, trial: optuna.Trial) -> tuple[float, float]:
    lengths = [len(str(value)) for value in space.suggest(trial).values()]
    return sum(i * length for i, length in enumerate(lengths)), -sum(lengths) / (1 + lengths[0])


def hyperband() -> optuna.pruners.HyperbandPruner:
    return optuna.pruners.HyperbandPruner(min_resource=1, max_resource=9)


@every_sampler
def test_a_fresh_sampler_and_a_pickled_one_propose_the_same(make: Maker, joint_space: SearchSpace) -> None:
    sampler = make(joint_space, seed=3)
    study = Ending(joint_space).optimise(make_study(sampler), 13)
    suggested(study, joint_space)  # and one is running
    fresh, pickled = copied(study, make(joint_space, seed=3)), copied(study, pickle.loads(pickle.dumps(sampler)))

    expected = suggested(study, joint_space)

    assert expected == suggested(fresh, joint_space) == suggested(pickled, joint_space)
    assert study.trials[-1].system_attrs == fresh.trials[-1].system_attrs == pickled.trials[-1].system_attrs


@every_sampler
def test_a_resumed_search_is_the_uninterrupted_one(make: Maker, joint_space: SearchSpace) -> None:
    objective = Ending(joint_space)
    whole = objective.optimise(make_study(make(joint_space, seed=1)), 12)
    resumed = objective.optimise(make_study(make(joint_space, seed=1)), 8)
    resumed.sampler = make(joint_space, seed=1)

    objective.optimise(resumed, 4)

    states = [trial.state for trial in whole.trials]
    assert {TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL} == set(states)
    assert math.inf in [trial.value for trial in whole.trials]
    assert told(resumed.trials) == told(whole.trials)
    assert len({trial.params["momentum"] for trial in whole.trials}) == 12


@every_sampler
def test_a_resumed_search_in_the_brackets_of_hyperband_is_the_uninterrupted_one(
    make: Maker, cell_space: SearchSpace
) -> None:
    def objective(trial: optuna.Trial) -> float:
        value = float(sum(len(str(operation)) for operation in cell_space.suggest(trial).values()))
        for step in range(1, 10):
            trial.report(value + step, step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return value

    studies = []
    for parts in ((20,), (11, 9)):
        study = optuna.create_study(pruner=hyperband(), direction="maximize", study_name="brackets")
        for trials in parts:
            study.sampler = make(cell_space, seed=2)
            study.optimize(objective, n_trials=trials)
        studies.append(study)

    whole, resumed = studies
    assert TrialState.PRUNED in {trial.state for trial in whole.trials}
    assert told(whole.trials) == told(resumed.trials)


@every_sampler_of_several_objectives
def test_a_resumed_search_of_two_objectives_is_the_uninterrupted_one(make: Maker, joint_space: SearchSpace) -> None:
    studies = []
    for parts in ((10,), (6, 4)):
        study = optuna.create_study(directions=["maximize", "minimize"])
        for trials in parts:
            study.sampler = make(joint_space, seed=4)
            study.optimize(lambda trial: two_values(joint_space, trial), n_trials=trials)
        studies.append(study)

    whole, resumed = studies
    assert told(whole.trials) == told(resumed.trials)
    assert all(trial.state == TrialState.COMPLETE for trial in whole.trials)


@every_sampler
def test_to_minimise_is_to_maximise_the_negated(make: Maker, cell_space: SearchSpace, convolutions: Fitness) -> None:
    def found(direction: Direction, sign: float) -> Study:
        study = make_study(make(cell_space, seed=0), direction)
        return search(study, cell_space, lambda a: sign * convolutions(a), 12)

    up, down = found("maximize", 1.0), found("minimize", -1.0)

    assert architectures(up.trials, cell_space) == architectures(down.trials, cell_space)


@every_sampler
def test_a_prefix_changes_nothing_but_names(make: Maker, cell_space: SearchSpace, convolutions: Fitness) -> None:
    plain = search(make_study(make(cell_space, seed=0)), cell_space, convolutions, 12)
    study = make_study(make(cell_space, prefix="student.", seed=0))

    study.optimize(lambda trial: convolutions(cell_space.suggest(trial, prefix="student.")), n_trials=12)

    renamed = [{f"student.{name}": value for name, value in trial.params.items()} for trial in plain.trials]
    assert [trial.params for trial in study.trials] == renamed


@every_sampler
def test_with_another_seed_the_search_is_another(make: Maker, cell_space: SearchSpace, convolutions: Fitness) -> None:
    studies = [search(make_study(make(cell_space, seed=seed)), cell_space, convolutions, 5) for seed in (0, 1, None)]

    first, second, unseeded = (architectures(study.trials, cell_space) for study in studies)
    assert first != second != unseeded != first


@every_sampler
def test_one_sampler_serves_two_studies_like_two_samplers(
    make: Maker, cell_space: SearchSpace, convolutions: Fitness
) -> None:
    directions: tuple[Direction, ...] = ("maximize", "minimize")
    shared = make(cell_space, seed=0)
    together = [make_study(shared, direction) for direction in directions]
    for _ in range(9):
        for study in together:
            search(study, cell_space, convolutions, 1)

    for study, direction in zip(together, directions, strict=True):
        alone = search(make_study(make(cell_space, seed=0), direction), cell_space, convolutions, 9)
        assert told(study.trials) == told(alone.trials)
