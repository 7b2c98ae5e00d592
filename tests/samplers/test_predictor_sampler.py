"""The sampler in a study: what it learns there."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence

import numpy as np
import optuna
import pytest
from numpy.random import Generator, default_rng
from numpy.typing import NDArray
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import Study
from optuna.trial import TrialState

from nas_tune.errors import SamplerError, StudyError
from nas_tune.predictors.gaussian_process import GaussianProcess
from nas_tune.predictors.hypervolume import hypervolume
from nas_tune.predictors.predictor import Prediction
from nas_tune.predictors.zero_cost.candidate_filter import ScoreFilter
from nas_tune.samplers import PredictorSampler
from nas_tune.space import Architecture, Categorical, Integer, SearchSpace, Value
from tests.samplers.roster import Fitness, NearestNeighbour, make_study, search

WEIGHTS = (1.0, 2.0, 3.0, 1.5, 2.5, 0.5)
OPERATIONS = {"none": -1.0, "skip_connect": 0.2, "nor_conv_1x1": 0.5, "nor_conv_3x3": 1.0, "avg_pool_3x3": 0.0}
BEST = sum(WEIGHTS)  # of all 15,625 cells


def accuracy(architecture: Mapping[str, Value]) -> float:
    return sum(w * OPERATIONS[str(v)] for w, v in zip(WEIGHTS, architecture.values(), strict=True))


def cost(architecture: Mapping[str, Value]) -> float:
    return float(sum(str(v).startswith("nor_conv") * (1 + 2 * str(v).endswith("3x3")) for v in architecture.values()))


def found(sampler: PredictorSampler, space: SearchSpace, trials: int, fitness: Fitness = accuracy) -> Study:
    return search(make_study(sampler), space, fitness, trials)


def random_best(space: SearchSpace, trials: int) -> float:
    """Return what so many random cells reach on average."""
    rng = default_rng(0)
    return float(np.mean([max(accuracy(space.sample(rng)) for _ in range(trials)) for _ in range(50)]))


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"acquisition": "ei"},
        {"acquisition": "ucb"},
        {"acquisition": "its"},
        {"acquisition": "thompson"},
    ],
    ids=["default", "ei", "ucb", "its", "thompson"],
)
def test_it_finds_in_thirty_trials_what_random_search_does_not(
    arguments: Mapping[str, str], cell_space: SearchSpace
) -> None:
    sampler = PredictorSampler(cell_space, seed=0, **arguments)  # type: ignore[arg-type]

    study = found(sampler, cell_space, 30)

    by_chance = random_best(cell_space, 30)
    assert study.best_value > by_chance + 0.4 * (BEST - by_chance)


def test_a_users_own_predictor_beats_random_search(cell_space: SearchSpace) -> None:
    sampler = PredictorSampler(cell_space, predictor=NearestNeighbour(), seed=0)

    assert found(sampler, cell_space, 40).best_value > random_best(cell_space, 40) + 1.0


def test_the_default_finds_the_best_cell(cell_space: SearchSpace) -> None:
    assert found(PredictorSampler(cell_space, seed=1), cell_space, 35).best_value == BEST


def test_a_users_acquisition_is_maximised(cell_space: SearchSpace) -> None:
    def expectation(prediction: Prediction, best: float, rng: Generator) -> NDArray[np.float64]:
        return prediction.mean

    sampler = PredictorSampler(cell_space, acquisition=expectation, seed=0)

    assert found(sampler, cell_space, 30).best_value > 0.8 * BEST


def test_one_very_bad_network_does_not_bend_the_model(cell_space: SearchSpace) -> None:
    def outlying(architecture: Mapping[str, Value]) -> float:
        return accuracy(architecture) - 1e6 * (architecture["edge_0_1"] == "none")

    assert found(PredictorSampler(cell_space, seed=0), cell_space, 30, outlying).best_value > 0.8 * BEST


@pytest.mark.slow
def test_a_region_that_always_fails_is_left(cell_space: SearchSpace) -> None:
    def objective(trial: optuna.Trial) -> float:
        architecture = cell_space.suggest(trial)
        if architecture["edge_1_2"] == "nor_conv_3x3":  # where the best would be
            raise MemoryError
        return accuracy(architecture)

    study = make_study(PredictorSampler(cell_space, seed=0))
    study.optimize(objective, n_trials=45, catch=MemoryError)

    failed = [trial.number for trial in study.trials if trial.state == TrialState.FAIL]
    assert 0 < len(failed) <= 15
    assert sum(number >= 25 for number in failed) <= 4
    assert study.best_value > BEST - 3.5  # 3.0 - 1.5 are lost there


@pytest.mark.slow
def test_a_single_failure_is_forgiven(cell_space: SearchSpace) -> None:
    failed: list[Architecture] = []

    def objective(trial: optuna.Trial) -> float:
        architecture = cell_space.suggest(trial)
        if not failed and accuracy(architecture) > 0.5 * BEST:
            failed.append(architecture)
            raise MemoryError
        return accuracy(architecture)

    study = make_study(PredictorSampler(cell_space, seed=0))
    study.optimize(objective, n_trials=40, catch=MemoryError)

    assert len(failed) == 1
    assert study.best_value > 0.9 * BEST


@pytest.mark.slow
def test_constraints_that_trials_record_are_learned(cell_space: SearchSpace) -> None:
    def objective(trial: optuna.Trial) -> float:
        architecture = cell_space.suggest(trial)
        trial.set_constraint("cost", cost(architecture) - 8.0)
        return accuracy(architecture)

    study = make_study(PredictorSampler(cell_space, seed=0))
    study.optimize(objective, n_trials=40)

    met = [trial.constraints["cost"] <= 0 for trial in study.trials]
    reached = max(trial.value or 0.0 for trial, feasible in zip(study.trials, met, strict=True) if feasible)
    assert sum(met[20:]) >= 12
    best = max(accuracy(a) for a in cell_space.enumerate() if cost(a) <= 8)
    assert reached > 0.9 * best


@pytest.mark.slow
def test_while_everything_is_infeasible_the_feasible_is_looked_for(cell_space: SearchSpace) -> None:
    def objective(trial: optuna.Trial) -> float:
        architecture = cell_space.suggest(trial)
        trial.set_constraint("none", 5.0 - list(architecture.values()).count("none"))  # 1 of 625 cells
        return accuracy(architecture)

    study = make_study(PredictorSampler(cell_space, seed=0))
    study.optimize(objective, n_trials=30)

    assert any(trial.constraints["none"] <= 0 for trial in study.trials)


def test_what_is_pruned_still_teaches(cell_space: SearchSpace) -> None:
    values = []

    def objective(trial: optuna.Trial) -> float:
        value = accuracy(cell_space.suggest(trial))
        values.append(value)
        trial.report(value, step=1)
        if trial.number >= 4 and value < 0.95 * BEST:
            raise optuna.TrialPruned
        return value

    study = make_study(PredictorSampler(cell_space, initial_trials=4, seed=1))
    study.optimize(objective, n_trials=30)

    assert [trial.state for trial in study.trials].count(TrialState.PRUNED) > 20
    assert np.mean(values[-10:]) > 6.5  # 4 if pruned trials are passed over


def test_a_median_pruner_costs_no_quality(cell_space: SearchSpace) -> None:
    rng = default_rng(0)

    def objective(trial: optuna.Trial) -> float:
        value = accuracy(cell_space.suggest(trial))
        for step in range(4):
            trial.report(value + (3 - step) * rng.standard_normal(), step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return value

    pruner = optuna.pruners.MedianPruner(n_startup_trials=5)
    study = optuna.create_study(sampler=PredictorSampler(cell_space, seed=0), pruner=pruner, direction="maximize")
    study.optimize(objective, n_trials=40)

    assert study.best_value > 0.85 * BEST


@pytest.mark.slow
def test_exact_objectives_are_computed_and_not_learned(cell_space: SearchSpace) -> None:
    computed: list[Architecture] = []

    def exact(architecture: Architecture) -> float:
        computed.append(architecture)
        return cost(architecture)

    study = optuna.create_study(
        sampler=PredictorSampler(cell_space, exact={1: exact}, seed=0), directions=["maximize", "minimize"]
    )
    study.optimize(lambda trial: _both(cell_space.suggest(trial)), n_trials=40)

    assert len(computed) > 1_000
    assert _gap(study, cell_space) < 0.4 * _gap(_random_front(cell_space, 40), cell_space)


@pytest.mark.slow
def test_two_learned_objectives_beat_random_search(cell_space: SearchSpace) -> None:
    study = optuna.create_study(sampler=PredictorSampler(cell_space, seed=0), directions=["maximize", "minimize"])
    study.optimize(lambda trial: _both(cell_space.suggest(trial)), n_trials=40)

    assert _gap(study, cell_space) < 0.6 * _gap(_random_front(cell_space, 40), cell_space)


def test_a_filter_chooses_the_random_candidates(cell_space: SearchSpace) -> None:
    def calm(architectures: Sequence[Architecture]) -> list[float]:
        return [float(list(a.values()).count("skip_connect")) for a in architectures]

    study = found(PredictorSampler(cell_space, candidate_filter=ScoreFilter(calm), seed=0), cell_space, 12)

    skips = [list(trial.params.values()).count("skip_connect") for trial in study.trials]
    assert np.mean(skips[:8]) > 2.0  # 1.2 by chance


@pytest.mark.slow
@pytest.mark.parametrize("sign", [1.0, -1.0], ids=["alike", "opposite"])
def test_an_earlier_task_helps_where_it_is_alike_and_does_not_hinder_otherwise(
    sign: float, cell_space: SearchSpace
) -> None:
    earlier = optuna.create_study(sampler=RandomSampler(seed=0), direction="maximize")
    search(earlier, cell_space, lambda a: 100.0 + 7.0 * sign * accuracy(a), 60)

    study = found(PredictorSampler(cell_space, prior=earlier, seed=0), cell_space, 30)

    if sign > 0:
        assert max(trial.value or 0.0 for trial in study.trials[:3]) > 0.8 * BEST
    assert study.best_value > 0.85 * BEST


def test_an_earlier_task_that_was_minimised_is_turned_round(cell_space: SearchSpace) -> None:
    earlier = optuna.create_study(sampler=RandomSampler(seed=0), direction="minimize")
    search(earlier, cell_space, lambda a: -accuracy(a), 60)

    study = found(PredictorSampler(cell_space, prior=[earlier], seed=0), cell_space, 3)

    assert study.best_value > 0.8 * BEST


def test_parallel_trials_look_in_different_places() -> None:
    space = SearchSpace({"a": Integer(0, 20)})

    def deviation(prediction: Prediction, best: float, rng: Generator) -> NDArray[np.float64]:
        return prediction.std

    study = make_study(PredictorSampler(space, acquisition=deviation, initial_trials=1, seed=0))
    for a in (0, 1):
        study.enqueue_trial({"a": a})
    search(study, space, lambda a: float(str(a["a"])), 2)

    first, second, _ = (space.suggest(study.ask())["a"] for _ in range(3))

    assert first == 20
    assert isinstance(second, int) and 5 <= second <= 17


def test_initial_trials_are_random_and_count_those_that_were_enqueued(cell_space: SearchSpace) -> None:
    asked: list[int] = []

    class Asked(GaussianProcess):
        def predict(self, architectures: Sequence[Architecture]) -> Prediction:
            asked.append(len(architectures))
            return super().predict(architectures)

    study = make_study(PredictorSampler(cell_space, predictor=Asked(cell_space), initial_trials=5, seed=0))
    study.enqueue_trial(dict.fromkeys(cell_space.nodes, "none"))
    search(study, cell_space, accuracy, 5)

    assert asked == []
    search(study, cell_space, accuracy, 1)
    assert asked


def test_making_one_loads_no_heavy_library() -> None:
    code = """
