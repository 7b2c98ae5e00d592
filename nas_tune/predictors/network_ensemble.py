"""An ensemble of small networks, trained together as one network with a dimension for the members."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from nas_tune.errors import PredictorError
from nas_tune.predictors.calibration import folds, left_out, spread_scale

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nas_tune.predictors.data import Targets
    from nas_tune.space import Architecture

    Inputs: TypeAlias = Sequence[Tensor]
    """What the network takes, a row for each architecture."""

BLOCK = 512  # architectures that are predicted at once
FOLD_STREAM = 1  # of random numbers, beside that of the weights
STRIDE = 1_000_003  # between the seeds of the ensembles that are trained together


class StackedLinear(nn.Module):
    """A linear layer for each member, with weights as Keras draws them: Glorot's uniform ones, and biases of 0.

    Args:
        members: Number of members.
        inputs: Width of the input.
        outputs: Width of the output.
        generator: Draws the weights.
    """

    def __init__(self, members: int, inputs: int, outputs: int, generator: torch.Generator) -> None:
        super().__init__()
        self.bound = math.sqrt(6 / (inputs + outputs))
        self.weight = nn.Parameter(uniform((members, inputs, outputs), self.bound, generator))
        self.bias = nn.Parameter(torch.zeros(members, 1, outputs, dtype=torch.float32))

    def forward(self, x: Tensor) -> Tensor:
        """Map rows of shape `(members, n, inputs)` to `(members, n, outputs)`."""
        return torch.baddbmm(self.bias, x, self.weight)


def uniform(shape: Sequence[int], bound: float, generator: torch.Generator) -> Tensor:
    """Draw a float32 tensor between `-bound` and `bound`."""
    return (torch.rand(*shape, generator=generator, dtype=torch.float32) * 2 - 1) * bound


class Training(NamedTuple):
    """How the members are trained, with Adam.

    Attributes:
        epochs: Passes over the data.
        batch_size: Values in a step.
        learning_rate: Of Adam, at the start.
        weight_decay: Squared weights added to the loss, times this and a half.
        beta_2: Memory of Adam's squared gradients.
        cosine: Let the learning rate fall to 0 along half a cosine.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float = 0.0
    beta_2: float = 0.999
    cosine: bool = False


def train(
    network: nn.Module,
    inputs: Inputs,
    values: Tensor,
    weights: Tensor,
    training: Training,
    generators: Sequence[torch.Generator],
) -> None:
    """Minimise every member's mean absolute error, each with batches of its own.

    Adam works on each weight by itself, so that training together is training apart.

    Args:
        network: Maps inputs with a leading dimension for the members to `(members, n)`.
        inputs: Tensors with a row for each of `n` values.
        values: Shape `(n,)`.
        weights: How much each value counts for each member, shape `(members, n)`.
        training: Numbers of the training.
        generators: Draw the batches, each those of an equal share of the members.
    """
    share = len(weights) // len(generators), len(values)
    betas = (0.9, training.beta_2)
    optimizer = torch.optim.Adam(
        network.parameters(), training.learning_rate, betas, weight_decay=training.weight_decay, fused=True
    )
    for epoch in range(training.epochs):
        for group in optimizer.param_groups if training.cosine else ():
            group["lr"] = training.learning_rate * (1 + math.cos(math.pi * epoch / training.epochs)) / 2
        order = torch.cat([torch.rand(share, generator=g, dtype=torch.float32) for g in generators]).argsort(1)
        for batch in torch.split(order, training.batch_size, dim=1):
            errors = (network(*(x[batch] for x in inputs)) - values[batch]).abs()
            counts = weights.gather(1, batch)
            loss = ((errors * counts).sum(1) / counts.sum(1).clamp_min(1e-9)).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


