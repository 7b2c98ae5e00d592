"""What is derived from a history."""

from __future__ import annotations

import pickle
from collections.abc import Sequence

import optuna
import pytest
from numpy.random import default_rng
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from nas_tune.samplers.derived import Derived
from nas_tune.samplers.study_history import Evaluation, StudyHistory
from nas_tune.space import SearchSpace


def add(numbers: list[int], evaluation: Evaluation) -> None:
    numbers.append(evaluation.number)


@pytest.fixture
def numbers() -> Derived[list[int]]:
    return Derived(list, add)


def history(space: SearchSpace) -> StudyHistory:
    return StudyHistory(space, "", [StudyDirection.MAXIMIZE], "Test")


def trials(space: SearchSpace, states: Sequence[TrialState]) -> list[FrozenTrial]:
    made = []
    for number, state in enumerate(states):
        architecture = space.sample(default_rng(number))
        value = 0.0 if state == TrialState.COMPLETE else None
        distributions = space.distributions(architecture)
        trial = optuna.create_trial(state=state, params=dict(architecture), distributions=distributions, value=value)
        trial.number = number
        made.append(trial)
    return made


def test_each_finished_trial_is_added_once_however_late_it_ends(
    cell_space: SearchSpace, numbers: Derived[list[int]]
) -> None:
    known, done, running = history(cell_space), TrialState.COMPLETE, TrialState.RUNNING

    known.update(trials(cell_space, [done, running, done, running]))
    assert sorted(numbers.of(known)) == [0, 2]
    known.update(trials(cell_space, [done, done, done, running, TrialState.FAIL]))
    assert numbers.of(known)[2:] == [4, 1]
    assert numbers.of(known) is numbers.of(known)
    known.update(trials(cell_space, [done] * 5))
    assert sorted(numbers.of(known)) == [0, 1, 2, 3, 4]


def test_a_shorter_history_is_read_anew(cell_space: SearchSpace, numbers: Derived[list[int]]) -> None:
    known = history(cell_space)
    known.update(trials(cell_space, [TrialState.COMPLETE] * 5))
    assert len(numbers.of(known)) == 5

    known.update(trials(cell_space, [TrialState.COMPLETE] * 3))
    assert sorted(numbers.of(known)) == [0, 1, 2]


def test_histories_have_states_of_their_own_which_are_not_pickled(
    cell_space: SearchSpace, numbers: Derived[list[int]]
) -> None:
    known, other = history(cell_space), history(cell_space)
    known.update(trials(cell_space, [TrialState.COMPLETE] * 2))

    assert (len(numbers.of(known)), numbers.of(other)) == (2, [])
    assert sorted(pickle.loads(pickle.dumps(numbers)).of(known)) == [0, 1]
