"""The sampler in a study."""

from __future__ import annotations

import json
import math
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path

import optuna
import pytest
from optuna.study import Study
from optuna.trial import TrialState

from nas_tune.errors import SamplerError, StudyError
from nas_tune.samplers.local_search import LocalSearchSampler
from nas_tune.space import Architecture, Categorical, SearchSpace, Value

GOLDEN = Path(__file__).parent / "golden" / "local_search.json"
CLIMB, CENTRE = "LocalSearch:climb", "LocalSearch:centre"
Fitness = Callable[[Mapping[str, Value]], float]


def make_study(space: SearchSpace, draws: int = 5, seed: int | None = 0, **arguments: str) -> Study:
    sampler = LocalSearchSampler(space, draws=draws, seed=seed, **arguments)  # type: ignore[arg-type]
    return optuna.create_study(sampler=sampler, direction="maximize")


def search(study: Study, space: SearchSpace, fitness: Fitness, trials: int, n_jobs: int = 1) -> Study:
    study.optimize(lambda trial: fitness(space.suggest(trial)), n_trials=trials, n_jobs=n_jobs)
    return study


def architectures(study: Study, space: SearchSpace) -> list[Architecture]:
    return [space.architecture(trial.params) for trial in study.trials]


def suggested(study: Study, space: SearchSpace) -> optuna.Trial:
    trial = study.ask()
    space.suggest(trial)
    return trial


def distance(a: Mapping[str, Value], b: Mapping[str, Value]) -> int:
    return sum(a[name] != b[name] for name in a)


def test_after_the_draws_each_trial_is_a_neighbour_of_the_best_so_far(
    cell_space: SearchSpace, convolutions: Fitness
) -> None:
    trials = search(make_study(cell_space), cell_space, convolutions, 60).trials

    assert all(CENTRE not in trial.system_attrs for trial in trials[:5])
    for trial in trials[5:]:
        if trial.system_attrs[CLIMB] == 0:
            centre = trials[trial.system_attrs[CENTRE]]
            assert centre.value == max(float(str(t.value)) for t in trials[: trial.number])
            assert distance(trial.params, centre.params) == 1


def test_the_search_climbs_to_the_top_and_begins_again(cell_space: SearchSpace, convolutions: Fitness) -> None:
    study = search(make_study(cell_space), cell_space, convolutions, 120)

    assert study.best_value == 6
    assert max(trial.system_attrs[CLIMB] for trial in study.trials) >= 1
    assert len(set(architectures(study, cell_space))) == 120


def test_a_search_repeats_the_golden_run(cell_space: SearchSpace, convolutions: Fitness) -> None:
    study = search(make_study(cell_space), cell_space, convolutions, 30)

    found = [",".join(map(str, a.values())) for a in architectures(study, cell_space)]
    assert found == json.loads(GOLDEN.read_text())


def test_any_process_goes_on_where_another_has_stopped(cell_space: SearchSpace, convolutions: Fitness) -> None:
    whole = search(make_study(cell_space), cell_space, convolutions, 80)
    broken = search(make_study(cell_space), cell_space, convolutions, 40)

    broken.sampler = LocalSearchSampler(cell_space, draws=5, seed=0)
    search(broken, cell_space, convolutions, 20)
    broken.sampler = pickle.loads(pickle.dumps(broken.sampler))
    search(broken, cell_space, convolutions, 20)

    assert architectures(broken, cell_space) == architectures(whole, cell_space)


def test_processes_share_the_neighbours_of_one_centre_and_the_best_result(
    cell_space: SearchSpace, convolutions: Fitness
) -> None:
    study = search(make_study(cell_space), cell_space, convolutions, 5)

    first = [suggested(study, cell_space) for _ in range(8)]
    centres = {study.trials[trial.number].system_attrs[CENTRE] for trial in first}
    for trial in first:
        study.tell(trial, 10.0 + trial.number)
    after = suggested(study, cell_space)

    assert len({tuple(trial.params.items()) for trial in first}) == 8
    assert len(centres) == 1
    assert study.trials[after.number].system_attrs[CENTRE] == first[-1].number


def test_while_the_neighbours_of_an_optimum_run_the_next_climb_draws() -> None:
    space = SearchSpace({"a": Categorical(*range(4)), "b": Categorical(*range(4))})
    study = search(make_study(space, draws=1), space, lambda a: 0.0, 1)

    running = [suggested(study, space) for _ in range(8)]
    climbs = [study.trials[trial.number].system_attrs[CLIMB] for trial in running]
    study.tell(running[2], 1.0)
    number = suggested(study, space).number
    late = study.trials[number]

    assert climbs == [0] * 6 + [1] * 2
    assert (late.system_attrs[CLIMB], late.system_attrs[CENTRE]) == (0, running[2].number)


def test_with_several_threads_no_network_is_tried_twice(cell_space: SearchSpace, convolutions: Fitness) -> None:
    study = search(make_study(cell_space), cell_space, convolutions, 100, n_jobs=4)

    assert len(set(architectures(study, cell_space))) == 100
    assert study.best_value == 6


