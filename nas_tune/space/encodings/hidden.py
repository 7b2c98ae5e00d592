"""The columns of what a graph does not show: numbers, and what a link of a chain holds inside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from nas_tune.space.graphs import hidden

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nas_tune.space.node import Value
    from nas_tune.space.search_space import SearchSpace


class HiddenColumns:
    """The columns of the one-hot encoding that belong to parameters which are no op of the graph.

    Args:
        space: The space whose graphs are encoded.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._one_hot = space.one_hot
        self._places = [place for name in hidden(space) for place in self._one_hot.places(name)]
        self.width = len(self._places)

    def encode(self, architecture: Mapping[str, Value]) -> NDArray[np.float64]:
        """Return the columns of an architecture, shape `(width,)`, numbers scaled to [0, 1]."""
        if not self.width:
            return np.zeros(0)
        return np.take(self._one_hot.encode(architecture), self._places)
