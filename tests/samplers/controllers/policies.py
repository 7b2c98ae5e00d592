"""What the tests of controllers share: their kinds, a space that can be enumerated, and a search without a study."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.random import default_rng
from optuna.study import StudyDirection
from optuna.trial import TrialState

from nas_tune.samplers.controllers.controller import Controller, Vector
from nas_tune.samplers.controllers.decisions import Batch, Decisions
from nas_tune.samplers.controllers.drawing import propose
from nas_tune.samplers.controllers.learning import Learning
from nas_tune.samplers.controllers.lstm import LstmController
from nas_tune.samplers.controllers.ppo import Ppo
from nas_tune.samplers.controllers.reinforce import Reinforce
from nas_tune.samplers.controllers.tabular import TabularController
from nas_tune.samplers.controllers.training import LOG_PROBABILITY, Training
from nas_tune.samplers.study_history import Evaluation, StudyHistory
from nas_tune.space import Architecture, Categorical, Integer, Repeat, SearchSpace, Subset, Switch, Value

Factory = Callable[[Decisions], Controller]
KINDS: dict[str, Factory] = {
    "tabular": TabularController,
    "lstm": lambda decisions: LstmController(decisions, size=8),
    "bounded lstm": lambda decisions: LstmController(decisions, size=8, tanh_constant=1.1),
}


def conditional_space() -> SearchSpace:
    """Return 126 architectures: what is decided depends on what was."""
    convolution = SearchSpace({"kernel": Categorical(3, 5, 7), "width": Integer(1, 2)})
    pooling = SearchSpace({"mode": Categorical("max", "mean")})
    return SearchSpace(
        {
            "op": Switch({"conv": convolution, "skip": SearchSpace({}), "pool": pooling}),
            "blocks": Repeat(Categorical("a", "b"), 0, 2),
            "inputs": Subset(range(2), 1),
            "only": Categorical("one"),
        }
    )


def some_weights(controller: Controller, seed: int = 0) -> Vector:
    """Draw weights in float64, so large that the policy is far from uniform."""
    return 0.7 * default_rng(seed).standard_normal(len(controller.initial(default_rng(0))))


def whole(space: SearchSpace, decisions: Decisions) -> Batch:
    """Return every architecture of a space."""
    return Batch([decisions.path(architecture) for architecture in space.enumerate()])


def slope(objective: Callable[[Vector], float], weights: Vector, direction: Vector) -> float:
    """Return the derivative along a direction by central differences."""
    step = 1e-5 * direction
    return (objective(weights + step) - objective(weights - step)) / 2e-5


def unit(size: int, seed: int) -> Vector:
    """Draw a direction, shape `(size,)`."""
    direction = default_rng(seed).standard_normal(size)
    return np.asarray(direction / np.linalg.norm(direction))


def searched(
    space: SearchSpace,
    fitness: Callable[[Mapping[str, Value]], float],
    learning: Learning,
    algorithm: str,
    avoid_duplicates: bool,
    trials: int,
    seed: int,
) -> list[Evaluation]:
    """Search with the tabular controller, trial by trial."""
    decisions, rate = Decisions(space), learning.learning_rate
    controller = TabularController(decisions)
    learner = Training(
        controller,
        Ppo(rate, learning.entropy_weight) if algorithm == "ppo" else Reinforce(rate, learning.entropy_weight),
        controller.initial(default_rng(seed)),
        learning.batch_size,
        learning.baseline_decay,
        learning.rewards,
    )
    history, found = StudyHistory(space, "", [StudyDirection.MAXIMIZE], "PolicyGradient"), set[Architecture]()
    for number in range(trials):
        policy, rng = controller.policy(learner.after(history).optimiser.weights), default_rng((seed, number))
        taken = found.__contains__ if avoid_duplicates else lambda _: False
        drawn = propose(space, decisions, policy, {}, taken, rng)
        found.add(drawn.architecture)
        values, notes = (fitness(drawn.architecture),), {LOG_PROBABILITY: drawn.log_probability}
        history.complete.append(Evaluation(number, drawn.architecture, TrialState.COMPLETE, values, notes=notes))
    return history.complete
