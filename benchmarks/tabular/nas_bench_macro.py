"""NAS-Bench-Macro as an objective: 6,561 chains of eight layers on CIFAR-10."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np

from benchmarks.tabular.grid import Grid, GridTable, Schedule
from nas_tune.data_folder import data_folder
from nas_tune.search_spaces import NASBenchMacro

SOURCE = "https://github.com/xiusu/NAS-Bench-Macro"
FILE = "nas-bench-macro_cifar10.json.gz"


def nas_bench_macro(*, root: str | Path | None = None) -> GridTable:
    """Read the accuracies of NAS-Bench-Macro in %: the mean of three trainings, on the test images.

    Validation was not measured: it is the same number.

    Args:
        root: Folder of ``nas-bench-macro_cifar10.json.gz``, the published JSON under gzip: `mean_acc` for each chain,
            written as ``"22212220"``. By default ``nas_bench_macro`` in the folder named by ``NAS_TUNE_DATA``.

    Raises:
        MissingDataError: The file is not there.

    Reference: Su et al., Prioritized Architecture Sampling with Monte-Carlo Tree Search, arXiv:2103.11922.
    """
    folder = data_folder("nas_bench_macro", [FILE], SOURCE, root)
    with gzip.open(folder / FILE, "rt", encoding="utf-8") as file:
        content = json.load(file)
    space = NASBenchMacro()
    grid = Grid({block.name: tuple(space.symbols) for block in space.blocks})
    accuracies = np.full(grid.size, np.nan)
    for chain, facts in content.items():
        accuracies[int(chain, base=len(space.symbols))] = facts["mean_acc"]
    return GridTable("nas-bench-macro", space, "maximize", grid, {1: Schedule(accuracies, accuracies)})
