"""Hypervolume of accuracy and latency that samplers find on NAS-Bench-201, beside Optuna's NSGA-II.

The objectives are the CIFAR-10 validation accuracy after 200 epochs and the latency measured on one of five devices: a
GPU, a CPU, a phone, a Raspberry Pi and an FPGA. Of the hypervolume of the true front, above the worst accuracy and the
highest latency in the space, the share is reported that a search has missed, in %. A cell whose latency was not
measured, one without a way from input to output on the Raspberry Pi, is pruned and not part of the space's bounds.

Every cell counts as a network of its own, as the table has trained and measured it: cells with the same graph differ
there by noise, and the true front holds the luckiest of them. So the samplers see six categorical parameters. One that
takes cells with the same graph for one network, as `NASBench201` does, cannot reach that front: it tries one of them.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import optuna
import plotly.graph_objects as go
from numpy.typing import NDArray
from optuna.samplers import BaseSampler, NSGAIISampler, RandomSampler, TPESampler

from benchmarks import contract
from benchmarks.contract import Cell, Claim, Measurement, Options
from benchmarks.searches.paired import paired
from benchmarks.tabular.nas_bench_201 import nas_bench_201
from benchmarks.tabular.table import Table
from nas_tune.predictors.hypervolume import hypervolume
from nas_tune.samplers import ParetoEvolutionSampler
from nas_tune.space import SearchSpace

DEVICES = ("titan_rtx_256", "gold_6226", "pixel2", "raspi4", "fpga")
EVALUATIONS = (50, 100, 200, 300, 500)
CLAIMED = (200, 500)
SEEDS, QUICK_SEEDS = 20, 3
SURELY = -2.0  # standard errors of the paired differences
OURS = "ParetoEvolution"
SLOW = "TPE"  # seconds for each search; `--quick` leaves it out

Factory = Callable[[SearchSpace, int], BaseSampler]
SAMPLERS: Mapping[str, Factory] = {
    OURS: lambda space, seed: ParetoEvolutionSampler(space, seed=seed),
    "NSGA-II (20)": lambda _, seed: NSGAIISampler(seed=seed, population_size=20),
    "NSGA-II (50)": lambda _, seed: NSGAIISampler(seed=seed, population_size=50),
    "Random": lambda _, seed: RandomSampler(seed=seed),
    SLOW: lambda _, seed: TPESampler(seed=seed),
}
RIVALS = tuple(name for name in SAMPLERS if name.startswith("NSGA-II"))


def values_of(table: Table) -> NDArray[np.float64]:
    """Return accuracy in % and negative latency in ms of every cell whose latency is known, shape `(n, 2)`."""
    assert table.also is not None
    cells = list(table.space.enumerate())
    values = np.array([(table.evaluate(cell).validation, -table.also(cell)) for cell in cells])
    known: NDArray[np.float64] = values[np.isfinite(values).all(axis=1)]
    return known


def search(table: Table, sampler: BaseSampler) -> NDArray[np.float64]:
    """Return what each trial of a search found, as `values_of`; NaN where it was pruned."""
    study = optuna.create_study(directions=table.directions, sampler=sampler)
    study.optimize(table.objective, n_trials=EVALUATIONS[-1])
    found = [trial.values or (np.nan, np.nan) for trial in study.get_trials(deepcopy=False)]
    return np.array(found) * (1.0, -1.0)


def measure_device(device: str, samplers: Sequence[str], seeds: int) -> Iterator[dict[str, Cell]]:
    """Yield a row for every seed, sampler and number of evaluations on one device."""
    table = nas_bench_201("cifar10", device=device)
    every = values_of(table)
    worst = every.min(axis=0)
    whole = hypervolume(every, worst)
    cells = SearchSpace(table.space.nodes)
    for seed in range(seeds):
        for name in samplers:
            found = search(table, SAMPLERS[name](cells, seed))
            for n in EVALUATIONS:
                known = found[:n][np.isfinite(found[:n]).all(axis=1)]
                missing = 100 * (1 - hypervolume(known, worst) / whole)
                yield {"device": device, "sampler": name, "seed": seed, "evaluations": n, "missing_percent": missing}


def missing(rows: Sequence[Mapping[str, Cell]], sampler: str, evaluations: int) -> list[float]:
    """Return the missing share in % for each seed, the mean over the devices."""
    found: dict[Cell, list[float]] = {}
    for row in rows:
        if row["sampler"] == sampler and row["evaluations"] == evaluations:
            found.setdefault(row["seed"], []).append(float(str(row["missing_percent"])))
    return [statistics.mean(of_seed) for of_seed in found.values()]


def claims(rows: Sequence[Mapping[str, Cell]]) -> list[Claim]:
    """Claim that ours misses less than the better NSGA-II, and surely less than either."""
    found = []
    for n in CLAIMED:
        ours, theirs = missing(rows, OURS, n), {rival: missing(rows, rival, n) for rival in RIVALS}
        ratio = statistics.mean(ours) / min(map(statistics.mean, theirs.values()))
        found.append(Claim(f"missing hypervolume @{n}, {OURS} / best NSGA-II", ratio, "x", 1.0, "lower"))
        for rival, other in theirs.items():
            if len(ours) > 1:
                name = f"missing hypervolume @{n}, {OURS} - {rival}, paired"
                found.append(Claim(name, paired(ours, other).standard_errors, "s.e.", SURELY, "lower"))
    return found


def summary(rows: Sequence[Mapping[str, Cell]]) -> list[dict[str, Cell]]:
    """Return a row for every device and sampler: the mean over the seeds at each number of evaluations."""
    pairs = dict.fromkeys((row["device"], row["sampler"]) for row in rows)
    return [{"device": device, "sampler": name, **_means(rows, device, name)} for device, name in pairs]


def _means(rows: Sequence[Mapping[str, Cell]], device: Cell, sampler: Cell) -> dict[str, float]:
    of_pair = [row for row in rows if row["device"] == device and row["sampler"] == sampler]
    return {
        f"missing % @{n}": statistics.mean(
            float(str(row["missing_percent"])) for row in of_pair if row["evaluations"] == n
        )
        for n in EVALUATIONS
    }


def figure(rows: Sequence[Mapping[str, Cell]]) -> go.Figure:
    """Plot the missing share, the mean over devices and seeds, over the evaluations."""
    plot = go.Figure(layout={"title": "Hypervolume of accuracy and latency", "template": "plotly_white"})
    plot.update_xaxes(title="evaluations")
    plot.update_yaxes(title="missing hypervolume (%)", type="log")
    for name in dict.fromkeys(row["sampler"] for row in rows):
        means = [statistics.mean(missing(rows, str(name), n)) for n in EVALUATIONS]
        plot.add_scatter(x=list(EVALUATIONS), y=means, name=str(name), mode="lines+markers")
    return plot


def measure(options: Options) -> Measurement:
    """Search on every device with every sampler and seed."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    samplers = [name for name in SAMPLERS if not (options.quick and name == SLOW)]
    seeds = min(options.seeds, QUICK_SEEDS) if options.quick else options.seeds
    rows = [row for device in DEVICES for row in measure_device(device, samplers, seeds)]
    return Measurement(rows, claims(rows), figure(rows), summary(rows))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark from the command line; see `contract.main` for the status."""
    arguments = contract.parser(__doc__ or "", seeds=SEEDS).parse_args(argv)
    return contract.publish(measure(Options(arguments.quick, arguments.seeds)), arguments)


if __name__ == "__main__":
    raise SystemExit(main())
