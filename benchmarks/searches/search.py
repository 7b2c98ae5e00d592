"""One search in a table, and many of them in processes of their own."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import sys
import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import lru_cache

import optuna
from optuna.exceptions import ExperimentalWarning

from benchmarks import tabular
from benchmarks.searches.samplers import sampler
from benchmarks.tabular.table import Table

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True)
class Search:
    """What is searched, by whom.

    Attributes:
        table: Name of the table.
        sampler: Name of the sampler.
        seed: Of the sampler.
        trials: Evaluations; no search ends before them.
    """

    table: str
    sampler: str
    seed: int
    trials: int


@dataclass(frozen=True)
class Trace:
    """How a search went: an entry for each evaluation.

    Attributes:
        search: What was run.
        regret: Test regret of the incumbent, the architecture with the best validation so far; see `Table.distance`.
        validation_regret: Its validation regret.
        seconds: CPU time of the sampler up to there: asking, suggesting, telling.
    """

    search: Search
    regret: tuple[float, ...]
    validation_regret: tuple[float, ...]
    seconds: tuple[float, ...]


def run(search: Search) -> Trace:
    """Run one search in memory.

    Raises:
        UnknownNameError: There is no such table or sampler.
        MissingDataError: The file of the table is not there.
    """
    table = _table(search.table)
    study = optuna.create_study(direction=table.direction, sampler=sampler(search.sampler, table.space, search.seed))
    found: list[tuple[float, float]] = []
    seconds: list[float] = []
    best = None
    for _ in range(search.trials):
        start = time.process_time()
        trial = study.ask()
        architecture = table.space.suggest(trial)
        asked = time.process_time() - start
        score = table.evaluate(architecture)
        if best is None or table.better(score.validation, best.validation):
            best = score
        start = time.process_time()
        study.tell(trial, score.validation)
        seconds.append(asked + time.process_time() - start)
        found.append(_regrets(table, best))
    regrets, validation_regrets = zip(*found, strict=True)
    return Trace(search, regrets, validation_regrets, tuple(itertools.accumulate(seconds)))


def run_all(searches: Sequence[Search], jobs: int = 1) -> list[Trace]:
    """Run searches in worker processes, each with one thread, and write a line to stderr when one has ended.

    Args:
        searches: What to run.
        jobs: Processes at a time.

    Returns:
        The traces, in the order of `searches`.
    """
    traces = {}
    for trace in _finished(searches, jobs):
        traces[trace.search] = trace
        print(f"[{len(traces)}/{len(searches)}] {_line(trace)}", file=sys.stderr, flush=True)
    return [traces[search] for search in searches]


def _finished(searches: Iterable[Search], jobs: int) -> Iterator[Trace]:
    for variable in THREADS:
        os.environ[variable] = "1"  # the workers read it when they start
    workers = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=workers, initializer=quieten) as pool:
        running = [pool.submit(run, search) for search in searches]
        try:
            for future in as_completed(running):
                yield future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def quieten() -> None:
    """Keep a worker to one thread, and Optuna from writing a line for every trial."""
    import torch

    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", ExperimentalWarning)


@lru_cache(maxsize=1)
def _table(name: str) -> Table:
    return tabular.load(name)


def _regrets(table: Table, best: tabular.Score) -> tuple[float, float]:
    return table.distance(best.test, table.best.test), table.distance(best.validation, table.best.validation)


def _line(trace: Trace) -> str:
    search = trace.search
    return (
        f"{search.table}, {search.sampler}, seed {search.seed}: regret {trace.regret[-1]:.4g} after {search.trials} "
        f"evaluations, {trace.seconds[-1]:.1f} s of sampling"
    )
