"""The sampler in a study."""

from __future__ import annotations

import json
import math
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from nas_tune.errors import SamplerError, StudyError
from nas_tune.samplers import RegularizedEvolutionSampler
from nas_tune.space import Architecture, Categorical, Float, SearchSpace, Value

GOLDEN = Path(__file__).parent / "golden" / "regularized_evolution.json"
PARENT = "RegularizedEvolution:parent"
Direction = Literal["maximize", "minimize"]
Fitness = Callable[[Mapping[str, Value]], float]


def make_study(sampler: BaseSampler, direction: Direction = "maximize") -> Study:
    return optuna.create_study(sampler=sampler, direction=direction)


def search(study: Study, space: SearchSpace, fitness: Fitness, trials: int, n_jobs: int = 1) -> Study:
    study.optimize(lambda trial: fitness(space.suggest(trial)), n_trials=trials, n_jobs=n_jobs)
    return study


def architectures(study: Study, space: SearchSpace) -> list[Architecture]:
    return [space.architecture(trial.params) for trial in study.trials]


def difference(a: Mapping[str, Value], b: Mapping[str, Value]) -> int:
    return sum(a[name] != b[name] for name in a)


def test_every_child_is_one_mutation_from_a_recorded_parent_that_still_lives(
    cell_space: SearchSpace, convolutions: Fitness
) -> None:
    sampler = RegularizedEvolutionSampler(cell_space, population_size=8, sample_size=3, seed=0)
    trials = search(make_study(sampler), cell_space, convolutions, 60).trials

    assert all(PARENT not in trial.system_attrs for trial in trials[:8])
    for trial in trials[8:]:
        parent = trial.system_attrs[PARENT]
        assert trial.number - 8 <= parent < trial.number
        assert difference(trial.params, trials[parent].params) == 1


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_the_search_climbs_in_the_direction_of_the_study(
    direction: Direction, cell_space: SearchSpace, convolutions: Fitness
) -> None:
    sign = 1.0 if direction == "maximize" else -1.0
    sampler = RegularizedEvolutionSampler(cell_space, population_size=10, sample_size=5, seed=0)

    study = search(make_study(sampler, direction), cell_space, lambda a: sign * convolutions(a), 100)

    assert study.best_value == sign * 6


def test_a_search_repeats_the_golden_run(cell_space: SearchSpace, convolutions: Fitness) -> None:
    sampler = RegularizedEvolutionSampler(cell_space, population_size=10, sample_size=3, seed=0)

    study = search(make_study(sampler), cell_space, convolutions, 30)

    found = [",".join(map(str, a.values())) for a in architectures(study, cell_space)]
    assert found == json.loads(GOLDEN.read_text())


def test_no_network_is_tried_twice_before_the_space_is_exhausted() -> None:
    space = SearchSpace({"a": Categorical(*range(5)), "b": Categorical(*range(5))})
    sampler = RegularizedEvolutionSampler(space, population_size=5, sample_size=2, seed=0)

    study = search(make_study(sampler), space, lambda a: float(str(a["a"])), 35)

    assert len(set(architectures(study, space)[:20])) == 20
    assert len(study.trials) == 35


def test_duplicates_are_allowed_on_request() -> None:
    space = SearchSpace({"a": Categorical(0, 1), "b": Categorical(0, 1)})
    sampler = RegularizedEvolutionSampler(space, population_size=2, sample_size=1, avoid_duplicates=False, seed=0)

    study = search(make_study(sampler), space, lambda a: 0.0, 10)

    assert len(set(architectures(study, space)[:4])) < 4


def test_running_trials_are_not_proposed_again(cell_space: SearchSpace, convolutions: Fitness) -> None:
    sampler = RegularizedEvolutionSampler(cell_space, population_size=1, sample_size=1, seed=0)
    study = search(make_study(sampler), cell_space, convolutions, 1)

    running = [study.ask() for _ in range(24)]
    proposed = [cell_space.suggest(trial) for trial in running]

    assert len(set(proposed)) == 24


