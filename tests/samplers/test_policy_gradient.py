"""The sampler in a study."""

from __future__ import annotations

import json
import math
import pickle
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import optuna
import pytest
from numpy.random import default_rng
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import TrialState

from nas_tune.errors import SamplerError, UnknownNameError
from nas_tune.samplers.controllers.decisions import Batch, Decisions
from nas_tune.samplers.controllers.learning import (
    ALGORITHMS,
    CONTROLLERS,
    AlgorithmName,
    ControllerName,
    Learning,
    default,
    published,
)
from nas_tune.samplers.policy_gradient import PolicyGradientSampler
from nas_tune.space import Architecture, Categorical, SearchSpace, Value
from tests.samplers.controllers.policies import searched

GOLDEN = Path(__file__).parent / "golden" / "policy_gradient.json"
LOG_PROBABILITY = "PolicyGradient:log_probability"
Direction = Literal["maximize", "minimize"]
Fitness = Callable[[Mapping[str, Value]], float]

every_kind = pytest.mark.parametrize(("algorithm", "controller"), [(a, c) for a in ALGORITHMS for c in CONTROLLERS])
every_algorithm = pytest.mark.parametrize("algorithm", ALGORITHMS)


def make_study(sampler: BaseSampler, direction: Direction = "maximize") -> Study:
    return optuna.create_study(sampler=sampler, direction=direction)


def search(study: Study, space: SearchSpace, fitness: Fitness, trials: int, n_jobs: int = 1) -> Study:
    study.optimize(lambda trial: fitness(space.suggest(trial)), n_trials=trials, n_jobs=n_jobs)
    return study


def architectures(study: Study, space: SearchSpace) -> list[Architecture]:
    return [space.architecture(trial.params) for trial in study.trials]


def mean(study: Study, first: int, last: int) -> float:
    return float(np.mean([trial.value for trial in study.trials[first:last]]))


@every_kind
def test_later_trials_are_better(
    algorithm: AlgorithmName, controller: ControllerName, cell_space: SearchSpace, convolutions: Fitness
) -> None:
    sampler = PolicyGradientSampler(cell_space, algorithm=algorithm, controller=controller, seed=0)

    study = search(make_study(sampler), cell_space, convolutions, 100)

    assert mean(study, 0, 20) < 2
    assert mean(study, 80, 100) > 3


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_the_search_climbs_in_the_direction_of_the_study(
    direction: Direction, cell_space: SearchSpace, convolutions: Fitness
) -> None:
    sign = 1.0 if direction == "maximize" else -1.0
    sampler = PolicyGradientSampler(cell_space, seed=0)

    study = search(make_study(sampler, direction), cell_space, lambda a: sign * convolutions(a), 120)

    assert sign * study.best_value >= 5


def test_a_search_repeats_the_golden_run(cell_space: SearchSpace, convolutions: Fitness) -> None:
    study = search(make_study(PolicyGradientSampler(cell_space, seed=0)), cell_space, convolutions, 30)

    found = [",".join(map(str, a.values())) for a in architectures(study, cell_space)]
    assert found == json.loads(GOLDEN.read_text())


@every_kind
def test_a_new_sampler_goes_on_as_the_old_one_would(
    algorithm: AlgorithmName, controller: ControllerName, joint_space: SearchSpace
) -> None:
    def sampler() -> PolicyGradientSampler:
        return PolicyGradientSampler(joint_space, algorithm=algorithm, controller=controller, seed=3)

    def fitness(architecture: Mapping[str, Value]) -> float:
        return -abs(math.log10(float(str(architecture["lr"]))) + 2.5)

    whole = search(make_study(sampler()), joint_space, fitness, 40)
    broken = search(make_study(sampler()), joint_space, fitness, 17)
    broken.sampler = sampler()
    search(broken, joint_space, fitness, 13)
    broken.sampler = pickle.loads(pickle.dumps(broken.sampler))
    search(broken, joint_space, fitness, 10)

    assert architectures(broken, joint_space) == architectures(whole, joint_space)
    assert [t.system_attrs for t in broken.trials] == [t.system_attrs for t in whole.trials]


