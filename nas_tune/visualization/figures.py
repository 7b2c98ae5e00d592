"""Figures of a search: first the data, pure and tested, then a thin plotly figure of it."""

from __future__ import annotations

import html
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy
import pandas
import plotly.graph_objects

from nas_tune.analysis.frame import parameter_columns
from nas_tune.space.node import plain

if TYPE_CHECKING:
    from typing import TypeAlias

    Figure: TypeAlias = plotly.graph_objects.Figure

TRIAL_COLOUR = "#3f8fd0"
TRIAL_SCALE = ((0, "#6a7fdb"), (0.5, "#2fa88c"), (1, "#e8b10c"))  # neither end fades into a light or a dark page
BEST_COLOUR = "#e08a00"
FINAL_COLOUR = {"best": "#d1495b", "random": "#8a8f98"}
SYMBOLS = ("circle", "square", "triangle-up", "cross", "star")
_LONGEST_LABEL = 16


@dataclass(frozen=True)
class HistoryData:
    """Completed trials by number, each with its value and the best value so far."""

    name: str
    numbers: tuple[int, ...]
    values: tuple[float, ...]
    best: tuple[float, ...]
    labels: tuple[str, ...]


@dataclass(frozen=True)
class CostGroup:
    """Trials of one evaluation: parameters (a count) against value."""

    evaluation: str
    numbers: tuple[int, ...]
    parameters: tuple[int, ...]
    values: tuple[float, ...]
    labels: tuple[str, ...]


@dataclass(frozen=True)
class CostData:
    """Completed trials that know their number of parameters, by evaluation."""

    name: str
    groups: tuple[CostGroup, ...]


@dataclass(frozen=True)
class FinalData:
    """Networks trained from scratch for one role ("best", "random"): parameters against test accuracy."""

    role: str
    names: tuple[str, ...]
    parameters: tuple[int, ...]
    accuracies: tuple[float, ...]


def completed(frame: pandas.DataFrame, column: str = "value") -> pandas.DataFrame:
    """Rows of a `trials_frame` that ended well and have a finite value."""
    ended_well = (frame["state"] == "COMPLETE").to_numpy(bool)
    rows: pandas.DataFrame = frame.loc[ended_well & numpy.isfinite(frame[column].to_numpy(float))]
    return rows


def history_data(frame: pandas.DataFrame, column: str = "value", maximize: bool = True) -> HistoryData:
    """Collect the search history.

    Args:
        frame: From `trials_frame`.
        column: Column of the objective.
        maximize: Whether larger is better.

    Returns:
        One entry per completed trial with a finite value, by trial number.
    """
    rows = completed(frame, column).sort_index()
    best = rows[column].cummax() if maximize else rows[column].cummin()
    labels = architecture_labels(rows)
    numbers = tuple(map(int, rows.index))
    return HistoryData(
        column, numbers, _floats(rows[column]), _floats(best), tuple(labels[number] for number in numbers)
    )


def cost_data(frame: pandas.DataFrame, column: str = "value") -> CostData:
    """Collect value against number of parameters; trials without a number of parameters above zero are left out."""
    rows = completed(frame, column).sort_index()
    rows = rows[rows["parameters"].fillna(0) > 0]
    labels = architecture_labels(rows)
    evaluations = rows["evaluation"].fillna("trial")
    groups = []
    for evaluation in dict.fromkeys(map(str, evaluations)):
        chosen = rows[evaluations == evaluation]
        numbers = tuple(map(int, chosen.index))
        costs = tuple(map(int, chosen["parameters"]))
        names = tuple(labels[number] for number in numbers)
        groups.append(CostGroup(evaluation, numbers, costs, _floats(chosen[column]), names))
    return CostData(column, tuple(groups))


def final_data(finals: pandas.DataFrame) -> tuple[FinalData, ...]:
    """Collect the from-scratch trainings that know parameters and test accuracy, by role."""
    if not {"role", "parameters", "test_accuracy"} <= set(finals.columns):
        return ()
    known = finals.dropna(subset=["role", "parameters", "test_accuracy"])
    collected = []
    for role in dict.fromkeys(map(str, known["role"])):
        rows = known[known["role"] == role]
        trials = rows["trial"] if "trial" in rows else [None] * len(rows)
        names = tuple("of no trial" if missing(number) or number is None else f"trial {number}" for number in trials)
        costs = tuple(map(int, rows["parameters"]))
        collected.append(FinalData(role, names, costs, _floats(rows["test_accuracy"])))
    return tuple(collected)


def architecture_labels(frame: pandas.DataFrame) -> dict[int, str]:
    """What to show on hovering a trial: its active parameters, one to a line, escaped for plotly."""
    columns = parameter_columns(frame)
    labels = {}
    for number, values in zip(frame.index, frame[list(columns)].itertuples(index=False, name=None), strict=True):
        lines = [f"{name}: {short(value)}" for name, value in zip(columns, values, strict=True) if not missing(value)]
        hidden = len(lines) - _LONGEST_LABEL
        lines = lines[:_LONGEST_LABEL] + ([f"and {hidden} more"] if hidden > 0 else [])
        labels[int(number)] = "<br>".join(map(html.escape, lines))
    return labels


