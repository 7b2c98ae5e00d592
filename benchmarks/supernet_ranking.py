"""How super-nets of equal training cost rank 40 cells of NAS-Bench-201, beside parameters and multiply-adds."""

from __future__ import annotations

import time
from collections.abc import Sequence
from statistics import median
from typing import TYPE_CHECKING

import torch

from benchmarks.contract import Claim, Measurement, Options, Row, main
from benchmarks.ranking.cells import task
from benchmarks.ranking.contestants import CONTESTANTS, DEFAULT, Contestant, scores
from benchmarks.ranking.truth import truth
from nas_tune.analysis import optimization_gap
from nas_tune.trials import Task

if TYPE_CHECKING:
    import plotly.graph_objects as go

BASELINES = ("parameters", "macs")
PATH_STEPS = 6_000  # about 38 passes over the training images with one average cell
QUICK_STEPS = 1_200


def measure(options: Options) -> Measurement:
    """Train every super-net on one thread, once for each seed, and compare its scores with the cells trained alone."""
    torch.set_num_threads(1)
    found, data = truth(), task()
    alone = [cell["test"] for cell in found]
    rows: list[Row] = [_row(name, 0, [cell[name] for cell in found], alone, 0.0) for name in BASELINES]
    contestants = [DEFAULT] if options.quick else CONTESTANTS
    for seed in range(1 if options.quick else options.seeds):
        for contestant in contestants:
            rows.append(_trained(contestant, data, QUICK_STEPS if options.quick else PATH_STEPS, seed))
    return Measurement(rows, _claims(rows, options.quick), _figure(rows))


def _trained(contestant: Contestant, data: Task, path_steps: int, seed: int) -> Row:
    started = time.perf_counter()
    judged = scores(contestant, data, path_steps, seed)
    return _row(contestant.name, seed, judged, [cell["test"] for cell in truth()], time.perf_counter() - started)


def _row(name: str, seed: int, judged: Sequence[float], alone: Sequence[float], seconds: float) -> Row:
    found = optimization_gap(judged, alone, tops=[4])
    return {
        "ranked by": name,
        "seed": seed,
        "tau": found.tau,
        "rho": found.rho,
        "in the best 4": found.precision[0],
        "regret": found.regret,
        "seconds": seconds,
    }


def _claims(rows: Sequence[Row], quick: bool) -> list[Claim]:
    """The default strategy beats the better baseline and reaches 0.6; what the others do is in the table."""
    ours = _tau(rows, DEFAULT.name)
    baseline = max(_tau(rows, name) for name in BASELINES)
    claims = [
        Claim(f"tau of the {DEFAULT.name} super-net - of the better baseline", ours - baseline, "", 0.0, "higher")
    ]
    return claims if quick else [*claims, Claim(f"tau of the {DEFAULT.name} super-net", ours, "", 0.6, "higher")]


def _tau(rows: Sequence[Row], name: str) -> float:
    return median(float(str(row["tau"])) for row in rows if row["ranked by"] == name)


def _figure(rows: Sequence[Row]) -> go.Figure:
    """Show the tau of every seed, a strategy in each row."""
    import plotly.graph_objects as go

    names = list(dict.fromkeys(str(row["ranked by"]) for row in rows))
    taus = [[row["tau"] for row in rows if row["ranked by"] == name] for name in names]
    figure = go.Figure(
        go.Scatter(
            x=[tau for found in taus for tau in found],
            y=[name for name, found in zip(names, taus, strict=True) for _ in found],
            mode="markers",
            marker={"size": 12, "opacity": 0.7},
        )
    )
    figure.update_layout(title="Agreement with cells trained alone", template="plotly_white")
    return figure.update_xaxes(title="Kendall's tau, one marker a seed").update_yaxes(autorange="reversed")


if __name__ == "__main__":
    raise SystemExit(main(measure))
