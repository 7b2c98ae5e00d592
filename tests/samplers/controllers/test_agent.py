"""An agent learns from rewards as they come, and remembers exactly."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from nas_tune.errors import CheckpointError, SamplerError, UnknownNameError
from nas_tune.samplers.controllers import default, published
from nas_tune.samplers.controllers.agent import Agent
from nas_tune.samplers.controllers.learning import AlgorithmName, ControllerName
from nas_tune.space import Architecture, Categorical, Integer, Repeat, SearchSpace

SPACE = SearchSpace({"op": Categorical("conv", "pool", "skip"), "blocks": Repeat(Categorical(1, 3), 1, 3)})
kinds = pytest.mark.parametrize(
    ("algorithm", "controller"),
    [("reinforce", "tabular"), ("ppo", "tabular"), ("reinforce", "lstm"), ("ppo", "lstm")],
)


def _taught(agent: Agent, updates: int, seed: int = 0) -> list[Architecture]:
    """Teach an agent rewards that prefer long networks; return everything that it proposed."""
    rng, found = np.random.default_rng(seed), list[Architecture]()
    for _ in range(updates):
        proposed = [agent.propose(rng) for _ in range(4)]
        agent.learn(proposed, [len(a) / 7 for a in proposed])
        found += proposed
    return found


@kinds
def test_a_memory_in_json_brings_back_the_same_agent(algorithm: AlgorithmName, controller: ControllerName) -> None:
    undisturbed = Agent(SPACE, algorithm=algorithm, controller=controller)
    first, second = (Agent(SPACE, algorithm=algorithm, controller=controller, seed=seed) for seed in (0, 9))
    _taught(undisturbed, 3)
    _taught(first, 3)
    second.remember(json.loads(json.dumps(first.memory())))

    assert _taught(undisturbed, 4, seed=1) == _taught(second, 4, seed=1)
    assert undisturbed.memory() == second.memory()
    assert 7 * (10 if algorithm == "ppo" else 1) == second.memory()["steps"]


@kinds
def test_an_empty_memory_is_a_new_agent(algorithm: AlgorithmName, controller: ControllerName) -> None:
    agent = Agent(SPACE, algorithm=algorithm, controller=controller, seed=3)
    before = agent.memory()
    first = _taught(agent, 2)
    after = agent.memory()
    agent.remember({})

    assert before == agent.memory() != after
    assert first == _taught(agent, 2)


def test_one_update_is_a_step_of_adam_along_the_policy_gradient() -> None:
    """Adam's first step is learning rate x sign of the gradient, here of advantage x (1[chosen] - probability)."""
    space = SearchSpace({"op": Categorical("a", "b", "c")})
    agent = Agent(space)
    before = np.array(agent.memory()["weights"])
    chosen = space.architecture({"op": "b"})
    agent.learn([chosen, chosen], [0.2, 0.8])
    moved = np.array(agent.memory()["weights"]) - before
    baseline = (0.09 * 0.2 + 0.1 * 0.8) / 0.19  # decay 0.9, without the pull of its start
    gradient = (0.5 * (1.0 - 2 * baseline)) * (np.eye(3)[1] - np.exp(before) / np.exp(before).sum())

    assert [0.19 * baseline, 0.19] == pytest.approx(agent.memory()["baseline"])
    assert (0.01 * np.sign(gradient)).tolist() == pytest.approx(moved.tolist(), rel=1e-4)


@kinds
def test_probabilities_are_those_of_the_proposals(algorithm: AlgorithmName, controller: ControllerName) -> None:
    learning = replace(published(algorithm, controller), learning_rate=0.02)
    agent = Agent(SPACE, algorithm=algorithm, controller=controller, learning=learning)
    _taught(agent, 5)
    everything = list(SPACE.enumerate())
    rng = np.random.default_rng(0)
    drawn = [agent.propose(rng) for _ in range(2_000)]
    chances = np.exp(agent.log_probabilities(everything).astype(np.float64))
    found = np.array([drawn.count(a) / 2_000 for a in everything])

    assert 1.0 == pytest.approx(chances.sum(), abs=1e-5)
    assert 0.5 * np.abs(found - chances).sum() < 0.07


def test_proposals_meet_the_constraints() -> None:
    space = SearchSpace({"a": Integer(1, 5), "b": Integer(1, 5)}).where(
        lambda a: int(str(a["a"])) < int(str(a["b"])), "ascending"
    )
    agent, rng = Agent(space), np.random.default_rng(0)

    assert all(int(str(a["a"])) < int(str(a["b"])) for a in (agent.propose(rng) for _ in range(50)))


def test_the_published_numbers_are_the_defaults() -> None:
    assert published("ppo", "lstm") == Agent(SPACE, algorithm="ppo", controller="lstm").learning
    assert (0.0035, 0.99, 1e-4, 1.10) == (
        (enas := Agent(SPACE, controller="lstm").learning).learning_rate,
        enas.baseline_decay,
        enas.entropy_weight,
        enas.tanh_constant,
    )


def test_it_reads_the_same_in_every_process() -> None:
    assert repr(Agent(SPACE)) == (
        f"Agent(algorithm='reinforce', controller='tabular', learning={published('reinforce', 'tabular')!r}, seed=0)"
    )


@pytest.mark.parametrize("memory", [{"weights": [1.0]}, {"steps": 3}], ids=["short", "without-weights"])
def test_a_memory_of_another_agent_changes_nothing(memory: Mapping[str, object]) -> None:
    agent = Agent(SPACE)
    before = agent.memory()
    with pytest.raises(
        CheckpointError, match="The memory is of another controller than this one, which has 15 weights"
    ):
        agent.remember(memory)

    assert before == agent.memory()


def test_impossible_arguments_say_what_is_possible() -> None:
    agent, one = Agent(SPACE), SPACE.sample(np.random.default_rng(0))
    with pytest.raises(UnknownNameError, match="There is no algorithm 'a2c'"):
        Agent(SPACE, algorithm="a2c")  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match="There is no controller 'gru'"):
        Agent(SPACE, controller="gru")  # type: ignore[arg-type]
    with pytest.raises(SamplerError, match="`rewards` 'rank'; an agent learns from values as they are"):
        Agent(SPACE, learning=default("ppo", "tabular"))
    for architectures, rewards in (([one], [float("nan")]), ([one], []), ([], [])):
        with pytest.raises(SamplerError, match="give one finite reward for each, and at least one"):
            agent.learn(architectures, rewards)


@pytest.mark.slow
def test_a_tabular_agent_needs_no_torch() -> None:
    code = (
        "import sys\n"
        "from nas_tune.samplers.controllers.agent import Agent\n"
        "from nas_tune.space import Categorical, SearchSpace\n"
        "Agent(SearchSpace({'a': Categorical(1, 2)}), algorithm='ppo')\n"
        "print('torch' in sys.modules)\n"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()

    assert found == "False"
