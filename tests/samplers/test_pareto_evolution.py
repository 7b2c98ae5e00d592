"""The sampler in a study."""

from __future__ import annotations

import json
import math
import pickle
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import optuna
import pytest
from numpy.random import default_rng
from optuna.samplers import NSGAIISampler
from optuna.study import Study
from optuna.trial import TrialState

from nas_tune.errors import SamplerError
from nas_tune.predictors.hypervolume import hypervolume
from nas_tune.samplers.pareto_evolution import ParetoEvolutionSampler
from nas_tune.space import Architecture, Categorical, SearchSpace, Value

GOLDEN = Path(__file__).parent / "golden" / "pareto_evolution.json"
PARENT = "ParetoEvolution:parent"
COSTS = {"none": 0, "skip_connect": 0, "nor_conv_1x1": 1, "nor_conv_3x3": 9, "avg_pool_3x3": 1}
Direction = Literal["maximize", "minimize"]
Objectives = Callable[[Mapping[str, Value]], Sequence[float]]


def strength_and_cost(architecture: Mapping[str, Value]) -> tuple[float, float]:
    """Convolutions are strong and expensive; on the front, the cheaper ones of equal strength."""
    strength = {"nor_conv_3x3": 3.0, "nor_conv_1x1": 1.5, "avg_pool_3x3": 0.5}
    early = sum(strength.get(str(op), 0.0) / (i + 1) for i, op in enumerate(architecture.values()))
    return early, float(sum(COSTS[str(op)] for op in architecture.values()))


def make_study(space: SearchSpace, size: int = 10, seed: int | None = 0, objectives: int = 2) -> Study:
    directions: list[Direction] = ["maximize", "minimize", "maximize"]
    return optuna.create_study(
        sampler=ParetoEvolutionSampler(space, population_size=size, seed=seed),
        directions=directions[:objectives],
    )


def search(study: Study, space: SearchSpace, objectives: Objectives, trials: int, n_jobs: int = 1) -> Study:
    study.optimize(lambda trial: objectives(space.suggest(trial)), n_trials=trials, n_jobs=n_jobs)
    return study


def golden_study(space: SearchSpace) -> Study:
    return search(make_study(space), space, strength_and_cost, 30)


def architectures(study: Study, space: SearchSpace) -> list[Architecture]:
    return [space.architecture(trial.params) for trial in study.trials]


def suggested(study: Study, space: SearchSpace) -> optuna.Trial:
    trial = study.ask()
    space.suggest(trial)
    return trial


def volume(study: Study) -> float:
    found = [(trial.values[0], -trial.values[1]) for trial in study.trials if trial.values]
    return hypervolume(found, [0.0, -60.0])


@pytest.mark.slow
def test_the_front_is_found_sooner_than_nsga2_finds_it(cell_space: SearchSpace) -> None:
    ours, theirs = [], []
    for seed in range(4):
        ours.append(volume(search(make_study(cell_space, 20, seed), cell_space, strength_and_cost, 100)))
        rival = NSGAIISampler(population_size=20, seed=seed)
        study = optuna.create_study(sampler=rival, directions=["maximize", "minimize"])
        theirs.append(volume(search(study, cell_space, strength_and_cost, 100)))

    every = [(value, -cost) for value, cost in map(strength_and_cost, cell_space.enumerate())]
    assert np.mean(theirs) < np.mean(ours) <= hypervolume(every, [0.0, -60.0])


def test_a_search_repeats_the_golden_run(cell_space: SearchSpace) -> None:
    found = [",".join(map(str, a.values())) for a in architectures(golden_study(cell_space), cell_space)]

    assert found == json.loads(GOLDEN.read_text())


def test_parents_are_the_survivors_of_all_trials_before(cell_space: SearchSpace) -> None:
    trials = search(make_study(cell_space, size=6), cell_space, strength_and_cost, 60).trials

    assert all(PARENT not in trial.system_attrs for trial in trials[:6])
    for trial in trials[6:]:
        parent, before = trials[trial.system_attrs[PARENT]], trials[: trial.number]
        better = [
            other
            for other in before
            if other.values[0] >= parent.values[0] and other.values[1] <= parent.values[1]
            if other.values != parent.values
        ]
        assert len(better) < 6


def test_any_process_goes_on_where_another_has_stopped(cell_space: SearchSpace) -> None:
    whole = search(make_study(cell_space), cell_space, strength_and_cost, 60)
    broken = search(make_study(cell_space), cell_space, strength_and_cost, 30)

    broken.sampler = ParetoEvolutionSampler(cell_space, population_size=10, seed=0)
    search(broken, cell_space, strength_and_cost, 15)
    broken.sampler = pickle.loads(pickle.dumps(broken.sampler))
    search(broken, cell_space, strength_and_cost, 15)

    assert architectures(broken, cell_space) == architectures(whole, cell_space)


def test_trials_that_end_in_another_order_make_the_same_population(cell_space: SearchSpace) -> None:
    def proposal(order: Sequence[int]) -> tuple[Mapping[str, Value], object]:
        study = make_study(cell_space, size=5)
        for seed in range(30):
            study.enqueue_trial(dict(cell_space.sample(default_rng(seed))))
        trials = [suggested(study, cell_space) for _ in range(30)]
        for i in order:
            study.tell(trials[i], strength_and_cost(cell_space.architecture(trials[i].params)))
        found = suggested(study, cell_space)
        return found.params, study.trials[-1].system_attrs[PARENT]

    assert proposal(range(30)) == proposal(default_rng(1).permutation(30).tolist())