@every_kind
def test_trials_that_end_out_of_order_leave_the_same_proposals_to_every_process(
    algorithm: AlgorithmName, controller: ControllerName, cell_space: SearchSpace, convolutions: Fitness
) -> None:
    learning = replace(default(algorithm, controller), batch_size=3, epochs=2)

    def sampler() -> PolicyGradientSampler:
        return PolicyGradientSampler(cell_space, algorithm=algorithm, controller=controller, learning=learning, seed=0)

    study, rng = make_study(sampler()), default_rng(0)
    running = []
    for _ in range(30):
        running.append(study.ask())
        cell_space.suggest(running[-1])
        if len(running) == 6:
            ended = running.pop(int(rng.integers(6)))
            study.tell(ended, convolutions(cell_space.architecture(ended.params)))
    proposals = []
    for proposer in (study.sampler, sampler()):
        copied = optuna.create_study(direction="maximize", sampler=proposer)
        copied.add_trials(study.trials)
        proposals.append(cell_space.suggest(copied.ask()))

    assert proposals[0] == proposals[1]


@pytest.mark.parametrize("controller", CONTROLLERS)
def test_ppo_notes_the_probability_under_the_policy_that_drew(
    controller: ControllerName, cell_space: SearchSpace, convolutions: Fitness
) -> None:
    sampler = PolicyGradientSampler(cell_space, algorithm="ppo", controller=controller, seed=0)
    study = search(make_study(sampler), cell_space, convolutions, 10)
    decisions = Decisions(cell_space)

    batch = Batch([decisions.path(architecture) for architecture in architectures(study, cell_space)])
    weights = sampler._controller.initial(default_rng(0))  # ten trials are the first block

    noted = [trial.system_attrs[LOG_PROBABILITY] for trial in study.trials]
    assert noted == pytest.approx(sampler._controller.log_probabilities(weights, batch).tolist(), abs=1e-5)


def test_reinforce_notes_nothing_but_the_canonical_key(cell_space: SearchSpace, convolutions: Fitness) -> None:
    study = search(make_study(PolicyGradientSampler(cell_space, seed=0)), cell_space, convolutions, 3)

    assert {name for trial in study.trials for name in trial.system_attrs} == {"PolicyGradient:canonical_key"}


@pytest.mark.slow
@every_algorithm
def test_with_permuted_rewards_the_search_is_a_random_one(algorithm: AlgorithmName) -> None:
    size, trials, runs = 5**4, 60, 60
    space = SearchSpace({name: Categorical(*range(5)) for name in "abcd"})
    learning = default(algorithm, "tabular")

    def best(seed: int) -> float:
        rewards = default_rng(seed).permutation(size).reshape(5, 5, 5, 5)
        found = searched(space, lambda a: float(rewards[_index(a)]), learning, algorithm, True, trials, seed)
        return max(trial.value for trial in found)

    bests = [best(seed) for seed in range(runs)]

    expected = trials * (size + 1) / (trials + 1) - 1  # best of `trials` different ones, in the mean
    assert abs(np.mean(bests) - expected) < 2 * np.std(bests, ddof=1) / math.sqrt(runs)


@every_algorithm
def test_no_network_is_tried_twice_in_a_search_of_usual_length(
    algorithm: AlgorithmName, cell_space: SearchSpace, convolutions: Fitness
) -> None:
    study = make_study(PolicyGradientSampler(cell_space, algorithm=algorithm, seed=0))

    search(study, cell_space, convolutions, 200)

    assert len(set(architectures(study, cell_space))) >= 196


def test_duplicates_are_allowed_on_request(cell_space: SearchSpace, convolutions: Fitness) -> None:
    learning = replace(default("ppo", "tabular"), learning_rate=0.3)
    sampler = PolicyGradientSampler(cell_space, algorithm="ppo", learning=learning, avoid_duplicates=False, seed=0)

    study = search(make_study(sampler), cell_space, convolutions, 120)

    assert len(set(architectures(study, cell_space))) < 110


