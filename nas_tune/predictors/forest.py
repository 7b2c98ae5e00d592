"""Random forests and extremely randomised trees, on an encoding of the architectures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, Self, TypeAlias

import numpy as np
from sklearn.ensemble import ExtraTreesRegressor, RandomForestRegressor

from nas_tune.errors import PredictorError
from nas_tune.predictors.arguments import check_positive, check_whole, not_fitted
from nas_tune.predictors.calibration import spread_scale
from nas_tune.predictors.data import Targets, targets
from nas_tune.predictors.features import Features
from nas_tune.predictors.predictor import Prediction

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from nas_tune.predictors.features import Columns
    from nas_tune.space import Architecture, SearchSpace
    from nas_tune.space.encodings import Encoding

    Regressor: TypeAlias = RandomForestRegressor | ExtraTreesRegressor

NARROWEST = 0.5  # factor of a deviation that is too wide


class RandomForest:
    """Trees on bootstrap samples of the data; the deviation is of the values in the leaves, over all trees.

    The mean is scikit-learn's. The variance is the total one, as in SMAC: the variance of the trees' means, and the
    mean of the variances inside the leaves. It says what single values do, and so is too wide for a mean where the
    values have a heavy tail; a factor of at least 0.5 makes it right for the values out of the bag of each tree. That
    factor is not of SMAC: `calibrate=False` is.

    Args:
        space: Space of the architectures.
        encoding: ``"one-hot"``, ``"adjacency"`` or ``"path"``, or an encoding.
        features: Returns further columns for architectures, shape `(n, k)`, such as zero-cost proxies.
        trees: Number of trees.
        max_features: Share of the columns that each split looks at: a third for regression, as Breiman advises.
        min_samples_leaf: Fewest values in a leaf.
        calibrate: Scale the deviation so that 68 % of the values out of the bag lie within one.
        seed: Of the bootstrap and the splits.

    Raises:
        PredictorError: A number is out of its range.
        UnknownNameError: There is no such encoding.

    Reference: Breiman, "Random Forests", Machine Learning 45, 2001; Hutter et al., "Algorithm Runtime Prediction",
        arXiv:1211.0906, for the variance.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        encoding: str | Encoding = "one-hot",
        features: Columns | None = None,
        trees: int = 100,
        max_features: float = 1 / 3,
        min_samples_leaf: int = 1,
        calibrate: bool = True,
        seed: int = 0,
    ) -> None:
        owner = type(self).__name__
        check_settings(owner, trees, max_features, min_samples_leaf)
        make = partial(
            RandomForestRegressor,
            n_estimators=trees,
            max_features=float(max_features),
            min_samples_leaf=min_samples_leaf,
            random_state=seed,
        )
        self._forest = _Forest(Features(owner, space, encoding, features), make, owner, calibrate)

    def fit(
        self, architectures: Sequence[Architecture], values: Sequence[float], noise: Sequence[float] | None = None
    ) -> Self:
        """Learn as `Predictor.fit` says; a value counts as much as its noise lets it."""
        self._forest.fit(architectures, values, noise)
        return self

    def predict(self, architectures: Sequence[Architecture]) -> Prediction:
        """Return the mean of all trees and the total deviation."""
        return self._forest.predict(architectures)

    def sample(self, architectures: Sequence[Architecture], rng: Generator) -> NDArray[np.float64]:
        """Return a random tree, shape `(n,)`, with a value drawn in each of its leaves."""
        return self._forest.sample(architectures, rng)


class ExtraTrees:
    """Trees that split at random places; otherwise as `RandomForest`.

    The paper grows every tree on all data. Then they agree on what they learned, a deviation covers a fifth of the
    values and nothing is out of the bag: here each has a bootstrap sample.

    Args:
        space: Space of the architectures.
        encoding: ``"one-hot"``, ``"adjacency"`` or ``"path"``, or an encoding.
        features: Returns further columns for architectures, shape `(n, k)`, such as zero-cost proxies.
        trees: Number of trees.
        max_features: Share of the columns that each split looks at: all for regression, as in the paper.
        min_samples_leaf: Fewest values in a leaf.
        calibrate: Scale the deviation so that 68 % of the values out of the bag lie within one.
        seed: Of the bootstrap and the splits.

    Raises:
        PredictorError: A number is out of its range.
        UnknownNameError: There is no such encoding.

    Reference: Geurts et al., "Extremely Randomized Trees", Machine Learning 63, 2006.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        encoding: str | Encoding = "one-hot",
        features: Columns | None = None,
        trees: int = 100,
        max_features: float = 1.0,
        min_samples_leaf: int = 1,
        calibrate: bool = True,
        seed: int = 0,
    ) -> None:
        owner = type(self).__name__
        check_settings(owner, trees, max_features, min_samples_leaf)
        make = partial(
            ExtraTreesRegressor,
            n_estimators=trees,
            max_features=float(max_features),
            min_samples_leaf=min_samples_leaf,
            random_state=seed,
            bootstrap=True,
        )
        self._forest = _Forest(Features(owner, space, encoding, features), make, owner, calibrate)

    def fit(
        self, architectures: Sequence[Architecture], values: Sequence[float], noise: Sequence[float] | None = None
    ) -> Self:
        """Learn as `Predictor.fit` says; a value counts as much as its noise lets it."""
        self._forest.fit(architectures, values, noise)
        return self

    def predict(self, architectures: Sequence[Architecture]) -> Prediction:
        """Return the mean of all trees and the total deviation."""
        return self._forest.predict(architectures)

    def sample(self, architectures: Sequence[Architecture], rng: Generator) -> NDArray[np.float64]:
        """Return a random tree, shape `(n,)`, with a value drawn in each of its leaves."""
        return self._forest.sample(architectures, rng)


def check_settings(owner: str, trees: int, max_features: float, min_samples_leaf: int) -> None:
    """Check what both kinds of forest are given."""
    check_whole(owner, trees=trees, min_samples_leaf=min_samples_leaf)
    check_positive(owner, max_features=max_features)
    if max_features > 1:
        raise PredictorError(f"{owner}: `max_features` is {max_features!r}; give a share of the columns, at most 1.")


class _Leaves(NamedTuple):
    """What the nodes of all trees hold: mean and variance of the scaled values, shape `(trees, most nodes)`."""

    mean: NDArray[np.float64]
    variance: NDArray[np.float64]

    def at(self, nodes: NDArray[np.intp]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return mean and variance in the node that each tree leads a row to, both shape `(trees, n)`."""
        return np.take_along_axis(self.mean, nodes, 1), np.take_along_axis(self.variance, nodes, 1)


