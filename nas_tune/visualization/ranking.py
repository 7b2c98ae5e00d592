"""Figures of a super-net's ranking and of its Pareto table: first the data, then a thin plotly figure of it."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas
import plotly.graph_objects
from optuna.study import StudyDirection
from plotly.colors import sample_colorscale

from nas_tune.analysis.frame import trials_frame, value_columns
from nas_tune.analysis.rank import kendall_tau
from nas_tune.analysis.ranking import CheckpointPairs, checkpoint_pairs
from nas_tune.visualization.figures import (
    BEST_COLOUR,
    FINAL_COLOUR,
    SYMBOLS,
    TRIAL_COLOUR,
    TRIAL_SCALE,
    axes,
    hover,
    missing,
    short,
)

if TYPE_CHECKING:
    import optuna

    from nas_tune.analysis.pareto import ParetoEntry
    from nas_tune.space import SearchSpace
    from nas_tune.visualization.figures import Figure


@dataclass(frozen=True)
class RankingTrace:
    """Networks of one checkpoint, or one role: super-net score against from-scratch result."""

    name: str
    scores: tuple[float, ...]
    results: tuple[float, ...]
    labels: tuple[str, ...]


@dataclass(frozen=True)
class RankingData:
    """What a ranking figure shows; the title tells tau and the number of networks."""

    title: str
    across: str
    up: str
    traces: tuple[RankingTrace, ...]


def ranking_data(pairs: Sequence[CheckpointPairs], objective: str = "value", maximize: bool = True) -> RankingData:
    """Collect the ranking of each checkpoint; the title is of the last.

    Args:
        pairs: From `checkpoint_pairs`.
        objective: Its name.
        maximize: Whether it is maximised; where not, the signs that `checkpoint_pairs` turned are turned back.

    Returns:
        One trace for each checkpoint.
    """
    sign = 1 if maximize else -1
    traces = tuple(
        RankingTrace(
            _checkpoint_name(one, len(pairs) > 1),
            tuple(sign * score for score in one.supernet),
            tuple(sign * result for result in one.from_scratch),
            tuple(f"trial {number}" for number in one.numbers),
        )
        for one in pairs
    )
    title = "No network was judged by both"
    if pairs:
        last = pairs[-1]
        title = _title(kendall_tau(last.supernet, last.from_scratch), len(last.keys))
        title += "" if last.step is None else f", step {last.step:,}"
    return RankingData(title, f"{objective} by shared weights", f"{objective} from scratch", traces)


def final_ranking_data(finals: pandas.DataFrame) -> RankingData | None:
    """Collect the finals of a search that have a shared score, by role; nothing where there are fewer than two."""
    pairs = final_pairs(finals)
    if len(pairs) < 2:
        return None
    traces = tuple(_final_trace(str(role), rows) for role, rows in pairs.groupby("role", sort=False))
    title = _title(kendall_tau(pairs["shared_score"], pairs["test_accuracy"]), len(pairs))
    return RankingData(title, "shared score", "test accuracy", traces)


def final_pairs(finals: pandas.DataFrame) -> pandas.DataFrame:
    """Rows of a table of finals that hold both `shared_score` and `test_accuracy`, as numbers."""
    if not {"role", "shared_score", "test_accuracy"} <= set(finals.columns):
        return pandas.DataFrame({"role": [], "shared_score": [], "test_accuracy": []})
    numbers = finals.astype({"shared_score": "float64", "test_accuracy": "float64"})
    return numbers.dropna(subset=["role", "shared_score", "test_accuracy"])


def plot_ranking(study: optuna.Study, space: SearchSpace, *, objective: int = 0) -> Figure:
    """Plot super-net score against from-scratch result of the networks of a study that have both.

    Args:
        study: See `ranking_report`.
        space: The space whose architectures the trials are.
        objective: Which value of the trials.

    Returns:
        One marker for each network, one trace for each checkpoint; the title tells tau of the last.

    Raises:
        ValueError: The study has no such `objective`.
    """
    pairs = checkpoint_pairs(study, trials_frame(study, space), objective=objective)
    maximize = study.directions[objective] == StudyDirection.MAXIMIZE
    return ranking_figure(ranking_data(pairs, value_columns(study)[objective], maximize))


def ranking_figure(data: RankingData) -> Figure:
    """Plot one trace for each checkpoint or role; the later the checkpoint, the warmer its colour."""
    figure = plotly.graph_objects.Figure(layout=_titled(data.title, data.across, data.up))
    for place, trace in enumerate(data.traces):
        share = place / (len(data.traces) - 1) if len(data.traces) > 1 else 0.5
        colour = FINAL_COLOUR.get(trace.name) or sample_colorscale([colour for _, colour in TRIAL_SCALE], share)[0]
        figure.add_scatter(
            x=trace.scores,
            y=trace.results,
            mode="markers",
            name=html.escape(trace.name),
            marker={"size": 9, "color": colour, "symbol": SYMBOLS[place % len(SYMBOLS)], "opacity": 0.85},
            text=trace.labels,
            hovertemplate=hover("%{y:.4g} from scratch, %{x:.4g} shared", trace.labels),
        )
    return figure.update_layout(showlegend=len(data.traces) > 1)


def plot_pareto_table(
    best: Sequence[ParetoEntry], worst: Sequence[ParetoEntry] = (), *, cost: str = "MACs", score: str = "score"
) -> Figure:
    """Plot a Pareto table: score against cost of its entries.

    Args:
        best: From `pareto_table`.
        worst: From `pareto_table` with `worst`.
        cost: Title of the axis of cost.
        score: Title of the axis of score.

    Returns:
        A trace for each of the two tables that has an entry.
    """
    figure = plotly.graph_objects.Figure(layout=axes(cost, score))
    for name, entries, colour in (("best", best, BEST_COLOUR), ("worst", worst, TRIAL_COLOUR)):
        if entries:
            labels = tuple(_entry_label(entry) for entry in entries)
            figure.add_scatter(
                x=[entry.cost for entry in entries],
                y=[entry.score for entry in entries],
                mode="lines+markers",
                name=name,
                line={"color": colour, "width": 1.5, "dash": "dot"},
                marker={"color": colour, "size": 8, "symbol": "circle" if name == "best" else "square"},
                text=labels,
                hovertemplate=hover("%{y:.4g} at %{x:,}", labels),
            )
    figure.update_xaxes(tickformat="~s", nticks=6)
    return figure


def _checkpoint_name(pairs: CheckpointPairs, with_tau: bool) -> str:
    name = "unknown step" if pairs.step is None else f"step {pairs.step:,}"
    return f"{name}: tau {_number(kendall_tau(pairs.supernet, pairs.from_scratch))}" if with_tau else name


def _final_trace(role: str, rows: pandas.DataFrame) -> RankingTrace:
    trials = rows["trial"] if "trial" in rows else [None] * len(rows)
    names = tuple("of no trial" if number is None or missing(number) else f"trial {number}" for number in trials)
    return RankingTrace(role, tuple(map(float, rows["shared_score"])), tuple(map(float, rows["test_accuracy"])), names)


def _title(tau: float, networks: int) -> str:
    return f"Kendall tau {_number(tau)}, {networks:,} network{'' if networks == 1 else 's'}"


def _number(tau: float) -> str:
    return "not defined" if math.isnan(tau) else f"{tau:.3f}"


def _entry_label(entry: ParetoEntry) -> str:
    return "<br>".join(html.escape(f"{name}: {short(value)}") for name, value in entry.architecture.items())


def _titled(title: str, across: str, up: str) -> dict[str, object]:
    """The title stands at the top and the legend below the axis, where it may take several lines."""
    words = {"text": html.escape(title), "font": {"size": 14}, "x": 0, "xref": "paper", "xanchor": "left"}
    layout = axes(across, up) | {"title": words | {"y": 1, "yref": "container", "yanchor": "top", "pad": {"t": 12}}}
    margin = {"l": 56, "r": 12, "t": 40, "b": 56}
    return layout | {"margin": margin, "legend": {"orientation": "h", "y": -0.22, "yanchor": "top", "x": 0}}
