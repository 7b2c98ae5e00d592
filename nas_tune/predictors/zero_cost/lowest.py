"""The lowest score: what a network gets whose score is not defined."""

from __future__ import annotations

import math
from collections.abc import Iterable

from torch import Tensor

LOWEST = -math.inf


def or_lowest(score: float) -> float:
    """Return the score, -inf where it is not finite: an overflow is no merit."""
    return score if math.isfinite(score) else LOWEST


def all_zero(tensors: Iterable[Tensor]) -> bool:
    """Say whether all tensors are zero, as gradients are where nothing flows."""
    return not any(bool(tensor.any()) for tensor in tensors)
