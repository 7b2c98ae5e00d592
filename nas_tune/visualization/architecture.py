"""An architecture's graph as an interactive figure: the layout of the drawing, with names and sizes on hovering."""

from __future__ import annotations

import html
import os
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import plotly.graph_objects

from nas_tune.visualization import page
from nas_tune.visualization.drawing import LINE_COLOUR, label_width, shortened, used_nodes
from nas_tune.visualization.layout import Box, Route, layout
from nas_tune.visualization.palette import operation_colour, text_colour
from nas_tune.visualization.writing import plotly_source, write_whole

if TYPE_CHECKING:
    from typing import TypeAlias

    from plotly.graph_objects import Figure

    from nas_tune.visualization.layers import Graph

    Points: TypeAlias = "list[tuple[float | None, float | None]]"

JOINS = ("sum", "concat")
ARROW = 7.0  # pixels, length of an arrow's head
_STEPS = 12  # straight pieces of a bend
_MARGIN = 8.0
_TOOLBAR = 36.0
_NARROWEST = 280.0  # pixels that the toolbar takes
_BREAK = (None, None)


@dataclass(frozen=True)
class NodeData:
    """A node's box, its label, what is shown on hovering, its operation, and whether an output needs it."""

    box: Box
    label: str
    hover: str
    op: str
    used: bool


@dataclass(frozen=True)
class EdgeData:
    """An edge's polyline `(x, y)` in pixels, ending at the foot of its arrow, and how often it enters."""

    points: tuple[tuple[float, float], ...]
    tip: tuple[float, float]
    count: int


@dataclass(frozen=True)
class ArchitectureData:
    """Everything that the figure shows, within `(0, 0)` and `(width, height)` pixels."""

    nodes: tuple[NodeData, ...]
    edges: tuple[EdgeData, ...]
    width: float
    height: float


def architecture_data(graph: Graph, max_width: float = 720.0) -> ArchitectureData:
    """Lay a graph out from top to bottom.

    Args:
        graph: Acyclic graph with an `op` on each node, as `SearchSpace.graph` returns it; a node's `parameters`
            are shown on hovering.
        max_width: Pixels that the boxes of a layer may fill together.

    Raises:
        ArchitectureError: The graph has a cycle.
    """
    labels = {node: _label(graph, node) for node in graph.nodes}
    widths: dict[Hashable, float] = {node: label_width(label) for node, label in labels.items()}
    placed = layout(graph, widths, max_width)
    used = used_nodes(graph)
    counts = {(source, target): int(count) for source, target, count in graph.edges(data="count", default=1)}
    nodes = tuple(
        NodeData(box, labels[node], _hover(graph, node, node in used), _op(graph, node), node in used)
        for box in placed.boxes
        for node in [str(box.node)]
    )
    edges = tuple(_edge(route, counts[str(route.source), str(route.target)]) for route in placed.routes)
    return ArchitectureData(nodes, edges, placed.width, placed.height)


def _op(graph: Graph, node: str) -> str:
    return str(graph.nodes[node].get("op", node))


def _label(graph: Graph, node: str) -> str:
    """Return the operation; of what joins others the name, which tells the cells apart."""
    op = _op(graph, node)
    return shortened(str(node) if op in JOINS else op)


def _hover(graph: Graph, node: str, used: bool) -> str:
    op, own = _op(graph, node), graph.nodes[node].get("parameters") or {}
    sources = [str(source) for source in graph.predecessors(node)]
    lines = [f"<b>{html.escape(node)}</b>"]
    lines += [html.escape(op)] if op != node else []
    lines += [html.escape(f"{str(name).rpartition('.')[2]}: {value}") for name, value in own.items()]
    lines += [html.escape(f"from {', '.join(sources)}")] if sources else []
    lines += [] if used else ["does not reach the output"]
    return "<br>".join(lines)


def _edge(route: Route, count: int) -> EdgeData:
    """Bend between the layers, straight through them, as in the drawing."""
    points = [route.points[0]]
    last = len(route.points) - 1
    for step, (x, y) in enumerate(route.points[1:], start=1):
        end = (x, y - ARROW if step == last else y)
        points += _bend(points[-1], end) if step % 2 else [end]
    return EdgeData(tuple(points), route.points[-1], count)


