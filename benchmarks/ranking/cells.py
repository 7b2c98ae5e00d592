"""The task, the space and the cells whose ranking is asked for."""

from __future__ import annotations

import numpy as np

from nas_tune.search_spaces import NASBench201
from nas_tune.space import Architecture
from nas_tune.trials import Task, tasks

CELLS = 40
SPACE = NASBench201(channels=8, cells_per_stage=1, num_classes=10, in_channels=1)


def task() -> Task:
    """Return Fashion-MNIST with 10,000 training images."""
    return tasks.fashion_mnist(train_size=10_000)


def cells() -> list[Architecture]:
    """Return the 40 cells: drawn uniformly, no two of them the same network."""
    rng = np.random.default_rng(0)
    drawn: dict[str, Architecture] = {}
    while len(drawn) < CELLS:
        cell = SPACE.sample(rng)
        drawn.setdefault(SPACE.canonical_key(cell), cell)
    return list(drawn.values())
