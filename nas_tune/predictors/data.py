"""What every predictor checks of the data it is fitted to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nas_tune.errors import PredictorError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nas_tune.space import Architecture


class Targets(NamedTuple):
    """Values with their mean taken off and divided by their standard deviation.

    Attributes:
        scaled: Mean 0 and standard deviation 1 (all 0 where the values are equal), shape `(n,)`.
        noise: Extra variance of each, in the unit of `scaled` squared, shape `(n,)`.
        mean: What was taken off.
        std: What was divided by; 1 where the values are equal.
    """

    scaled: NDArray[np.float64]
    noise: NDArray[np.float64]
    mean: float
    std: float

    @property
    def weights(self) -> NDArray[np.float64]:
        """How much each value says, 1 for one without extra noise, shape `(n,)`."""
        return 1.0 / (1.0 + self.noise)


def targets(
    owner: str, architectures: Sequence[Architecture], values: Sequence[float], noise: Sequence[float] | None
) -> Targets:
    """Check what `fit` was given and standardise it.

    Raises:
        PredictorError: No architecture, other numbers of values or noises than of architectures, a value that is not
            finite, a noise that is not finite or below 0.
    """
    found = np.asarray(values, dtype=np.float64)
    extra = np.zeros(len(found)) if noise is None else np.asarray(noise, dtype=np.float64)
    if not len(architectures) or found.shape != (len(architectures),) or extra.shape != found.shape:
        raise PredictorError(
            f"{owner}: {len(architectures)} architectures, values of shape {found.shape} and noises of shape "
            f"{extra.shape}. Give at least one architecture, and one value (and noise) for each."
        )
    if not (np.isfinite(found).all() and np.isfinite(extra).all() and (extra >= 0).all()):
        raise PredictorError(f"{owner}: `values` must be finite, and `noise` finite and at least 0.")
    mean, std = float(found.mean()), float(found.std())
    if std <= 1e-12 * max(abs(mean), 1.0):
        return Targets(np.zeros(len(found)), extra, mean, 1.0)
    return Targets((found - mean) / std, extra, mean, std)
