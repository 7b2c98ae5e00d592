"""Scoring by training: reproducible, honest in the study, prunable, joint with hyperparameters."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Callable

import optuna
import pytest
import torch

from nas_tune.costs import profile
from nas_tune.errors import DivergedError, TaskError, UnknownNameError
from nas_tune.search_spaces import NASBench201
from nas_tune.space import SearchSpace
from nas_tune.trials import EpochResult, FromScratch, Recipe, Split, Task, evaluate, tasks
from nas_tune.trials.randomness import trial_seed
from tests.trials.networks import Chain, images

SPACE = Chain()
CONV = SPACE.architecture({"block": "conv3"})
RECIPE = Recipe(epochs=2, batch_size=32, lr=0.1)
optuna.logging.set_verbosity(optuna.logging.ERROR)


@pytest.fixture(scope="module")
def digits() -> Task:
    """A quarter of the digits."""
    task = tasks.digits()
    part = [Split(s.inputs[::4], s.labels[::4]) for s in (task.train, task.validation, task.test)]
    return Task("digits", part[0], part[1], part[2], 10)


def joint_space() -> SearchSpace:
    return SearchSpace({"net": SPACE, "training": Recipe.search_space()})


def test_the_same_seed_gives_the_same_score(digits: Task) -> None:
    def score(seed: int) -> float:
        return FromScratch(digits, RECIPE, seed=seed, device="cpu").score(SPACE, CONV)

    assert score(0) == score(0)
    assert 0 <= score(0) <= 1


def test_the_global_generator_has_no_say_in_a_score(digits: Task) -> None:
    evaluation = FromScratch(digits, RECIPE, device="cpu")
    torch.manual_seed(1)
    first = evaluation.score(SPACE, CONV)
    torch.manual_seed(2)

    assert first == evaluation.score(SPACE, CONV)


def test_a_trial_records_what_it_did(digits: Task) -> None:
    study = optuna.create_study(direction="maximize")
    evaluation = FromScratch(digits, RECIPE, seed=7, device="cpu")

    study.optimize(lambda trial: evaluation.score(SPACE, SPACE.suggest(trial), trial=trial), n_trials=2)

    for trial in study.trials:
        cost = profile(SPACE.build(SPACE.architecture(trial.params)), digits.input_shape)
        attributes = dict(trial.user_attrs)
        assert 0 < attributes.pop("seconds") < 60
        assert {
            "evaluation": "from-scratch",
            "seed": trial_seed(7, trial.number),
            "parameters": cost.parameters,
            "macs": cost.macs,
            "epochs": 2,
        } == attributes
        assert [1, 2] == list(trial.intermediate_values)
        assert trial.value == trial.intermediate_values[2]


def test_trials_have_seeds_of_their_own() -> None:
    seeds = {trial_seed(seed, number) for seed in range(20) for number in range(50)}

    assert 20 * 50 == len(seeds)
    assert trial_seed(3, 4) == trial_seed(3, 4)


def test_costs_are_recorded_before_the_first_epoch(digits: Task) -> None:
    study = optuna.create_study()
    trial = study.ask()
    seen: list[set[str]] = []

    def look(result: EpochResult) -> None:
        seen.append(set(study.trials[0].user_attrs))

    FromScratch(digits, RECIPE, epochs=1, device="cpu").score(SPACE, CONV, trial=trial, on_epoch=look)

    assert [{"evaluation", "seed", "parameters", "macs"}] == seen


def test_a_pruned_trial_ends_and_says_how_far_it_came(digits: Task) -> None:
    study = optuna.create_study(direction="maximize", pruner=optuna.pruners.ThresholdPruner(lower=2.0))
    evaluation = FromScratch(digits, RECIPE, epochs=5, device="cpu")

    study.optimize(lambda trial: evaluation.score(SPACE, CONV, trial=trial), n_trials=1)

    (trial,) = study.trials
    assert optuna.trial.TrialState.PRUNED == trial.state
    assert 1 == trial.user_attrs["epochs"] == len(trial.intermediate_values)


def test_several_objectives_are_not_reported(digits: Task) -> None:
    study = optuna.create_study(directions=["maximize", "minimize"])
    evaluation = FromScratch(digits, RECIPE, epochs=1, device="cpu")

    study.optimize(lambda trial: (evaluation.score(SPACE, CONV, trial=trial), trial.user_attrs["macs"]), n_trials=1)

    assert optuna.trial.TrialState.COMPLETE == study.trials[0].state


def test_a_fixed_trial_can_be_scored(digits: Task) -> None:
    trial = optuna.trial.FixedTrial({"block": "conv1"}, number=3)

    FromScratch(digits, RECIPE, epochs=1, device="cpu").score(SPACE, SPACE.suggest(trial), trial=trial)

    assert trial_seed(0, 3) == trial.user_attrs["seed"]


def test_joint_values_and_arguments_override_the_recipe(digits: Task) -> None:
    space = joint_space()
    values = {"training.lr": 0.02, "training.weight_decay": 1e-3, "training.label_smoothing": 0.1}
    joint = space.architecture({"net.block": "conv3", **values})
    evaluation = FromScratch(digits, RECIPE.replace(schedule="constant"), epochs=1, device="cpu")
    rates: list[float] = []
    note: Callable[[EpochResult], None] = lambda result: rates.append(result.lr)  # noqa: E731

    by_space = evaluation.score(space, joint, on_epoch=note)
    by_argument = evaluation.score(SPACE, CONV, on_epoch=note, lr=0.02, weight_decay=1e-3, label_smoothing=0.1)
    evaluation.score(space, joint, on_epoch=note, lr=0.3)

    assert by_argument == by_space
    assert [0.02, 0.02, 0.3] == rates


def test_an_unknown_hyperparameter_names_the_nearest(digits: Task) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'label_smoothing'"):
        FromScratch(digits, device="cpu").score(SPACE, CONV, label_smooth=0.1)


def test_images_that_do_not_fit_are_reported_before_training() -> None:
    with pytest.raises(TaskError, match="Sequential does not fit the task noise"):
        FromScratch(images(channels=3), device="cpu").score(SPACE, CONV)


def test_a_diverged_trial_is_pruned_says_how_far_it_came_and_the_study_goes_on(digits: Task) -> None:
    study = optuna.create_study(direction="maximize")
    evaluation = FromScratch(digits, RECIPE.replace(clip_norm=None), device="cpu")

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        study.optimize(lambda trial: evaluation.score(SPACE, CONV, trial=trial, lr=(1e35, 0.05)[trial.number]), 2)

    states = [optuna.trial.TrialState.PRUNED, optuna.trial.TrialState.COMPLETE]
    assert states == [trial.state for trial in study.trials]
    assert "The loss became" in study.trials[0].user_attrs["diverged"]
    assert 0 == study.trials[0].user_attrs["epochs"]


def test_without_a_trial_a_divergence_is_an_error(digits: Task) -> None:
    evaluation = FromScratch(digits, RECIPE.replace(clip_norm=None), device="cpu")

    with warnings.catch_warnings(), pytest.raises(DivergedError, match="Lower the learning rate"):
        warnings.simplefilter("ignore")
        evaluation.score(SPACE, CONV, lr=1e35)


def test_threads_of_one_study_build_the_weights_one_process_would(digits: Task) -> None:
    def scores(jobs: int) -> dict[int, float | None]:
        study = optuna.create_study(direction="maximize")
        evaluation = FromScratch(digits, RECIPE, epochs=1, device="cpu")
        study.optimize(lambda trial: evaluation.score(SPACE, CONV, trial=trial), n_trials=6, n_jobs=jobs)
        return {trial.number: trial.value for trial in study.trials}

    assert scores(jobs=1) == scores(jobs=3)


def test_the_final_training_uses_validation_too_and_reports_the_test_split(digits: Task) -> None:
    epochs: list[EpochResult] = []
    evaluation = FromScratch(digits, RECIPE, device="cpu")

    result = evaluation.final(SPACE, CONV, on_epoch=epochs.append, lr=0.2)

    assert evaluate(result.network, digits.test) == result.test_accuracy
    assert profile(SPACE.build(CONV), digits.input_shape) == result.cost
    assert (2, 0) == (result.epochs, result.seed)
    assert [None, None] == [epoch.accuracy for epoch in epochs]


def test_the_final_training_learns_labels_that_only_validation_holds() -> None:
    generator = torch.Generator().manual_seed(0)

    def split(label: int) -> Split:
        pixels = torch.randn(32, 1, 8, 8, generator=generator) + 4 * label
        return Split(pixels, torch.full((32,), label))

    task = Task("two halves", split(0), split(1), split(1), 10)
    evaluation = FromScratch(task, Recipe(epochs=4, batch_size=8, lr=0.05), device="cpu")

    assert 0.0 == evaluation.score(SPACE, CONV)
    assert evaluation.final(SPACE, CONV).test_accuracy > 0.9


def test_another_seed_gives_another_final_network(digits: Task) -> None:
    evaluation = FromScratch(digits, RECIPE, epochs=1, device="cpu")
    first, second = evaluation.final(SPACE, CONV), evaluation.final(SPACE, CONV, seed=1)

    assert 1 == second.seed
    assert not torch.equal(next(first.network.parameters()), next(second.network.parameters()))


def test_a_published_space_is_scored_and_finished(digits: Task) -> None:
    space = SearchSpace({"cell": NASBench201(channels=4, cells_per_stage=1), "training": Recipe.search_space()})
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))
    evaluation = FromScratch(digits, RECIPE, epochs=1, device="cpu")

    study.optimize(lambda trial: evaluation.score(space, space.suggest(trial), trial=trial), n_trials=2)
    final = evaluation.final(space, space.architecture(study.best_params))

    assert {1} == {trial.user_attrs["epochs"] for trial in study.trials}
    assert final.cost.parameters == study.best_trial.user_attrs["parameters"]


def test_an_evaluation_travels_to_another_process(digits: Task) -> None:
    evaluation = FromScratch(digits, RECIPE, epochs=1, device="cpu")

    arrived = pickle.loads(pickle.dumps(evaluation))

    assert evaluation.score(SPACE, CONV) == arrived.score(SPACE, CONV)
