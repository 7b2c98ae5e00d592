"""What a trial is worth to a controller."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nas_tune.samplers.study_history import Evaluation

Scale: TypeAlias = Literal["rank", "value"]
SCALES: tuple[Scale, ...] = get_args(Scale)
WINDOW = 50  # trials among which one is ranked


def rewards(evaluations: Sequence[Evaluation], start: int, end: int, scale: Scale) -> NDArray[np.float64]:
    """Return the rewards of the complete trials from place `start` to before `end`, shape `(end - start,)`.

    They depend on no trial from `end` on.

    Args:
        evaluations: Complete trials by number.
        start: Place of the first.
        end: Place after the last.
        scale: ``"rank"``: the share of the last 50 trials, the block itself among them, that is worse; equal ones count
            half. A trial that breaks its constraints by more is worse, whatever the values. ``"value"``: the value as
            it is, minus by how much constraints are broken; an infinite one is the best or worst finite one so far.
    """
    if scale == "rank":
        return ranks(evaluations[max(0, min(start, end - WINDOW)) : end], end - start)
    return values(evaluations[:end], end - start)


def ranks(evaluations: Sequence[Evaluation], last: int) -> NDArray[np.float64]:
    """Return the rank of each of the `last` trials among all of them, between 0 and 1."""
    scores = [(-evaluation.excess, evaluation.value) for evaluation in evaluations]
    ordered = sorted(scores)
    places = [bisect_left(ordered, score) + bisect_right(ordered, score) for score in scores[-last:]]
    return np.array(places) / (2 * len(ordered))


def values(evaluations: Sequence[Evaluation], last: int) -> NDArray[np.float64]:
    """Return the values of the `last` trials, finite."""
    found = np.array([evaluation.value - evaluation.excess for evaluation in evaluations[-last:]])
    if not np.isfinite(found).all():
        finite = [e.value - e.excess for e in evaluations if math.isfinite(e.value - e.excess)] or [0.0]
        found = np.clip(found, min(finite), max(finite))
    return found
