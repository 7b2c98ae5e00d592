"""Cells of NAS-Bench-201 to learn from, and others to be tested on."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nas_tune.analysis import kendall_tau
from nas_tune.predictors.predictor import Predictor
from nas_tune.search_spaces import NASBench201
from nas_tune.space import Architecture
from tests.predictors.trained_cells import TrainedCells

SPACE = NASBench201()


class Split(NamedTuple):
    """Cells and their test accuracies in % after 200 epochs on CIFAR-10: some to learn from, 1,000 others."""

    cells: list[Architecture]
    values: NDArray[np.float64]
    others: list[Architecture]
    truth: NDArray[np.float64]


def split(data_dir: Path, n: int, seed: int) -> Split:
    """Draw `n` cells to learn from, and 1,000 others."""
    trained = TrainedCells.read(data_dir)
    rows = np.random.default_rng(seed).permutation(len(trained.rows))[: n + 1_000]
    cells, accuracies = trained.architectures(rows), trained.cifar10[rows]
    return Split(cells[:n], accuracies[:n], cells[n:], accuracies[n:])


def quality(predictor: Predictor, data: Split) -> tuple[float, float]:
    """Return Kendall's tau on the other cells, and the share of them within one deviation."""
    mean, std = predictor.fit(data.cells, data.values.tolist()).predict(data.others)
    return kendall_tau(mean, data.truth), float(np.mean(np.abs(data.truth - mean) <= std))
