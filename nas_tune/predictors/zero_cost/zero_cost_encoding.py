"""Proxies as features beside an encoding."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nas_tune.predictors.zero_cost.zero_cost import ZeroCost
    from nas_tune.space import Value
    from nas_tune.space.encodings import Encoding


class ZeroCostEncoding:
    """An encoding that is followed by a column for each proxy, as `ZeroCost.features` gives them.

    Args:
        encoding: What comes first, such as ``space.encoding("path")``.
        zero_cost: Scores of the same space.

    Reference: zero-cost features beside an encoding, White et al., arXiv:2104.01177.
    """

    def __init__(self, encoding: Encoding, zero_cost: ZeroCost) -> None:
        self.encoding, self.zero_cost = encoding, zero_cost
        self.width = encoding.width + len(zero_cost.names)

    def encode(self, architecture: Mapping[str, Value]) -> NDArray[np.float64]:
        """Return the vector of an architecture, shape `(width,)`."""
        known = self.zero_cost.space.architecture(architecture)
        return np.concatenate([self.encoding.encode(known), self.zero_cost.features([known])[0]])
