"""CPU time of ask + tell of our samplers beside Optuna's, in the 22-parameter space of DARTS.

Each study lives in memory, where nothing waits, so CPU time is what a trial costs and other jobs of the machine do not
count. A study begins with random trials; then every sampler asks, suggests through `space.suggest` and tells, in turns.
NSGA-II has bred its first population of 50 itself. The first ask of a sampler, which reads the whole study, is reported
apart. Medians, with quartiles (q1, q3), over the trials that were timed.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import optuna
import plotly.graph_objects as go
from optuna.samplers import BaseSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from benchmarks.contract import Cell, Claim, Measurement, Options, main
from nas_tune.samplers import RegularizedEvolutionSampler
from nas_tune.space import Categorical, SearchSpace, Subset

SIZES = (100, 1_000, 5_000)  # trials in the study
TARGET = 1.5  # times RandomSampler
OURS = "RegularizedEvolution"
NSGA_POPULATION = 50
REPEATS = 3  # trials in a turn of a sampler faster than TPE
OPERATIONS = (
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)

Factory = Callable[[SearchSpace, int], BaseSampler]
SAMPLERS: Mapping[str, Factory] = {
    "Random": lambda _, seed: RandomSampler(seed=seed),
    OURS: lambda space, seed: RegularizedEvolutionSampler(space, seed=seed),
    "NSGA-II": lambda _, seed: NSGAIISampler(seed=seed, population_size=NSGA_POPULATION),
    "TPE": lambda _, seed: TPESampler(seed=seed),
}


def darts_cell() -> SearchSpace:
    """Return a DARTS cell, arXiv:1806.09055: four nodes, each with two inputs and an operation for each."""
    nodes: dict[str, Subset | Categorical] = {}
    for node in range(2, 6):
        nodes[f"inputs_{node}"] = Subset(range(node), 2)  # of node 2 there is only one
        for i in range(2):
            nodes[f"operation_{node}_{i}"] = Categorical(*OPERATIONS)
    return SearchSpace(nodes)


def random_trials(space: SearchSpace, count: int, seed: int) -> list[FrozenTrial]:
    """Return completed trials of architectures drawn from the space."""
    rng = np.random.default_rng(seed)
    trials = []
    for _ in range(count):
        architecture = space.sample(rng)
        distributions = space.distributions(architecture)
        params = {name: architecture[name] for name in distributions}
        trials.append(optuna.create_trial(params=params, distributions=distributions, value=float(rng.random())))
    return trials


def begin(name: str, space: SearchSpace, trials: Sequence[FrozenTrial], seed: int) -> tuple[Study, float]:
    """Return a study of `trials` for one sampler, and the milliseconds of its first ask + tell."""
    study = optuna.create_study(sampler=SAMPLERS[name](space, seed))
    own = NSGA_POPULATION if name == "NSGA-II" else 0
    study.add_trials(trials[own:])
    first = ask_and_tell(study, space)
    for _ in range(own):
        ask_and_tell(study, space)
    return study, first


def ask_and_tell(study: Study, space: SearchSpace) -> float:
    """Run one trial and return its milliseconds of CPU time."""
    start = time.process_time()
    trial = study.ask()
    architecture = space.suggest(trial)
    study.tell(trial, float(hash(architecture) % 1_000))
    return 1_000 * (time.process_time() - start)


def measure_size(space: SearchSpace, size: int, seed: int, rounds: int) -> list[dict[str, Cell]]:
    """Time all samplers in turns at one size of the study."""
    trials = random_trials(space, size, seed)
    begun = {name: begin(name, space, trials, seed) for name in SAMPLERS}
    times: dict[str, list[float]] = {name: [] for name in SAMPLERS}
    gc.collect()
    for turn in range(rounds):
        order = list(SAMPLERS)[turn % len(SAMPLERS) :] + list(SAMPLERS)[: turn % len(SAMPLERS)]
        for name in order:
            repeats = 1 if name == "TPE" else REPEATS
            times[name] += [ask_and_tell(begun[name][0], space) for _ in range(repeats)]
    return [_row(name, size, seed, times, begun[name][1]) for name in SAMPLERS]


def _row(name: str, size: int, seed: int, times: Mapping[str, Sequence[float]], first: float) -> dict[str, Cell]:
    low, median, high = statistics.quantiles(times[name], n=4)
    return {
        "sampler": name,
        "trials": size,
        "seed": seed,
        "ms": median,
        "ms_q1": low,
        "ms_q3": high,
        "first_ms": first,
        "to_random": median / statistics.median(times["Random"]),
    }


def claims(rows: Sequence[Mapping[str, Cell]]) -> list[Claim]:
    """Claim the median over the seeds of the ratio to random, at each size."""
    found = []
    for size in SIZES:
        ratios = [float(str(r["to_random"])) for r in rows if r["sampler"] == OURS and r["trials"] == size]
        name = f"CPU time of ask + tell, {OURS} / Random at {size:,} trials"
        found.append(Claim(name, statistics.median(ratios), "x", target=TARGET, better="lower"))
    return found


def figure(rows: Sequence[Mapping[str, Cell]]) -> go.Figure:
    """Plot milliseconds for each trial over the trials in the study."""
    plot = go.Figure(layout={"title": "Overhead of a sampler", "template": "plotly_white"})
    plot.update_xaxes(title="trials in the study", type="log")
    plot.update_yaxes(title="CPU time of ask + tell (ms)", type="log")
    for name in SAMPLERS:
        medians = [
            statistics.median(float(str(r["ms"])) for r in rows if r["sampler"] == name and r["trials"] == size)
            for size in SIZES
        ]
        plot.add_scatter(x=list(SIZES), y=medians, name=name, mode="lines+markers")
    return plot


def measure(options: Options) -> Measurement:
    """Time every sampler at every size, for every seed."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    space = SearchSpace({"normal": darts_cell(), "reduction": darts_cell()})
    rounds = 16 if options.quick else 60
    rows = [row for seed in range(options.seeds) for size in SIZES for row in measure_size(space, size, seed, rounds)]
    return Measurement(rows, claims(rows), figure(rows))


if __name__ == "__main__":
    raise SystemExit(main(measure))
