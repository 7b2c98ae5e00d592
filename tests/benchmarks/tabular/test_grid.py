from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import optuna
import pytest

from benchmarks.tabular.grid import Grid, GridTable, Schedule
from benchmarks.tabular.table import Direction, Score
from nas_tune.errors import ArchitectureError, UnknownNameError
from nas_tune.space import Architecture, Categorical, Measure, SearchSpace

if TYPE_CHECKING:
    from collections.abc import Iterator

SPACE = SearchSpace({"operation": Categorical("conv", "pool", "skip"), "width": Categorical(16, 64)})
GRID = Grid({"operation": ("conv", "pool", "skip"), "width": (16, 64)})
VALIDATION = np.array([80.0, 91.0, 70.0, 90.0, 60.0, 50.0])
TEST = np.array([82.0, 88.0, 71.0, 89.5, 61.0, 51.0])
SECONDS = np.array([0.0, 100.0, 200.0, 300.0, 400.0, 500.0])
EARLY = np.array([40.0, 30.0, 20.0, 50.0, 10.0, 5.0])


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield
    optuna.logging.set_verbosity(before)


def table(direction: Direction = "maximize", also: Measure | None = None) -> GridTable:
    schedules = {12: Schedule(EARLY, EARLY), 200: Schedule(VALIDATION, TEST)}
    return GridTable("six", SPACE, direction, GRID, schedules, seconds=SECONDS, also=also)


def architecture(operation: str, width: int) -> Architecture:
    return SPACE.architecture({"operation": operation, "width": width})


def test_the_points_of_a_grid_are_numbered_like_the_space_enumerates() -> None:
    places = [GRID.place(found) for found in SPACE.enumerate()]

    assert places == list(range(GRID.size)) == list(range(6))
    assert [SPACE.architecture(GRID.point(place)) for place in places] == list(SPACE.enumerate())


def test_an_architecture_of_another_space_is_refused() -> None:
    with pytest.raises(ArchitectureError, match="`width` is 'missing' .* the values 16, 64"):
        table().evaluate(Architecture({"operation": "conv"}))


def test_a_shorter_training_costs_its_share() -> None:
    assert table().evaluate(architecture("pool", 64)) == Score(90.0, 89.5, 300.0)
    assert table().evaluate(architecture("pool", 64), fidelity=12) == Score(50.0, 50.0, 18.0)


def test_a_training_that_was_not_made_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="no fidelity of 'six' '50'.* Known: 12, 200"):
        table().evaluate(architecture("pool", 64), fidelity=50)


def test_regret_is_against_the_best_test_of_any_architecture() -> None:
    chosen = table().best.architecture

    assert chosen == architecture("conv", 64)
    assert (table().best.validation, table().best.test) == (91.0, 89.5)
    assert (table().validation_regret(chosen), table().regret(chosen)) == (0.0, 1.5)


def test_the_regret_of_an_error_is_the_logarithm_of_its_ratio() -> None:
    errors = table("minimize")

    assert errors.best.architecture == architecture("skip", 64)
    assert errors.validation_regret(architecture("pool", 64)) == pytest.approx(math.log10(90 / 50))


@pytest.mark.parametrize(("direction", "best"), [("maximize", 91.0), ("minimize", 50.0)])
def test_a_study_that_visits_all_finds_the_optimum(direction: Direction, best: float) -> None:
    grid = {name: list(values) for name, values in GRID.values.items()}
    study = optuna.create_study(direction=direction, sampler=optuna.samplers.GridSampler(grid, seed=0))

    study.optimize(table(direction).objective)

    assert (len(study.trials), study.best_value) == (6, best)
    assert SPACE.architecture(study.best_params) == table(direction).best.architecture


def test_lower_fidelities_are_reported_to_the_pruner() -> None:
    six = table()
    study = optuna.create_study(direction="maximize", pruner=optuna.pruners.ThresholdPruner(lower=25.0))
    for operation in ("conv", "skip"):
        study.enqueue_trial({"operation": operation, "width": 16})

    study.optimize(lambda trial: six.objective(trial, report=True), n_trials=2)

    kept, pruned = study.trials
    assert (kept.state.name, kept.value, kept.intermediate_values) == ("COMPLETE", 80.0, {12: 40.0})
    assert (pruned.state.name, pruned.intermediate_values) == ("PRUNED", {12: 10.0})


def test_a_second_objective_is_minimised_and_prunes_where_it_is_not_known() -> None:
    latency = Measure("latency", lambda found: math.nan if found["operation"] == "skip" else float(str(found["width"])))
    two = table(also=latency)
    study = optuna.create_study(directions=two.directions)
    for operation in ("conv", "skip"):
        study.enqueue_trial({"operation": operation, "width": 64})

    study.optimize(two.objective, n_trials=2)

    assert two.directions == ("maximize", "minimize")
    assert study.trials[0].values == [91.0, 64.0]
    assert study.trials[1].state.name == "PRUNED"


def test_two_objectives_cannot_be_reported() -> None:
    two = table(also=Measure("latency", lambda _: 1.0))
    trial = optuna.create_study(directions=two.directions).ask()

    with pytest.raises(ValueError, match="`report` needs a single objective, 'six' has two"):
        two.objective(trial, report=True)
