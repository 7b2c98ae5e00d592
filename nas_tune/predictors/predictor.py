"""What a predictor is: it learns the values of architectures, and says of others what to expect and how surely."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol, Self, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    from numpy.random import Generator
    from numpy.typing import NDArray

    from nas_tune.space import Architecture


class Prediction(NamedTuple):
    """What a predictor expects of architectures, in the unit of the values it was fitted to.

    Attributes:
        mean: Expected value, shape `(n,)`.
        std: Standard deviation of the value without observation noise, shape `(n,)`, at least 0.
    """

    mean: NDArray[np.float64]
    std: NDArray[np.float64]


@runtime_checkable
class Predictor(Protocol):
    """A surrogate of an objective. What it knows, it learned in the last `fit`; the same data give the same answers."""

    def fit(
        self, architectures: Sequence[Architecture], values: Sequence[float], noise: Sequence[float] | None = None
    ) -> Self:
        """Learn from evaluated architectures, and forget what was learned before.

        Args:
            architectures: What was evaluated, at least one; an architecture may stand there several times.
            values: Value of each, finite.
            noise: Variance that each value has beyond the noise which all share, as a multiple of the variance of
                `values`; `None` is 0 for all. A value of noise 1 says about half of what an exact one says.

        Raises:
            PredictorError: No architecture, or as many values as there are not architectures, or one not finite.
        """

    def predict(self, architectures: Sequence[Architecture]) -> Prediction:
        """Return mean and standard deviation for architectures that may be known.

        Raises:
            PredictorError: `fit` was not called before.
        """


@runtime_checkable
class SamplingPredictor(Predictor, Protocol):
    """A predictor that can draw whole functions, which Thompson sampling maximises."""

    def sample(self, architectures: Sequence[Architecture], rng: Generator) -> NDArray[np.float64]:
        """Draw one function and return its values at the architectures, shape `(n,)`; jointly, not one by one.

        Which function it is depends on `rng` alone: a generator of the same state draws the same one for others.
        """


@runtime_checkable
class ConditionedPredictor(Predictor, Protocol):
    """A predictor whose hyperparameters cost more than its data, so that data can change while they stay."""

    def condition(
        self, architectures: Sequence[Architecture], values: Sequence[float], noise: Sequence[float] | None = None
    ) -> Self:
        """Learn other data with the hyperparameters of the last `fit`; arguments and errors are those of `fit`."""