def test_four_threads_share_a_sampler(cell_space: SearchSpace, convolutions: Fitness) -> None:
    study = make_study(PolicyGradientSampler(cell_space, algorithm="ppo", seed=0))

    search(study, cell_space, convolutions, 100, n_jobs=4)

    assert len(set(architectures(study, cell_space))) >= 98
    assert mean(study, 80, 100) > mean(study, 0, 20)
    assert all(LOG_PROBABILITY in trial.system_attrs for trial in study.trials)


@every_kind
def test_enqueued_architectures_teach(
    algorithm: AlgorithmName, controller: ControllerName, cell_space: SearchSpace, convolutions: Fitness
) -> None:
    study = make_study(PolicyGradientSampler(cell_space, algorithm=algorithm, controller=controller, seed=0))
    for name in cell_space.nodes:
        study.enqueue_trial(dict.fromkeys(cell_space.nodes, "nor_conv_3x3") | {name: "none"})
        study.enqueue_trial(dict.fromkeys(cell_space.nodes, "none") | {name: "skip_connect"})

    search(study, cell_space, convolutions, 42)

    assert all(LOG_PROBABILITY not in trial.system_attrs for trial in study.trials[:12])
    assert mean(study, 12, 42) > 1.2  # uniform: 6 / 5


def test_a_partially_enqueued_architecture_is_completed(joint_space: SearchSpace) -> None:
    fixed = {"op": "conv", "op.conv.kernel": 7, "blocks.length": 2}
    for controller in CONTROLLERS:
        study = make_study(PolicyGradientSampler(joint_space, algorithm="ppo", controller=controller, seed=0))
        for _ in range(12):
            study.enqueue_trial(fixed)

        search(study, joint_space, lambda a: float(str(a["lr"])), 12)

        assert all(fixed.items() <= a.items() for a in architectures(study, joint_space))
        assert len({trial.params["lr"] for trial in study.trials}) == 12


@every_algorithm
def test_conditional_and_numeric_parameters_are_learned(algorithm: AlgorithmName, joint_space: SearchSpace) -> None:
    def fitness(architecture: Mapping[str, Value]) -> float:
        width = architecture.get("op.conv.width", 0)
        assert isinstance(width, int)
        return width - 30 * abs(math.log10(float(str(architecture["lr"]))) + 2.5)

    sampler = PolicyGradientSampler(joint_space, algorithm=algorithm, seed=1)
    study = search(make_study(sampler), joint_space, fitness, 150)

    assert mean(study, 120, 150) > mean(study, 0, 30) + 15
    for trial in study.trials:
        architecture = joint_space.architecture(trial.params)
        assert trial.params == {name: architecture[name] for name in joint_space.distributions(architecture)}


def test_constraints_of_the_space_hold_for_every_proposal(cell_space: SearchSpace, convolutions: Fitness) -> None:
    space = cell_space.where(lambda a: list(a.values()).count("nor_conv_3x3") <= 3, "at most three convolutions")

    study = search(make_study(PolicyGradientSampler(space, seed=0)), space, convolutions, 100)

    assert {trial.state for trial in study.trials} == {TrialState.COMPLETE}
    assert study.best_value == 3


def test_broken_constraints_of_trials_outweigh_their_values(cell_space: SearchSpace, convolutions: Fitness) -> None:
    def objective(trial: optuna.Trial) -> float:
        count = convolutions(cell_space.suggest(trial))
        trial.set_constraint("none", count)
        return count

    study = make_study(PolicyGradientSampler(cell_space, algorithm="ppo", seed=0))
    study.optimize(objective, n_trials=80)

    assert mean(study, 60, 80) < 0.5