import sys
from nas_tune.samplers import PredictorSampler
from nas_tune.space import Categorical, SearchSpace
PredictorSampler(SearchSpace({"a": Categorical(0, 1)}))
print(sorted({"torch", "gpytorch", "sklearn", "scipy"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"predictor": object()}, "`predictor` is <object.*Give an object with `fit` and `predict`"),
        ({"acquisition": "best"}, "`acquisition` is 'best'. Take one of auto, ei, ucb, its, thompson, or a function"),
        ({"acquisition": 3}, "`acquisition` is 3"),
        ({"acquisition": "thompson", "predictor": NearestNeighbour()}, "'thompson' needs a `predictor` that can"),
        ({"initial_trials": 0}, "`initial_trials` is 0. Take a whole number from 1"),
        ({"initial_trials": 2.0}, "`initial_trials` is 2.0"),
        ({"initial_trials": True}, "`initial_trials` is True"),
        ({"exact": [cost]}, "`exact` is .*Give a function for each place"),
        ({"exact": {1: 3.0}}, "`exact.1.` is no function"),
        ({"candidate_filter": 3}, "`candidate_filter` is 3"),
        ({"prior": [3]}, "`prior` holds 3. Give studies"),
        ({"seed": -1}, "PredictorSampler: `seed` is -1"),
    ],
)
def test_arguments_out_of_range_are_refused(
    arguments: Mapping[str, object], message: str, cell_space: SearchSpace
) -> None:
    with pytest.raises(SamplerError, match=message):
        PredictorSampler(cell_space, **arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "objectives", "message"),
    [
        ({"exact": {2: cost}}, 2, "`exact` names objective 2, and the study has 2: 0 to 1"),
        ({"exact": {0: cost}}, 1, "`exact` computes every objective"),
        ({"acquisition": "ei"}, 2, "with 2 objectives `acquisition` is 'auto' or 'thompson'"),
    ],
)
def test_a_study_that_does_not_fit_is_refused(
    arguments: Mapping[str, object], objectives: int, message: str, cell_space: SearchSpace
) -> None:
    sampler: BaseSampler = PredictorSampler(cell_space, **arguments)  # type: ignore[arg-type]
    study = optuna.create_study(sampler=sampler, directions=["maximize"] * objectives)

    with pytest.raises(SamplerError, match=message):
        cell_space.suggest(study.ask())


