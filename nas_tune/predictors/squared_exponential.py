"""The covariance of the Gaussian process: a squared exponential of columns, with a weight for each group of them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import gpytorch
import torch
from gpytorch.priors import NormalPrior
from torch import Tensor, nn

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SPREAD = 1.5  # standard deviation of the logarithm of a weight, a priori
SCALE_SPREAD = 0.7  # the same of the variance, whose median is that of the values, 1
NOISE, NOISE_SPREAD = 0.01, 1.5  # median of the noise variance, and the spread of its logarithm
TREND, TREND_SPREAD = 0.1, 1.5  # the same of the trend's share
LEAST_NOISE = 1e-5


class SquaredExponential(gpytorch.kernels.Kernel):  # type: ignore[misc]  # gpytorch ships no types
    """``s exp(-1/2 sum_g w_g |x_g - x'_g|^2) + t sum_g w_g (x_g . x'_g + x_g^2 . x'_g^2) + 1``, with centred columns.

    The second term is a trend: a linear and a square effect of every column, added up, from which a few values tell
    what each decision does far away from all of them. The 1 is the variance of the unknown mean of standardised values.

    Args:
        medians: A priori median of each group's weight, shape `(groups,)`. Logarithms of weights, of the variance `s`,
            of the trend's share `t` and of the noise are normal a priori.

    Attributes:
        columns: Group of each column, shape `(columns,)`.
        centre: What is taken off each column, shape `(columns,)`.

    Reference: Rasmussen & Williams, "Gaussian Processes for Machine Learning", 2006, eq. 5.1 and sections 2.7 and 4.2.
    """

    def __init__(self, medians: NDArray[np.float64]) -> None:
        super().__init__()
        centre = torch.as_tensor(medians, dtype=torch.float64).log()
        self.register_parameter("log_weights", nn.Parameter(centre.clone()))
        self.register_parameter("log_scale", nn.Parameter(torch.zeros(1, dtype=torch.float64)))
        self.register_parameter("log_noise", nn.Parameter(torch.full((1,), math.log(NOISE), dtype=torch.float64)))
        self.register_parameter("log_trend", nn.Parameter(torch.full((1,), math.log(TREND), dtype=torch.float64)))
        spread = torch.full_like(centre, SPREAD)
        # not by `register_prior`: its closures cannot be pickled
        self.weights_prior = NormalPrior(centre, spread)
        self.scale_prior = NormalPrior(0.0, SCALE_SPREAD)
        self.trend_prior = NormalPrior(math.log(TREND), TREND_SPREAD)
        self.noise_prior = NormalPrior(math.log(NOISE), NOISE_SPREAD)
        self.columns = torch.zeros(0, dtype=torch.long)
        self.centre = torch.zeros(1, dtype=torch.float64)

    def forward(self, x1: Tensor, x2: Tensor, diag: bool = False, **_: object) -> Tensor:
        """Return the covariance of rows, shape `(n, m)`; with `diag` that of each row with its own, shape `(n,)`.

        Args:
            x1: Columns of architectures, shape `(n, columns)`, in groups given by the attribute `columns`.
            x2: The same of others, shape `(m, columns)`.
            diag: Whether only pairs of the same place are wanted.
        """
        root = (0.5 * self.log_weights)[self.columns].exp()
        x1, x2 = x1 - self.centre, x2 - self.centre
        a, b = x1 * root, x2 * root
        a2, b2 = x1 * a, x2 * b
        if diag:
            squares = (a - b).square().sum(-1)
            trend = (a * b).sum(-1) + (a2 * b2).sum(-1)
        else:
            products = a @ b.transpose(-1, -2)
            squares = a.square().sum(-1, keepdim=True) + b.square().sum(-1) - 2.0 * products
            trend = products + a2 @ b2.transpose(-1, -2)
        local = self.log_scale.exp() * (-0.5 * squares.clamp_min(0.0)).exp()
        covariance: Tensor = local + self.log_trend.exp() * trend + 1.0
        return covariance

    @property
    def noise(self) -> Tensor:
        """Variance of the noise that all values share, shape `(1,)`."""
        noise: Tensor = self.log_noise.exp() + LEAST_NOISE
        return noise

    def log_prior(self) -> Tensor:
        """Return the logarithm of the prior density of all hyperparameters."""
        density: Tensor = self.weights_prior.log_prob(self.log_weights).sum()
        density += self.scale_prior.log_prob(self.log_scale).sum() + self.noise_prior.log_prob(self.log_noise).sum()
        density += self.trend_prior.log_prob(self.log_trend).sum()
        return density
