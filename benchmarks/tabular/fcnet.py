"""FCNet as an objective: architecture and training of a regression network, searched together."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from benchmarks.tabular.grid import Grid, GridTable, Schedule
from nas_tune.data_folder import data_folder
from nas_tune.errors import unknown_name
from nas_tune.space import Categorical, Float, Parameter, SearchSpace, Value

DataSet = Literal["naval", "parkinsons", "protein", "slice"]
COLUMNS: Mapping[str, str] = {
    "naval": "naval_propulsion",
    "parkinsons": "parkinsons_telemonitoring",
    "protein": "protein_structure",
    "slice": "slice_localization",
}
SOURCE = "https://github.com/automl/nas_benchmarks (fcnet_tabular_benchmarks)"
FILE = "fcnet.npz"
EPOCHS = 100


def fcnet(data_set: DataSet, *, root: str | Path | None = None) -> GridTable:
    """Read the validation errors of FCNet after 100 epochs, and the seconds of its trainings; means of four seeds.

    62,208 networks of two layers. Nine hyperparameters: activation, units and dropout of each layer; learning rate,
    its schedule, batch size. The test error of a network is not in the file: it is the validation error.

    Args:
        data_set: ``"naval"``, ``"parkinsons"``, ``"protein"`` or ``"slice"``.
        root: Folder of ``fcnet.npz``: `space`, the grid as JSON, and ``{data set}/valid_mse`` and ``runtime`` in
            seconds, each of shape `(62208, 4)`, in C order over the sorted names of the grid. By default
            ``fcnet_joint`` in the folder named by ``NAS_TUNE_DATA``.

    Raises:
        UnknownNameError: There is no such data set.
        MissingDataError: The file is not there.

    Reference: Klein & Hutter, Tabular Benchmarks for Joint Architecture and Hyperparameter Optimization,
        arXiv:1905.04970.
    """
    if data_set not in COLUMNS:
        raise unknown_name("data set of FCNet", data_set, COLUMNS)
    folder = data_folder("fcnet_joint", [FILE], SOURCE, root)
    with np.load(folder / FILE) as content:
        values: dict[str, list[Value]] = json.loads(str(content["space"]))
        errors, seconds = (content[f"{COLUMNS[data_set]}/{key}"].mean(axis=1, dtype=float) for key in _MEASURED)
    grid = Grid({name: tuple(values[name]) for name in sorted(values)})
    space = SearchSpace({name: parameter(choices) for name, choices in grid.values.items()})
    schedules = {EPOCHS: Schedule(errors, errors)}
    return GridTable(f"fcnet-{data_set}", space, "minimize", grid, schedules, seconds=seconds)


_MEASURED = ("valid_mse", "runtime")


def parameter(values: Sequence[Value]) -> Parameter:
    """Return the parameter with exactly these values: a `Float` where they are evenly spaced, else a `Categorical`."""
    numbers = [value for value in values if isinstance(value, float)]
    if len(numbers) == len(values) > 1:
        even = Float(numbers[0], numbers[-1], step=numbers[1] - numbers[0])
        if even.values == tuple(numbers):
            return even
    return Categorical(*values)
