"""Regret over evaluations: a panel for each table, a line with its confidence band for each sampler."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import plotly.graph_objects as go
from numpy.random import Generator, default_rng
from plotly.subplots import make_subplots

from benchmarks.searches.paired import band
from benchmarks.searches.regrets import Point, Regrets

FLOOR = 1e-3  # a regret below it, such as 0, is drawn here: the axis is logarithmic
COLUMNS = 3
WIDTH, PANEL_HEIGHT, MARGIN = 400, 340, 140  # pixels of a panel, and what stands around them
# Okabe and Ito's colours, which colour-blind readers can tell apart, the default in the strongest.
COLOURS: Mapping[str, str] = {
    "Predictor": "#D55E00",
    "RegularizedEvolution": "#009E73",
    "LocalSearch": "#CC79A7",
    "PolicyGradient": "#E69F00",
    "TPE": "#0072B2",
    "NSGA-II": "#56B4E9",
    "Random": "#7F7F7F",
    "GP": "#000000",
}


def figure(found: Regrets, rng: Generator | None = None) -> go.Figure:
    """Draw the mean test regret with the 95 % bootstrap band of the mean, both axes logarithmic."""
    rng = default_rng(0) if rng is None else rng
    columns = min(COLUMNS, len(found.tables))
    lines = math.ceil(len(found.tables) / columns)
    plot = make_subplots(
        rows=lines, cols=columns, subplot_titles=found.tables, horizontal_spacing=0.08, vertical_spacing=0.13
    )
    for place, table in enumerate(found.tables):
        for name in found.samplers:
            for trace in _curve(found, table, name, rng, legend=place == 0):
                plot.add_trace(trace, row=1 + place // columns, col=1 + place % columns)
    ticks = list(found.evaluations)
    plot.update_xaxes(type="log", tickvals=ticks, ticktext=list(map(str, ticks)), title="evaluations")
    plot.update_yaxes(type="log", title="test regret", exponentformat="power")
    plot.update_layout(
        title=f"Mean test regret over {_seeds(found)} seeds, 95 % band of the mean; {FLOOR} stands for less",
        template="plotly_white",
        width=max(WIDTH * columns, 2 * WIDTH),
        height=PANEL_HEIGHT * lines + MARGIN,
        legend={"orientation": "h", "y": -0.22 / lines, "x": 0.5, "xanchor": "center"},
    )
    return plot


def _curve(found: Regrets, table: str, name: str, rng: Generator, *, legend: bool) -> Sequence[go.Scatter]:
    points = [Point(table, name, n) for n in found.evaluations if Point(table, name, n) in found.values]
    x = [point.evaluations for point in points]
    bands = [band(found.values[point], rng) for point in points]
    outline = [max(low, FLOOR) for low, _ in bands] + [max(high, FLOOR) for _, high in reversed(bands)]
    colour = COLOURS[name]
    shade = go.Scatter(
        x=x + x[::-1],
        y=outline,
        mode="lines",
        fill="toself",
        fillcolor=_transparent(colour),
        line={"width": 0},
        hoverinfo="skip",
        showlegend=False,
        legendgroup=name,
    )
    means = [max(found.mean(point), FLOOR) for point in points]
    style = {"color": colour, "width": 2, "dash": "dot" if name == "Random" else "solid"}
    line = go.Scatter(x=x, y=means, name=name, mode="lines+markers", line=style, showlegend=legend, legendgroup=name)
    return shade, line


def _seeds(found: Regrets) -> int:
    return max(map(len, found.values.values()))


def _transparent(colour: str) -> str:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.15)"
