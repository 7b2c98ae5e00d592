"""`LatencyTable`: the latency of a network as the sum over its operations, each measured once."""

from __future__ import annotations

import datetime
import json
import math
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from nas_tune.costs.latency import latency
from nas_tune.costs.machine import Machine, this_machine
from nas_tune.errors import LatencyError, MissingLatencyError
from nas_tune.space.measure import Measure

if TYPE_CHECKING:
    import torch

    from nas_tune.costs.operation import Operation
    from nas_tune.space import Architecture

FORMAT = "nas_tune.latency_table"
VERSION = 1
# Layers that do nothing in evaluation mode: they take no time and are not measured.
FREE = frozenset(
    {"Identity", "Flatten", "Unflatten", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d"}
    | {"AlphaDropout", "FeatureAlphaDropout"}
)


class ListsOperations(Protocol):
    """What tells which operations the network of an architecture runs, and how often: a `CostModel`."""

    @property
    def operations(self) -> Callable[[Architecture], Mapping[Operation, int]]: ...


@dataclass(frozen=True)
class LatencyTable:
    """Median milliseconds of one run of each operation on one machine.

    The latency of a network is their sum. It leaves out what no layer computes, such as the sum of a residual block,
    and holds for each layer the price of calling it alone: it ranks networks rather than times them.

    Attributes:
        machine: What was measured on.
        milliseconds: By the `text` of the operation, which names the layer and its input.
        date: When it was last measured, in UTC.

    Reference: FBNet, arXiv:1812.03443, section 3.3.
    """

    machine: Machine
    milliseconds: Mapping[str, float]
    date: str = ""

    @classmethod
    def measure(
        cls,
        operations: Iterable[Operation],
        *,
        device: str | torch.device = "auto",
        batch: int = 1,
        warmup: int = 10,
        repeats: int = 50,
        path: str | Path | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> LatencyTable:
        """Measure operations on this machine.

        Args:
            operations: What to measure, such as the keys of ``cost.operations(architecture)`` for many architectures.
            device: Where to run; ``"auto"`` is CUDA where there is one, else the CPU.
            batch: Samples in one run.
            warmup: Runs of each operation before the first timed one.
            repeats: Timed runs of each operation.
            path: A file that is written after each operation. If it exists, what it holds is not measured again.
            progress: Called with how many are done and how many there are, before the first and after each.

        Raises:
            TaskError: An operation cannot be made or run alone, or there is no such device.
            LatencyError: The file is of another machine, device, batch or torch, or is no table.
        """
        machine = this_machine(device, batch)
        table = _continued(Path(path), machine) if path is not None and Path(path).exists() else cls(machine, {})
        missing = list({operation.text: operation for operation in operations if not table.knows(operation)}.values())
        tell = progress or (lambda done, total: None)
        tell(0, len(missing))
        for done, operation in enumerate(missing, start=1):
            run = latency(
                operation.module(), operation.input_shape, device=device, batch=batch, warmup=warmup, repeats=repeats
            )
            table = LatencyTable(machine, {**table.milliseconds, operation.text: run.median_ms}, _now())
            if path is not None:
                table.save(path)
            tell(done, len(missing))
        return table

    def knows(self, operation: Operation) -> bool:
        """Say whether the operation was measured, or takes no time."""
        return operation.kind in FREE or operation.text in self.milliseconds

    def latency(self, operations: Mapping[Operation, int]) -> float:
        """Return the milliseconds of a network that runs each operation so many times, for one batch.

        Raises:
            MissingLatencyError: An operation was never measured.
        """
        return sum(count * self._one(operation) for operation, count in operations.items())

    def _one(self, operation: Operation) -> float:
        if operation.kind in FREE:
            return 0.0
        found = self.milliseconds.get(operation.text)
        if found is None:
            raise MissingLatencyError(
                f"The table of {self.machine.processor} has no latency of {operation.text}: it holds "
                f"{len(self.milliseconds)} operations. Measure it with `LatencyTable.measure`, which keeps what a "
                "file already holds."
            )
        return found

    def measure_of(self, cost: ListsOperations) -> Measure:
        """Return the latency of a space's networks as a measure: ``space.where(table.measure_of(cost) < 20)``.

        Args:
            cost: The `CostModel` of the space, for images of the size that the table was measured for.
        """
        return Measure("latency", partial(_summed, self, cost), "ms")

    def save(self, path: str | Path) -> None:
        """Write the table as JSON; the file appears under its name only when it is whole."""
        target = Path(path)
        content = {
            "format": FORMAT,
            "version": VERSION,
            "machine": asdict(self.machine),
            "date": self.date,
            "milliseconds": dict(self.milliseconds),
        }
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = target.with_name(f".{target.name}.{os.getpid()}")
        with beside.open("w", encoding="utf-8") as file:
            json.dump(content, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(target)

    @classmethod
    def load(cls, path: str | Path) -> LatencyTable:
        """Read a table, of whichever machine.

        Raises:
            LatencyError: The file cannot be read, is no table, or is of a newer version.
        """
        try:
            content = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
            raise LatencyError(f"{path} cannot be read as a latency table: {error}.") from error
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise LatencyError(f'{path} is no latency table: it lacks "format": "{FORMAT}".')
        if content.get("version") != VERSION:
            raise LatencyError(f"{path} is of version {content.get('version')}; this nas_tune reads {VERSION}.")
        try:
            table = cls(Machine(**content["machine"]), content["milliseconds"], content["date"])
            _check(table)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise LatencyError(f"{path} is a damaged latency table: {error}. Measure it again.") from error
        return table


def _check(table: LatencyTable) -> None:
    for text, value in table.milliseconds.items():
        if not (math.isfinite(value) and value >= 0):
            raise ValueError(f"{text} takes {value} ms")


def _continued(path: Path, machine: Machine) -> LatencyTable:
    table = LatencyTable.load(path)
    if differences := table.machine.differences(machine):
        raise LatencyError(
            f"{path} was measured elsewhere than here: {', '.join(differences)}. Latencies of the two cannot be added "
            "up: give another file."
        )
    return table


def _summed(table: LatencyTable, cost: ListsOperations, architecture: Architecture) -> float:
    return table.latency(cost.operations(architecture))


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
