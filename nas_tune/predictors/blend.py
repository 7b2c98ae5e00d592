"""A blend of predictors by what each says of the ranks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

from nas_tune.errors import PredictorError
from nas_tune.predictors.arguments import not_fitted
from nas_tune.predictors.data import targets
from nas_tune.predictors.predictor import Prediction, Predictor, SamplingPredictor
from nas_tune.predictors.rank_map import RankMap

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from nas_tune.space import Architecture, SearchSpace

REFERENCES = 256  # architectures drawn from the space, among which predictions are ranked


class Blend:
    """Averages the ranks that several predictors give, so that none counts more because its scale is wider.

    A predictor's mean becomes the normal score of its rank among what the same predictor says of the evaluated
    architectures and of 256 drawn from the space: what is said of one architecture does not depend on which others are
    asked for. The scores are averaged, and the average is brought back to the scale of the values by each predictor's
    own map, inverted, and the mean of those. The blend of one predictor is that predictor.

    The variance is the square of the predictors' mean deviation less the variance of their means around each other,
    once all are on the blend's scale; but at least the latter. For over predictors, the mean squared error is that of
    their average and their variance (Krogh & Vedelsby, 1994): predictors that know their errors know their
    disagreement, and the sum of both, the variance of a mixture, would count it twice.

    Args:
        space: Space of the architectures.
        predictors: What is blended; `fit` fits them. `None` is a random forest, an ensemble of multilayer perceptrons
            and a graph network.
        seed: Of the drawn architectures, and of the predictors where none are given.

    Raises:
        PredictorError: `predictors` is empty, or holds what is no predictor.
    """

    def __init__(self, space: SearchSpace, *, predictors: Sequence[Predictor] | None = None, seed: int = 0) -> None:
        found = _defaults(space, seed) if predictors is None else tuple(predictors)
        if not found or not all(isinstance(predictor, Predictor) for predictor in found):
            raise PredictorError(f"Blend: `predictors` is {found!r}; give at least one, each with `fit` and `predict`.")
        self.predictors: tuple[Predictor, ...] = found
        self._space, self._seed = space, seed
        self._drawn: tuple[Architecture, ...] = ()
        self._maps: tuple[RankMap, ...] = ()

    def fit(
        self, architectures: Sequence[Architecture], values: Sequence[float], noise: Sequence[float] | None = None
    ) -> Self:
        """Fit all predictors, and rank what they say."""
        found = targets("Blend", architectures, values, noise)
        known = (*architectures, *self.references())
        for predictor in self.predictors:
            predictor.fit(architectures, values, noise)
        self._maps = tuple(RankMap(predictor.predict(known).mean, found.std) for predictor in self.predictors)
        return self

    def predict(self, architectures: Sequence[Architecture]) -> Prediction:
        """Return the blended mean, and the deviation of the predictors or among them."""
        said = self._said(architectures)
        return Prediction(said.mean, said.std)

    def sample(self, architectures: Sequence[Architecture], rng: Generator) -> NDArray[np.float64]:
        """Return a function of a random predictor, shape `(n,)`, on the blend's scale and as wide as its deviation.

        One that draws no functions has all its values equally many deviations from its mean.
        """
        said = self._said(architectures)
        which = int(rng.integers(len(self.predictors)))
        predictor = self.predictors[which]
        if isinstance(predictor, SamplingPredictor):
            away = predictor.sample(architectures, rng) - said.means[which]
        else:
            away = said.stds[which] * rng.standard_normal()
        away = away + said.placed[which] - said.placed.mean(0)
        function: NDArray[np.float64] = said.mean + said.narrowing * away
        return function

    def references(self) -> tuple[Architecture, ...]:
        """Return the drawn architectures, among which and the evaluated ones a prediction is ranked."""
        if not self._drawn:
            rng = np.random.default_rng(self._seed)
            self._drawn = tuple(self._space.sample(rng) for _ in range(REFERENCES))
        return self._drawn

    def _said(self, architectures: Sequence[Architecture]) -> _Said:
        if not self._maps:
            raise not_fitted("Blend")
        predictions = [predictor.predict(architectures) for predictor in self.predictors]
        means = np.stack([prediction.mean for prediction in predictions])
        scores = np.stack([ranks.scores(mean) for ranks, mean in zip(self._maps, means, strict=True)])
        stds = np.stack([prediction.std for prediction in predictions])
        return _Said(means, stds, self._numbers(scores), self._numbers(scores.mean(0)))

    def _numbers(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Bring scores, of any shape, to the scale of the values."""
        numbers: NDArray[np.float64] = np.mean([ranks.numbers(scores) for ranks in self._maps], axis=0)
        return numbers


class _Said(NamedTuple):
    """What each predictor says of architectures, and the blend; the first three of shape `(predictors, n)`.

    Attributes:
        means: Means of the predictors as they are.
        stds: Their deviations.
        placed: Their means on the blend's scale.
        mean: The blended mean, shape `(n,)`.
    """

    means: NDArray[np.float64]
    stds: NDArray[np.float64]
    placed: NDArray[np.float64]
    mean: NDArray[np.float64]

    @property
    def std(self) -> NDArray[np.float64]:
        """Deviation of the blend, shape `(n,)`."""
        spread = self.placed.var(0)
        std: NDArray[np.float64] = np.sqrt(np.maximum(self.stds.mean(0) ** 2 - spread, spread))
        return std

    @property
    def narrowing(self) -> NDArray[np.float64]:
        """Deviation of the blend as a share of that of the mixture of predictors, shape `(n,)`."""
        mixture = np.sqrt(self.placed.var(0) + (self.stds**2).mean(0))
        share: NDArray[np.float64] = np.divide(self.std, mixture, out=np.ones_like(mixture), where=mixture > 0)
        return share


def _defaults(space: SearchSpace, seed: int) -> tuple[Predictor, ...]:
    from nas_tune.predictors.forest import RandomForest
    from nas_tune.predictors.graph_network import GraphNetwork
    from nas_tune.predictors.mlp_ensemble import MLPEnsemble

    return RandomForest(space, seed=seed), MLPEnsemble(space, seed=seed), GraphNetwork(space, seed=seed)
