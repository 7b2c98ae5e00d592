"""Microseconds for each architecture of every published space: sampling, mutation, canonical key, analytic cost.

Every operation is timed as CPU time on one thread, over batches of calls whose turns alternate; a row holds the median
over the batches and their quartiles. The analytic cost is asked for architectures that are new each time, by a model
that has been asked for a few thousand before, as in the middle of a search; what its first thousand take stands apart.
It is claimed beside building the network and measuring it, in one run. The rejection is
sampling under a bound on the multiply-adds that one architecture in a hundred meets.
"""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import plotly.graph_objects as go
import torch

from benchmarks.contract import Cell, Claim, Measurement, Options, main
from nas_tune.costs import CostModel, profile
from nas_tune.search_spaces import SPACES, PublishedSpace
from nas_tune.space import Architecture

CHAINS = (
    "mobile-net",
    "fair-nas",
    "spos",
    "attentive-nas",
    "nas-bench-macro",
    "vanilla",
    "resnet",
    "resnext-a",
    "resnext-b",
)
CELLS = ("nas-bench-201", "darts", "nasnet", "amoebanet", "pnas", "enas")
REJECTED = ("darts", "mobile-net", "attentive-nas", "resnext-a")
FEASIBLE = 0.01  # share of the architectures that meet the bound of the rejection
CHAIN_MICROSECONDS, CELL_MICROSECONDS = 100.0, 500.0
FASTER = 100.0  # times that the analytic cost is faster than building and measuring
REJECTION_MILLISECONDS = 50.0
FEASIBLE_SAMPLE = "sample, 1 in 100 feasible"
WARM_UP = 3_000  # architectures that the cost model has been asked for before it is timed
BUILT = "build + profile"
Row: TypeAlias = "dict[str, Cell]"


def measure(options: Options) -> Measurement:
    """Time every operation in every space, for every seed."""
    torch.set_num_threads(1)
    batches, calls = (7, 100) if options.quick else (15, 300)
    rows: list[Row] = []
    for name, kind in SPACES.items():
        space = kind()  # type: ignore[call-arg]  # every published space has defaults for all its arguments
        cost = space.cost(shape_of(space))
        for seed in range(options.seeds):
            rows += timed(name, space, cost, seed, batches, calls)
    draws = 2_000 if options.quick else 10_000
    rows += [rejection(name, seed, draws) for name in REJECTED for seed in range(options.seeds)]
    return Measurement(rows, [*speed_claims(rows), *rejection_claims(rows)], figure(rows))


def shape_of(space: PublishedSpace) -> tuple[int, int, int]:
    """Return the shape of the images of the publication."""
    return space.in_channels, space.image_size, space.image_size


def timed(name: str, space: PublishedSpace, cost: CostModel, seed: int, batches: int, calls: int) -> list[Row]:
    """Return a row for every operation in a space, in microseconds."""
    rng = np.random.default_rng(seed)
    known = [space.sample(rng) for _ in range(calls)]
    times: dict[str, list[float]] = defaultdict(list)
    times["first 1,000 costs"].append(microseconds(lambda _: cost(space.sample(rng)), 1_000))
    for _ in range(WARM_UP):
        cost(space.sample(rng))
    for _ in range(batches):
        times["sample"].append(microseconds(lambda _: space.sample(rng), calls))
        times["mutate"].append(microseconds(lambda i: space.mutate(known[i], rng), calls))
        times["key"].append(microseconds(lambda i: space.canonical_key(known[i]), calls))
        times["cost"].append(microseconds(cost_of(cost, [space.sample(rng) for _ in range(calls)]), calls))
        times["sample + cost"].append(microseconds(lambda _: cost(space.sample(rng)), calls))
    times[BUILT] += [microseconds(lambda i: measured(space, known[i]), 1) for i in range(3)]
    return [_row(name, seed, operation, taken) for operation, taken in times.items()]


