"""What every benchmark takes on its command line, measures and writes.

A benchmark is a module of this package with a docstring, a function ``measure`` and three closing lines::

    \"\"\"Time of ask + tell of our samplers beside Optuna's.\"\"\"

    from benchmarks.contract import Claim, Measurement, Options, main

    def measure(options: Options) -> Measurement:
        sizes = (100, 1_000) if options.quick else (100, 1_000, 5_000)
        rows = [
            {"sampler": name, "trials": size, "seed": seed, "milliseconds": ...}
            for name in ... for size in sizes for seed in range(options.seeds)
        ]
        claims = [Claim("evolution / random at 1,000 trials", ratio, "x", target=1.5, better="lower")]
        return Measurement(rows, claims, figure=None)

    if __name__ == "__main__":
        raise SystemExit(main(measure))

``python -m benchmarks.<name> [--quick] [--seeds N] [--json FILE] [--csv FILE] [--figure FILE]`` then prints the rows
and the claims, and exits 1 if a claim misses its target. ``python -m benchmarks --quick`` finds every such module and
runs it in a process of its own, so that nothing one of them leaves behind slows the next. With ``--quick`` a benchmark
ends within 5 minutes on two cores. Speed is claimed as a ratio of two things timed side by side in one run, never in
seconds.

A benchmark with options of its own builds them on :func:`parser` and ends with :func:`publish`. A package beside the
benchmarks is what several of them share, and is not run.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from rich.console import Console
from rich.table import Table

from benchmarks import provenance

if TYPE_CHECKING:
    import plotly.graph_objects as go

Cell = str | int | float | None
Row = Mapping[str, Cell]
Better = Literal["lower", "higher"]
FILE_WIDTH = 160  # characters of a line where no terminal says how many it has


@dataclass(frozen=True)
class Claim:
    """One number that a benchmark promises.

    Args:
        name: What was measured, in words.
        value: What came out, in `unit`. A value that is not finite never holds.
        unit: Unit of `value` and `target`; ``"x"`` for a ratio.
        target: The bound that is promised; reaching it exactly holds.
        better: Whether a ``"lower"`` or a ``"higher"`` value is better.

    Raises:
        ValueError: `target` is not finite, or `better` is another word.
    """

    name: str
    value: float
    unit: str
    target: float
    better: Better

    def __post_init__(self) -> None:
        if not math.isfinite(self.target):
            raise ValueError(f"`target` of the claim '{self.name}' is {self.target}. Give a finite bound.")
        if self.better not in ("lower", "higher"):
            raise ValueError(f"`better` of the claim '{self.name}' is '{self.better}'. Use 'lower' or 'higher'.")

    @property
    def holds(self) -> bool:
        """Whether the value reaches the target."""
        if not math.isfinite(self.value):
            return False
        return bool(self.value <= self.target if self.better == "lower" else self.value >= self.target)

    def as_json(self) -> dict[str, str | float | bool | None]:
        """Give the claim as it stands in the JSON file; a value that is not finite is null."""
        value = float(self.value) if math.isfinite(self.value) else None
        return {
            "name": self.name,
            "value": value,
            "unit": self.unit,
            "target": float(self.target),
            "better": self.better,
            "holds": self.holds,
        }


@dataclass(frozen=True)
class Options:
    """What the command line asks of a benchmark.

    Args:
        quick: Measure less, within 5 minutes on two cores.
        seeds: Number of seeds, at least 1; a benchmark uses ``range(seeds)``.
    """

    quick: bool = False
    seeds: int = 3


@dataclass(frozen=True)
class Measurement:
    """What a benchmark measured.

    Args:
        rows: The raw table, a mapping from column to cell for each row; a row may leave columns out.
        claims: What is promised about it.
        figure: The same as a plot, if it has one.
        summary: What the terminal shows of `rows` where those are too many; the rows themselves if left out.
    """

    rows: Sequence[Row]
    claims: Sequence[Claim]
    figure: go.Figure | None = None
    summary: Sequence[Row] | None = None


def main(measure: Callable[[Options], Measurement], argv: Sequence[str] | None = None) -> int:
    """Run one benchmark from the command line.

    Args:
        measure: The benchmark; the first line of its module's docstring is the description.
        argv: Arguments; those of the process if left out.

    Returns:
        Exit status: 0 if every claim holds, 1 if one misses.
    """
    arguments = parser(measure.__globals__.get("__doc__") or "").parse_args(argv)
    measurement = measure(Options(quick=arguments.quick, seeds=arguments.seeds))
    return publish(measurement, arguments)


def publish(measurement: Measurement, arguments: argparse.Namespace) -> int:
    """Print what was measured and write the files that were asked for.

    Args:
        measurement: What was measured.
        arguments: What a `parser` has read.

    Returns:
        Exit status, see `main`.
    """
    console = Console(width=None if sys.stdout.isatty() else FILE_WIDTH)
    console.print(rows_table(measurement.rows if measurement.summary is None else measurement.summary))
    console.print(claims_table(measurement.claims))
    if arguments.json:
        write_json(arguments.json, measurement.claims)
    if arguments.csv:
        write_csv(arguments.csv, measurement.rows)
    if arguments.figure:
        write_figure(arguments.figure, measurement.figure)
    return 0 if all(claim.holds for claim in measurement.claims) else 1


def write_json(path: Path, claims: Sequence[Claim]) -> None:
    """Write the claims and what they were measured on."""
    document = provenance.describe() | {"claims": [claim.as_json() for claim in claims]}
    path.write_text(json.dumps(document, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def write_csv(path: Path, rows: Sequence[Row]) -> None:
    """Write the raw table; a column that a row leaves out is empty there."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=_columns(rows))
        writer.writeheader()
        writer.writerows(rows)


