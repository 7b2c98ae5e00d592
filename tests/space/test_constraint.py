"""Constraints as a study records them, and as Optuna's samplers use them."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from nas_tune.errors import SpaceError
from nas_tune.space import Architecture, Categorical, Measure, Repeat, SearchSpace, Switch
from nas_tune.space.constraint import record

LAYERS, WIDTHS = 8, (1, 2, 4, 8)


def total(architecture: Architecture) -> float:
    return sum(value for value in architecture.values() if isinstance(value, int))


TOTAL = Measure("total", total)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield
    optuna.logging.set_verbosity(level)


def layers() -> SearchSpace:
    """About 1 % of the 65,536 networks have a total width of at most 14."""
    return SearchSpace({f"layer_{i}": Categorical(*WIDTHS) for i in range(LAYERS)})


def test_a_trial_holds_the_greatest_excess_of_a_reason_and_0_for_what_is_inactive() -> None:
    trial = optuna.create_study().ask()

    record(trial, ["small", "odd", "small", "elsewhere"], [("small", -0.5), ("odd", 1.0), ("small", 0.25)])

    assert trial.constraints == {"small": 0.25, "odd": 1.0, "elsewhere": 0.0}


def test_evaluating_the_best_trial_again_warns_of_nothing() -> None:
    space = SearchSpace({"op": Categorical("a", "b")}).where(lambda a: True, "anything")
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(lambda trial: len(space.suggest(trial)), n_trials=2)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert space.suggest(study.best_trial) == space.architecture(study.best_params)


def test_infeasible_trials_are_pruned_and_the_study_goes_on() -> None:
    even = SearchSpace({"k": Categorical(1, 2, 3)}).where(lambda a: a["k"] == 2, "even kernel")
    space = SearchSpace({"op": Switch({"conv": even})})
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))

    study.optimize(lambda trial: len(space.suggest(trial)), n_trials=12)

    for trial in study.trials:
        met = trial.params["op.conv.k"] == 2
        assert trial.state == (TrialState.COMPLETE if met else TrialState.PRUNED)
        assert trial.constraints == {"even kernel": 0.0 if met else 1.0}


def test_a_condition_is_recorded_by_how_far_it_is_met_or_missed() -> None:
    space = layers().where(TOTAL <= 14).where(lambda a: a["layer_0"] != 8, "narrow first layer")
    trial = optuna.create_study().ask()
    fixed = optuna.trial.FixedTrial({f"layer_{i}": 1 for i in range(LAYERS)})

    space.define_by_run()(trial)
    space.suggest(fixed)

    assert trial.constraints["total <= 14"] == (sum(trial.params.values()) - 14) / 14
    assert fixed.constraints == {"total <= 14": (8 - 14) / 14, "narrow first layer": 0.0}


def test_a_condition_on_a_nested_space_is_of_its_own_names() -> None:
    cell = SearchSpace({"a": Categorical(1, 2, 4), "b": Categorical(1, 2, 4)}).where(TOTAL <= 3)
    space = SearchSpace({"cell": cell, "blocks": Repeat(cell, 1, 2), "batch": Categorical(100, 200)})

    for values in space.enumerate():
        sums = [int(str(values[f"{name}.a"])) + int(str(values[f"{name}.b"])) for name in ("cell", "blocks.0")]
        assert max(sums) <= 3
    assert space.size() == 2 * 3 * (3 + 9)


def test_the_worst_copy_of_a_constrained_part_is_recorded_under_a_prefix_too() -> None:
    cell = SearchSpace({"width": Categorical(*WIDTHS)}).where(TOTAL <= 2)
    space = SearchSpace({"blocks": Repeat(cell, 3, 3)})
    widths = {f"net.blocks.{i}.width": width for i, width in enumerate((1, 8, 4))}
    trial = optuna.trial.FixedTrial(widths)

    with pytest.raises(optuna.TrialPruned, match="Infeasible architecture: total <= 2"):
        space.suggest(trial, prefix="net.")

    assert trial.constraints == {"total <= 2": 3.0}


def test_a_plain_function_without_a_reason_is_refused() -> None:
    with pytest.raises(SpaceError, match="where: a plain function needs a `reason`"):
        layers().where(lambda a: True)


def test_a_reason_of_ones_own_stands_for_that_of_a_condition() -> None:
    assert list(layers().where(TOTAL <= 14, "fits the chip").reasons()) == ["fits the chip"]


BOUND = layers().where(TOTAL <= 14)
PLAIN = layers().where(lambda a: total(a) <= 14, "total of at most 14")


class Training:
    """An objective that notes what it trains; infeasible proposals are pruned, or complete with a value."""

    def __init__(self, space: SearchSpace, infeasible: float | None) -> None:
        self.space, self.infeasible = space, infeasible
        self.trained: list[float] = []

    def __call__(self, trial: optuna.Trial) -> float:
        try:
            architecture = self.space.suggest(trial)
        except optuna.TrialPruned:
            if self.infeasible is None:
                raise
            return self.infeasible
        self.trained.append(total(architecture))
        return -float(total(architecture))


def feasible_share(
    samplers: Iterable[optuna.samplers.BaseSampler],
    trials: int,
    space: SearchSpace = BOUND,
    infeasible: float | None = None,
) -> float:
    """Return the mean share of feasible trials over studies; asserts that no other was trained."""
    feasible = 0
    studies = 0
    for sampler in samplers:
        training = Training(space, infeasible)
        study = optuna.create_study(sampler=sampler)
        study.optimize(training, n_trials=trials)
        assert max(training.trained, default=0) <= 14
        assert len(training.trained) == sum(max(trial.constraints.values()) <= 0 for trial in study.trials)
        feasible += len(training.trained)
        studies += 1
    return feasible / (studies * trials)


def random_samplers() -> list[optuna.samplers.RandomSampler]:
    return [optuna.samplers.RandomSampler(seed=seed) for seed in range(3)]


def genetic_samplers() -> list[optuna.samplers.NSGAIISampler]:
    return [optuna.samplers.NSGAIISampler(population_size=20, seed=seed) for seed in range(3)]


@pytest.mark.slow
def test_tpe_learns_from_pruned_trials_how_infeasible_they_were_and_nothing_infeasible_is_trained() -> None:
    tpe = [optuna.samplers.TPESampler(seed=seed) for seed in range(3)]

    assert feasible_share(random_samplers(), 150) < 0.05
    assert feasible_share(tpe, 150) > 0.15


@pytest.mark.slow
def test_nsga_ii_descends_by_the_excess_when_infeasible_trials_complete_with_the_worst_value() -> None:
    random = feasible_share(random_samplers(), 400, infeasible=math.inf)
    by_excess = feasible_share(genetic_samplers(), 400, infeasible=math.inf)
    by_yes_or_no = feasible_share(genetic_samplers(), 400, PLAIN, infeasible=math.inf)

    assert random < 0.05
    assert by_excess > by_yes_or_no > random


def test_a_space_of_which_a_fiftieth_is_feasible_is_sampled_uniformly() -> None:
    whole = SearchSpace({f"layer_{i}": Categorical(*WIDTHS) for i in range(4)})
    space = whole.where(TOTAL <= 5)
    rng = np.random.default_rng(0)
    feasible = list(space.enumerate())

    drawn = Counter(space.sample(rng) for _ in range(50 * len(feasible)))

    assert len(feasible) / whole.size() == 5 / 4**4
    assert set(drawn) == set(feasible)
    assert max(abs(count - 50) for count in drawn.values()) < 4 * math.sqrt(50)