def cost_of(cost: CostModel, fresh: Sequence[Architecture]) -> Callable[[int], object]:
    """Return what asks for the cost of one of the architectures."""
    return lambda i: cost(fresh[i])


def _row(name: str, seed: int, operation: str, taken: Sequence[float]) -> Row:
    low, middle, high = np.quantile(taken, [0.25, 0.5, 0.75]).tolist()
    return {"space": name, "seed": seed, "operation": operation, "us": middle, "us_q1": low, "us_q3": high}


def measured(space: PublishedSpace, architecture: Architecture) -> object:
    """Build a network and count its costs."""
    return profile(space.build(architecture), shape_of(space))


def microseconds(call: Callable[[int], object], calls: int) -> float:
    """Return the CPU time of a call, on average over `calls` of them."""
    start = time.process_time()
    for i in range(calls):
        call(i)
    return 1e6 * (time.process_time() - start) / calls


def rejection(name: str, seed: int, draws: int) -> Row:
    """Time sampling under a bound on the multiply-adds that one architecture in a hundred meets."""
    space: PublishedSpace = SPACES[name]()  # type: ignore[call-arg]
    rng, cost = np.random.default_rng(seed), space.cost(shape_of(space))
    bound = float(np.quantile([cost(space.sample(rng)).macs for _ in range(draws)], FEASIBLE))
    narrow = space.where(cost.macs <= bound)
    return _row(name, seed, FEASIBLE_SAMPLE, [microseconds(lambda _: narrow.sample(rng), 20) for _ in range(10)])


def speed_claims(rows: Sequence[Row]) -> list[Claim]:
    """Claim the slowest space of each kind, and the least ratio of all spaces."""
    claims = []
    for kind, names, bound in (
        ("chain spaces", CHAINS, CHAIN_MICROSECONDS),
        ("cell spaces", CELLS, CELL_MICROSECONDS),
    ):
        slowest = max(names, key=lambda name: over_seeds(rows, name, "sample + cost"))
        value = over_seeds(rows, slowest, "sample + cost")
        claims.append(Claim(f"sample + analytic cost, slowest of the {kind} ({slowest})", value, "us", bound, "lower"))
    ratios = {name: over_seeds(rows, name, BUILT) / over_seeds(rows, name, "cost") for name in SPACES}
    least = min(ratios, key=ratios.__getitem__)
    name = f"{BUILT} / analytic cost, least of all spaces ({least})"
    return [*claims, Claim(name, ratios[least], "x", FASTER, "higher")]


def rejection_claims(rows: Sequence[Row]) -> list[Claim]:
    """Claim the slowest rejection."""
    slowest = max(REJECTED, key=lambda name: over_seeds(rows, name, FEASIBLE_SAMPLE))
    value = over_seeds(rows, slowest, FEASIBLE_SAMPLE) / 1e3
    name = f"a feasible sample where 1 in 100 is, slowest of {len(REJECTED)} spaces ({slowest})"
    return [Claim(name, value, "ms", REJECTION_MILLISECONDS, "lower")]


def over_seeds(rows: Sequence[Row], name: str, operation: str) -> float:
    """Return the median of an operation over the seeds of a space, in microseconds."""
    return statistics.median(
        float(str(row["us"])) for row in rows if (row["space"], row["operation"]) == (name, operation)
    )


def figure(rows: Sequence[Row]) -> go.Figure:
    """Plot the microseconds of every operation in every space."""
    plot = go.Figure(layout={"title": "Speed of the spaces", "template": "plotly_white", "barmode": "group"})
    plot.update_yaxes(title="CPU time for an architecture (us)", type="log")
    for operation in ("sample", "mutate", "key", "cost", BUILT):
        plot.add_bar(x=list(SPACES), y=[over_seeds(rows, name, operation) for name in SPACES], name=operation)
    return plot


if __name__ == "__main__":
    raise SystemExit(main(measure))
