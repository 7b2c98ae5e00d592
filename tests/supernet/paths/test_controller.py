"""Controller paths: when the controller learns, from what, and that it comes to like the best."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from numpy.random import Generator

from nas_tune.errors import NasTuneError
from nas_tune.samplers.controllers import default, published
from nas_tune.samplers.controllers.agent import Agent
from nas_tune.samplers.controllers.learning import AlgorithmName, ControllerName
from nas_tune.space import Architecture, Categorical, SearchSpace
from nas_tune.supernet.paths import ControllerPaths, LearningPaths
from tests.supernet.elastic.networks import Sized
from tests.supernet.networks import moment
from tests.supernet.paths.trainings import assert_resumes_bitwise, space, trained, trainer_of

SPACE = SearchSpace({"a": Categorical(0, 1, 2), "b": Categorical(0, 1, 2), "c": Categorical(0, 1)})
BEST = SPACE.architecture({"a": 2, "b": 1, "c": 0})


def _rewards(architectures: Sequence[Architecture]) -> tuple[float, ...]:
    """Return the share of decisions that are those of the best architecture."""
    return tuple(sum(a[name] == BEST[name] for name in BEST) / 3 for a in architectures)


@dataclass
class Uniform:
    """A controller that learns nothing, and writes down what it is taught."""

    taught: list[tuple[int, ...]] = field(default_factory=list)

    def propose(self, rng: Generator) -> Architecture:
        return SPACE.sample(rng)

    def learn(self, architectures: Sequence[Architecture], rewards: Sequence[float]) -> None:
        assert _rewards(architectures) == tuple(rewards)
        self.taught.append((len(architectures), len({*architectures})))

    def memory(self) -> Mapping[str, object]:
        return {}

    def remember(self, memory: Mapping[str, object]) -> None:
        pass


@pytest.mark.parametrize(("period", "learning"), [(None, [10, 20]), (6, [6, 12, 18, 24])], ids=["epoch", "6-steps"])
def test_the_controller_learns_after_each_period(period: int | None, learning: list[int]) -> None:
    controller = Uniform()
    paths, found = ControllerPaths(controller, updates=3, aggregated=5, period=period), []
    for number in range(26):  # 10 steps per epoch
        before = len(controller.taught)
        selected = paths.select(moment(number, accuracies=_rewards), SPACE, np.random.default_rng(number))
        found += [number] * (len(controller.taught) > before)

        assert [1.0] == [path.weight for path in selected]
    assert learning == found
    assert 3 * len(learning) == len(controller.taught)
    assert {5} == {count for count, _ in controller.taught}
    assert max(different for _, different in controller.taught) > 1


def test_the_published_numbers_are_the_defaults() -> None:
    controller = Uniform()
    ControllerPaths(controller).select(moment(10, accuracies=_rewards), SPACE, np.random.default_rng(0))

    assert [10] * 30 == [count for count, _ in controller.taught]


def test_several_paths_share_the_weight_of_a_step() -> None:
    selected = ControllerPaths(Uniform(), paths=4).select(moment(), SPACE, np.random.default_rng(0))
    rng = np.random.default_rng(0)

    assert [SPACE.sample(rng) for _ in range(4)] == [path.architecture for path in selected]
    assert [0.25] * 4 == [path.weight for path in selected]


@pytest.mark.parametrize(
    ("algorithm", "controller"),
    [
        ("reinforce", "tabular"),
        ("ppo", "tabular"),
        ("reinforce", "lstm"),
        pytest.param("ppo", "lstm", marks=pytest.mark.slow),
    ],
)
def test_the_best_architecture_becomes_likely(algorithm: AlgorithmName, controller: ControllerName) -> None:
    learning = replace(default(algorithm, controller), rewards="value")
    agent = Agent(SPACE, algorithm=algorithm, controller=controller, learning=learning)
    paths = ControllerPaths(agent, updates=10, period=1)
    chances = [float(np.exp(agent.log_probabilities([BEST])[0]))]
    for number in range(1, 8):
        paths.select(moment(number, accuracies=_rewards), SPACE, np.random.default_rng(number))
        chances.append(float(np.exp(agent.log_probabilities([BEST])[0])))

    assert 1 / 18 == pytest.approx(chances[0], rel=0.3)
    assert chances[-1] > 0.6
    assert chances[3] > 2 * chances[0]


def test_published_enas_raises_the_chance_of_the_best() -> None:
    agent = Agent(SPACE, controller="lstm")
    before = agent.log_probabilities([BEST])[0]
    paths = ControllerPaths(agent)
    paths.select(moment(10, accuracies=_rewards), SPACE, np.random.default_rng(0))

    assert published("reinforce", "lstm") == agent.learning
    assert agent.log_probabilities([BEST])[0] > before + 0.1


@pytest.mark.parametrize("before", [3, 5])
@pytest.mark.parametrize(
    ("algorithm", "controller"), [("reinforce", "tabular"), ("ppo", "tabular"), ("reinforce", "lstm")]
)
def test_a_resumed_training_is_bitwise_the_undisturbed_one(
    algorithm: AlgorithmName, controller: ControllerName, before: int
) -> None:
    def make(own: Sized) -> ControllerPaths:
        return ControllerPaths(Agent(own, algorithm=algorithm, controller=controller), updates=2, aggregated=3, paths=2)

    assert_resumes_bitwise(make, before, 10 - before)


def test_its_memory_is_that_of_the_controller() -> None:
    own = space()
    agent = Agent(own)
    paths = ControllerPaths(agent, updates=1, aggregated=2)
    trained(trainer_of(paths, own), 5)

    assert isinstance(paths, LearningPaths)
    assert paths.memory() == agent.memory()
    assert 1 == json.loads(json.dumps(paths.memory()))["steps"]


def test_it_needs_held_out_inputs() -> None:
    own = space()
    with pytest.raises(NasTuneError, match="judges architectures on held-out inputs"):
        trained(trainer_of(ControllerPaths(Agent(own)), own, held_out=False), 5)


def test_impossible_arguments_say_what_is_possible() -> None:
    with pytest.raises(NasTuneError, match="`controller` is 'lstm'; give what has `propose`, `learn`, `memory`"):
        ControllerPaths("lstm")  # type: ignore[arg-type]
    with pytest.raises(NasTuneError, match="`updates` is 0; give a whole number of at least 1"):
        ControllerPaths(Uniform(), updates=0)
    with pytest.raises(NasTuneError, match="`period` is 1.5; give a whole number of at least 1"):
        ControllerPaths(Uniform(), period=1.5)  # type: ignore[arg-type]
