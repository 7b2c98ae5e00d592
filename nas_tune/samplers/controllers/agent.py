"""An agent: a controller with weights of its own, which learns from rewards as they come instead of from a study."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from nas_tune.errors import CheckpointError, SamplerError
from nas_tune.samplers.controllers.adam import Adam
from nas_tune.samplers.controllers.baseline import Baseline
from nas_tune.samplers.controllers.decisions import Batch, Decisions
from nas_tune.samplers.controllers.drawing import propose
from nas_tune.samplers.controllers.learning import published
from nas_tune.samplers.controllers.making import make_algorithm, make_controller
from nas_tune.samplers.controllers.training import Learned

if TYPE_CHECKING:
    from numpy.random import Generator

    from nas_tune.samplers.controllers.controller import Policy, Vector
    from nas_tune.samplers.controllers.learning import AlgorithmName, ControllerName, Learning
    from nas_tune.space import Architecture, SearchSpace

VECTORS = ("weights", "first", "second")


class Agent:
    """Proposes architectures and learns from their rewards: the controller of `nas_tune.supernet.ControllerPaths`.

    What it has learned it can say and remember exactly. Unlike `PolicyGradientSampler` it reads no study: each call of
    `learn` is one update, whatever the `batch_size` of its `learning`, and rewards count by their values.

    Args:
        space: Space of the architectures.
        algorithm: ``"reinforce"`` or ``"ppo"``.
        controller: ``"tabular"``, or ``"lstm"``, which needs torch.
        learning: How it learns; by default `published(algorithm, controller)`, whose rewards are accuracies in [0, 1].
        seed: Draws the first weights.

    Raises:
        UnknownNameError: There is no such algorithm or controller.
        SamplerError: `learning` has rewards by rank, for which an agent knows too few.

    Reference: Pham et al., ENAS, arXiv:1802.03268, whose controller is ``"lstm"`` with ``"reinforce"``.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        algorithm: AlgorithmName = "reinforce",
        controller: ControllerName = "tabular",
        learning: Learning | None = None,
        seed: int = 0,
    ) -> None:
        known = published(algorithm, controller)
        self.space, self.learning, self.seed = space, known if learning is None else learning, seed
        self._names = (algorithm, controller)
        if self.learning.rewards != "value":
            raise SamplerError(
                f"Agent: `learning` has `rewards` {self.learning.rewards!r}; an agent learns from values as they are. "
                "Take 'value'."
            )
        self._decisions = Decisions(space)
        self._controller = make_controller(controller, self._decisions, self.learning)
        self._algorithm = make_algorithm(algorithm, self.learning)
        self._learned = self._start()
        self._policy: Policy | None = None

    def __repr__(self) -> str:
        algorithm, controller = self._names
        return (
            f"Agent(algorithm={algorithm!r}, controller={controller!r}, learning={self.learning!r}, seed={self.seed})"
        )

    def propose(self, rng: Generator) -> Architecture:
        """Draw an architecture from the policy.

        One that breaks a constraint is drawn again; after 200 of them it is drawn from the space, uniformly.
        """
        if self._policy is None:
            self._policy = self._controller.policy(self._learned.optimiser.weights)
        return propose(self.space, self._decisions, self._policy, {}, lambda _: False, rng).architecture

    def learn(self, architectures: Sequence[Architecture], rewards: Sequence[float]) -> None:
        """Do one update on architectures that the policy has proposed since the last one.

        Their rewards enter the baseline before it is subtracted, as in `PolicyGradientSampler`.

        Raises:
            SamplerError: No architecture, another number of rewards, or a reward that is not finite.
        """
        if not architectures or len(architectures) != len(rewards) or not all(map(math.isfinite, rewards)):
            raise SamplerError(
                f"Agent: {len(architectures)} architectures with the rewards {list(rewards)}; give one finite reward "
                "for each, and at least one."
            )
        state, worth = self._learned.optimiser, np.array(rewards, dtype=np.float64)
        baseline = self._learned.baseline.updated(worth)
        batch = self._batch(architectures)
        drawn = self._controller.log_probabilities(state.weights, batch)
        state = self._algorithm.step(self._controller, state, batch, worth - baseline.value, drawn)
        self._learned, self._policy = Learned(state, baseline), None

    def log_probabilities(self, architectures: Sequence[Architecture]) -> Vector:
        """Return the logarithm of the policy's probability of each architecture, in nats, shape `(n,)`.

        It is that of the choices before any draw is rejected.
        """
        return self._controller.log_probabilities(self._learned.optimiser.weights, self._batch(architectures))

    def _batch(self, architectures: Sequence[Architecture]) -> Batch:
        return Batch([self._decisions.path(architecture) for architecture in architectures])

    def _start(self) -> Learned:
        initial = self._controller.initial(np.random.default_rng(self.seed))
        return Learned(Adam.start(initial), Baseline(self.learning.baseline_decay))

    def memory(self) -> Mapping[str, object]:
        """Return weights, the optimiser's memory and the baseline, JSON-able and exact."""
        state, baseline = self._learned.optimiser, self._learned.baseline
        vectors = {name: getattr(state, name).tolist() for name in VECTORS}
        return {**vectors, "steps": state.steps, "baseline": [baseline.total, baseline.weight]}

    def remember(self, memory: Mapping[str, object]) -> None:
        """Go on from what `memory` returned; from an empty one, as when it was made.

        Raises:
            CheckpointError: The memory is of an agent of another space or controller; nothing has been changed.
        """
        start = self._start()
        self._learned, self._policy = _remembered(start, memory) if memory else start, None


def _remembered(start: Learned, memory: Mapping[str, object]) -> Learned:
    """Read a memory into the state of an agent that has learned nothing."""
    weights = start.optimiser.weights
    vectors = {name: np.array(memory.get(name, ()), dtype=weights.dtype) for name in VECTORS}
    baseline = memory.get("baseline")
    if any(vector.shape != weights.shape for vector in vectors.values()) or not isinstance(baseline, Sequence):
        raise CheckpointError(f"The memory is of another controller than this one, which has {len(weights)} weights.")
    total, weight = map(float, baseline)
    optimiser = Adam(**vectors, steps=int(str(memory["steps"])))
    return Learned(optimiser, replace(start.baseline, total=total, weight=weight))
