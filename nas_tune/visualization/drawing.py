"""The drawing of an architecture's graph as SVG text.

The background is transparent and lines are a grey that is read on white as on black, so that one picture
serves every page, also where it is shown as an image and does not know the page's theme.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape, quoteattr

import networkx

from nas_tune.visualization.layout import Box, Route, layout
from nas_tune.visualization.palette import operation_colour, text_colour

if TYPE_CHECKING:
    from nas_tune.visualization.layers import Graph

LINE_COLOUR = "#7b7f86"
_FONT = "font-family='system-ui, -apple-system, Segoe UI, Roboto, Helvetica, Arial, sans-serif' font-size='13'"
_LETTER_WIDTH = 7.6
_PADDING = 24.0
_LONGEST = 30
_ARROW = 7.0
_CONTROL = "".join(map(chr, (*range(9), 11, 12, *range(14, 32), 0xFFFE, 0xFFFF)))


def draw(graph: Graph, title: str = "Architecture", max_width: float = 900.0) -> str:
    """Draw a graph from top to bottom; a node that no output needs has a dashed outline.

    Args:
        graph: Acyclic graph; the node attribute `op` is the label (else the node's name), followed by the node's
            `parameters` (a mapping) if any; the edge attribute `count` is written on its edge where it is above one.
        title: What a screen reader says, and a browser shows on hovering.
        max_width: Pixels that the boxes of a layer may fill together.

    Returns:
        An `<svg>` element; as a file of its own it is a valid image.

    Raises:
        ArchitectureError: The graph has a cycle.
    """
    texts = node_texts(graph)
    widths: dict[Hashable, float] = {node: label_width(text.label) for node, text in texts.items()}
    placed = layout(graph, widths, max_width)
    used = used_nodes(graph)
    counts: dict[tuple[Hashable, Hashable], int] = {
        (source, target): int(count) for source, target, count in graph.edges(data="count", default=1)
    }
    parts = [
        f"<svg xmlns='http://www.w3.org/2000/svg' role='img' aria-label={quoteattr(_clean(title))} "
        f"width='{placed.width:.0f}' height='{placed.height:.0f}' viewBox='0 0 {placed.width:.0f} {placed.height:.0f}' "
        f"style='max-width:100%;height:auto' {_FONT}>",
        f"<title>{escape(_clean(title))}</title>",
        *(_edge(route) for route in placed.routes),
        *(_node(box, texts[str(box.node)], box.node in used) for box in placed.boxes),
        *(_count(route, count) for route in placed.routes if (count := counts[route.source, route.target]) > 1),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


@dataclass(frozen=True)
class NodeText:
    """What stands in a node's box, the whole of it where it is too long, and the node's operation."""

    label: str
    name: str
    op: str


def node_texts(graph: Graph) -> dict[str, NodeText]:
    """Return the texts of every node."""
    names = {node: _name(graph, node) for node in graph.nodes}
    return {node: NodeText(shortened(name), name, _operation(graph, node)) for node, name in names.items()}


def shortened(text: str) -> str:
    """Return a text as it fits into a box."""
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def label_width(label: str) -> float:
    """Pixels that a box needs for its label."""
    return _LETTER_WIDTH * len(label) + _PADDING


def used_nodes(graph: Graph) -> set[str]:
    """Nodes from which an output is reached; all of them where the graph has no output."""
    outputs = [node for node in graph.nodes if _operation(graph, node) == "output"]
    return set(outputs).union(*(networkx.ancestors(graph, node) for node in outputs)) if outputs else set(graph.nodes)


def _operation(graph: Graph, node: str) -> str:
    return str(graph.nodes[node].get("op", node))


def _name(graph: Graph, node: str) -> str:
    """The operation and its own parameters; the node's name where several nodes are inputs, or outputs."""
    op = _operation(graph, node)
    if op in ("input", "output") and sum(_operation(graph, other) == op for other in graph.nodes) > 1:
        op = str(node)
    own = graph.nodes[node].get("parameters", {})
    return " ".join(_clean(" ".join([op, *(f"{str(name).rpartition('.')[2]}={own[name]}" for name in own)])).split())


def _clean(text: str) -> str:
    """Drop the characters that XML forbids even when escaped."""
    text = text.encode("utf-8", "replace").decode()
    return text.translate(dict.fromkeys(map(ord, _CONTROL)))


def _node(box: Box, text: NodeText, used: bool) -> str:
    fill = operation_colour(text.op)
    hint = text.name if str(box.node) == text.op else f"{_clean(str(box.node))}: {text.name}"
    radius = box.height / 2 if text.op.startswith("input") or text.op == "output" else 6
    dash = "" if used else " stroke-width='2' stroke-dasharray='4 3'"
    hint += "" if used else " (does not reach the output)"
    return (
        f"<g><title>{escape(hint)}</title>{_rectangle(box.x, box.y, box.width, box.height, radius, fill, dash)}"
        f"{_text(box.x, box.y, escape(text.label), text_colour(fill))}</g>"
    )


def _edge(route: Route) -> str:
    """A smooth line: it bends between layers, is straight through them, and ends in an arrow."""
    x, y = route.points[0]
    path = [f"M{x:.1f},{y:.1f}"]
    last = len(route.points) - 1
    for step, (x, y) in enumerate(route.points[1:], start=1):
        above_x, above_y = route.points[step - 1]
        bottom = y - _ARROW if step == last else y
        middle = (above_y + bottom) / 2
        bend = f"C{above_x:.1f},{middle:.1f} {x:.1f},{middle:.1f} "
        path.append(("L" if step % 2 == 0 else bend) + f"{x:.1f},{bottom:.1f}")
    line = f"<path d='{' '.join(path)}' fill='none' stroke='{LINE_COLOUR}' stroke-width='1.5'/>"
    return f"{line}<path d='M{x:.1f},{y:.1f}l-4,-{_ARROW:g}h8z' fill='{LINE_COLOUR}'/>"


def _count(route: Route, count: int) -> str:
    (left, top), (right, bottom) = route.points[0], route.points[1]
    x, y, text = (left + right) / 2, (top + bottom) / 2, f"×{count}"
    width = _LETTER_WIDTH * len(text) + 8
    return _rectangle(x, y, width, 18, 9, operation_colour("input")) + _text(x, y, text, "#000000")


def _rectangle(x: float, y: float, width: float, height: float, radius: float, fill: str, more: str = "") -> str:
    return (
        f"<rect x='{x - width / 2:.1f}' y='{y - height / 2:.1f}' width='{width:.1f}' height='{height:.1f}' "
        f"rx='{radius:g}' fill='{fill}' stroke='{LINE_COLOUR}'{more}/>"
    )


def _text(x: float, y: float, text: str, colour: str) -> str:
    return f"<text x='{x:.1f}' y='{y + 4.5:.1f}' text-anchor='middle' fill='{colour}'>{text}</text>"
