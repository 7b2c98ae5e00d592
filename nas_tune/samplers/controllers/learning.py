"""How a controller learns: the numbers of it, published and ours."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from nas_tune.errors import SamplerError, unknown_name
from nas_tune.samplers.controllers.rewards import SCALES, Scale

AlgorithmName: TypeAlias = Literal["reinforce", "ppo"]
ControllerName: TypeAlias = Literal["tabular", "lstm"]
ALGORITHMS: tuple[AlgorithmName, ...] = get_args(AlgorithmName)
CONTROLLERS: tuple[ControllerName, ...] = get_args(ControllerName)


@dataclass(frozen=True, kw_only=True)
class Learning:
    """How a controller learns. `published` and `default` give complete sets of numbers; change one by `replace`.

    Args:
        learning_rate: Of Adam.
        batch_size: Trials of each update.
        baseline_decay: Of the moving average of the rewards, for each trial; at least 0 and below 1.
        entropy_weight: Weight of the policy's entropy, in nats.
        rewards: ``"rank"``, the share of the last 50 trials that is worse, or ``"value"``, values as they are.
        clip: PPO: how far from 1 a ratio of probabilities still teaches.
        epochs: PPO: steps of Adam for each update.
        tanh_constant: LSTM: bound of its logits, `None` for no bound.

    Raises:
        SamplerError: A number is out of its range.
    """

    learning_rate: float
    batch_size: int
    baseline_decay: float
    entropy_weight: float = 0.0
    rewards: Scale = "value"
    clip: float = 0.2
    epochs: int = 10
    tanh_constant: float | None = None

    def __post_init__(self) -> None:
        _check("learning_rate", self.learning_rate, self.learning_rate > 0, "a number above 0")
        _check("batch_size", self.batch_size, _whole(self.batch_size), "a whole number of at least 1")
        _check("baseline_decay", self.baseline_decay, 0 <= self.baseline_decay < 1, "at least 0 and below 1")
        _check("entropy_weight", self.entropy_weight, self.entropy_weight >= 0, "a number of at least 0")
        _check("rewards", self.rewards, self.rewards in SCALES, "'rank' or 'value'")
        _check("clip", self.clip, self.clip > 0, "a number above 0")
        _check("epochs", self.epochs, _whole(self.epochs), "a whole number of at least 1")
        bound = self.tanh_constant
        _check("tanh_constant", bound, bound is None or bound > 0, "a number above 0, or None")


def published(algorithm: AlgorithmName, controller: ControllerName) -> Learning:
    """Return what the literature has: NATS-Bench, ENAS, NASNet; with values as rewards, so scale them to [0, 1].

    The tabular PPO is nobody's; it takes the numbers of NASNet's LSTM.

    Raises:
        UnknownNameError: There is no such algorithm or controller.

    Reference: arXiv:2009.00437 (REINFORCE, tabular), arXiv:1802.03268 (REINFORCE, LSTM), arXiv:1707.07012 (PPO).
    """
    return _of(_PUBLISHED, algorithm, controller)


def default(algorithm: AlgorithmName, controller: ControllerName) -> Learning:
    """Return what suits the 60 to 300 trials of a typical study: rewards by rank, larger steps, smaller batches.

    Raises:
        UnknownNameError: There is no such algorithm or controller.
    """
    return _of(_DEFAULTS, algorithm, controller)


def _of(sets: _Sets, algorithm: AlgorithmName, controller: ControllerName) -> Learning:
    if algorithm not in ALGORITHMS:
        raise unknown_name("algorithm", str(algorithm), ALGORITHMS)
    if controller not in CONTROLLERS:
        raise unknown_name("controller", str(controller), CONTROLLERS)
    return sets[algorithm, controller]


def _whole(number: object) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and number >= 1


def _check(name: str, value: object, holds: bool, wanted: str) -> None:
    if not holds or (isinstance(value, float) and not math.isfinite(value)):
        raise SamplerError(f"Learning: `{name}` is {value!r}. Take {wanted}.")


_Sets: TypeAlias = "dict[tuple[AlgorithmName, ControllerName], Learning]"
_NASNET = Learning(learning_rate=3.5e-4, batch_size=20, baseline_decay=0.95, entropy_weight=1e-5)
_PUBLISHED: _Sets = {
    ("reinforce", "tabular"): Learning(learning_rate=0.01, batch_size=1, baseline_decay=0.9),
    ("reinforce", "lstm"): Learning(
        learning_rate=0.0035, batch_size=10, baseline_decay=0.99, entropy_weight=1e-4, tanh_constant=1.10
    ),
    ("ppo", "tabular"): _NASNET,
    ("ppo", "lstm"): _NASNET,
}
_DEFAULTS: _Sets = {
    ("reinforce", "tabular"): Learning(learning_rate=0.1, batch_size=1, baseline_decay=0.9, rewards="rank"),
    ("reinforce", "lstm"): Learning(learning_rate=0.01, batch_size=10, baseline_decay=0.9, rewards="rank"),
    ("ppo", "tabular"): Learning(learning_rate=0.1, batch_size=10, baseline_decay=0.95, rewards="rank"),
    ("ppo", "lstm"): Learning(learning_rate=0.003, batch_size=10, baseline_decay=0.95, rewards="rank", epochs=5),
}
