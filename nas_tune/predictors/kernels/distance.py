"""Any distance between architectures as a kernel: the distances to fixed sets of architectures are the columns."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Self

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nas_tune.space import Architecture

MOST_ANCHORS = 64  # architectures that sets are drawn from: every column of a set costs its distances
MOST_KNOWN = 1 << 18  # distances that are remembered from one `fit` to the next


class DistanceKernel:
    """Bourgain's embedding of a distance, such as the edit distance of two networks.

    ``exp(-d^2)`` itself is in general not positive semi-definite, even of a metric. So each column is the distance to
    the nearest of a set of architectures; the sets, of 1, 2, 4, ... members drawn from those that were learned, are the
    same for all architectures until the next `fit`.

    Args:
        distance: Distance of two architectures, at least 0 and 0 of equal ones.
        seed: Of the sets.

    Reference: Bourgain 1985; Jin et al., Auto-Keras, arXiv:1806.10282, section 3.1. Deviation: the authors draw new
        sets for each matrix, which makes rows of different matrices incomparable.
    """

    def __init__(self, distance: Callable[[Architecture, Architecture], float], *, seed: int = 0) -> None:
        self._distance, self._seed = distance, seed
        self._anchors: list[Architecture] = []
        self._sets: list[list[int]] = []
        self._known: dict[tuple[Architecture, Architecture], float] = {}

    @property
    def groups(self) -> tuple[int, ...]:
        """One group: the distance has one weight."""
        return (0,) * max(len(self._sets), 1)

    @property
    def blocks(self) -> tuple[int, ...]:
        """One block."""
        return (0,)

    def fit(self, architectures: Sequence[Architecture]) -> Self:
        """Draw the sets from the architectures."""
        rng = np.random.default_rng(self._seed)
        different = list(dict.fromkeys(architectures))
        if len(different) > MOST_ANCHORS:
            different = [different[i] for i in sorted(rng.choice(len(different), MOST_ANCHORS, replace=False))]
        count = len(different)
        repeats = max(math.ceil(math.log(max(count, 2))), 1)
        sizes = [2**i for i in range(max(math.ceil(math.log2(max(count, 2)) - 1), 0) + 1)]
        self._anchors = different
        self._sets = [
            rng.choice(count, min(size, count), replace=False).tolist() for size in sizes for _ in range(repeats)
        ]
        anchors = set(different)
        self._known = {pair: d for pair, d in self._known.items() if pair[1] in anchors}
        if len(self._known) > MOST_KNOWN:
            self._known = {}
        return self

    def encode(self, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        """Return the distance to each set, over the root of the number of sets, shape `(n, len(groups))`."""
        if not self._sets:
            return np.zeros((len(architectures), 1))
        distances = np.array([[self._apart(a, anchor) for anchor in self._anchors] for a in architectures])
        by_anchor = distances.reshape(len(architectures), len(self._anchors))
        columns = [by_anchor[:, members].min(axis=1) for members in self._sets]
        return np.stack(columns, axis=1) / math.sqrt(len(columns))

    def _apart(self, architecture: Architecture, anchor: Architecture) -> float:
        pair = (architecture, anchor)
        if pair not in self._known:
            self._known[pair] = float(self._distance(architecture, anchor))
        return self._known[pair]
