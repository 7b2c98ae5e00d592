"""Architectures as vectors: one-hot, adjacency and path encodings (White et al., arXiv:2007.04965)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol

from nas_tune.space.encodings.adjacency import AdjacencyEncoding
from nas_tune.space.encodings.one_hot import OneHotEncoding
from nas_tune.space.encodings.path import PathEncoding

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from nas_tune.space.node import Value
    from nas_tune.space.search_space import SearchSpace


class Encoding(Protocol):
    """Maps an architecture to a float64 vector of shape `(width,)`."""

    width: int

    def encode(self, architecture: Mapping[str, Value]) -> NDArray[np.float64]: ...


ENCODINGS: dict[str, Callable[[SearchSpace], Encoding]] = {
    "one-hot": OneHotEncoding,
    "adjacency": AdjacencyEncoding,
    "path": PathEncoding,
}
