"""Policy gradients as an Optuna sampler."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nas_tune.errors import SamplerError
from nas_tune.samplers.controllers.decisions import Decisions
from nas_tune.samplers.controllers.drawing import propose
from nas_tune.samplers.controllers.learning import ALGORITHMS, CONTROLLERS, Learning, default
from nas_tune.samplers.controllers.making import make_algorithm, make_controller
from nas_tune.samplers.controllers.training import LOG_PROBABILITY, Training
from nas_tune.samplers.space_sampler import Proposal, Request, SpaceSampler

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

    from nas_tune.samplers.controllers.controller import Policy
    from nas_tune.samplers.controllers.learning import AlgorithmName, ControllerName
    from nas_tune.samplers.controllers.training import Learned
    from nas_tune.space import SearchSpace


class PolicyGradientSampler(SpaceSampler):
    """Draws architectures from a policy that learns which of them are good: REINFORCE, or PPO.

    The controller decides parameter by parameter, in the order of the space and only what is active. The tabular one
    has independent logits for every decision, the LSTM remembers the decisions before. A number with more than 16
    values is decided by tenths of its linear or logarithmic range, and drawn uniformly within one.

    The weights are a function of the study: they are learned from its complete trials by number, in blocks of
    `batch_size`, and learned again by every process that joins. A trial that ends late shifts the blocks after it,
    which are then learned anew. An LSTM's weights are those of other processes bit by bit on like machines with the
    same number of threads.

    By default a trial's reward is the share of the last 50 that it beats, so that values may have any scale and
    outliers do no harm; with `learning.rewards` ``"value"`` it is the value, as published. Failed and pruned trials
    teach nothing. A trial that broke a constraint (`trial.set_constraint`) ranks below those that broke less.
    Enqueued trials teach like those the policy drew.

    The defaults suit the 60 to 300 trials of a typical study; `published` has those of the literature, which ran for
    thousands, drew with duplicates and had accuracies within [0, 1] as rewards.

    Args:
        space: Space that the objective suggests, `space.suggest(trial, prefix)`, alone or beside other parameters.
        algorithm: ``"reinforce"`` or ``"ppo"``.
        controller: ``"tabular"`` or ``"lstm"``; the LSTM needs torch.
        learning: How it learns; by default `controllers.learning.default(algorithm, controller)`.
        avoid_duplicates: Draw again when a network (compared by `space.canonical_key`) is known, at most 32 times.
            `False` in the literature.
        independent_sampler: Proposes the parameters that are not of the space; by default Optuna's `TPESampler`, seeded
            from `seed`, trial and parameter.
        prefix: What `space.suggest` is given.
        seed: Makes a proposal a function of seed, trial number and history, and draws the first weights. Processes with
            one seed do not repeat each other. `None` takes fresh entropy for every trial, and weights of seed 0.

    Raises:
        SamplerError: An argument is out of its range.

    Reference: Zoph & Le, arXiv:1611.01578; ENAS, arXiv:1802.03268; NASNet, arXiv:1707.07012; PPO, arXiv:1707.06347;
        NATS-Bench, arXiv:2009.00437.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        algorithm: AlgorithmName = "reinforce",
        controller: ControllerName = "tabular",
        learning: Learning | None = None,
        avoid_duplicates: bool = True,
        independent_sampler: BaseSampler | None = None,
        prefix: str = "",
        seed: int | None = None,
    ) -> None:
        super().__init__(
            space,
            avoid_duplicates=avoid_duplicates,
            independent_sampler=independent_sampler,
            prefix=prefix,
            seed=seed,
        )
        _check(algorithm, controller, learning)
        learning = learning or default(algorithm, controller)
        self._decisions = Decisions(space)
        self._controller = make_controller(controller, self._decisions, learning)
        self._training = Training(
            self._controller,
            make_algorithm(algorithm, learning),
            self._controller.initial(np.random.default_rng(seed or 0)),
            learning.batch_size,
            learning.baseline_decay,
            learning.rewards,
        )
        self._noted = algorithm == "ppo"
        self._policy: tuple[Learned, Policy] | None = None

    def propose(self, request: Request) -> Proposal:
        """Draw from the policy that has learned from the study."""
        policy = self._policy_of(self._training.after(request.history))
        drawn = propose(self._space, self._decisions, policy, request.fixed, request.is_taken, request.rng)
        if drawn.log_probability is None or not self._noted:
            return Proposal(drawn.architecture)
        return Proposal(drawn.architecture, {LOG_PROBABILITY: drawn.log_probability})

    def _policy_of(self, learned: Learned) -> Policy:
        if self._policy is None or self._policy[0] is not learned:
            self._policy = learned, self._controller.policy(learned.optimiser.weights)
        return self._policy[1]


def _check(algorithm: str, controller: str, learning: object) -> None:
    for name, given, known in (("algorithm", algorithm, ALGORITHMS), ("controller", controller, CONTROLLERS)):
        if given not in known:
            raise SamplerError(f"PolicyGradientSampler: `{name}` is {given!r}. Take {' or '.join(map(repr, known))}.")
    if learning is not None and not isinstance(learning, Learning):
        raise SamplerError(f"PolicyGradientSampler: `learning` is {learning!r}. Give a Learning, or None.")
