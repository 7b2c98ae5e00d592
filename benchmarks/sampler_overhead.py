"""CPU time of ask + tell of our samplers beside Optuna's, in two spaces of the cells of DARTS.

One space is flat, 22 parameters; the other is `DARTS()`, whose operations depend on the inputs and whose networks are
compared as graphs. Each study lives in memory, where nothing waits, so CPU time is what a trial costs and other jobs of
the machine do not count. A study begins with random trials; then every sampler asks, suggests through `space.suggest`
and tells, in turns. NSGA-II has bred its first population of 50 itself. The first ask of a sampler, which reads the
whole study and for a predictor fits it, is reported apart. Medians, with quartiles (q1, q3), over the trials that were
timed.

Evolution is held to a multiple of random search, in the flat space. The predictor is held to seconds of one core, which
is what a user waits for a proposal, and to how little that grows once a study is large: two studies in turns, `growth`.
These are means: its trials take turns between acquisitions, some of which cost a multiple of the others.
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
from plotly.subplots import make_subplots

from benchmarks.contract import Cell, Claim, Measurement, Options, main
from nas_tune.samplers import (
    LocalSearchSampler,
    ParetoEvolutionSampler,
    PolicyGradientSampler,
    PredictorSampler,
    RegularizedEvolutionSampler,
)
from nas_tune.search_spaces import DARTS
from nas_tune.space import Categorical, SearchSpace, Subset

FLAT, CONDITIONAL = "22 parameters", "DARTS"
SIZES = {FLAT: (100, 500, 1_000, 2_000, 5_000), CONDITIONAL: (100, 500, 2_000, 5_000)}  # trials in the study
EVOLUTION, PREDICTOR = "RegularizedEvolution", "Predictor"
EVOLUTION_SIZES = (100, 1_000, 5_000)
EVOLUTION_TARGET = 1.5  # times RandomSampler
PREDICTOR_SECONDS = {100: 0.15, 500: 0.3, 2_000: 0.5}
GROWTH_SIZES = (2_000, 5_000)
SMALLER, LARGER = "the smaller study", "the larger study"
GROWTH_TARGET = 1.25  # times, from the one size to the other
NSGA_POPULATION = 50
REPEATS = 4  # trials in a turn of a sampler that is not slow; the first finds the caches as another left them, untimed
SLOW = ("TPE", PREDICTOR, SMALLER, LARGER)  # these run one trial, every other turn
OPERATIONS = (
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
COLOURS = ("#7F7F7F", "#009E73", "#CC79A7", "#F0E442", "#E69F00", "#D55E00", "#56B4E9", "#0072B2")  # of the samplers

Factory = Callable[[SearchSpace, int], BaseSampler]
SAMPLERS: Mapping[str, Factory] = {
    "Random": lambda _, seed: RandomSampler(seed=seed),
    EVOLUTION: lambda space, seed: RegularizedEvolutionSampler(space, seed=seed),
    "LocalSearch": lambda space, seed: LocalSearchSampler(space, seed=seed),
    "ParetoEvolution": lambda space, seed: ParetoEvolutionSampler(space, seed=seed),
    "PolicyGradient": lambda space, seed: PolicyGradientSampler(space, seed=seed),
    PREDICTOR: lambda space, seed: PredictorSampler(space, seed=seed),
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


def measure_space(label: str, space: SearchSpace, seed: int, turns: int) -> list[dict[str, Cell]]:
    """Time all samplers at every size of the study; the predictor once more at the sizes that its growth is of."""
    rows: list[dict[str, Cell]] = []
    predicted: dict[int, Study] = {}
    for size in SIZES[label]:
        trials = random_trials(space, size, seed)
        begun = {name: begin(name, space, trials, seed) for name in SAMPLERS}
        times = in_turns({name: study for name, (study, _) in begun.items()}, space, turns)
        rows += [_row(label, name, size, seed, times, begun[name][1]) for name in SAMPLERS]
        predicted[size] = begun[PREDICTOR][0]
    small, large = GROWTH_SIZES
    grown = in_turns({SMALLER: predicted[small], LARGER: predicted[large]}, space, turns)
    ratio = statistics.mean(grown[LARGER]) / statistics.mean(grown[SMALLER])
    return [*rows, {"space": label, "sampler": PREDICTOR, "seed": seed, "growth": ratio}]


def in_turns(studies: Mapping[str, Study], space: SearchSpace, turns: int) -> dict[str, list[float]]:
    """Return the milliseconds of every trial of the studies, which run side by side, each turn in another order."""
    names = list(studies)
    times: dict[str, list[float]] = {name: [] for name in names}
    gc.collect()
    gc.freeze()  # a search has one study in memory: the collector shall not visit those of the others
    for turn in range(turns):
        start = turn % len(names)
        for name in names[start:] + names[:start]:
            ran = [ask_and_tell(studies[name], space) for _ in range(repeats(name, turn))]
            times[name] += ran if name in SLOW else ran[1:]
    gc.unfreeze()
    return times


def repeats(name: str, turn: int) -> int:
    """Return how many trials a study runs in a turn: several of a quick sampler, every other turn one of a slow one."""
    return (turn + 1) % 2 if name in SLOW else REPEATS


def _row(
    label: str, name: str, size: int, seed: int, times: Mapping[str, Sequence[float]], first: float
) -> dict[str, Cell]:
    low, median, high = statistics.quantiles(times[name], n=4)
    return {
        "space": label,
        "sampler": name,
        "trials": size,
        "seed": seed,
        "ms": median,
        "ms_mean": statistics.mean(times[name]),
        "ms_q1": low,
        "ms_q3": high,
        "first_ms": first,
        "to_random": median / statistics.median(times["Random"]),
    }


def claims(rows: Sequence[Mapping[str, Cell]]) -> list[Claim]:
    """Claim medians over the seeds: the ratio of evolution to random, the predictor's seconds and their growth."""
    found = []
    for size in EVOLUTION_SIZES:
        ratio = middle(rows, "to_random", FLAT, EVOLUTION, size)
        name = f"CPU time of ask + tell, {EVOLUTION} / Random at {size:,} trials"
        found.append(Claim(name, ratio, "x", target=EVOLUTION_TARGET, better="lower"))
    return found + [claim for label in SIZES for claim in predictor_claims(rows, label)]


