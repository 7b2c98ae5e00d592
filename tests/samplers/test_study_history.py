"""What a sampler remembers of a study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import optuna
import pytest
from numpy.random import default_rng
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from nas_tune.samplers.regularized_evolution import population_of
from nas_tune.samplers.study_history import StudyHistory
from nas_tune.space import Architecture, SearchSpace, Value

KEY = "RegularizedEvolution:canonical_key"


class CountingSpace(SearchSpace):
    """A space that counts how many architectures are read."""

    read = 0

    def architecture(self, mapping: object, prefix: str = "") -> Architecture:
        type(self).read += 1
        return super().architecture(mapping, prefix)  # type: ignore[arg-type]


@pytest.fixture
def space(cell_space: SearchSpace) -> CountingSpace:
    CountingSpace.read = 0
    return CountingSpace(cell_space.nodes)


def history(space: SearchSpace, maximize: bool = True) -> StudyHistory:
    direction = StudyDirection.MAXIMIZE if maximize else StudyDirection.MINIMIZE
    return StudyHistory(space, "", [direction], "RegularizedEvolution")


def make_trial(space: SearchSpace, number: int, state: TrialState = TrialState.COMPLETE) -> FrozenTrial:
    architecture = space.sample(default_rng(number))
    trial = optuna.create_trial(
        state=state,
        params=dict(architecture),
        distributions=space.distributions(architecture),
        value=float(number) if state == TrialState.COMPLETE else None,
    )
    trial.number = number
    return trial


def numbers(known: StudyHistory, trials: Sequence[FrozenTrial]) -> list[int]:
    known.update(trials)
    return [member.number for member in population_of(known, 3)]


def test_each_finished_trial_is_read_once(space: CountingSpace) -> None:
    trials = [make_trial(space, number) for number in range(20)]
    known = history(space)
    for count in range(1, 21):
        known.update(trials[:count])
        known.update(trials[:count])

    assert CountingSpace.read == 20


def test_the_population_appears_when_it_is_complete(space: SearchSpace) -> None:
    trials = [make_trial(space, number) for number in range(5)]
    known = history(space)

    assert numbers(known, trials[:2]) == []
    assert numbers(known, trials[:3]) == [0, 1, 2]
    assert numbers(known, trials) == [2, 3, 4]


def test_pruned_trials_shorten_the_beginning_and_failed_ones_do_not(space: SearchSpace) -> None:
    complete = [make_trial(space, 0), make_trial(space, 1)]

    assert numbers(history(space), [*complete, make_trial(space, 2, TrialState.PRUNED)]) == [0, 1]
    assert numbers(history(space), [*complete, make_trial(space, 2, TrialState.FAIL)]) == []


def test_a_trial_that_finishes_late_is_read_then(space: SearchSpace) -> None:
    running = make_trial(space, 1, TrialState.RUNNING)
    trials = [make_trial(space, 0), running, make_trial(space, 2)]
    known = history(space)

    assert numbers(known, trials) == []
    assert known.is_taken(space.architecture(running.params), number=3)

    trials[1] = make_trial(space, 1)
    assert numbers(known, trials) == [0, 1, 2]


def test_a_shorter_history_is_another_one(space: SearchSpace) -> None:
    known = history(space)
    known.update([make_trial(space, number) for number in range(6)])

    others = [make_trial(space, number) for number in range(10, 13)]
    assert numbers(known, others) == [10, 11, 12]
    assert not known.is_taken(space.sample(default_rng(0)), number=13)


def test_fitness_grows_in_the_direction_of_the_study(space: SearchSpace) -> None:
    trials = [make_trial(space, number) for number in range(3)]
    up, down = history(space), history(space, maximize=False)
    up.update(trials)
    down.update(trials)

    assert [evaluation.value for evaluation in up.complete] == [0.0, 1.0, 2.0]
    assert [evaluation.value for evaluation in down.complete] == [-0.0, -1.0, -2.0]


@pytest.mark.parametrize(
    ("state", "taken"),
    [(TrialState.COMPLETE, True), (TrialState.PRUNED, True), (TrialState.RUNNING, True), (TrialState.FAIL, False)],
)
def test_every_trial_but_a_failed_one_takes_its_architecture(
    state: TrialState, taken: bool, space: SearchSpace
) -> None:
    known = history(space)
    known.update([make_trial(space, 0, state)])

    assert known.is_taken(space.sample(default_rng(0)), number=1) is taken


def test_a_running_trial_takes_the_network_whose_key_it_has_recorded(space: SearchSpace) -> None:
    proposed = space.sample(default_rng(7))
    trial = optuna.create_trial(state=TrialState.RUNNING, system_attrs={KEY: space.canonical_key(proposed)})
    trial.number = 0
    known = history(space)
    known.update([trial])

    assert known.is_taken(proposed, number=1)
    assert not known.is_taken(proposed, number=0)


def test_a_trial_that_is_finished_late_takes_its_place_by_age(space: SearchSpace) -> None:
    trials = [make_trial(space, number) for number in range(6)]
    trials[3], late = make_trial(space, 3, TrialState.RUNNING), trials[3]
    known = history(space)

    assert numbers(known, trials) == [2, 4, 5]
    assert numbers(known, [*trials[:3], late, *trials[4:]]) == [3, 4, 5]


def test_an_evaluation_holds_what_the_trial_says(space: SearchSpace) -> None:
    trial = make_trial(space, 4)
    trial.system_attrs = {"RegularizedEvolution:parent": 2, "Other:parent": 3}
    trial.intermediate_values = {1: 0.5}
    trial.set_constraint("memory", 2.0)
    trial.set_constraint("latency", -1.0)
    known = history(space, maximize=False)
    known.update([trial])

    (evaluation,) = known.finished
    assert evaluation.values == (-4.0,)
    assert evaluation.reports == {1: -0.5}
    assert evaluation.constraints == {"memory": 2.0, "latency": -1.0}
    assert evaluation.excess == 2.0
    assert evaluation.notes == {"parent": 2}


def claimant(number: int, space: SearchSpace, claimed: Architecture, params: Mapping[str, Value]) -> FrozenTrial:
    distributions = {name: space.parameters()[name].distribution for name in params}
    trial = optuna.create_trial(
        state=TrialState.RUNNING,
        params=dict(params),
        distributions=distributions,
        system_attrs={KEY: space.canonical_key(claimed)},
    )
    trial.number = number
    return trial


def test_a_running_trial_that_means_to_evaluate_another_network_takes_the_other_one(space: SearchSpace) -> None:
    first, second = (space.sample(default_rng(seed)) for seed in (7, 8))
    known = history(space)
    known.update([claimant(0, space, first, {})])
    known.update([claimant(0, space, second, {})])

    assert not known.is_taken(first, number=1)
    assert known.is_taken(second, number=1)


def test_a_running_trial_is_known_when_its_parameters_are(space: SearchSpace) -> None:
    proposed = space.sample(default_rng(7))
    half = dict(list(proposed.items())[:3])
    known = history(space)
    for params, running in (({}, {}), (half, {}), (proposed, {0: proposed})):
        known.update([claimant(0, space, proposed, params)])
        assert known.running == running


@pytest.mark.parametrize(
    ("number", "begun", "lost"), [(1, False, True), (1, True, True), (5, False, False), (5, True, True)]
)
def test_of_two_claims_the_earlier_trial_wins_unless_the_other_has_begun(
    number: int, begun: bool, lost: bool, space: SearchSpace
) -> None:
    proposed = space.sample(default_rng(7))
    known = history(space)
    known.update([claimant(number, space, proposed, dict(list(proposed.items())[: int(begun)]))])

    assert known.is_lost(proposed, number=3) is lost
    assert not known.is_lost(proposed, number=number)
