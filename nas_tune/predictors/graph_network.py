"""An ensemble of graph networks on the graphs of architectures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor, nn

from nas_tune.errors import PredictorError
from nas_tune.predictors.arguments import check_positive, check_whole, not_fitted
from nas_tune.predictors.data import targets
from nas_tune.predictors.features import Features, Standardization, standardization
from nas_tune.predictors.graph_arrays import GraphReader
from nas_tune.predictors.network_ensemble import Ensemble, Recipe, StackedLinear, Training, fit_ensemble
from nas_tune.predictors.predictor import Prediction
from nas_tune.space.encodings.hidden import HiddenColumns

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from nas_tune.predictors.features import Columns
    from nas_tune.space import Architecture, SearchSpace


class GraphNetwork:
    """The Neural Predictor: layers that pass messages along the edges and against them, and the mean of all nodes.

    What the graph does not show, such as numbers, joins the mean of the nodes in columns of its own.

    The layers are the paper's; the training is not, of which the width of 144 and 300 epochs in batches of 10 at a rate
    of about 1e-4 (quoted from memory) take minutes on one core. Here the networks are narrower, batches larger and the
    loss is the mean absolute error of standardised values. There are several, for a deviation, widened as that of
    `MLPEnsemble`. Not of the paper are also its first stage, a classifier of failures, and dropout.

    Args:
        space: Space of the architectures.
        features: Returns further columns for architectures, shape `(n, k)`; they are standardised.
        members: Number of networks.
        layers: Layers that pass messages: 3 as in the paper.
        width: Width of a node's state.
        epochs: Passes over the data.
        batch_size: Values in a step.
        learning_rate: Of Adam, at the start; it falls along a cosine.
        weight_decay: Of Adam; the paper's, from memory.
        calibrate: Widen the deviation so that 68 % of unseen values lie within one.
        seed: Of weights and batches.

    Raises:
        PredictorError: A number is out of its range.

    Reference: Wen et al., "Neural Predictor for Neural Architecture Search", arXiv:1912.00848.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        features: Columns | None = None,
        members: int = 5,
        layers: int = 3,
        width: int = 32,
        epochs: int = 150,
        batch_size: int = 32,
        learning_rate: float = 0.01,
        weight_decay: float = 0.001,
        calibrate: bool = True,
        seed: int = 0,
    ) -> None:
        owner = type(self).__name__
        check_whole(owner, members=members, layers=layers, width=width, epochs=epochs, batch_size=batch_size)
        check_positive(owner, learning_rate=learning_rate)
        if not 0 <= weight_decay < math.inf:
            raise PredictorError(f"{owner}: `weight_decay` is {weight_decay!r}; give a finite number of at least 0.")
        self._owner, self._members, self._layers, self._width = owner, members, layers, width
        self._training = Training(epochs, batch_size, learning_rate, weight_decay, cosine=True)
        self._calibrate, self._seed = calibrate, seed
        self._graphs = GraphReader(owner, space)
        self._columns = Features(owner, space, HiddenColumns(space), features)
        self._learned: _Learned | None = None

    def fit(
        self, architectures: Sequence[Architecture], values: Sequence[float], noise: Sequence[float] | None = None
    ) -> Self:
        """Learn as `Predictor.fit` says; a value counts as much as its noise lets it.

        Raises:
            PredictorError: Nothing to learn from, or a member diverged.
        """
        found = targets(self._owner, architectures, values, noise)
        columns = self._columns(architectures)
        standardize = standardization(columns, self._columns.encoded)
        make = partial(_GraphNetworks, _Widths(self._graphs.kinds, columns.shape[1], self._width, self._layers))
        recipe = Recipe(self._owner, make, self._members, self._training, self._calibrate, self._seed)
        inputs = self._inputs(architectures, standardize)
        self._learned = _Learned(fit_ensemble(recipe, architectures, inputs, found), standardize)
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
        return self._learned.ensemble.functions(self._inputs(architectures, self._learned.standardize))

    def _inputs(self, architectures: Sequence[Architecture], standardize: Standardization) -> tuple[Tensor, ...]:
        graphs, columns = self._graphs(architectures), standardize(self._columns(architectures))
        return tuple(map(torch.from_numpy, (*graphs, columns)))


class _Learned(NamedTuple):
    ensemble: Ensemble
    standardize: Standardization


class _Widths(NamedTuple):
    kinds: int
    columns: int
    width: int
    layers: int


class _GraphNetworks(nn.Module):
    """Several graph networks with one output."""

    def __init__(self, widths: _Widths, members: int, generator: torch.Generator) -> None:
        super().__init__()
        sizes = [widths.kinds, *[widths.width] * widths.layers]
        self.passing = nn.ModuleList(
            StackedLinear(members, below, 2 * above, generator) for below, above in zip(sizes, sizes[1:], strict=False)
        )
        self.hidden = StackedLinear(members, widths.width + widths.columns, widths.width, generator)
        self.output = StackedLinear(members, widths.width, 1, generator)

    def forward(self, kinds: Tensor, forward: Tensor, backward: Tensor, present: Tensor, columns: Tensor) -> Tensor:
        """Return values of shape `(members, n)` of arrays as in `GraphArrays`, behind a dimension `members` or 1."""
        members = len(self.output.weight)
        nodes = kinds.expand(members, -1, -1, -1)
        for layer in self.passing:
            along, against = layer(nodes.flatten(1, 2)).unflatten(1, nodes.shape[1:3]).chunk(2, -1)
            nodes = (torch.relu(forward @ along) + torch.relu(backward @ against)) / 2
        mean = (present.unsqueeze(-2) @ nodes).squeeze(-2)
        x = torch.cat([mean, columns.expand(members, -1, -1)], -1)
        values: Tensor = self.output(torch.relu(self.hidden(x))).squeeze(-1)
        return values
