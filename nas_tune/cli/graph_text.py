"""An architecture's graph as lines of text: a row for each node, made of what it is computed from.

An operation on the way from one node to the next stands in the row of the next, as in
``node_2  sep_conv_3x3(input_1) + skip_connect(node_0)``; a chain is a list of its links, equal ones folded.
"""

from __future__ import annotations

import os
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import networkx as nx

if TYPE_CHECKING:
    from typing import TypeAlias

    Graph: TypeAlias = "nx.DiGraph[str]"

NARROWEST = 24
_JOINS = ("sum", "concat")
_FEWEST_OF_A_CELL = 3  # rows with one prefix that become a section
_MOST_CELLS = 8
_ENDS = ("input", "output")
_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True)
class _Row:
    """One node: its name, its operation, the nodes it is computed from, and what happens to each on the way."""

    node: str
    op: str
    links: tuple[str, ...]
    ways: tuple[str, ...]  # such as "2 x conv", empty where nothing happens

    def terms(self, cell: str) -> list[str]:
        """Return the terms of the sum, as in a cell."""
        names = [_short(link, cell) for link in self.links]
        return [
            f"{way}({name})" if way[-1:] not in ("", " ") else way + name
            for way, name in zip(self.ways, names, strict=True)
        ]


def graph_lines(graph: Graph, width: int = 80, unicode: bool = True) -> list[str]:
    """Return the lines of a graph, none longer than `width` columns where its names allow.

    Args:
        graph: Acyclic graph with an `op` on each node, as `SearchSpace.graph` returns it.
        width: Columns.
        unicode: Whether arrows and the like can be shown; else plain ASCII.
    """
    rows = [_row(graph, node, inline) for inline in [_inline(graph)] for node in _order(graph) if node not in inline]
    numbers = graph.graph.get("parameters", {})
    chain = all(degree <= 1 for _, degree in graph.in_degree())
    sections = [("", rows)] if chain else _sections(rows)
    lines: list[str] = []
    for title, inside in sections:
        lines += [f"{title}:"] if title else []
        lines += _written(inside, title, max(width, NARROWEST), unicode)
    if isinstance(numbers, Mapping) and numbers:
        text = ", ".join(f"{name}={value}" for name, value in numbers.items())
        lines += textwrap.wrap(text, max(width, NARROWEST), initial_indent="with ", subsequent_indent="     ")
    return lines


def _order(graph: Graph) -> Iterable[str]:
    place = {node: i for i, node in enumerate(graph)}
    return nx.lexicographical_topological_sort(graph, key=lambda node: (_op(graph, node) == "output", place[node]))


def _op(graph: Graph, node: str) -> str:
    return str(graph.nodes[node].get("op", node))


def _label(graph: Graph, node: str) -> str:
    """Return the operation and its own parameters."""
    own = graph.nodes[node].get("parameters") or {}
    inside = ", ".join(f"{str(name).rpartition('.')[2]}={value}" for name, value in own.items() if name != "cell")
    return f"{_op(graph, node)}[{inside}]" if inside else _op(graph, node)


def _inline(graph: Graph) -> set[str]:
    """Return the operations that are told in the row of the one node they lead to: a join of several."""
    found: set[str] = set()
    for node in graph:
        if graph.in_degree(node) == 1 and graph.out_degree(node) == 1 and _op(graph, node) not in (*_JOINS, *_ENDS):
            (target,), (source,) = graph.successors(node), graph.predecessors(node)
            joined = graph.in_degree(target) > 1 or _op(graph, target) == "sum"
            if joined and _op(graph, target) != "concat" and source not in found:
                found.add(node)
    return found


def _row(graph: Graph, node: str, inline: set[str]) -> _Row:
    links, ways = [], []
    for source, _, count in graph.in_edges(node, data="count", default=1):
        way = f"{count} x " if count > 1 else ""
        if source in inline:
            way += _label(graph, source)
            (source,) = graph.predecessors(source)
        links.append(source)
        ways.append(way)
    return _Row(node, _label(graph, node), tuple(links), tuple(ways))


def _sections(rows: Sequence[_Row]) -> list[tuple[str, list[_Row]]]:
    """Group the rows of cells, which share the first part of their names, between the inputs and the outputs."""
    prefixes = [row.node.partition(".")[0] for row in rows if "." in row.node]
    cells = [name for name in dict.fromkeys(prefixes) if prefixes.count(name) >= _FEWEST_OF_A_CELL]
    if not 1 <= len(cells) <= _MOST_CELLS or len(prefixes) != sum(map(prefixes.count, cells)):
        return [("", list(rows))]
    inside = {name: [row for row in rows if row.node.startswith(f"{name}.")] for name in cells}
    rest = [row for row in rows if "." not in row.node]
    above = [row for row in rest if not row.links]
    return [("", above), *inside.items(), ("", [row for row in rest if row.links])]


def _written(rows: Sequence[_Row], cell: str, width: int, unicode: bool) -> list[str]:
    indent = "  " if cell else ""
    entries = [(_short(row.node, cell), _expression(row, place, rows, cell, unicode)) for place, row in enumerate(rows)]
    entries = _folded(entries, unicode)
    column = min(max((len(name) for name, _ in entries), default=0), width // 2)
    lines: list[str] = []
    for name, text in entries:
        head = f"{indent}{name:<{column}}  "
        hanging = " " * min(len(indent) + column + 2, 2 * width // 3)
        body = textwrap.wrap(
            text, width, initial_indent=head, subsequent_indent=hanging, break_on_hyphens=False, break_long_words=False
        )
        lines += body or [head.rstrip()]
    return lines


def _short(node: str, cell: str) -> str:
    return node.removeprefix(f"{cell}.") if cell else node


def _expression(row: _Row, place: int, rows: Sequence[_Row], cell: str, unicode: bool) -> str:
    """Say what a row is computed from; nothing where it follows the row before it, as in a chain."""
    terms = row.terms(cell)
    op = row.op.partition("[")[0]
    if not terms:
        return "" if row.node == row.op else row.op
    if op == "concat":
        return f"{'' if _short(row.node, cell) == op else row.op}({', '.join(terms)})"
    if op == "sum" or (op == "output" and len(terms) > 1):
        return " + ".join(terms)
    follows = place > 0 and row.links == (rows[place - 1].node,) and row.ways == ("",)
    name = "" if row.node == row.op else row.op
    if follows:
        return name
    arrow = "\N{LEFTWARDS ARROW}" if unicode else "<-"
    return f"{name} {arrow} {' + '.join(terms)}".lstrip()


def _folded(entries: Sequence[tuple[str, str]], unicode: bool) -> list[tuple[str, str]]:
    """Fold links of a chain that follow each other and are alike."""
    dots = "\N{HORIZONTAL ELLIPSIS}" if unicode else ".."
    folded: list[tuple[str, str]] = []
    first = ""
    for name, text in entries:
        alike = bool(folded) and text == folded[-1][1] and _NUMBER.sub("", name) == _NUMBER.sub("", first)
        if alike and text and not set(text) & set("(<\N{LEFTWARDS ARROW}"):
            folded[-1] = (f"{first} {dots} {_differing(first, name)}", text)
        else:
            first = name
            folded.append((name, text))
    return folded


def _differing(first: str, last: str) -> str:
    """Return what is left of a name without what it begins with like another, up to a dot or an underscore."""
    shared = len(os.path.commonprefix([first, last]))
    start = max(last.rfind(".", 0, shared), last.rfind("_", 0, shared)) + 1
    return last[start:]
