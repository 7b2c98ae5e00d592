"""What candidates of a step are thought to be worth: by a batch, by held-out inputs, or by a predictor."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from nas_tune.errors import CheckpointError, NasTuneError
from nas_tune.supernet.paths.arguments import check_whole
from nas_tune.supernet.paths.path import LearningPaths

if TYPE_CHECKING:
    import numpy as np
    from numpy.random import Generator
    from numpy.typing import NDArray

    from nas_tune.space import Architecture, SearchSpace
    from nas_tune.supernet.paths.path import Step


@runtime_checkable
class Estimator(Protocol):
    """Says how good architectures are, so that a strategy can choose; it may learn, like a strategy, by a memory."""

    def scores(
        self, step: Step, space: SearchSpace, architectures: Sequence[Architecture], rng: Generator
    ) -> tuple[float, ...]:
        """Return a number for each architecture, higher for a better one."""
        ...


def check_estimator(owner: str, estimator: object) -> None:
    """Check what judges candidates.

    Raises:
        NasTuneError: It is no estimator, or the class of one; the message names `owner`.
    """
    if isinstance(estimator, type) or not isinstance(estimator, Estimator):
        raise NasTuneError(
            f"{owner}: `estimator` is {estimator!r}; give `MinibatchLoss()`, `HeldOutAccuracy()` or "
            "`PredictedAccuracy(predictor)`."
        )


@dataclass(frozen=True)
class MinibatchLoss:
    """Minus the cross-entropy on the training batch of the step, by the statistics of the batch.

    Reference: the released code of AttentiveNAS, arXiv:2011.09011, whose paper has a batch of the validation split.
    """

    def scores(
        self, step: Step, space: SearchSpace, architectures: Sequence[Architecture], rng: Generator
    ) -> tuple[float, ...]:
        return tuple(-loss for loss in step.losses(architectures))


@dataclass(frozen=True)
class HeldOutAccuracy:
    """The accuracy on a batch of held-out inputs, by the statistics of that batch."""

    def scores(
        self, step: Step, space: SearchSpace, architectures: Sequence[Architecture], rng: Generator
    ) -> tuple[float, ...]:
        return step.accuracies(architectures)


class Expectation(Protocol):
    """What a predictor expects."""

    @property
    def mean(self) -> NDArray[np.float64]:
        """Expected value of each architecture, shape `(n,)`."""
        ...


class AccuracyPredictor(Protocol):
    """What learns accuracies: every `nas_tune.predictors.Predictor` does. The same data give the same answers."""

    def fit(self, architectures: Sequence[Architecture], values: Sequence[float]) -> object:
        """Learn the values of architectures, and forget what was learned before."""

    def predict(self, architectures: Sequence[Architecture]) -> Expectation:
        """Say what to expect of architectures."""
        ...


@dataclass
class Judged:
    """Architectures as JSON texts and their accuracies; whether a predictor is fitted to them."""

    architectures: list[str] = field(default_factory=list)
    accuracies: list[float] = field(default_factory=list)
    fitted: bool = False


@dataclass(frozen=True, repr=False)
class PredictedAccuracy:
    """The accuracy that a predictor expects, once it has learned some from the super-net.

    At the first step from `after_epochs` on, `architectures` drawn uniformly are judged on one batch of held-out
    inputs, and the predictor is fitted; that step takes as long as their forward passes. Until then every architecture
    is worth the same. Its memory are these architectures and their accuracies: the predictor is fitted to them again
    when a run is resumed.

    Deviation: accuracies are of one held-out batch with its own statistics, so that they compare; the paper has the
    whole validation split and recalibrated statistics.

    Args:
        predictor: What learns, for example `RandomForest(space)`; it belongs to this estimator alone.
        architectures: How many are judged.
        after_epochs: Epochs of training before.

    Raises:
        NasTuneError: `architectures` is below 1 or `after_epochs` below 0.

    Reference: Wang et al., AttentiveNAS, arXiv:2011.09011, section 4: a random forest of 1,000 sub-networks after
        30 epochs.
    """

    predictor: AccuracyPredictor
    architectures: int = 1000
    after_epochs: float = 30.0
    _judged: Judged = field(default_factory=Judged, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_whole("PredictedAccuracy", "architectures", self.architectures)
        if not (math.isfinite(self.after_epochs) and self.after_epochs >= 0):
            raise NasTuneError(f"PredictedAccuracy: `after_epochs` is {self.after_epochs}; give at least 0 epochs.")

    def __repr__(self) -> str:
        return (
            f"PredictedAccuracy(predictor={type(self.predictor).__name__}, architectures={self.architectures}, "
            f"after_epochs={self.after_epochs})"
        )

    def scores(
        self, step: Step, space: SearchSpace, architectures: Sequence[Architecture], rng: Generator
    ) -> tuple[float, ...]:
        if not self._judged.architectures:
            if step.epoch < self.after_epochs:
                step.accuracies(())  # fails now, not epochs later, where there are no held-out inputs
                return (0.0,) * len(architectures)
            self._judge(step, space, rng)
        if not self._judged.fitted:
            known = [space.from_json(text) for text in self._judged.architectures]
            self.predictor.fit(known, self._judged.accuracies)
            self._judged.fitted = True
        return tuple(float(mean) for mean in self.predictor.predict(architectures).mean)

    def _judge(self, step: Step, space: SearchSpace, rng: Generator) -> None:
        drawn = [space.sample(rng) for _ in range(self.architectures)]
        self._judged.accuracies = list(step.accuracies(drawn))
        self._judged.architectures = [architecture.to_json() for architecture in drawn]

    def memory(self) -> Mapping[str, object]:
        return {"architectures": [*self._judged.architectures], "accuracies": [*self._judged.accuracies]}

    def remember(self, memory: Mapping[str, object]) -> None:
        known, accuracies = (memory.get(name, []) for name in ("architectures", "accuracies"))
        if not (isinstance(known, list) and isinstance(accuracies, list) and len(known) == len(accuracies)):
            raise CheckpointError("The memory is of no PredictedAccuracy: architectures and accuracies do not match.")
        self._judged.architectures, self._judged.accuracies = [*known], [*accuracies]
        self._judged.fitted = False


def memory_of(estimator: Estimator) -> Mapping[str, object]:
    """Return what an estimator has learned; empty where it is of a kind that learns nothing."""
    return dict(estimator.memory()) if isinstance(estimator, LearningPaths) else {}


def remind(estimator: Estimator, memory: object) -> None:
    """Give an estimator back what `memory_of` returned; one that learns nothing needs none.

    Raises:
        CheckpointError: The memory is none.
    """
    if not isinstance(memory, Mapping):
        raise CheckpointError(f"The memory of {estimator!r} is {memory!r}, not a mapping.")
    if isinstance(estimator, LearningPaths):
        estimator.remember(memory)
