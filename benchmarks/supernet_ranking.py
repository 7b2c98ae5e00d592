"""How super-nets of equal training cost rank 40 cells of NAS-Bench-201, beside parameters and multiply-adds."""

from __future__ import annotations

import time
from collections.abc import Sequence
from statistics import median
from typing import TYPE_CHECKING, Literal

import torch

from benchmarks.contract import Claim, Measurement, Options, Row, main
from benchmarks.ranking.contestants import CONTESTANTS, DEFAULT, FAIR, Contestant, scores
from benchmarks.ranking.contests import DIGITS, FASHION_MNIST, Contest
from nas_tune.analysis import optimization_gap

if TYPE_CHECKING:
    import plotly.graph_objects as go

BASELINES: tuple[Literal["parameters", "macs"], ...] = ("parameters", "macs")


def measure(options: Options) -> Measurement:
    """Train every super-net on one thread, once for each seed, and compare its scores with the cells trained alone."""
    torch.set_num_threads(1)
    entered = [(DIGITS, contestant) for contestant in (DEFAULT, FAIR)]
    if not options.quick:
        entered += [(FASHION_MNIST, contestant) for contestant in CONTESTANTS]
    rows: list[Row] = []
    for contest in dict.fromkeys(contest for contest, _ in entered):
        rows += [_row(contest, name, 0, contest.sizes(name), 0.0) for name in BASELINES]
    for seed in range(options.seeds):
        rows += [_trained(contest, contestant, seed) for contest, contestant in entered]
    return Measurement(rows, _claims(rows), _figure(rows))


def _trained(contest: Contest, contestant: Contestant, seed: int) -> Row:
    started = time.perf_counter()
    judged = scores(contest, contestant, contest.path_steps, seed)
    return _row(contest, contestant.name, seed, judged, time.perf_counter() - started)


def _row(contest: Contest, name: str, seed: int, judged: Sequence[float], seconds: float) -> Row:
    found = optimization_gap(judged, contest.truth(), tops=[4])
    return {
        "task": contest.name,
        "ranked by": name,
        "seed": seed,
        "tau": found.tau,
        "rho": found.rho,
        "in the best 4": found.precision[0],
        "regret": found.regret,
        "seconds": seconds,
    }


def _claims(rows: Sequence[Row]) -> list[Claim]:
    """What is promised: both strategies on the digits; the default on Fashion-MNIST. The table has the others."""
    claims = [
        Claim(f"least tau of {name}, digits", min(_taus(rows, DIGITS, name)), "", 0.3, "higher")
        for name in (DEFAULT.name, FAIR.name)
    ]
    if ours := _taus(rows, FASHION_MNIST, DEFAULT.name):
        baseline = max(_taus(rows, FASHION_MNIST, name)[0] for name in BASELINES)
        name = f"tau of {DEFAULT.name} paths, Fashion-MNIST"
        claims.append(Claim(f"{name}, less the better baseline", median(ours) - baseline, "", 0.0, "higher"))
        claims.append(Claim(name, median(ours), "", 0.6, "higher"))
    return claims


def _taus(rows: Sequence[Row], contest: Contest, name: str) -> list[float]:
    return [float(str(row["tau"])) for row in rows if (row["task"], row["ranked by"]) == (contest.name, name)]


def _figure(rows: Sequence[Row]) -> go.Figure:
    """Show the tau of every seed: a strategy in each row, a task in each column."""
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    contests = list(dict.fromkeys(str(row["task"]) for row in rows))
    figure = make_subplots(cols=len(contests), shared_yaxes=True, subplot_titles=contests)
    for column, contest in enumerate(contests, 1):
        found = [row for row in rows if row["task"] == contest]
        marker = {"size": 12, "opacity": 0.7}
        names, taus = ([row[key] for row in found] for key in ("ranked by", "tau"))
        figure.add_trace(go.Scatter(x=taus, y=names, mode="markers", marker=marker), row=1, col=column)
    figure.update_layout(title="Agreement with cells trained alone", template="plotly_white", showlegend=False)
    figure.update_xaxes(title="Kendall's tau, one marker a seed", matches="x")
    return figure.update_yaxes(autorange="reversed")


if __name__ == "__main__":
    raise SystemExit(main(measure))