def test_failed_and_pruned_trials_teach_nothing(cell_space: SearchSpace, convolutions: Fitness) -> None:
    def objective(trial: optuna.Trial) -> float:
        value = convolutions(cell_space.suggest(trial))
        trial.report(value, step=1)
        if trial.number % 2:
            raise optuna.TrialPruned
        return math.nan

    study = make_study(PolicyGradientSampler(cell_space, seed=0))
    study.optimize(objective, n_trials=40)

    sampler = study.sampler
    assert isinstance(sampler, PolicyGradientSampler)
    assert sampler._policy is not None
    assert sampler._policy[0].blocks == 0


def test_infinite_values_are_learned_from(cell_space: SearchSpace) -> None:
    values = [math.inf, -math.inf, 1.0, 2.0]
    for scale in ("rank", "value"):
        learning = replace(default("reinforce", "tabular"), rewards=scale)
        sampler = PolicyGradientSampler(cell_space, learning=learning, seed=0)

        study = search(make_study(sampler), cell_space, lambda a: values[len(a["edge_0_1"]) % 4], 20)  # type: ignore[arg-type]

        assert sampler._policy is not None
        assert np.isfinite(sampler._policy[0].optimiser.weights).all()
        assert len(study.trials) == 20


def test_published_numbers_are_those_of_the_papers() -> None:
    nats, enas = published("reinforce", "tabular"), published("reinforce", "lstm")
    nasnet = published("ppo", "lstm")

    assert (nats.learning_rate, nats.batch_size, nats.baseline_decay, nats.entropy_weight) == (0.01, 1, 0.9, 0.0)
    assert (enas.learning_rate, enas.baseline_decay, enas.entropy_weight) == (0.0035, 0.99, 1e-4)
    assert enas.tanh_constant == 1.1
    assert (nasnet.learning_rate, nasnet.batch_size, nasnet.baseline_decay) == (3.5e-4, 20, 0.95)
    assert (nasnet.entropy_weight, nasnet.clip, nasnet.epochs) == (1e-5, 0.2, 10)
    assert {one.rewards for one in (nats, enas, nasnet)} == {"value"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"algorithm": "a2c"}, "`algorithm` is 'a2c'. Take 'reinforce' or 'ppo'"),
        ({"controller": "gru"}, "`controller` is 'gru'. Take 'tabular' or 'lstm'"),
        ({"learning": {"learning_rate": 0.1}}, "`learning` is {'learning_rate': 0.1}. Give a Learning"),
        ({"seed": -1}, "`seed` is -1"),
    ],
)
def test_arguments_out_of_range_are_refused(
    arguments: dict[str, object], message: str, cell_space: SearchSpace
) -> None:
    with pytest.raises(SamplerError, match=message):
        PolicyGradientSampler(cell_space, **arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("learning_rate", 0.0),
        ("learning_rate", math.nan),
        ("learning_rate", math.inf),
        ("batch_size", 0),
        ("batch_size", 1.5),
        ("baseline_decay", 1.0),
        ("baseline_decay", -0.1),
        ("entropy_weight", -1e-9),
        ("rewards", "log"),
        ("clip", 0.0),
        ("epochs", 0),
        ("tanh_constant", 0.0),
    ],
)
def test_numbers_out_of_range_are_refused(name: str, value: object) -> None:
    changes = {"learning_rate": 0.1, "batch_size": 1, "baseline_decay": 0.9} | {name: value}
    with pytest.raises(SamplerError, match=f"Learning: `{name}` is {value!r}. Take "):
        Learning(**changes)  # type: ignore[arg-type]


def test_numbers_of_an_unknown_algorithm_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="There is no algorithm 'poo'. Did you mean 'ppo'?"):
        default("poo", "lstm")  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match="There is no controller 'tab'"):
        published("ppo", "tab")  # type: ignore[arg-type]


@pytest.mark.slow
def test_the_tabular_controller_needs_no_torch() -> None:
    code = (
        "import sys; from nas_tune.samplers.policy_gradient import PolicyGradientSampler as Sampler; "
        "from nas_tune.space import Categorical, SearchSpace; "
        "Sampler(SearchSpace({'a': Categorical(0, 1)})); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def _index(architecture: Mapping[str, Value]) -> tuple[int, ...]:
    return tuple(int(str(value)) for value in architecture.values())