def test_a_running_trial_counts_as_taken_before_its_parameters_are_stored() -> None:
    space = SearchSpace({"a": Categorical(0, 1), "b": Categorical(0, 1)})
    study = make_study(RegularizedEvolutionSampler(space, seed=0))

    trials = [study.ask() for _ in range(4)]
    for trial in trials:
        trial.suggest_categorical("a", (0, 1))
    for trial in trials:
        trial.suggest_categorical("b", (0, 1))

    assert len({tuple(trial.params.items()) for trial in trials}) == 4


def test_failed_trials_may_be_tried_again_and_have_no_children() -> None:
    space = SearchSpace({"a": Categorical(0, 1)})
    study = make_study(RegularizedEvolutionSampler(space, population_size=1, sample_size=1, seed=0))
    for a in (0, 0, 1):
        study.enqueue_trial({"a": a})
        study.tell(_suggested(study, space), state=TrialState.FAIL)

    first, second = (_suggested(study, space) for _ in range(2))

    assert {first.params["a"], second.params["a"]} == {0, 1}
    assert all(PARENT not in trial.system_attrs for trial in study.trials)


def test_pruned_trials_are_taken_but_have_no_children(cell_space: SearchSpace) -> None:
    sampler = RegularizedEvolutionSampler(cell_space, population_size=10, sample_size=10, seed=0)
    study = make_study(sampler)

    def objective(trial: optuna.Trial) -> float:
        cell_space.suggest(trial)
        trial.report(100.0, step=1)
        if trial.number % 2:
            raise optuna.TrialPruned
        return 1.0

    study.optimize(objective, n_trials=40)

    parents = {trial.system_attrs.get(PARENT) for trial in study.trials[10:]}
    assert parents <= set(range(0, 40, 2))
    assert len(set(architectures(study, cell_space))) == 40


def test_infinite_values_are_ordered_and_nan_counts_for_nothing(cell_space: SearchSpace) -> None:
    values = [math.nan, -math.inf, math.inf, 0.0]
    study = make_study(RegularizedEvolutionSampler(cell_space, population_size=3, sample_size=3, seed=0))

    search(study, cell_space, lambda a: values.pop(0) if values else math.nan, 40)

    assert [trial.number for trial in study.trials if trial.state == TrialState.COMPLETE] == [1, 2, 3]
    parents = [trial.system_attrs.get(PARENT) for trial in study.trials]
    assert parents[:4] == [None] * 4
    assert set(parents[4:]) <= {1, 2, 3}
    assert parents.count(2) > parents.count(3) > parents.count(1)


def test_conditional_and_numeric_parameters_evolve(joint_space: SearchSpace) -> None:
    def fitness(architecture: Mapping[str, Value]) -> float:
        width = architecture.get("op.conv.width", 0)
        assert isinstance(width, int)
        return width - 30 * abs(math.log10(float(str(architecture["lr"]))) + 2.5)

    sampler = RegularizedEvolutionSampler(joint_space, population_size=10, sample_size=5, seed=1)
    study = search(make_study(sampler), joint_space, fitness, 100)

    assert study.best_value > 45
    for trial in study.trials:
        architecture = joint_space.architecture(trial.params)
        assert trial.params == {name: architecture[name] for name in joint_space.distributions(architecture)}
        assert joint_space.canonical_key(architecture) == trial.system_attrs["RegularizedEvolution:canonical_key"]


def test_constraints_hold_for_every_proposal(cell_space: SearchSpace, convolutions: Fitness) -> None:
    space = cell_space.where(lambda a: list(a.values()).count("nor_conv_3x3") <= 3, "at most three convolutions")
    study = make_study(RegularizedEvolutionSampler(space, population_size=10, sample_size=5, seed=0))

    search(study, space, convolutions, 60)

    assert {trial.state for trial in study.trials} == {TrialState.COMPLETE}
    assert study.best_value == 3


def test_parameters_are_found_under_their_prefix(cell_space: SearchSpace, convolutions: Fitness) -> None:
    sampler = RegularizedEvolutionSampler(cell_space, population_size=5, sample_size=3, prefix="student.", seed=0)
    study = make_study(sampler)

    study.optimize(lambda trial: convolutions(cell_space.suggest(trial, prefix="student.")), n_trials=20)

    assert all(PARENT in trial.system_attrs for trial in study.trials[5:])
    assert all(name.startswith("student.") for trial in study.trials for name in trial.params)


