"""The weights are a function of the trials."""

from __future__ import annotations

import pickle

import numpy as np
import optuna
import pytest
from numpy.random import default_rng
from numpy.testing import assert_array_equal
from optuna.study import Study, StudyDirection

from nas_tune.samplers.controllers.algorithm import Algorithm
from nas_tune.samplers.controllers.decisions import Decisions
from nas_tune.samplers.controllers.ppo import Ppo
from nas_tune.samplers.controllers.reinforce import Reinforce
from nas_tune.samplers.controllers.training import ALL_KEPT, Learned, Training
from nas_tune.samplers.study_history import StudyHistory
from tests.samplers.controllers.policies import KINDS, conditional_space

SPACE = conditional_space()


def training(kind: str = "tabular", batch_size: int = 3, algorithm: Algorithm | None = None) -> Training:
    controller = KINDS[kind](Decisions(SPACE))
    weights = controller.initial(default_rng(0))
    return Training(controller, algorithm or Ppo(0.01, epochs=2), weights, batch_size, 0.9, "rank")


def new_history() -> StudyHistory:
    return StudyHistory(SPACE, "", [StudyDirection.MAXIMIZE], "PolicyGradient")


def asked(count: int) -> tuple[Study, list[optuna.Trial]]:
    """A study whose trials are all asked for, and none told."""
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))
    trials = [study.ask() for _ in range(count)]
    for trial in trials:
        SPACE.suggest(trial)
    return study, trials


def grown(learner: Training, order: list[int], history: StudyHistory) -> list[Learned]:
    """What is learned after each trial of `order` has ended."""
    study, trials = asked(len(order))
    found = []
    for number in order:
        study.tell(trials[number], float(number * 7 % 11))
        history.update(study.get_trials(deepcopy=False))
        found.append(learner.after(history))
    return found


def assert_same(one: Learned, other: Learned) -> None:
    assert_array_equal(one.optimiser.weights, other.optimiser.weights)
    assert one.optimiser.steps == other.optimiser.steps
    assert one.baseline == other.baseline


@pytest.mark.parametrize("kind", ["tabular", "lstm"])
@pytest.mark.parametrize("batch_size", [1, 4])
def test_what_is_learned_depends_on_the_trials_and_not_on_when_they_end(kind: str, batch_size: int) -> None:
    count = 30 if kind == "tabular" else 10
    orders = [list(range(count)), default_rng(0).permutation(count).tolist(), list(range(count - 1, -1, -1))]

    one_by_one = [grown(training(kind, batch_size), order, new_history())[-1] for order in orders]

    history = new_history()
    grown(training(kind, batch_size), orders[0], history)
    at_once = training(kind, batch_size).after(history)
    assert at_once.blocks == count // batch_size
    for learned in one_by_one:
        assert_same(learned, at_once)


def test_a_late_trial_is_learned_from_as_a_fresh_process_does() -> None:
    order = [0, 2, 3, 5, 6, 7, 1, 8, 9, 10, 4, 11]
    history = new_history()
    learner = training(batch_size=2)
    study, trials = asked(12)

    for number in order:
        study.tell(trials[number], float(number * 7 % 11))
        history.update(study.get_trials(deepcopy=False))
        assert_same(learner.after(history), training(batch_size=2).after(history))


def test_only_whole_blocks_teach() -> None:
    learned = grown(training(batch_size=4), list(range(9)), new_history())

    assert [one.blocks for one in learned] == [0, 0, 0, 1, 1, 1, 1, 2, 2]
    assert learned[3] is learned[6]


def test_only_complete_trials_teach() -> None:
    study, trials = asked(6)
    history = new_history()
    for trial, state in zip(trials, ("FAIL", "PRUNED", "COMPLETE", "FAIL", "COMPLETE", "COMPLETE"), strict=True):
        given = optuna.trial.TrialState[state]
        study.tell(trial, 1.0 * trial.number if state == "COMPLETE" else None, state=given)
    history.update(study.get_trials(deepcopy=False))

    learned = training(batch_size=3).after(history)

    assert learned.blocks == 1
    assert learned.last is not None
    assert learned.last.number == 5


def test_ppo_reads_the_noted_probabilities() -> None:
    architectures = list(SPACE.enumerate())[:2]
    noted = (5.0, -50.0)  # the worse one lost, and the better one won, more probability than the clip allows
    study = optuna.create_study(direction="maximize")
    for value, (architecture, log_probability) in enumerate(zip(architectures, noted, strict=True)):
        distributions = SPACE.distributions(architecture)
        study.add_trial(
            optuna.create_trial(
                params={name: architecture[name] for name in distributions},
                distributions=distributions,
                value=float(value),
                system_attrs={"PolicyGradient:log_probability": log_probability},
            )
        )
    history = new_history()
    history.update(study.get_trials(deepcopy=False))
    learner = training(batch_size=2)

    before, after = learner.after(new_history()), learner.after(history)

    assert after.optimiser.steps == 2
    assert_array_equal(after.optimiser.weights, before.optimiser.weights)


def test_few_states_are_kept_and_all_of_the_newest() -> None:
    learner, history = training(batch_size=1, algorithm=Reinforce(0.1)), new_history()
    grown(learner, list(range(250)), history)

    blocks = [learned.blocks for learned in learner._kept[history]]

    newest = 250 // ALL_KEPT * ALL_KEPT
    assert blocks[0] == 0
    assert set(range(newest - ALL_KEPT + 1, 251)) <= set(blocks)
    assert len(blocks) < 6 * ALL_KEPT
    ages = 250 - np.array(blocks[:-1])
    assert (np.diff(blocks) <= np.maximum(ages / 8, 1)).all()


def test_a_pickled_training_begins_anew_and_learns_the_same() -> None:
    learner, history = training(), new_history()
    before = grown(learner, list(range(12)), history)[-1]

    after = pickle.loads(pickle.dumps(learner)).after(history)

    assert_same(before, after)