class _Learned(NamedTuple):
    regressor: Regressor
    leaves: _Leaves
    targets: Targets
    scale: float

    def values(self, scaled: NDArray[np.float64]) -> NDArray[np.float64]:
        """Bring scaled values back to the unit of the data."""
        return self.targets.mean + self.targets.std * scaled


class _Forest:
    """What both kinds of forest do once the trees are grown."""

    def __init__(self, features: Features, make: Callable[[], Regressor], owner: str, calibrate: bool) -> None:
        self._features, self._make, self._owner, self._calibrate = features, make, owner, calibrate
        self._learned: _Learned | None = None

    def fit(
        self, architectures: Sequence[Architecture], values: Sequence[float], noise: Sequence[float] | None
    ) -> None:
        found = targets(self._owner, architectures, values, noise)
        matrix = self._matrix(architectures)
        weights = found.weights if found.noise.any() else None  # scikit-learn's bootstrap is another with weights
        regressor = self._make().fit(matrix, found.scaled, sample_weight=weights)
        leaves = _leaves(regressor)
        scale = _bag_scale(regressor, leaves, matrix, found) if self._calibrate else 1.0
        self._learned = _Learned(regressor, leaves, found, scale)

    def predict(self, architectures: Sequence[Architecture]) -> Prediction:
        learned = self._known()
        if not len(architectures):
            return Prediction(np.zeros(0), np.zeros(0))
        mean, std = _total(*learned.leaves.at(self._nodes(learned, architectures)))
        return Prediction(learned.values(mean), learned.targets.std * learned.scale * std)

    def sample(self, architectures: Sequence[Architecture], rng: Generator) -> NDArray[np.float64]:
        learned = self._known()
        if not len(architectures):
            return np.zeros(0)
        nodes = self._nodes(learned, architectures)
        means, variances = learned.leaves.at(nodes)
        tree = int(rng.integers(len(means)))
        noise = rng.standard_normal(learned.leaves.mean[tree].shape)[nodes[tree]]  # the same for all in a leaf
        drawn = means[tree] + np.sqrt(variances[tree]) * noise
        mean = means.mean(0)
        return learned.values(mean + learned.scale * (drawn - mean))

    def _known(self) -> _Learned:
        if self._learned is None:
            raise not_fitted(self._owner)
        return self._learned

    def _matrix(self, architectures: Sequence[Architecture]) -> NDArray[np.float32]:
        matrix = self._features(architectures)
        return matrix if matrix.shape[1] else np.zeros((len(matrix), 1), dtype=np.float32)

    def _nodes(self, learned: _Learned, architectures: Sequence[Architecture]) -> NDArray[np.intp]:
        nodes: NDArray[np.intp] = learned.regressor.apply(self._matrix(architectures)).T
        return nodes


def _total(
    means: NDArray[np.float64], variances: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and deviation over trees by the law of total variance, both shape `(n,)`."""
    return means.mean(0), np.sqrt(means.var(0) + variances.mean(0))


def _leaves(regressor: Regressor) -> _Leaves:
    trees = [estimator.tree_ for estimator in regressor.estimators_]
    mean, variance = np.zeros((2, len(trees), max(tree.node_count for tree in trees)))
    for row, tree in enumerate(trees):
        mean[row, : tree.node_count] = tree.value[:, 0, 0]
        variance[row, : tree.node_count] = np.maximum(tree.impurity, 0)
    return _Leaves(mean, variance)


def _bag_scale(regressor: Regressor, leaves: _Leaves, matrix: NDArray[np.float32], found: Targets) -> float:
    """Return the factor that makes the deviation right for the values out of the bag of at least two trees."""
    means, variances = leaves.at(regressor.apply(matrix).T)
    outside = np.ones(means.shape, dtype=bool)
    for row, bag in zip(outside, regressor.estimators_samples_, strict=True):
        row[bag] = False
    trees = outside.sum(0)
    some, count = trees > 1, np.maximum(trees, 1)
    mean = (means * outside).sum(0) / count
    variance = (((means - mean) ** 2 + variances) * outside).sum(0) / count
    residuals = (found.scaled - mean) * np.sqrt(found.weights)
    return spread_scale(residuals[some], np.sqrt(variance[some]), NARROWEST)