def test_parameters_outside_the_space_go_to_the_independent_sampler(
    cell_space: SearchSpace, convolutions: Fitness
) -> None:
    told = []

    class Recorded(RandomSampler):
        def before_trial(self, study: Study, trial: FrozenTrial) -> None:
            told.append("before")

        def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: object) -> None:
            told.append("after")

        def sample_independent(
            self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: object
        ) -> float:
            told.append(param_name)
            return 0.25

        def reseed_rng(self) -> None:
            told.append("reseed")

    sampler = RegularizedEvolutionSampler(cell_space, independent_sampler=Recorded(), seed=0)
    study = make_study(sampler)
    study.optimize(lambda t: convolutions(cell_space.suggest(t)) + t.suggest_float("dropout", 0, 0.5), n_trials=2)
    sampler.reseed_rng()

    assert [trial.params["dropout"] for trial in study.trials] == [0.25, 0.25]
    assert told == ["before", "dropout", "after"] * 2 + ["reseed"]


def test_two_foreign_parameters_of_a_trial_are_drawn_independently(cell_space: SearchSpace) -> None:
    study = make_study(RegularizedEvolutionSampler(cell_space, seed=0))

    trial = study.ask({"x": FloatDistribution(0, 1), "y": FloatDistribution(0, 1)})

    assert trial.params["x"] != trial.params["y"]


def test_enqueued_architectures_are_tried_and_bred_from(cell_space: SearchSpace, convolutions: Fitness) -> None:
    best = dict.fromkeys(cell_space.nodes, "nor_conv_3x3")
    study = make_study(RegularizedEvolutionSampler(cell_space, population_size=4, sample_size=4, seed=0))
    study.enqueue_trial(best)

    search(study, cell_space, convolutions, 8)

    assert study.trials[0].params == best
    assert study.trials[4].system_attrs[PARENT] == 0


def test_a_partially_enqueued_architecture_is_completed(joint_space: SearchSpace) -> None:
    study = make_study(RegularizedEvolutionSampler(joint_space, population_size=2, sample_size=1, seed=0))
    fixed = {"op": "conv", "op.conv.kernel": 7, "blocks.length": 2, "momentum": 0.9}
    for _ in range(5):
        study.enqueue_trial(fixed)

    for _ in range(5):
        trial = study.ask()
        architecture = joint_space.suggest(trial)
        momentum = trial.suggest_float("momentum", 0.0, 1.0)
        study.tell(trial, 1.0)
        stored = study.trials[trial.number]

        assert fixed.items() <= {**architecture, "momentum": momentum}.items()
        assert stored.system_attrs["RegularizedEvolution:canonical_key"] == joint_space.canonical_key(architecture)


def test_enqueued_trials_that_wait_count_as_taken() -> None:
    space = SearchSpace({"a": Categorical(0, 1, 2, 3)})
    study = make_study(RegularizedEvolutionSampler(space, seed=0))
    asked = _suggested(study, space)
    for a in {0, 1, 2, 3} - {asked.params["a"]}:
        study.enqueue_trial({"a": a})

    waiting = [_suggested(study, space) for _ in range(3)]

    assert len({trial.params["a"] for trial in (asked, *waiting)}) == 4


def test_trials_of_other_things_are_ignored(cell_space: SearchSpace, convolutions: Fitness) -> None:
    study = make_study(RegularizedEvolutionSampler(cell_space, population_size=5, sample_size=5, seed=0))
    half = dict.fromkeys(list(cell_space.nodes)[:3], "none")
    operation = cell_space.parameters()["edge_0_1"].distribution
    study.add_trial(optuna.create_trial(params={"x": 1.0}, distributions={"x": FloatDistribution(0, 1)}, value=99.0))
    study.add_trial(optuna.create_trial(params=half, distributions=dict.fromkeys(half, operation), value=99.0))

    search(study, cell_space, convolutions, 15)

    assert all(PARENT not in trial.system_attrs for trial in study.trials[:7])
    assert all(trial.system_attrs[PARENT] > 1 for trial in study.trials[7:])


