"""BANANAS' ensemble of multilayer perceptrons on the path encoding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor, nn

from nas_tune.predictors.arguments import check_positive, check_whole, not_fitted
from nas_tune.predictors.data import targets
from nas_tune.predictors.features import Features, Standardization, standardization
from nas_tune.predictors.network_ensemble import Ensemble, Recipe, StackedLinear, Training, fit_ensemble, uniform
from nas_tune.predictors.predictor import Prediction
from nas_tune.space.graphs import draws_graphs

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from nas_tune.predictors.features import Columns
    from nas_tune.space import Architecture, SearchSpace
    from nas_tune.space.encodings import Encoding


class MLPEnsemble:
    """Networks of one kind that differ in their first weights and batches; they disagree where they know little.

    The numbers are those of BANANAS; Adam's second 0.99 is from memory of the authors' code. Three things differ.
    Values are standardised before training. Columns that are 0 in all data are trained by nothing, so training leaves
    them out, and draws their weights for predictions as if they had been in. The members agree too much - about 45 % of
    new values lie within one deviation - so a factor of at least 1 widens it: the one that covers 68 % of values that a
    second ensemble, trained beside the first, did not see. `calibrate=False` is the paper's.

    Args:
        space: Space of the architectures.
        encoding: ``"one-hot"``, ``"adjacency"`` or ``"path"``, or an encoding. `None` is the paper's ``"path"`` where
            the space draws graphs; in a chain every architecture is a path of its own, and ``"one-hot"`` is taken.
        features: Returns further columns for architectures, shape `(n, k)`; they are standardised.
        members: Number of networks.
        layers: Hidden layers of each.
        width: Units in each layer.
        epochs: Passes over the data.
        batch_size: Values in a step.
        learning_rate: Of Adam.
        calibrate: Widen the deviation so that 68 % of unseen values lie within one.
        seed: Of weights and batches.

    Raises:
        PredictorError: A number is out of its range.
        UnknownNameError: There is no such encoding.

    Reference: White et al., "BANANAS: Bayesian Optimization with Neural Architectures for Neural Architecture Search",
        arXiv:1910.11858.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        encoding: str | Encoding | None = None,
        features: Columns | None = None,
        members: int = 5,
        layers: int = 10,
        width: int = 20,
        epochs: int = 150,
        batch_size: int = 32,
        learning_rate: float = 0.01,
        calibrate: bool = True,
        seed: int = 0,
    ) -> None:
        owner = type(self).__name__
        check_whole(owner, members=members, layers=layers, width=width, epochs=epochs, batch_size=batch_size)
        check_positive(owner, learning_rate=learning_rate)
        self._owner, self._members, self._layers, self._width = owner, members, layers, width
        self._training = Training(epochs, batch_size, learning_rate, beta_2=0.99)
        self._calibrate, self._seed = calibrate, seed
        chosen = encoding if encoding is not None else "path" if draws_graphs(space) else "one-hot"
        self._features = Features(owner, space, chosen, features)
        self._learned: _Learned | None = None

    def fit(
        self, architectures: Sequence[Architecture], values: Sequence[float], noise: Sequence[float] | None = None
    ) -> Self:
        """Learn as `Predictor.fit` says; a value counts as much as its noise lets it.

        Raises:
            PredictorError: Nothing to learn from, or a member diverged.
        """
        found = targets(self._owner, architectures, values, noise)
        matrix = self._features(architectures)
        standardize = standardization(matrix, self._features.encoded)
        rows = torch.from_numpy(standardize(matrix))
        seen = (rows != 0).any(0)

        def make(members: int, generator: torch.Generator) -> _Perceptrons:
            return _Perceptrons(members, int(seen.sum()), self._layers, self._width, generator)

        recipe = Recipe(self._owner, make, self._members, self._training, self._calibrate, self._seed)
        ensemble = fit_ensemble(recipe, architectures, [rows[:, seen]], found)
        assert isinstance(ensemble.network, _Perceptrons)
        ensemble.network.widen(seen, torch.Generator().manual_seed(self._seed + 1))
        self._learned = _Learned(ensemble, standardize)
        return self

    def predict(self, architectures: Sequence[Architecture]) -> Prediction:
        """Return mean and widened deviation of the members."""
        functions = self._functions(architectures)
        return Prediction(functions.mean(0), functions.std(0))

    def sample(self, architectures: Sequence[Architecture], rng: Generator) -> NDArray[np.float64]:
        """Return a random member, shape `(n,)`, its distance from the mean of all widened as the deviation is."""
        functions = self._functions(architectures)
        one: NDArray[np.float64] = functions[int(rng.integers(len(functions)))]
        return one

    def _functions(self, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        if self._learned is None:
            raise not_fitted(self._owner)
        if not len(architectures):
            return np.zeros((self._members, 0))
        matrix = self._learned.standardize(self._features(architectures))
        return self._learned.ensemble.functions([torch.from_numpy(matrix)])


class _Learned(NamedTuple):
    ensemble: Ensemble
    standardize: Standardization


class _Perceptrons(nn.Module):
    """Several multilayer perceptrons with rectified units and one output."""

    def __init__(self, members: int, inputs: int, layers: int, width: int, generator: torch.Generator) -> None:
        super().__init__()
        widths = [inputs, *[width] * layers]
        self.hidden = nn.ModuleList(
            StackedLinear(members, below, above, generator) for below, above in zip(widths, widths[1:], strict=False)
        )
        self.output = StackedLinear(members, width, 1, generator)

    def forward(self, x: Tensor) -> Tensor:
        """Map rows of shape `(members or 1, n, inputs)` to values of shape `(members, n)`."""
        first, *others = self.hidden
        x = torch.relu(self._first(x) if len(x) == 1 else first(x))
        for layer in others:
            x = torch.relu(layer(x))
        values: Tensor = self.output(x).squeeze(-1)
        return values

    def _first(self, x: Tensor) -> Tensor:
        """Return the first layer of rows that all members share, without the columns that are 0 in all of them."""
        layer = self.hidden[0]
        assert isinstance(layer, StackedLinear)
        used = (x[0] != 0).any(0)
        rows = x[:, :, used].expand(len(layer.weight), -1, -1)
        return torch.baddbmm(layer.bias, rows, layer.weight[:, used])

    @torch.no_grad()
    def widen(self, seen: Tensor, generator: torch.Generator) -> None:
        """Take columns that were 0 in training into the first layer, with weights as they are first drawn."""
        first = self.hidden[0]
        assert isinstance(first, StackedLinear)
        members, _, width = first.weight.shape
        weight = uniform((members, len(seen), width), first.bound, generator)
        weight[:, seen] = first.weight
        first.weight = nn.Parameter(weight)