def test_with_one_objective_the_parents_are_the_best_by_value(cell_space: SearchSpace) -> None:
    study = make_study(cell_space, size=5, objectives=1)
    study.optimize(lambda trial: strength_and_cost(cell_space.suggest(trial))[0], n_trials=60)

    trials = study.trials
    for trial in trials[5:]:
        values = sorted(t.values[0] for t in trials[: trial.number])
        assert trials[trial.system_attrs[PARENT]].values[0] >= values[-5]
    assert study.best_value > 7


def test_three_objectives_are_searched(cell_space: SearchSpace) -> None:
    def objectives(architecture: Mapping[str, Value]) -> tuple[float, ...]:
        return *strength_and_cost(architecture), float(list(architecture.values()).count("skip_connect"))

    study = search(make_study(cell_space, objectives=3), cell_space, objectives, 60)

    assert max(trial.values[2] for trial in study.trials) >= 4
    assert len(set(architectures(study, cell_space))) == 60


def test_feasible_trials_are_parents_before_all_others(cell_space: SearchSpace) -> None:
    study = make_study(cell_space, size=5)

    def objective(trial: optuna.Trial) -> tuple[float, float]:
        value, cost = strength_and_cost(cell_space.suggest(trial))
        trial.set_constraint("cost", cost - 12.0)
        return value, cost

    study.optimize(objective, n_trials=80)

    excess = [max(trial.values[1] - 12.0, 0.0) for trial in study.trials]
    for trial in study.trials[5:]:
        assert excess[trial.system_attrs[PARENT]] <= sorted(excess[: trial.number])[4]
    assert np.mean([e == 0.0 for e in excess[40:]]) > np.mean([e == 0.0 for e in excess[:5]])


def test_with_several_threads_no_network_is_tried_twice(cell_space: SearchSpace) -> None:
    study = search(make_study(cell_space), cell_space, strength_and_cost, 100, n_jobs=4)

    assert len(set(architectures(study, cell_space))) == 100
    assert sum(PARENT in trial.system_attrs for trial in study.trials) >= 85


def test_failed_and_pruned_trials_have_no_children(cell_space: SearchSpace) -> None:
    study = make_study(cell_space, size=5)

    def objective(trial: optuna.Trial) -> tuple[float, float]:
        values = strength_and_cost(cell_space.suggest(trial))
        if trial.number % 3 == 1:
            raise optuna.TrialPruned
        return (math.nan, 0.0) if trial.number % 3 == 2 else values

    study.optimize(objective, n_trials=40)

    parents = {trial.system_attrs.get(PARENT) for trial in study.trials} - {None}
    assert parents and all(int(str(parent)) % 3 == 0 for parent in parents)


def test_infinite_values_are_ranked(cell_space: SearchSpace) -> None:
    values = [(math.inf, 0.0), (-math.inf, math.inf), (0.0, 1.0)]
    study = make_study(cell_space, size=3)
    search(study, cell_space, lambda a: values.pop() if values else (-1.0, 2.0), 20)

    parents = [trial.system_attrs[PARENT] for trial in study.trials[3:]]
    assert parents.count(2) > len(parents) / 3


def test_enqueued_architectures_are_tried_and_bred_from(joint_space: SearchSpace) -> None:
    fixed = {"op": "conv", "op.conv.kernel": 7, "blocks.length": 2}
    study = make_study(joint_space, size=2)
    study.enqueue_trial(fixed)
    search(study, joint_space, lambda a: (9.0, 0.0) if a.get("op.conv.kernel") == 7 else (0.0, 9.0), 8)

    assert fixed.items() <= study.trials[0].params.items()
    assert study.trials[2].system_attrs[PARENT] == 0
    for trial in study.trials:
        assert set(trial.params) == set(joint_space.distributions(joint_space.architecture(trial.params)))


@pytest.mark.slow
def test_with_permuted_rewards_it_is_random_search() -> None:
    space = SearchSpace({f"edge_{i}": Categorical(*range(4)) for i in range(5)})
    cells, budget, found = list(space.enumerate()), 40, []
    for seed in range(30):
        ranks = dict(zip(cells, (default_rng(seed).permutation(len(cells)) + 1).tolist(), strict=True))
        sampler = ParetoEvolutionSampler(space, population_size=10, seed=seed)
        study = optuna.create_study(sampler=sampler)
        study.optimize(lambda trial, ranks=ranks: ranks[space.suggest(trial)], n_trials=budget)  # type: ignore[misc]
        found.append(study.best_value)

    # the best of n drawn without replacement from N has the mean rank (N + 1) / (n + 1)
    expected = (len(cells) + 1) / (budget + 1)
    assert abs(np.mean(found) - expected) < 2 * np.std(found, ddof=1) / np.sqrt(len(found))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sample_size": 0}, "`sample_size` is 0"),
        ({"population_size": 1}, "`sample_size` is 2 and `population_size` 1"),
        ({"crossover_probability": -0.1}, "`crossover_probability` is -0.1"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments: dict[str, int], message: str, cell_space: SearchSpace) -> None:
    with pytest.raises(SamplerError, match=message):
        ParetoEvolutionSampler(cell_space, **arguments)  # type: ignore[arg-type]


def test_failed_trials_may_be_tried_again() -> None:
    space = SearchSpace({"a": Categorical(0, 1)})
    study = make_study(space, size=2)
    for a in (0, 1):
        study.enqueue_trial({"a": a})
        study.tell(suggested(study, space), state=TrialState.FAIL)

    assert {suggested(study, space).params["a"] for _ in range(2)} == {0, 1}
