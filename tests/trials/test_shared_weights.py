"""Scores by shared weights: one call for a batch, honest attributes, broken scorers reported."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import optuna
import pytest

from nas_tune.costs import profile
from nas_tune.errors import DivergedError, InfeasibleError, TaskError
from nas_tune.space import Architecture, Float, SearchSpace
from nas_tune.trials import Recipe, SharedWeights
from tests.trials.networks import Chain, images

SPACE = Chain()
SCORES = {"conv3": 0.9, "conv1": 0.7, "skip": 0.5}


class Table:
    """A scorer that knows every accuracy and remembers its calls."""

    def __init__(self) -> None:
        self.calls: list[int] = []

    def evaluate(self, architectures: Sequence[Architecture], recipes: Sequence[Recipe] | None = None) -> list[float]:
        self.calls.append(len(architectures))
        return [SCORES[str(architecture["block"])] for architecture in architectures]


class Constant:
    """A scorer with one answer."""

    def __init__(self, *answer: float) -> None:
        self.answer = answer

    def evaluate(
        self, architectures: Sequence[Architecture], recipes: Sequence[Recipe] | None = None
    ) -> tuple[float, ...]:
        return self.answer


def test_architectures_are_scored_in_one_call() -> None:
    table = Table()
    architectures = list(SPACE.enumerate())

    scores = SharedWeights(table).score_many(SPACE, architectures)

    assert tuple(SCORES[str(architecture["block"])] for architecture in architectures) == scores
    assert [3] == table.calls


def test_no_architectures_need_no_call() -> None:
    table = Table()

    assert () == SharedWeights(table).score_many(SPACE, [])
    assert [] == table.calls


def test_a_joint_architecture_is_scored_by_its_network() -> None:
    space = SearchSpace({"net": SPACE, "training": Recipe.search_space()})
    joint = space.sample(np.random.default_rng(0))

    assert SCORES[str(joint["net.block"])] == SharedWeights(Table()).score(space, joint)


def test_a_trial_records_evaluation_and_costs() -> None:
    study = optuna.create_study(direction="maximize")
    task = images()
    evaluation = SharedWeights(Table(), task)
    trials = [study.ask(), study.ask()]
    architectures = [SPACE.suggest(trial) for trial in trials]

    evaluation.score_many(SPACE, architectures, trials=trials)

    for trial, architecture in zip(study.trials, architectures, strict=True):
        cost = profile(SPACE.build(architecture), task.input_shape)
        attributes = dict(trial.user_attrs)
        assert attributes.pop("seconds") >= 0
        expected = {"evaluation": "shared-weights", "epochs": 0, "parameters": cost.parameters, "macs": cost.macs}
        assert expected == attributes


def test_without_a_task_costs_are_left_out() -> None:
    trial = optuna.trial.FixedTrial({"block": "skip"})

    assert 0.5 == SharedWeights(Table()).score(SPACE, SPACE.suggest(trial), trial=trial)
    assert {"evaluation", "epochs", "seconds"} == set(trial.user_attrs)


class Trained(Table):
    """A scorer that tells its training step, and may be trained while it scores."""

    def __init__(self, *, trained_meanwhile: bool) -> None:
        super().__init__()
        self.step, self._meanwhile = 7, int(trained_meanwhile)

    def state(self) -> Trained:
        return self

    def evaluate(self, architectures: Sequence[Architecture], recipes: Sequence[Recipe] | None = None) -> list[float]:
        self.step += self._meanwhile
        return super().evaluate(architectures, recipes)


@pytest.mark.parametrize(("meanwhile", "expected"), [(False, 7), (True, None)], ids=["still", "trained-meanwhile"])
def test_a_trial_records_the_step_of_the_weights_that_scored_it(meanwhile: bool, expected: int | None) -> None:
    study = optuna.create_study()
    trial = study.ask()
    SharedWeights(Trained(trained_meanwhile=meanwhile)).score(SPACE, SPACE.suggest(trial), trial=trial)

    assert expected == trial.user_attrs.get("supernet_step")


def test_a_score_that_is_not_finite_is_divergence() -> None:
    with pytest.raises(DivergedError, match="score .* as nan"):
        SharedWeights(Constant(float("nan"))).score(SPACE, SPACE.architecture({"block": "skip"}))


def test_a_scorer_with_a_wrong_number_of_answers_is_named() -> None:
    with pytest.raises(TaskError, match="Constant.evaluate returned 2 scores for 1 architectures"):
        SharedWeights(Constant(0.1, 0.2)).score(SPACE, SPACE.architecture({"block": "skip"}))


def test_trials_and_architectures_have_to_match() -> None:
    with pytest.raises(TaskError, match="1 architectures came with 0 trials"):
        SharedWeights(Table()).score_many(SPACE, [SPACE.architecture({"block": "skip"})], trials=[])


class ByLearningRate:
    """A scorer that likes low learning rates; above 0.2 it diverges."""

    def evaluate(self, architectures: Sequence[Architecture], recipes: Sequence[Recipe] | None = None) -> list[float]:
        return [math.nan if recipe.lr > 0.2 else 1.0 - recipe.lr for recipe in recipes or ()]


def test_fine_tuning_gives_the_hyperparameters_of_each_architecture_a_part_in_its_score() -> None:
    space = SearchSpace({"net": SPACE, "training": Recipe.search_space()})
    rng = np.random.default_rng(0)
    architectures = [space.sample(rng) for _ in range(20)]
    rates = [float(str(architecture["training.lr"])) for architecture in architectures]

    scores = SharedWeights(ByLearningRate(), fine_tune=Recipe(epochs=1)).score_many(space, architectures)

    np.testing.assert_array_equal([math.nan if lr > 0.2 else 1.0 - lr for lr in rates], scores)
    assert any(map(math.isnan, scores))


def test_a_single_score_that_diverges_is_an_error() -> None:
    space = SearchSpace({"net": SPACE, "lr": Float(0.3, 0.4)})
    architecture = space.sample(np.random.default_rng(0))

    with pytest.raises(DivergedError, match="lower its learning rate"):
        SharedWeights(ByLearningRate(), fine_tune=Recipe(epochs=1)).score(space, architecture)


class Narrow:
    """A scorer whose memory has no room for the block of kernel 3; with recipes, low learning rates are nan."""

    def evaluate(self, architectures: Sequence[Architecture], recipes: Sequence[Recipe] | None = None) -> list[float]:
        if len(architectures) == 1 and architectures[0]["block"] == "conv3":
            raise InfeasibleError("The block does not fit into memory.")
        scores = [SCORES[str(architecture["block"])] for architecture in architectures]
        blind = [recipe.lr < 0.01 for recipe in recipes or ()] or [False] * len(scores)
        return [math.nan if score == 0.9 or nan else score for score, nan in zip(scores, blind, strict=True)]


def test_a_trial_that_does_not_fit_is_pruned_and_counts_as_infeasible() -> None:
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler())
    for block in ("skip", "conv3", "conv1"):
        study.enqueue_trial({"block": block})

    evaluation = SharedWeights(Narrow())
    study.optimize(lambda trial: evaluation.score(SPACE, SPACE.suggest(trial), trial=trial), n_trials=3)

    assert ["COMPLETE", "PRUNED", "COMPLETE"] == [trial.state.name for trial in study.trials]
    assert [{}, {"a score fits into memory": 1.0}, {}] == [trial.constraints for trial in study.trials]
    assert 0.7 == study.best_value


def test_without_a_trial_what_does_not_fit_is_an_error() -> None:
    with pytest.raises(InfeasibleError, match="does not fit"):
        SharedWeights(Narrow()).score(SPACE, SPACE.architecture({"block": "conv3"}))


def test_of_several_only_what_does_not_fit_is_recorded_as_infeasible() -> None:
    study = optuna.create_study(direction="maximize")
    trials = [study.ask({"block": optuna.distributions.CategoricalDistribution(list(SCORES))}) for _ in range(3)]
    architectures = [SPACE.architecture({"block": block}) for block in ("conv1", "conv3", "skip")]
    recipe = Recipe(epochs=1, lr=0.001)

    scores = SharedWeights(Narrow()).score_many(SPACE, architectures, trials=trials)
    diverged = SharedWeights(Narrow(), fine_tune=recipe).score_many(SPACE, architectures[::2])

    np.testing.assert_array_equal([0.7, math.nan, 0.5], scores)
    assert [0, 1, 0] == [len(trial.constraints) for trial in study.trials]
    assert all(map(math.isnan, diverged))
