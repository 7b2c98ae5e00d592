"""Several kernels at once: architectures are alike if they are alike by each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

import numpy as np

from nas_tune.errors import PredictorError
from nas_tune.predictors.kernels.counts import CountKernel
from nas_tune.predictors.kernels.hamming import HammingKernel
from nas_tune.predictors.kernels.weisfeiler_lehman import WeisfeilerLehmanKernel
from nas_tune.space.graphs import draws_graphs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nas_tune.predictors.kernels.kernel import Kernel
    from nas_tune.space import Architecture, SearchSpace


class ProductKernel:
    """The product of kernels: their columns beside each other.

    Args:
        *kernels: At least one.

    Raises:
        PredictorError: There is none.
    """

    def __init__(self, *kernels: Kernel) -> None:
        if not kernels:
            raise PredictorError("ProductKernel() has no kernels: give at least one.")
        self.kernels = kernels

    @property
    def groups(self) -> tuple[int, ...]:
        """The groups of all kernels, one after the other."""
        found: list[int] = []
        start = 0
        for kernel in self.kernels:
            found += [start + group for group in kernel.groups]
            start += len(kernel.blocks)
        return tuple(found)

    @property
    def blocks(self) -> tuple[int, ...]:
        """The blocks of all kernels, one after the other."""
        found: list[int] = []
        for kernel in self.kernels:
            start = max(found, default=-1) + 1
            found += [start + block for block in kernel.blocks]
        return tuple(found)

    def fit(self, architectures: Sequence[Architecture]) -> Self:
        """Let every kernel learn its columns."""
        for kernel in self.kernels:
            kernel.fit(architectures)
        return self

    def encode(self, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        """Return the columns of all kernels, shape `(n, len(groups))`."""
        return np.hstack([kernel.encode(architectures) for kernel in self.kernels])


def default_kernel(space: SearchSpace) -> ProductKernel:
    """Return the decisions by their Hamming distance, times the counts of what they chose, times the graphs' subtrees.

    Only spaces that draw graphs of their own, or hold one that does, have subtrees: of a chain the decisions say all.
    """
    graphs = (WeisfeilerLehmanKernel(space),) if draws_graphs(space) else ()
    return ProductKernel(HammingKernel(space), CountKernel(space), *graphs)