def test_one_sampler_serves_two_studies_like_two_samplers(cell_space: SearchSpace, convolutions: Fitness) -> None:
    def sampler() -> RegularizedEvolutionSampler:
        return RegularizedEvolutionSampler(cell_space, population_size=5, sample_size=3, seed=0)

    shared, storage = sampler(), optuna.storages.InMemoryStorage()
    together = [
        optuna.create_study(sampler=shared, storage=storage, direction=direction)
        for direction in ("maximize", "minimize")
    ]
    apart = [make_study(sampler(), direction) for direction in ("maximize", "minimize")]
    for _ in range(20):
        for study in together:
            search(study, cell_space, convolutions, 1)
    for study in apart:
        search(study, cell_space, convolutions, 20)

    assert [architectures(s, cell_space) for s in together] == [architectures(s, cell_space) for s in apart]


def test_a_pickled_sampler_goes_on_where_it_stopped(cell_space: SearchSpace, convolutions: Fitness) -> None:
    sampler = RegularizedEvolutionSampler(cell_space, population_size=5, sample_size=3, seed=0)
    whole = search(make_study(sampler), cell_space, convolutions, 20)
    broken = search(make_study(sampler), cell_space, convolutions, 10)

    broken.sampler = pickle.loads(pickle.dumps(sampler))
    search(broken, cell_space, convolutions, 10)

    assert architectures(broken, cell_space) == architectures(whole, cell_space)


def test_without_a_seed_two_searches_differ(cell_space: SearchSpace, convolutions: Fitness) -> None:
    studies = [
        search(make_study(RegularizedEvolutionSampler(cell_space)), cell_space, convolutions, 5) for _ in range(2)
    ]

    assert architectures(studies[0], cell_space) != architectures(studies[1], cell_space)


def test_four_threads_share_a_sampler_without_repeating(cell_space: SearchSpace, convolutions: Fitness) -> None:
    sampler = RegularizedEvolutionSampler(cell_space, population_size=10, sample_size=5, seed=0)

    study = search(make_study(sampler), cell_space, convolutions, 100, n_jobs=4)

    assert len(set(architectures(study, cell_space))) == 100
    assert sum(PARENT in trial.system_attrs for trial in study.trials) >= 85


def test_the_brackets_of_hyperband_are_populations_of_their_own(cell_space: SearchSpace, convolutions: Fitness) -> None:
    pruner = optuna.pruners.HyperbandPruner(min_resource=1, max_resource=9)
    sampler = RegularizedEvolutionSampler(cell_space, population_size=4, sample_size=2, seed=0)
    study = optuna.create_study(sampler=sampler, pruner=pruner, direction="maximize", study_name="hyperband")

    search(study, cell_space, convolutions, 40)

    children = [trial for trial in study.trials if PARENT in trial.system_attrs]
    assert len(children) > 20
    for trial in children:
        parent = study.trials[trial.system_attrs[PARENT]]
        assert pruner._get_bracket_id(study, trial) == pruner._get_bracket_id(study, parent)


def test_several_objectives_are_refused(cell_space: SearchSpace) -> None:
    sampler = RegularizedEvolutionSampler(cell_space)
    study = optuna.create_study(sampler=sampler, directions=["maximize", "minimize"])

    with pytest.raises(StudyError, match="has one objective, and the study has 2. Create the study with a single"):
        cell_space.suggest(study.ask())


def test_a_parameter_of_the_space_with_another_range_is_refused() -> None:
    space = SearchSpace({"lr": Float(0.1, 0.2)})
    study = make_study(RegularizedEvolutionSampler(space, seed=0))

    with pytest.raises(StudyError, match="`lr` is a parameter of the sampler's space, Float"):
        study.ask().suggest_float("lr", 5.0, 6.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sample_size": 0}, "`sample_size` is 0"),
        ({"population_size": 5, "sample_size": 6}, "`sample_size` is 6 and `population_size` 5"),
        ({"crossover_probability": 1.5}, "`crossover_probability` is 1.5"),
        ({"seed": -1}, "`seed` is -1"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments: dict[str, int], message: str, cell_space: SearchSpace) -> None:
    with pytest.raises(SamplerError, match=message):
        RegularizedEvolutionSampler(cell_space, **arguments)  # type: ignore[arg-type]


def _suggested(study: Study, space: SearchSpace) -> optuna.Trial:
    trial = study.ask()
    space.suggest(trial)
    return trial
