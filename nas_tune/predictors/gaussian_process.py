"""A Gaussian process over architectures."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Self

import numpy as np
import torch
from scipy.optimize import Bounds, minimize
from torch import Tensor

from nas_tune.errors import PredictorError, SpaceError
from nas_tune.predictors.data import Targets, targets
from nas_tune.predictors.kernels.product import default_kernel
from nas_tune.predictors.memory import check_own
from nas_tune.predictors.predictor import Prediction
from nas_tune.predictors.squared_exponential import SquaredExponential
from nas_tune.space.evenly import draw_evenly

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from nas_tune.predictors.kernels.kernel import Kernel
    from nas_tune.space import Architecture, SearchSpace

MOST_STEPS = 40  # of the search for hyperparameters
TOLERANCE = 1e-5  # relative change of the likelihood at which it stops
PRIOR_DISTANCE = 1.2  # between two random architectures by each block of columns, a priori: a correlation of 0.3
PRIOR_DRAWS = 128  # random architectures, from which that distance is measured
FOURIER_FEATURES = 1_024  # of a drawn function


class GaussianProcess:
    """Gaussian process regression with exact inference; the marginal likelihood chooses the weights of its kernel.

    By default the kernel multiplies the Hamming distance of the decisions, a weight for each, with the counts of what
    they chose and, where the space draws graphs, with their Weisfeiler-Lehman subtrees. The prior of the weights is
    scaled so that two random architectures of the space are at the same distance by each block of the kernel, however
    many decisions there are. A trend adds up an effect of every column, with the weights of the kernel: it reaches
    further than likeness does, and where decisions interact little, it tells most of a large space from few values.

    Kernel and priors are modules of gpytorch. The likelihood is factorised with dense torch: at 100 values that takes
    less than half the time of gpytorch's own (lazy) algebra, at 500 as much.

    Args:
        space: Space of the architectures.
        kernel: What makes architectures alike; by default `default_kernel(space)`.

    Reference: Rasmussen & Williams, "Gaussian Processes for Machine Learning", 2006, algorithm 2.1 and section 5.4.1;
        for the priors that scale with the dimension Hvarfner et al., arXiv:2402.02229.
    """

    def __init__(self, space: SearchSpace, *, kernel: Kernel | None = None) -> None:
        self._space = space
        self._kernel = kernel if kernel is not None else default_kernel(space)
        self._covariance: SquaredExponential | None = None
        self._targets: Targets | None = None

    def fit(
        self, architectures: Sequence[Architecture], values: Sequence[float], noise: Sequence[float] | None = None
    ) -> Self:
        """Learn from evaluated architectures: hyperparameters of the largest posterior density, then the values.

        Args:
            architectures: What was evaluated, at least one.
            values: Value of each, finite. Outliers bend the process: give `NormalScores` where there are some.
            noise: Extra variance of each value, as a multiple of the variance of `values`.

        Raises:
            PredictorError: No architecture, other numbers of values than architectures, or one that is not finite.
            ArchitectureError: An architecture is of another space.
        """
        self._learn(architectures, values, noise)
        self._covariance = SquaredExponential(self._medians())
        self._place_columns()
        if self._covariance.log_weights.numel():
            self._maximise()
        return self._factorise()

    def condition(
        self, architectures: Sequence[Architecture], values: Sequence[float], noise: Sequence[float] | None = None
    ) -> Self:
        """Learn other data with the hyperparameters of the last `fit`.

        Raises:
            PredictorError: As `fit`, or `fit` was not called before.
            ArchitectureError: An architecture is of another space.
        """
        if self._covariance is None:
            raise PredictorError("GaussianProcess: nothing was fitted. Call `fit` before `condition`.")
        self._learn(architectures, values, noise)
        self._place_columns()
        return self._factorise()

    def predict(self, architectures: Sequence[Architecture]) -> Prediction:
        """Return mean and standard deviation of the value without noise, shape `(n,)` each.

        Raises:
            PredictorError: `fit` was not called before.
        """
        known, covariance = self._known()
        with torch.no_grad():
            x = self._encode(architectures)
            cross = covariance.forward(x, self._x)
            mean = cross @ self._weights
            explained = torch.linalg.solve_triangular(self._factor, cross.T, upper=False).square().sum(0)
            variance = covariance.forward(x, x, diag=True) - explained
        std = variance.clamp_min(0.0).sqrt()
        return Prediction(known.mean + known.std * mean.numpy(), known.std * std.numpy())

    def sample(self, architectures: Sequence[Architecture], rng: Generator) -> NDArray[np.float64]:
        """Draw one function of the posterior and return its values, shape `(n,)`.

        A function of the prior, by random Fourier features, is moved by what it misses of the data.

        Raises:
            PredictorError: `fit` was not called before.

        Reference: Wilson et al., arXiv:2002.09309, eq. 13; Rahimi & Recht, "Random Features for Large-Scale Kernel
            Machines", 2007.
        """
        known, covariance = self._known()
        with torch.no_grad():
            x = self._encode(architectures)
            prior = _PriorFunction(covariance, self._x.shape[1], rng)
            noise = self._noise(covariance, known).sqrt() * torch.as_tensor(rng.standard_normal(len(self._x)))
            missed = torch.as_tensor(known.scaled) - prior(self._x) - noise
            moved = covariance.forward(x, self._x) @ torch.cholesky_solve(missed[:, None], self._factor)[:, 0]
            drawn: NDArray[np.float64] = (prior(x) + moved).numpy()
        return known.mean + known.std * drawn

    @property
    def weights(self) -> tuple[float, ...]:
        """The learned weight of each group of the kernel."""
        _, covariance = self._known()
        return tuple(covariance.log_weights.detach().exp().tolist())

    def _learn(
        self, architectures: Sequence[Architecture], values: Sequence[float], noise: Sequence[float] | None
    ) -> None:
        found = targets("GaussianProcess", architectures, values, noise)
        for architecture in architectures:
            check_own("GaussianProcess", self._space, architecture)
        self._targets = found
        self._kernel.fit(architectures)
        self._x = self._encode(architectures)

    def _encode(self, architectures: Sequence[Architecture]) -> Tensor:
        return torch.as_tensor(np.ascontiguousarray(self._kernel.encode(architectures), dtype=np.float64))

    def _place_columns(self) -> None:
        assert self._covariance is not None
        typical = self._encode(self._random) if self._random else self._x
        self._covariance.centre = typical.mean(dim=0)
        self._covariance.columns = torch.as_tensor(self._kernel.groups, dtype=torch.long)

    def _medians(self) -> NDArray[np.float64]:
        """Return the prior median of each weight: equal shares of a distance that is the same for every block."""
        blocks, groups = np.array(self._kernel.blocks, dtype=int), np.array(self._kernel.groups, dtype=int)
        drawn = self._random
        columns = self._kernel.encode(drawn) if drawn else self._x.numpy()
        apart = columns.var(axis=0)  # half the mean squared distance of two rows
        distance = np.array([apart[groups == group].sum() for group in range(len(blocks))])
        shares = np.array([(blocks == block).sum() for block in blocks])
        return np.asarray(PRIOR_DISTANCE / np.maximum(shares * distance, 1e-3))

    @cached_property
    def _random(self) -> list[Architecture]:
        rng = np.random.default_rng(0)
        try:
            return [draw_evenly(self._space, rng) for _ in range(PRIOR_DRAWS)]
        except SpaceError:  # hardly anything is feasible
            return []

    def _noise(self, covariance: SquaredExponential, known: Targets) -> Tensor:
        return covariance.noise + torch.as_tensor(known.noise)

    def _gram(self, covariance: SquaredExponential, known: Targets) -> Tensor:
        return covariance.forward(self._x, self._x) + torch.diag(self._noise(covariance, known))

    def _maximise(self) -> None:
        known, covariance = self._known()
        parameters = [covariance.log_weights, covariance.log_scale, covariance.log_noise, covariance.log_trend]
        sizes = [p.numel() for p in parameters]
        y = torch.as_tensor(known.scaled)

        def loss(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            _write(parameters, sizes, flat)
            factor = torch.linalg.cholesky(self._gram(covariance, known))
            whitened = torch.linalg.solve_triangular(factor, y[:, None], upper=False)
            value = 0.5 * whitened.square().sum() + factor.diagonal().log().sum() - covariance.log_prior()
            gradients = torch.autograd.grad(value, parameters)
            return value.item(), np.concatenate([g.numpy().ravel() for g in gradients])

        start = np.concatenate([p.detach().numpy().ravel() for p in parameters])
        bounds = Bounds(start - 8.0, start + 8.0)  # five spreads of the prior, so that nothing overflows
        found = minimize(
            loss,
            start,
            jac=True,
            method="L-BFGS-B",
            bounds=bounds,
            options={"maxiter": MOST_STEPS, "ftol": TOLERANCE},
        )
        _write(parameters, sizes, found.x)

    def _factorise(self) -> Self:
        known, covariance = self._known()
        with torch.no_grad():
            self._factor = torch.linalg.cholesky(self._gram(covariance, known))
            self._weights = torch.cholesky_solve(torch.as_tensor(known.scaled)[:, None], self._factor)[:, 0]
        return self

    def _known(self) -> tuple[Targets, SquaredExponential]:
        if self._targets is None or self._covariance is None:
            raise PredictorError("GaussianProcess: nothing was fitted. Call `fit(architectures, values)` first.")
        return self._targets, self._covariance


def _write(parameters: Sequence[torch.nn.Parameter], sizes: Sequence[int], flat: NDArray[np.float64]) -> None:
    with torch.no_grad():
        for parameter, part in zip(parameters, torch.split(torch.as_tensor(flat), list(sizes)), strict=True):
            parameter.copy_(part)


class _PriorFunction:
    """A function drawn from the prior: a constant, a trend and random waves over the columns."""

    def __init__(self, covariance: SquaredExponential, width: int, rng: Generator) -> None:
        root = (0.5 * covariance.log_weights)[covariance.columns].exp()
        self._frequencies = torch.as_tensor(rng.standard_normal((width, FOURIER_FEATURES))) * root[:, None]
        self._phases = torch.as_tensor(rng.uniform(0.0, 2.0 * np.pi, FOURIER_FEATURES))
        self._amplitudes = torch.as_tensor(rng.standard_normal(FOURIER_FEATURES))
        self._amplitudes *= (2.0 * covariance.log_scale.exp() / FOURIER_FEATURES).sqrt()
        slopes = torch.as_tensor(rng.standard_normal((2, width))) * root * (0.5 * covariance.log_trend).exp()
        self._linear, self._square = slopes
        self._constant, self._centre = float(rng.standard_normal()), covariance.centre

    def __call__(self, x: Tensor) -> Tensor:
        waves = torch.cos(x @ self._frequencies + self._phases) @ self._amplitudes
        x = x - self._centre
        drawn: Tensor = waves + x @ self._linear + x.square() @ self._square + self._constant
        return drawn