class Ensemble(NamedTuple):
    """Trained members.

    Attributes:
        network: Maps inputs with a leading dimension for the members to `(members, n)`, scaled values.
        targets: What the values were scaled by.
        scale: Factor of the members' distance from their mean.
    """

    network: nn.Module
    targets: Targets
    scale: float

    def functions(self, inputs: Inputs) -> NDArray[np.float64]:
        """Return what every member says, in the unit of the values, shape `(members, n)`."""
        scaled = outputs(self.network, inputs)
        mean = scaled.mean(0)
        values: NDArray[np.float64] = self.targets.mean + self.targets.std * (mean + self.scale * (scaled - mean))
        return values


@torch.no_grad()
def outputs(network: nn.Module, inputs: Inputs) -> NDArray[np.float64]:
    """Return what the network says of every architecture, shape `(members, n)`."""
    blocks = [
        network(*(x[None] for x in block)) for block in zip(*(torch.split(x, BLOCK) for x in inputs), strict=True)
    ]
    return torch.cat(blocks, dim=1).numpy().astype(np.float64)


class Recipe(NamedTuple):
    """What makes an ensemble of the data.

    Attributes:
        owner: Who asks, for errors.
        make: Returns the network of a number of members, with weights drawn by the generator.
        members: How many members predict.
        training: Numbers of the training.
        calibrate: Train further members with values left out, and widen the deviation until it covers those.
        seed: Of weights and batches.
    """

    owner: str
    make: Callable[[int, torch.Generator], nn.Module]
    members: int
    training: Training
    calibrate: bool
    seed: int


@torch.enable_grad()
def fit_ensemble(recipe: Recipe, architectures: Sequence[Architecture], inputs: Inputs, found: Targets) -> Ensemble:
    """Train an ensemble on values and, where wanted, learn how much wider its deviation has to be.

    For the calibration a fifth of the architectures is left out and a second ensemble trained on the rest, beside the
    first; with few values this is done for several fifths.

    Raises:
        PredictorError: A member diverged.
    """
    held = left_out(folds(architectures, np.random.default_rng((FOLD_STREAM, recipe.seed))))
    held = held if recipe.calibrate else held[:0]
    shown = np.repeat(np.vstack([np.zeros((1, len(found.scaled)), dtype=bool), held]), recipe.members, axis=0)
    generators = [torch.Generator().manual_seed(recipe.seed + STRIDE * i) for i in range(1 + len(held))]
    network = _joined([recipe.make(recipe.members, generator) for generator in generators])
    weights = torch.from_numpy(np.where(shown, 0.0, found.weights).astype(np.float32))
    values = torch.from_numpy(found.scaled.astype(np.float32))
    train(network, inputs, values, weights, recipe.training, generators)
    said = outputs(network, inputs)
    if not np.isfinite(said).all():
        raise PredictorError(f"{recipe.owner}: a member diverged. Give a smaller `learning_rate`.")
    for parameter in network.parameters():
        parameter.data = parameter.data[: recipe.members].clone()
    rounds = said[recipe.members :].reshape(-1, recipe.members, len(values))
    return Ensemble(network, found, _scale(rounds, held, found))


def _joined(networks: Sequence[nn.Module]) -> nn.Module:
    """Return the first network with the members of all."""
    for parameter, *others in zip(*(network.parameters() for network in networks), strict=True):
        parameter.data = torch.cat([parameter.data, *(other.data for other in others)])
    return networks[0]


def _scale(rounds: NDArray[np.float64], held: NDArray[np.bool_], found: Targets) -> float:
    """Return the factor that covers the values that the members of each round, shape `(members, n)`, did not see."""
    if not len(rounds):
        return 1.0
    said = [members[:, out] for members, out in zip(rounds, held, strict=True)]
    residuals = [
        (found.scaled[out] - one.mean(0)) * np.sqrt(found.weights[out]) for one, out in zip(said, held, strict=True)
    ]
    return spread_scale(np.concatenate(residuals), np.concatenate([one.std(0) for one in said]), least=1.0)
