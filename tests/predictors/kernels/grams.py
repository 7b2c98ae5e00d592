"""Kernel matrices from the definition, and the spaces that kernels are tested on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.random import default_rng
from numpy.typing import NDArray

from nas_tune.predictors.kernels import Kernel
from nas_tune.space import Architecture, SearchSpace


def drawn(space: SearchSpace, count: int, seed: int = 0) -> list[Architecture]:
    rng = default_rng(seed)
    return [space.sample(rng) for _ in range(count)]


def squared_distances(kernel: Kernel, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
    """Return the squared distances of all pairs by each group of columns, shape `(groups, n, n)`."""
    columns, groups = kernel.encode(architectures), np.array(kernel.groups, dtype=int)
    squares = (columns[:, None] - columns[None]) ** 2
    found = [squares[..., groups == group].sum(-1) for group in range(len(kernel.blocks))]
    return np.array(found).reshape(len(found), len(columns), len(columns))


def gram(kernel: Kernel, architectures: Sequence[Architecture], weights: Sequence[float]) -> NDArray[np.float64]:
    """Return ``exp(-1/2 sum_g w_g |phi_g - phi'_g|^2)``, shape `(n, n)`."""
    return np.exp(-0.5 * np.tensordot(np.asarray(weights), squared_distances(kernel, architectures), 1))
