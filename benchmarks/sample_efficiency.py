"""Regret of our samplers beside Optuna's over the evaluations of tabular benchmarks.

Every sampler runs with its defaults and every seed on every table, for all its trials. The incumbent is the
architecture with the best validation so far; the regret is how far its test is from the best test of any: in points of
accuracy, for an error log10 of the ratio (the tables of FCNet have no test error, there it is that of validation). The
means stand with their standard errors, and beside TPE seed by seed. Claims are made for the default of
`PredictorSampler` on the tables of networks that others have trained, beside TPE in the same run.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence

from benchmarks import contract, tabular
from benchmarks.contract import Measurement
from benchmarks.searches.figure import figure
from benchmarks.searches.regrets import claims, regrets, rows, summary
from benchmarks.searches.samplers import SAMPLERS, UNASKED
from benchmarks.searches.search import Search, run_all
from nas_tune.errors import MissingDataError, UnknownNameError, unknown_name

SEEDS, QUICK_SEEDS = 20, 3
TRIALS, QUICK_TRIALS = 300, 50
QUICK_TABLES = ("nas-bench-macro", "fcnet-naval")


def measure(searches: Sequence[Search], jobs: int = 1) -> Measurement:
    """Run the searches and compare them.

    Args:
        searches: What to run; all with equally many trials.
        jobs: Processes at a time.
    """
    traces = run_all(searches, jobs)
    found = regrets(traces)
    return Measurement(rows(traces), claims(found), figure(found), summary(found))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark from the command line; see `contract.main` for the status."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    try:
        searches = _searches(arguments)
    except (UnknownNameError, MissingDataError) as error:
        parser.error(str(error))
    return contract.publish(measure(searches, arguments.jobs), arguments)


def _searches(arguments: argparse.Namespace) -> list[Search]:
    """Return what the command line asks for, the tables one after the other.

    Raises:
        UnknownNameError: There is no such table or sampler.
        MissingDataError: A table's file is not there.
    """
    quick = arguments.quick
    tables = _names(arguments.tables, "table", tabular.TABLES, QUICK_TABLES if quick else tuple(tabular.TRAINED))
    for table in tables:
        tabular.load(table)
    samplers = _names(arguments.samplers, "sampler", SAMPLERS, UNASKED)
    seeds = min(arguments.seeds, QUICK_SEEDS) if quick else arguments.seeds
    trials = arguments.trials or (QUICK_TRIALS if quick else TRIALS)
    return [Search(table, sampler, seed, trials) for table in tables for seed in range(seeds) for sampler in samplers]


def _names(text: str | None, kind: str, known: Mapping[str, object], unasked: Sequence[str]) -> tuple[str, ...]:
    if text is None:
        return tuple(unasked)
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    for name in names:
        if name not in known:
            raise unknown_name(kind, name, known)
    return names


def _parser() -> argparse.ArgumentParser:
    parser = contract.parser(__doc__ or "", seeds=SEEDS)
    tables = f"of {', '.join(tabular.TABLES)} (default: those of trained networks)"
    parser.add_argument("--tables", metavar="A,B", help=tables)
    parser.add_argument("--samplers", metavar="A,B", help=f"of {', '.join(SAMPLERS)} (default: all but GP)")
    parser.add_argument("--trials", type=contract.count, metavar="N", help=f"evaluations (default: {TRIALS})")
    parser.add_argument("--jobs", type=contract.count, default=1, metavar="N", help="processes (default: 1)")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
