"""The networks of NAS-Bench-201, which others have trained: what predictors are measured with."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nas_tune.search_spaces import NASBench201
from nas_tune.space import Architecture


@dataclass(frozen=True)
class TrainedCells:
    """Cells by row, and their test accuracies in % after 200 epochs, shape `(15625,)`, on two data sets."""

    space: NASBench201
    rows: list[tuple[str, ...]]
    cifar10: NDArray[np.float64]
    cifar100: NDArray[np.float64]

    @classmethod
    def read(cls, data_dir: Path) -> TrainedCells:
        with np.load(data_dir / "nas_bench_201" / "nas_bench_201.npz") as table:
            operations = table["ops"].tolist()
            rows = [tuple(operations[i] for i in row) for row in table["arch"]]
            accuracies = [table[f"{task}/test_acc@200"].astype(np.float64) for task in ("cifar10", "cifar100")]
        return cls(NASBench201(), rows, *accuracies)

    def architectures(self, rows: Iterable[int]) -> list[Architecture]:
        edges = tuple(self.space.parameters())
        return [self.space.architecture(dict(zip(edges, self.rows[row], strict=True))) for row in rows]