def missing(value: object) -> bool:
    """Whether a cell of a frame is empty (`None` is a possible choice, and no gap)."""
    return value is pandas.NA or bool(value != value)


def short(value: object) -> str:
    """A value as a person reads it: floats with four significant digits, counts with thousands separators."""
    value = plain(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:{'#' if abs(value) < 1000 else ''}.4g}"


def history_figure(data: HistoryData) -> Figure:
    """Plot the value of each trial and the best so far."""
    go = plotly.graph_objects
    dots = go.Scatter(
        x=data.numbers,
        y=data.values,
        mode="markers",
        name="trial",
        marker={"size": 7, "color": TRIAL_COLOUR, "opacity": 0.75},
        text=data.labels or None,
        hovertemplate=hover("trial %{x}: %{y:.4g}", data.labels),
    )
    line = go.Scatter(
        x=data.numbers,
        y=data.best,
        mode="lines",
        name="best so far",
        line={"shape": "hv", "color": BEST_COLOUR, "width": 2},
        hoverinfo="skip",
    )
    return go.Figure([dots, line], axes("trial", data.name))


def cost_figure(data: CostData, finals: tuple[FinalData, ...] = ()) -> Figure:
    """Plot value against number of parameters; the colour is the trial number, the symbol the evaluation."""
    go = plotly.graph_objects
    latest = max((number for group in data.groups for number in group.numbers), default=1)
    figure = go.Figure(layout=axes("parameters", data.name))
    for place, group in enumerate(data.groups):
        bar = {"title": {"text": "trial", "side": "top"}, "thickness": 10, "outlinewidth": 0}
        marker = {"color": group.numbers, "colorscale": TRIAL_SCALE, "cmin": 0, "cmax": latest, "size": 8}
        marker |= {"symbol": SYMBOLS[place % len(SYMBOLS)], "line": {"width": 1, "color": "rgba(123,127,134,0.6)"}}
        figure.add_scatter(
            x=group.parameters,
            y=group.values,
            mode="markers",
            name=html.escape(group.evaluation),
            marker=marker | ({"colorbar": bar, "showscale": True} if place == 0 else {}),
            customdata=group.numbers,
            text=group.labels or None,
            hovertemplate=hover("trial %{customdata}: %{y:.4g}, %{x:,} parameters", group.labels),
        )
    groups: list[CostGroup | FinalData] = [*data.groups, *finals]
    for final in finals:
        figure.add_scatter(
            x=final.parameters,
            y=final.accuracies,
            mode="markers",
            name=html.escape(f"{final.role}, from scratch (test)"),
            marker={
                "symbol": "diamond-open",
                "size": 12,
                "color": FINAL_COLOUR.get(final.role, BEST_COLOUR),
                "line": {"width": 2},
            },
            customdata=final.names,
            hovertemplate=hover("%{customdata}: test accuracy %{y:.4g}, %{x:,} parameters", ()),
        )
    figure.update_xaxes(type="log", tickformat="~s", **_ticks(*(cost for group in groups for cost in group.parameters)))
    if not groups:
        note = "No trial recorded its number of parameters<br>(the user attribute <i>parameters</i>)."
        figure.add_annotation(text=note, showarrow=False, x=0.5, y=0.5, xref="paper", yref="paper")
    return figure


def log_ticks(low: float, high: float) -> tuple[float, ...]:
    """Round values for a logarithmic axis: powers of ten, with their double and half where the range is short."""
    steps = (1, 2, 5) if high < 1000 * low else (1,)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = (step * 10.0**power for power in powers for step in steps)
    return tuple(tick for tick in ticks if low / 1.2 <= tick <= high * 1.2)


def _ticks(*costs: float) -> dict[str, object]:
    """Ticks that do not run into each other on a narrow page."""
    ticks = log_ticks(min(costs), max(costs)) if costs else ()
    return {"tickvals": ticks} if len(ticks) > 1 else {"nticks": 4}


def hover(head: str, labels: tuple[str, ...]) -> str:
    """Plotly's template of what a marker shows: a bold line and, where there are labels, that of the marker."""
    return f"<b>{head}</b>{'<br>%{text}' if labels else ''}<extra></extra>"


def axes(across: str, up: str) -> dict[str, object]:
    """The layout that the figures share, with the titles of the two axes."""
    return {
        "template": "none",
        "xaxis": {"title": {"text": html.escape(across), "standoff": 8}, "zeroline": False},
        "yaxis": {"title": {"text": html.escape(up)}, "zeroline": False, "automargin": True},
        "margin": {"l": 56, "r": 12, "t": 12, "b": 56},
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "xanchor": "left"},
        "hovermode": "closest",
        "hoverlabel": {"align": "left"},
        "showlegend": True,
    }


def _floats(values: pandas.Series) -> tuple[float, ...]:
    return tuple(map(float, values))