def predictor_claims(rows: Sequence[Mapping[str, Cell]], label: str) -> list[Claim]:
    """Claim the predictor's seconds at each size of one space, and their growth."""
    named = f"CPU time of ask + tell, {PREDICTOR}, {label}"
    found = []
    for size, target in PREDICTOR_SECONDS.items():
        seconds = middle(rows, "ms_mean", label, PREDICTOR, size) / 1_000
        found.append(Claim(f"{named}, at {size:,} trials", seconds, "s", target=target, better="lower"))
    growth = statistics.median(float(str(row["growth"])) for row in rows if row["space"] == label and "growth" in row)
    name = f"{named}, {GROWTH_SIZES[1]:,} / {GROWTH_SIZES[0]:,} trials"
    return [*found, Claim(name, growth, "x", target=GROWTH_TARGET, better="lower")]


def middle(rows: Sequence[Mapping[str, Cell]], column: str, label: str, name: str, size: int) -> float:
    """Return the median over the seeds of one column."""
    wanted = (label, name, size)
    return statistics.median(
        float(str(row[column])) for row in rows if (row["space"], row["sampler"], row.get("trials")) == wanted
    )


def figure(rows: Sequence[Mapping[str, Cell]]) -> go.Figure:
    """Plot milliseconds for each trial over the trials in the study, a panel for each space."""
    plot = make_subplots(cols=len(SIZES), shared_yaxes=True, subplot_titles=list(SIZES))
    for column, (label, sizes) in enumerate(SIZES.items(), 1):
        for name, colour in zip(SAMPLERS, COLOURS, strict=True):
            medians = [middle(rows, "ms", label, name, size) for size in sizes]
            line = {"color": colour}
            plot.add_scatter(
                x=list(sizes),
                y=medians,
                name=name,
                line=line,
                legendgroup=name,
                showlegend=column == 1,
                col=column,
                row=1,
            )
    plot.update_xaxes(title="trials in the study", type="log")
    plot.update_yaxes(type="log")
    plot.update_layout(
        title="Overhead of a sampler", template="plotly_white", yaxis_title="CPU time of ask + tell (ms)"
    )
    return plot


def measure(options: Options) -> Measurement:
    """Time every sampler at every size, for every seed."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    spaces = {FLAT: SearchSpace({"normal": darts_cell(), "reduction": darts_cell()}), CONDITIONAL: DARTS()}
    turns = 16 if options.quick else 60
    rows = [
        row
        for seed in range(options.seeds)
        for label, space in spaces.items()
        for row in measure_space(label, space, seed, turns)
    ]
    return Measurement(rows, claims(rows), figure(rows))


if __name__ == "__main__":
    raise SystemExit(main(measure))
