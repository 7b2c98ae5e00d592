"""The regrets of many searches, ordered: by table, sampler and number of evaluations, a value for each seed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from benchmarks.contract import Claim, Row
from benchmarks.searches.paired import Paired, paired, standard_error
from benchmarks.searches.samplers import DEFAULT, REFERENCE
from benchmarks.searches.search import Trace
from benchmarks.tabular import TRAINED

CHECKPOINTS = (30, 50, 100, 150, 200, 300)
NOT_WORSE = 2.0  # standard errors that the mean of the paired differences may be above 0
HALVES = ((50, 100), (100, 200))  # our evaluations, and those of the reference that reach no less


class Point(NamedTuple):
    """Where regrets are read off."""

    table: str
    sampler: str
    evaluations: int


@dataclass(frozen=True)
class Regrets:
    """Test regrets over the seeds.

    Attributes:
        values: For each point a regret of every seed, in the order of the seeds.
    """

    values: Mapping[Point, tuple[float, ...]]

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables, in the order in which they were asked for."""
        return tuple(dict.fromkeys(point.table for point in self.values))

    @property
    def samplers(self) -> tuple[str, ...]:
        """The samplers, in the order in which they were asked for."""
        return tuple(dict.fromkeys(point.sampler for point in self.values))

    @property
    def evaluations(self) -> tuple[int, ...]:
        """The checkpoints, ascending."""
        return tuple(sorted({point.evaluations for point in self.values}))

    def mean(self, point: Point) -> float:
        """Return the mean over the seeds."""
        return float(np.mean(self.values[point]))

    def against_reference(self, point: Point) -> Paired | None:
        """Compare with TPE in the same run; None where that did not run, or is meant."""
        reference = point._replace(sampler=REFERENCE)
        if point.sampler == REFERENCE or reference not in self.values:
            return None
        return paired(self.values[point], self.values[reference])


def checkpoints(trials: int) -> tuple[int, ...]:
    """Return the numbers of evaluations that are reported, of which the last is the end of the search."""
    return (*(n for n in CHECKPOINTS if n < trials), trials)


def regrets(traces: Iterable[Trace]) -> Regrets:
    """Order the test regrets of searches."""
    values: dict[Point, list[float]] = {}
    for trace in sorted(traces, key=lambda trace: trace.search.seed):
        for n in checkpoints(trace.search.trials):
            values.setdefault(Point(trace.search.table, trace.search.sampler, n), []).append(trace.regret[n - 1])
    return Regrets({point: tuple(found) for point, found in values.items()})


def rows(traces: Iterable[Trace]) -> list[Row]:
    """Return a row for every search and checkpoint; regrets in points, of an error in log10 of the ratio."""
    return [
        {
            "table": trace.search.table,
            "sampler": trace.search.sampler,
            "seed": trace.search.seed,
            "evaluations": n,
            "regret": trace.regret[n - 1],
            "validation_regret": trace.validation_regret[n - 1],
            "seconds": trace.seconds[n - 1],
        }
        for trace in traces
        for n in checkpoints(trace.search.trials)
    ]


def summary(found: Regrets) -> list[Row]:
    """Return a row for every table, sampler and checkpoint: the mean, and the comparison with TPE seed by seed."""
    return [_summary_row(found, point) for point in found.values]


def _summary_row(found: Regrets, point: Point) -> Row:
    compared = found.against_reference(point)
    return {
        **point._asdict(),
        "regret": found.mean(point),
        "s.e.": standard_error(found.values[point]),
        f"less {REFERENCE}": None if compared is None else compared.difference,
        "paired s.e.": None if compared is None else compared.standard_error,
        "p": None if compared is None else compared.p_value,
    }


def claims(found: Regrets) -> list[Claim]:
    """Claim that our default is not worse than TPE on any trained table, and as good with half the evaluations.

    Not worse: the mean difference over the seeds is at most 2 standard errors above 0; a single seed claims nothing.
    """
    return [*_not_worse(found), *_half(found)]


def _not_worse(found: Regrets) -> list[Claim]:
    claimed = []
    for point in _ours(found):
        compared = found.against_reference(point)
        if compared is not None and len(found.values[point]) > 1:
            name = f"{point.table} @{point.evaluations}: test regret, {DEFAULT} - {REFERENCE}, paired"
            claimed.append(Claim(name, compared.standard_errors, "s.e.", NOT_WORSE, "lower"))
    return claimed


def _half(found: Regrets) -> list[Claim]:
    claimed = []
    for point, (ours, theirs) in ((point, half) for point in _ours(found) for half in HALVES):
        reference = Point(point.table, REFERENCE, theirs)
        if point.evaluations == ours and reference in found.values:
            name = f"{point.table}: test regret, {DEFAULT} @{ours} beside {REFERENCE} @{theirs}"
            unit = "log10" if point.table.startswith("fcnet") else "points"
            claimed.append(Claim(name, found.mean(point), unit, found.mean(reference), "lower"))
    return claimed


def _ours(found: Regrets) -> Sequence[Point]:
    return [point for point in found.values if point.sampler == DEFAULT and point.table in TRAINED]
