"""What a controller is: a policy that draws an architecture decision by decision, and the gradient of its logarithm."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from numpy.random import Generator

    from nas_tune.samplers.controllers.decisions import Batch, Decisions

Vector: TypeAlias = NDArray[np.floating]
Credit: TypeAlias = Callable[[Vector], Vector]


class Draw(ABC):
    """One architecture that is being drawn."""

    @abstractmethod
    def probabilities(self, row: int) -> Sequence[float]:
        """Return the probability of each choice of a decision, given the choices so far; at least one is above 0."""

    @abstractmethod
    def take(self, row: int, place: int) -> None:
        """Go on from a choice of the decision."""


class Policy(ABC):
    """A distribution over the architectures of a space."""

    @abstractmethod
    def begin(self) -> Draw:
        """Return a draw before its first decision."""


class Controller(ABC):
    """A family of policies with a vector of weights. It holds no weights itself: they are given and returned.

    Args:
        decisions: What is decided.
    """

    def __init__(self, decisions: Decisions) -> None:
        self.decisions = decisions

    @abstractmethod
    def initial(self, rng: Generator) -> Vector:
        """Draw the weights before anything is learned, shape `(weights,)`."""

    @abstractmethod
    def policy(self, weights: Vector) -> Policy:
        """Return the distribution that the weights stand for."""

    @abstractmethod
    def log_probabilities(self, weights: Vector, batch: Batch) -> Vector:
        """Return the logarithm of the probability of each path, in nats, shape `(paths,)`."""

    @abstractmethod
    def gradient(self, weights: Vector, batch: Batch, credit: Credit, entropy_weight: float) -> Vector:
        """Return the direction in which the weights are to go up, shape `(weights,)`.

        It is the sum over the paths of credit x gradient of the log-probability, and `entropy_weight` x gradient of the
        entropy: that of the distributions which a path went through, summed over its decisions, averaged over the
        paths.

        Args:
            weights: Of the policy.
            batch: The paths.
            credit: Given the log-probabilities, returns what each path counts for; both of shape `(paths,)`.
            entropy_weight: Weight of the entropy, in nats.
        """
