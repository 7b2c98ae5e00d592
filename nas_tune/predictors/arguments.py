"""What the arguments of predictors may be, and what a predictor says that has not learned yet."""

from __future__ import annotations

import math

from nas_tune.errors import PredictorError


def check_whole(owner: str, **sizes: int) -> None:
    """Check that every size is a whole number of at least 1.

    Raises:
        PredictorError: One is not; the message names it.
    """
    for name, size in sizes.items():
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise PredictorError(f"{owner}: `{name}` is {size!r}; give a whole number of at least 1.")


def check_positive(owner: str, **numbers: float) -> None:
    """Check that every number is finite and above 0.

    Raises:
        PredictorError: One is not, or is no number; the message names it.
    """
    for name, number in numbers.items():
        if not isinstance(number, (int, float)) or not 0 < number < math.inf:
            raise PredictorError(f"{owner}: `{name}` is {number!r}; give a finite number above 0.")


def not_fitted(owner: str) -> PredictorError:
    """Make the error of a predictor that is asked before it learned."""
    return PredictorError(
        f"{owner}: asked for a prediction before `fit`, so it knows nothing. "
        "Call fit(architectures, values) first, with at least one evaluated architecture."
    )
