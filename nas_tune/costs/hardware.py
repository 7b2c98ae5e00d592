"""Latencies that were measured on phones, GPUs, CPUs and chips, for architectures of three published spaces.

The tables are those of HELP (arXiv:2106.08630, https://github.com/HayeonLee/HELP, MIT licence):

| table | architectures | columns |
|---|---|---|
| ``"nas-bench-201"`` | all 15,625 cells | 27 |
| ``"fbnet"`` | 5,000 of the 9^22 of FBNet (arXiv:1812.03443) | 27 |
| ``"ofa"`` | 5,000 of the MobileNetV3 space of Once-for-all (arXiv:1908.09791), image size included | 12 |

A column is a device, for GPUs with the batch size behind it: ``"titan_rtx_32"`` are milliseconds for 32 images.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nas_tune.data_folder import data_folder
from nas_tune.errors import MissingLatencyError, unknown_name
from nas_tune.space import Architecture, Measure, Value

SOURCE = "https://github.com/HayeonLee/HELP"
LEAST_MS = 0.05  # No network runs faster on a phone or a Raspberry Pi; only cells without a way through are below it.

# The order of the rows of NAS-Bench-201 is that of its `arch`: an operation for each of these edges.
CELL_EDGES = ("edge_0_1", "edge_0_2", "edge_1_2", "edge_0_3", "edge_1_3", "edge_2_3")
# Kernel size, expansion, groups of the 1x1 convolutions; coded 0 to 8. HELP's encoder gives kernel (code // 4) and
# expansion (code % 4), which order the expansions have was read off the latencies themselves.
FBNET_BLOCKS = ("k3_e1", "k3_e1_g2", "k3_e3", "k3_e6", "k5_e1", "k5_e1_g2", "k5_e3", "k5_e6", "skip")
OFA_BLOCKS_PER_STAGE = 4  # at most; a stage of depth d has the first d of them


@dataclass(frozen=True, eq=False)
class HardwareTable:
    """Latencies of many architectures on many devices.

    Attributes:
        name: ``"nas-bench-201"``, ``"fbnet"`` or ``"ofa"``.
        architectures: One for each row. NAS-Bench-201: the parameters of `NASBench201`. FBNet: ``block_0`` to
            ``block_21``, such as ``"k3_e6"`` or ``"k5_e1_g2"`` (kernel, expansion, groups) or ``"skip"``.
            Once-for-all: ``resolution``, ``stage_<i>.depth`` and, for the blocks that the depth keeps,
            ``stage_<i>.block_<j>.kernel`` and ``.expand``.
        milliseconds: Shape `(rows,)` for each device. Values below 0.05 ms are degenerate and NaN instead: on
            ``"pixel3"`` and ``"raspi4"`` some cells in which no way leads from input to output.
    """

    name: str
    architectures: tuple[Architecture, ...] = field(repr=False)
    milliseconds: Mapping[str, NDArray[np.float64]] = field(repr=False)

    @property
    def devices(self) -> tuple[str, ...]:
        """The columns."""
        return tuple(self.milliseconds)

    def latency(self, device: str) -> Measure:
        """Return the latency on a device as a measure of the architectures in the table, NaN where degenerate.

        It reads the parameters of the table's architectures and ignores others; and it pickles. It raises
        `MissingLatencyError` for an architecture that is not in the table.

        Raises:
            UnknownNameError: The table has no such device.
        """
        if device not in self.milliseconds:
            raise unknown_name(f"device in the table of {self.name}", device, self.milliseconds)
        names = tuple(dict.fromkeys(name for architecture in self.architectures for name in architecture))
        keys = (tuple(map(architecture.get, names)) for architecture in self.architectures)
        known = dict(zip(keys, self.milliseconds[device].tolist(), strict=True))
        return Measure(f"latency on {device}", partial(_look_up, self.name, names, known), "ms")


def _look_up(
    table: str, names: tuple[str, ...], known: Mapping[tuple[Value, ...], float], architecture: Architecture
) -> float:
    found = known.get(tuple(map(architecture.get, names)))
    if found is None:
        raise MissingLatencyError(
            f"{architecture!r} is not among the {len(known):,} architectures of the table of {table}, which have the "
            f"parameters {', '.join(names[:6])}{', ...' if len(names) > 6 else ''}."
        )
    return found


def hardware_table(name: str, root: str | Path | None = None) -> HardwareTable:
    """Read a table of measured latencies.

    Args:
        name: ``"nas-bench-201"``, ``"fbnet"`` or ``"ofa"``.
        root: Folder of the files; by default ``hw_latency`` in the folder that the environment variable
            ``NAS_TUNE_DATA`` names. The cells of NAS-Bench-201 are read from ``nas_bench_201`` beside it.

    Raises:
        UnknownNameError: There is no such table.
        MissingDataError: A file is not there.
    """
    if name not in _TABLES:
        raise unknown_name("table of measured latencies", name, _TABLES)
    file, decode = _TABLES[name]
    folder = data_folder("hw_latency", [file], SOURCE, root)
    with np.load(folder / file) as content:
        columns = {key: _without_degenerate(content[key]) for key in content.files if not key.startswith("arch")}
        coded = {key: content[key] for key in content.files if key.startswith("arch")}
    return HardwareTable(name, tuple(decode(coded, folder)), columns)


def hardware_latency(table: str, device: str, root: str | Path | None = None) -> Measure:
    """Return the measured latency of the architectures of a table on a device: `hardware_table(table).latency(device)`.

    Raises:
        UnknownNameError: There is no such table, or no such device in it.
        MissingDataError: A file is not there.
    """
    return hardware_table(table, root).latency(device)


def devices(table: str, root: str | Path | None = None) -> tuple[str, ...]:
    """Return the devices of a table.

    Raises:
        UnknownNameError: There is no such table.
        MissingDataError: A file is not there.
    """
    return hardware_table(table, root).devices


def _without_degenerate(column: NDArray[np.float32]) -> NDArray[np.float64]:
    values = column.astype(np.float64)
    return np.where(values < LEAST_MS, np.nan, values)


def _cells(coded: Mapping[str, NDArray[np.generic]], folder: Path) -> Iterator[Architecture]:
    file = "nas_bench_201.npz"
    source = "https://github.com/D-X-Y/NATS-Bench"
    beside = data_folder("nas_bench_201", [file], source, folder.parent / "nas_bench_201")
    with np.load(beside / file) as content:
        rows, names = content["arch"].tolist(), content["ops"].tolist()
    for row in rows:
        yield Architecture({edge: names[code] for edge, code in zip(CELL_EDGES, row, strict=True)})


def _fbnets(coded: Mapping[str, NDArray[np.generic]], folder: Path) -> Iterator[Architecture]:
    for row in coded["arch"].tolist():
        yield Architecture({f"block_{place}": FBNET_BLOCKS[code] for place, code in enumerate(row)})


def _once_for_all(coded: Mapping[str, NDArray[np.generic]], folder: Path) -> Iterator[Architecture]:
    columns = (coded[f"arch/{key}"].tolist() for key in ("r", "d", "ks", "e"))
    for (resolution,), depths, kernels, expansions in zip(*columns, strict=True):
        values: dict[str, Value] = {"resolution": resolution}
        for stage, depth in enumerate(depths):
            values[f"stage_{stage}.depth"] = depth
            for block in range(depth):
                place = stage * OFA_BLOCKS_PER_STAGE + block
                values[f"stage_{stage}.block_{block}.kernel"] = kernels[place]
                values[f"stage_{stage}.block_{block}.expand"] = expansions[place]
        yield Architecture(values)


_Decoder = Callable[[Mapping[str, NDArray[np.generic]], Path], Iterator[Architecture]]
_TABLES: dict[str, tuple[str, _Decoder]] = {
    "nas-bench-201": ("nasbench201_latency.npz", _cells),
    "fbnet": ("fbnet_latency.npz", _fbnets),
    "ofa": ("ofa_latency.npz", _once_for_all),
}
