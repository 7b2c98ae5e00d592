"""Searches of a trained super-net as Optuna studies: evolution in a window of cost, Pareto evolution, a predictor."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import optuna
import pytest
import torch

from nas_tune.analysis import kendall_tau, study_pareto_table
from nas_tune.predictors import RandomForest
from nas_tune.samplers import ParetoEvolutionSampler, RegularizedEvolutionSampler
from nas_tune.search_spaces import NASBench201
from nas_tune.space import Architecture
from nas_tune.supernet import Judge, Plan, SuperNet, SuperNetRecipe, SuperNetTrainer
from nas_tune.trials import Recipe, SharedWeights, tasks

SPACE = NASBench201(channels=4, cells_per_stage=1, in_channels=1)
TASK = tasks.digits()
MACS = SPACE.cost(TASK.input_shape).macs
pytestmark = pytest.mark.slow


class InThisProcess:
    """A trained super-net that scores architectures."""

    def __init__(self, supernet: SuperNet) -> None:
        self.supernet = supernet
        self.judge = Judge(TASK.train.inputs[:256], TASK.validation.inputs, TASK.validation.labels)

    def evaluate(
        self, architectures: Sequence[Architecture], recipes: Sequence[Recipe] | None = None
    ) -> tuple[float, ...]:
        return self.judge.accuracies(self.supernet, architectures)


@pytest.fixture(scope="module")
def scoring() -> SharedWeights:
    torch.manual_seed(0)
    trainer = SuperNetTrainer(
        SPACE.supernet(), TASK.train.inputs, TASK.train.labels, recipe=SuperNetRecipe(batch_size=64, lr=0.1)
    )
    trainer.plan = Plan(0, 300)
    for _ in range(300):
        trainer.step()
    return SharedWeights(InThisProcess(trainer.supernet))


def test_evolution_stays_within_a_window_of_cost_and_beats_the_average_of_it(scoring: SharedWeights) -> None:
    costs = [MACS(SPACE.sample(np.random.default_rng(seed))) for seed in range(100)]
    low, high = np.quantile(costs, [0.3, 0.7])
    window = SPACE.where(MACS >= float(low)).where(MACS <= float(high))
    study = optuna.create_study(direction="maximize", sampler=RegularizedEvolutionSampler(window, seed=0))
    study.optimize(lambda trial: scoring.score(window, window.suggest(trial), trial=trial), n_trials=60)
    found = [window.architecture(trial.params) for trial in study.trials]
    rng = np.random.default_rng(1)
    drawn = scoring.score_many(window, [window.sample(rng) for _ in range(40)])

    assert all(low <= MACS(architecture) <= high for architecture in found)
    assert study.best_value > np.quantile(drawn, 0.9)


def test_a_pareto_search_fills_a_table_without_dominated_entries(scoring: SharedWeights) -> None:
    sampler = ParetoEvolutionSampler(SPACE, seed=0)
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)

    def objective(trial: optuna.Trial) -> tuple[float, float]:
        architecture = SPACE.suggest(trial)
        macs = MACS(architecture)
        trial.set_user_attr("macs", macs)
        return scoring.score(SPACE, architecture, trial=trial), macs

    study.optimize(objective, n_trials=60)
    table = study_pareto_table(study, SPACE, width=3e3)

    assert len(table) > 1
    assert len({entry.bin for entry in table}) == len(table)
    for entry in table:
        better = [other for other in table if other.cost <= entry.cost and other.score >= entry.score]
        assert [entry] == better
    assert max(trial.values[0] for trial in study.trials) == table[-1].score


def test_a_predictor_learns_the_scores_of_a_super_net(scoring: SharedWeights) -> None:
    rng = np.random.default_rng(0)
    drawn = list(dict.fromkeys(SPACE.sample(rng) for _ in range(250)))
    scores = scoring.score_many(SPACE, drawn)
    predicted = RandomForest(SPACE).fit(drawn[:150], scores[:150]).predict(drawn[150:]).mean

    assert kendall_tau(predicted, scores[150:]) > 0.4