def test_pruned_trials_are_taken_and_are_not_better(cell_space: SearchSpace, convolutions: Fitness) -> None:
    study = make_study(cell_space)

    def objective(trial: optuna.Trial) -> float:
        value = convolutions(cell_space.suggest(trial))
        if trial.number % 3 == 0:
            raise optuna.TrialPruned
        return value

    study.optimize(objective, n_trials=60)

    centres = {trial.system_attrs.get(CENTRE) for trial in study.trials} - {None}
    assert all(int(str(centre)) % 3 for centre in centres)
    assert len(set(architectures(study, cell_space))) == 60


def test_failed_trials_may_be_tried_again() -> None:
    space = SearchSpace({"a": Categorical(0, 1)})
    study = search(make_study(space, draws=1), space, lambda a: 0.0, 1)

    failed, again = suggested(study, space), None
    study.tell(failed, state=TrialState.FAIL)
    again = suggested(study, space)

    assert failed.params == again.params
    assert study.trials[again.number].system_attrs[CENTRE] == 0


def test_a_trial_that_breaks_a_constraint_less_is_the_centre(cell_space: SearchSpace, convolutions: Fitness) -> None:
    study = make_study(cell_space)

    def objective(trial: optuna.Trial) -> float:
        value = convolutions(cell_space.suggest(trial))
        trial.set_constraint("at most three", max(value - 3.0, 0.0))
        return value

    study.optimize(objective, n_trials=60)

    last = max((t for t in study.trials if t.system_attrs[CLIMB] == 0), key=lambda t: t.number)
    assert study.trials[last.system_attrs[CENTRE]].value == 3


def test_every_proposal_is_of_a_constrained_space(cell_space: SearchSpace, convolutions: Fitness) -> None:
    space = cell_space.where(lambda a: list(a.values()).count("nor_conv_3x3") <= 3, "at most three convolutions")
    study = search(make_study(space), space, convolutions, 60)

    assert {trial.state for trial in study.trials} == {TrialState.COMPLETE}
    assert study.best_value == 3


def test_an_enqueued_architecture_that_is_better_is_climbed_on_from(
    cell_space: SearchSpace, convolutions: Fitness
) -> None:
    study = search(make_study(cell_space), cell_space, lambda a: -convolutions(a), 10)
    study.enqueue_trial(dict.fromkeys(cell_space.nodes, "none"))
    study.enqueue_trial({"edge_0_1": "skip_connect"})
    search(study, cell_space, lambda a: 99.0 if set(a.values()) == {"none"} else 0.0, 3)

    enqueued, partial, child = study.trials[10:]
    assert set(enqueued.params.values()) == {"none"}
    assert partial.params["edge_0_1"] == "skip_connect"
    assert child.system_attrs[CENTRE] == 10


def test_trials_of_other_samplers_are_draws(cell_space: SearchSpace, convolutions: Fitness) -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0), direction="maximize")
    search(study, cell_space, convolutions, 20)

    study.sampler = LocalSearchSampler(cell_space, draws=10, seed=0)
    search(study, cell_space, convolutions, 1)
    assert study.trials[-1].system_attrs[CENTRE] == study.best_trials[0].number or study.trials[-1].value == 6


def test_conditional_and_numeric_parameters_are_climbed(joint_space: SearchSpace) -> None:
    def fitness(architecture: Mapping[str, Value]) -> float:
        width = architecture.get("op.conv.width", 0)
        return float(str(width)) - 30 * abs(math.log10(float(str(architecture["lr"]))) + 2.5)

    study = search(make_study(joint_space, draws=10, seed=1), joint_space, fitness, 100)

    assert study.best_value > 50
    for trial in study.trials:
        assert set(trial.params) == set(joint_space.distributions(joint_space.architecture(trial.params)))


def test_a_space_that_is_exhausted_is_tried_again() -> None:
    space = SearchSpace({"a": Categorical(0, 1)})
    study = search(make_study(space, draws=2), space, lambda a: 0.0, 12)

    assert {trial.state for trial in study.trials} == {TrialState.COMPLETE}


def test_several_objectives_are_refused(cell_space: SearchSpace) -> None:
    study = optuna.create_study(sampler=LocalSearchSampler(cell_space), directions=["maximize", "minimize"])

    with pytest.raises(StudyError, match="LocalSearchSampler has one objective, and the study has 2"):
        cell_space.suggest(study.ask())


@pytest.mark.parametrize("arguments", [{"draws": 0}, {"most_neighbours": 0}, {"seed": -1}])
def test_arguments_out_of_range_are_refused(arguments: dict[str, int], cell_space: SearchSpace) -> None:
    with pytest.raises(SamplerError, match=f"`{next(iter(arguments))}`.* {next(iter(arguments.values()))}"):
        LocalSearchSampler(cell_space, **arguments)  # type: ignore[arg-type]