def _bend(start: tuple[float, float], end: tuple[float, float]) -> list[tuple[float, float]]:
    """Return a cubic Bezier curve that leaves and arrives vertically, as points after the first."""
    (left, top), (right, bottom) = start, end
    if left == right:
        return [end]
    middle = (top + bottom) / 2
    points = []
    for step in range(1, _STEPS + 1):
        t = step / _STEPS
        a, b, c, d = (1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3
        points.append(((a + b) * left + (c + d) * right, a * top + (b + c) * middle + d * bottom))
    return points


def architecture_figure(data: ArchitectureData) -> Figure:
    """Plot a laid out architecture; one unit of its axes is a pixel until it is zoomed."""
    go = plotly.graph_objects
    figure = go.Figure(layout=_layout(data))
    figure.add_scatter(**_lines([edge.points for edge in data.edges]))
    figure.add_scatter(**_arrows([edge.tip for edge in data.edges]))
    for node in data.nodes:
        figure.add_scatter(**_box(node))
    figure.add_scatter(**_labels(data.nodes))
    figure.add_scatter(**_counts([edge for edge in data.edges if edge.count > 1]))
    return figure


def _layout(data: ArchitectureData) -> dict[str, object]:
    axis = {"visible": False, "constrain": "domain"}
    side = max((_NARROWEST - data.width) / 2, _MARGIN)
    return {
        "template": "none",
        "width": round(data.width + 2 * side),
        "height": round(data.height + 2 * _MARGIN + _TOOLBAR),
        "margin": {"l": 0, "r": 0, "t": _TOOLBAR, "b": 0},
        "xaxis": {**axis, "range": [-side, data.width + side]},
        "yaxis": {**axis, "range": [data.height + _MARGIN, -_MARGIN], "scaleanchor": "x"},
        "showlegend": False,
        "dragmode": "pan",
        "hovermode": "closest",
        "hoverlabel": {"align": "left"},
    }


def _lines(lines: Sequence[Sequence[tuple[float, float]]]) -> dict[str, object]:
    points: Points = [point for line in lines for point in (*line, _BREAK)]
    return _xy(points) | {"mode": "lines", "hoverinfo": "skip", "line": {"color": LINE_COLOUR, "width": 1.5}}


def _arrows(tips: Sequence[tuple[float, float]]) -> dict[str, object]:
    corners: Points = [
        point for x, y in tips for point in ((x, y), (x - 4, y - ARROW), (x + 4, y - ARROW), (x, y), _BREAK)
    ]
    style = {"mode": "lines", "fill": "toself", "fillcolor": LINE_COLOUR, "hoverinfo": "skip"}
    return _xy(corners) | style | {"line": {"color": LINE_COLOUR, "width": 1}}


def _box(node: NodeData) -> dict[str, object]:
    """A filled rectangle that is hovered as a whole and grows when zoomed."""
    box = node.box
    left, right = box.x - box.width / 2, box.x + box.width / 2
    top, bottom = box.y - box.height / 2, box.y + box.height / 2
    corners: Points = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
    return _xy(corners) | {
        "mode": "lines",
        "fill": "toself",
        "fillcolor": operation_colour(node.op),
        "hoveron": "fills",
        "hoverinfo": "text",
        "text": node.hover,
        "line": {"color": LINE_COLOUR, "width": 1 if node.used else 2, "dash": "solid" if node.used else "dash"},
    }


def _labels(nodes: Sequence[NodeData]) -> dict[str, object]:
    return _xy([(node.box.x, node.box.y) for node in nodes]) | {
        "mode": "text",
        "text": [html.escape(node.label) for node in nodes],
        "textfont": {"color": [text_colour(operation_colour(node.op)) for node in nodes], "size": 13},
        "hoverinfo": "skip",
    }


def _counts(edges: Sequence[EdgeData]) -> dict[str, object]:
    """How often an edge enters a sum, where it is more than once."""
    return _xy([(edge.tip[0] + 6, edge.tip[1] - 2 * ARROW) for edge in edges]) | {
        "mode": "text",
        "text": [f"×{edge.count}" for edge in edges],
        "textposition": "middle right",
        "textfont": {"color": LINE_COLOUR, "size": 13},
        "hoverinfo": "skip",
    }


def _xy(points: Iterable[tuple[float | None, float | None]]) -> dict[str, object]:
    listed = list(points)
    return {"x": [_round(x) for x, _ in listed], "y": [_round(y) for _, y in listed]}


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def write_architecture(
    graph: Graph,
    path: str | os.PathLike[str],
    *,
    title: str = "Architecture",
    facts: Iterable[tuple[str, str]] = (),
) -> Path:
    """Write an architecture's graph as one HTML file that needs nothing else, also no network.

    Args:
        graph: Acyclic graph with an `op` on each node.
        path: Where the file goes; an existing one is replaced at once, missing folders are made.
        title: Heading of the page.
        facts: Names and values in a table above the figure.

    Returns:
        The path of the file.

    Raises:
        ArchitectureError: The graph has a cycle.
    """
    data = architecture_data(graph)
    rows = list(facts)
    parts = [page.facts(rows)] if rows else []
    numbers = graph.graph.get("parameters") or {}
    parts += [page.facts((str(name), str(value)) for name, value in numbers.items())] if numbers else []
    parts.append(page.canvas(f"Graph of {title}", architecture_figure(data)))
    return write_whole(Path(path), page.page(title, parts, plotly_source()))
