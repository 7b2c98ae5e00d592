"""How much an evaluation is worth, by what a predictor expects of it. All of them maximise."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

import numpy as np
from scipy.special import erfcx, log_ndtr, ndtr

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from nas_tune.predictors.predictor import Prediction

NEAR, FAR = -1.0, -1e3  # standard deviations from the best, between which the improvement is a difference of its own
CONFIDENCE = 2.0  # standard deviations of the upper confidence bound


class Acquisition(Protocol):
    """Ranks candidates by what is expected of them."""

    def __call__(self, prediction: Prediction, best: float, rng: Generator) -> NDArray[np.float64]:
        """Return what evaluating each candidate is worth, shape `(n,)`; only the order counts.

        Args:
            prediction: What is expected of the candidates, larger is better.
            best: The best value so far.
            rng: Source of randomness.
        """


def log_expected_improvement(prediction: Prediction, best: float, rng: Generator | None = None) -> NDArray[np.float64]:
    """Return the logarithm of the expected improvement ``E[max(f - best, 0)]``, shape `(n,)`.

    The logarithm still tells candidates apart where the improvement itself is too small for a float.

    Reference: Jones et al., "Efficient Global Optimization of Expensive Black-Box Functions", 1998, eq. 15; the
        logarithm as in Ament et al., arXiv:2310.20708, eq. 9.
    """
    std = np.maximum(prediction.std, 1e-9)
    u = np.asarray((prediction.mean - best) / std, dtype=np.float64)
    log_density = -0.5 * u * u - 0.5 * math.log(2.0 * math.pi)
    near = np.maximum(u, NEAR)
    above = np.log(np.exp(-0.5 * near * near) / math.sqrt(2.0 * math.pi) + near * ndtr(near))
    middle = np.clip(u, FAR, NEAR)
    below = np.log1p(middle * math.sqrt(math.pi / 2.0) * erfcx(-middle / math.sqrt(2.0)))
    far = np.minimum(u, FAR)
    beyond = np.log1p(-3.0 / far**2) - 2.0 * np.log(-far)
    return np.asarray(np.log(std) + np.where(u > NEAR, above, log_density + np.where(u > FAR, below, beyond)))


def upper_confidence_bound(prediction: Prediction, best: float, rng: Generator | None = None) -> NDArray[np.float64]:
    """Return mean plus two standard deviations, shape `(n,)`.

    Reference: Srinivas et al., arXiv:0912.3995.
    """
    return prediction.mean + CONFIDENCE * prediction.std


def independent_thompson(prediction: Prediction, best: float, rng: Generator) -> NDArray[np.float64]:
    """Draw the value of each candidate on its own (ITS), shape `(n,)`.

    Reference: White et al., BANANAS, arXiv:1910.11858, section 4.
    """
    return prediction.mean + prediction.std * rng.standard_normal(len(prediction.mean))


def log_probability_below(mean: NDArray[np.float64], std: NDArray[np.float64], bound: float) -> NDArray[np.float64]:
    """Return the logarithm of the probability that normal values are at most `bound`, shape `(n,)`."""
    return np.asarray(log_ndtr((bound - mean) / np.maximum(std, 1e-9)))


ACQUISITIONS: Mapping[str, Acquisition] = {
    "ei": log_expected_improvement,
    "ucb": upper_confidence_bound,
    "its": independent_thompson,
}
"""By name; ``"thompson"`` and ``"auto"`` need more than a prediction and are the sampler's."""