def write_figure(path: Path, figure: go.Figure | None) -> None:
    """Write the plot: one self-contained page for ``.html``, an image (needs kaleido) for another suffix.

    Raises:
        ValueError: The benchmark draws no figure, or kaleido is needed and missing.
    """
    if figure is None:
        raise ValueError(f"This benchmark draws no figure, so '{path}' was not written. Leave `--figure` out.")
    if path.suffix == ".html":
        figure.write_html(path)
    else:
        figure.write_image(path)


def rows_table(rows: Sequence[Row]) -> Table:
    """Lay the raw table out for a terminal; numbers with four significant digits."""
    columns = _columns(rows)
    table = Table(*columns, title="Measured")
    for row in rows:
        table.add_row(*(_text(row.get(column)) for column in columns))
    return table


def claims_table(claims: Sequence[Claim]) -> Table:
    """Lay the claims out for a terminal."""
    table = Table("claim", "value", "target", "holds", title="Claims")
    for claim in claims:
        bound = "at most" if claim.better == "lower" else "at least"
        value, target = f"{_text(claim.value)} {claim.unit}", f"{bound} {_text(claim.target)} {claim.unit}"
        table.add_row(claim.name, value, target, "yes" if claim.holds else "NO")
    return table


def _columns(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(column for row in rows for column in row))


def _text(cell: Cell) -> str:
    if cell is None:
        return ""
    return f"{cell:.4g}" if isinstance(cell, float) else str(cell)


def parser(description: str, seeds: int = 3) -> argparse.ArgumentParser:
    """Return what reads the command line of a benchmark; one with options of its own adds them, see `publish`.

    Args:
        description: Docstring of the benchmark, of which the first line is shown.
        seeds: Number of seeds if none is asked for.
    """
    made = argparse.ArgumentParser(description=description.strip().partition("\n")[0])
    made.add_argument("--quick", action="store_true", help="measure less: within 5 minutes on two cores")
    made.add_argument("--seeds", type=count, default=seeds, metavar="N", help="number of seeds (default: %(default)s)")
    for name, content in (("json", "claims and machine"), ("csv", "raw table"), ("figure", "plot (.html, or .png)")):
        made.add_argument(f"--{name}", type=Path, metavar="FILE", help=f"write the {content}")
    return made


def count(text: str) -> int:
    """Read a whole number of at least 1 from the command line."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number of at least 1")
    return int(text)