@pytest.mark.parametrize("kind", ["empty", "another space", "two objectives"])
def test_an_earlier_study_without_trials_of_the_space_is_refused(kind: str, cell_space: SearchSpace) -> None:
    earlier = optuna.create_study(directions=["maximize"] * (2 if kind == "two objectives" else 1), study_name="old")
    if kind == "another space":
        search(earlier, SearchSpace({"a": Categorical(0, 1)}), lambda a: 1.0, 3)

    with pytest.raises(StudyError, match="the study 'old' in `prior` has"):
        PredictorSampler(cell_space, prior=earlier)


def _both(architecture: Architecture) -> tuple[float, float]:
    return accuracy(architecture), cost(architecture)


def _random_front(space: SearchSpace, trials: int) -> Study:
    study = optuna.create_study(sampler=RandomSampler(seed=0), directions=["maximize", "minimize"])
    study.optimize(lambda trial: _both(space.suggest(trial)), n_trials=trials)
    return study


def _gap(study: Study, space: SearchSpace) -> float:
    """Return the volume that the trials miss of that below the whole front, for costs of at most 18."""
    reference = (-BEST, -18.5)
    everything = np.array([_both(architecture) for architecture in space.enumerate()]) * (1.0, -1.0)
    reached = np.array([trial.values for trial in study.trials]) * (1.0, -1.0)
    return hypervolume(everything, reference) - hypervolume(reached, reference)
