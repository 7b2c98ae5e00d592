"""NAS-Bench-201 as an objective: 15,625 cells on three data sets, after 12 and after 200 epochs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from benchmarks.tabular.grid import Grid, GridTable, Schedule
from nas_tune.costs.hardware import hardware_latency
from nas_tune.data_folder import data_folder
from nas_tune.errors import unknown_name
from nas_tune.search_spaces import NASBench201

DataSet = Literal["cifar10", "cifar100", "ImageNet16-120"]
CLASSES: Mapping[str, int] = {"cifar10": 10, "cifar100": 100, "ImageNet16-120": 120}
SOURCE = "https://github.com/D-X-Y/NATS-Bench (topology search space)"
FILE = "nas_bench_201.npz"
EPOCHS = (12, 200)


def nas_bench_201(data_set: DataSet, *, device: str | None = None, root: str | Path | None = None) -> GridTable:
    """Read the accuracies of NAS-Bench-201 in %, and the seconds of its trainings.

    The 12 epochs are a schedule of their own, not the beginning of the 200; their seconds were not measured and are 12
    of 200 parts of those.

    Args:
        data_set: ``"cifar10"``, ``"cifar100"`` or ``"ImageNet16-120"``.
        device: Makes the measured latency on it a second objective, see `nas_tune.costs.hardware.devices`. A cell
            without a measurement is pruned.
        root: Folder of ``nas_bench_201.npz``: arrays `arch` (15625, 6), an index into `ops` for each edge, and, for
            each data set, ``{data_set}/val_acc@12``, ``test_acc@12``, ``val_acc@200``, ``test_acc@200`` and
            ``train_time@200``. By default ``nas_bench_201`` in the folder named by ``NAS_TUNE_DATA``. The latencies
            are read from ``hw_latency`` beside it.

    Raises:
        UnknownNameError: There is no such data set or device.
        MissingDataError: A file is not there.

    Reference: Dong & Yang, NAS-Bench-201, arXiv:2001.00326.
    """
    if data_set not in CLASSES:
        raise unknown_name("data set of NAS-Bench-201", data_set, CLASSES)
    folder = data_folder("nas_bench_201", [FILE], SOURCE, root)
    space = NASBench201(num_classes=CLASSES[data_set])
    operations = next(iter(space.parameters().values())).values
    grid = Grid({edge: tuple(operations) for edge in space.parameters()})
    with np.load(folder / FILE) as content:
        rows = _rows(content["arch"], content["ops"].tolist(), grid)
        columns = {key: content[f"{data_set}/{key}"][rows].astype(np.float64) for key in _COLUMNS}
    schedules = {n: Schedule(columns[f"val_acc@{n}"], columns[f"test_acc@{n}"]) for n in EPOCHS}
    also = hardware_latency("nas-bench-201", device, folder.parent / "hw_latency") if device else None
    name = f"nas-bench-201-{data_set.lower()}"
    return GridTable(name, space, "maximize", grid, schedules, seconds=columns["train_time@200"], also=also)


_COLUMNS = ("val_acc@12", "test_acc@12", "val_acc@200", "test_acc@200", "train_time@200")


def _rows(coded: NDArray[np.uint8], operations: list[str], grid: Grid) -> NDArray[np.intp]:
    """Return the row of the file for each point of the grid."""
    cells = (dict(zip(grid.values, (operations[i] for i in row), strict=True)) for row in coded.tolist())
    return np.argsort([grid.place(cell) for cell in cells])
