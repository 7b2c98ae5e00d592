"""The canonical form of a graph: equal exactly when two graphs are the same network.

What is the same network: an operation whose input is empty contributes nothing, nor does one that no path leads on
from (dead edges); an identity is what it passes on; the order of nodes is of no account. An operation *instance* that
is used twice is not two instances with the same input: those have weights of their own.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import networkx as nx

IDENTITIES = frozenset({"identity", "skip", "skip_connect", "sum"})
ZEROS = frozenset({"none", "zero"})
MOST_LEAVES = 2_000  # of the search tree of a highly symmetric graph; beyond it the form is sound but may differ

_text = json.JSONEncoder(sort_keys=True, default=str).encode


@dataclass
class _Node:
    label: str  # every attribute of the node, as JSON; the op alone if there is no other
    op: str
    inputs: Counter[int]


def canonical_form(graph: nx.DiGraph[str]) -> list[list[object]]:
    """Return a JSON-able form: a row `[label, [[input row, count], ...]]` for every live node, after the graph's own.

    Two graphs with the same form compute the same function for suitably matched weights, with the same operations
    live. Zeros are absorbed, identities contracted, dead nodes removed; the rest is labelled canonically by colour
    refinement with individualisation (McKay & Piperno, arXiv:1301.1493).
    """
    nodes = _read(graph)
    _drop_zeros(nodes)
    _contract_identities(nodes)
    _drop_dead_ends(nodes)
    own: list[list[object]] = [[_text(graph.graph), []]] if graph.graph else []
    return [*own, *_Labelling(nodes).form]


def _read(graph: nx.DiGraph[str]) -> dict[int, _Node]:
    place = {name: i for i, name in enumerate(graph)}
    nodes = {}
    for name, attributes in graph.nodes(data=True):
        label = _text(attributes) if len(attributes) > 1 else str(attributes["op"])
        nodes[place[name]] = _Node(label, attributes["op"], Counter())
    for source, target, count in graph.edges(data="count", default=1):
        nodes[place[target]].inputs[place[source]] += count
    return nodes


def _drop(nodes: dict[int, _Node], gone: set[int]) -> None:
    for i in gone:
        del nodes[i]
    for node in nodes.values() if gone else ():
        for i in gone & node.inputs.keys():
            del node.inputs[i]


def _drop_zeros(nodes: dict[int, _Node]) -> None:
    while gone := {
        i for i, n in nodes.items() if n.op in ZEROS or (not n.inputs and n.op != "output" and not _is_input(n))
    }:
        _drop(nodes, gone)


def _is_input(node: _Node) -> bool:
    return node.op.startswith("input")


def _contract_identities(nodes: dict[int, _Node]) -> None:
    """Replace identities by their inputs; a sum of several that enters a concatenation stays, as a sum."""
    for i in [i for i, node in nodes.items() if node.op in IDENTITIES]:
        node = nodes[i]
        single = sum(node.inputs.values()) == 1
        users = [user for user in nodes.values() if i in user.inputs]
        for user in users:
            if single or user.op != "concat":
                times = user.inputs.pop(i)
                for source, count in node.inputs.items():
                    user.inputs[source] += times * count
        if any(i in user.inputs for user in users):
            node.op, node.label = "sum", "sum"
        else:
            _drop(nodes, {i})


def _drop_dead_ends(nodes: dict[int, _Node]) -> None:
    alive: set[int] = set()
    stack = [i for i, node in nodes.items() if node.op == "output" or _is_input(node)]
    while stack:
        i = stack.pop()
        if i not in alive:
            alive.add(i)
            stack.extend(nodes[i].inputs)
    _drop(nodes, nodes.keys() - alive)


class _Leaf(NamedTuple):
    """An end of the search: the form found, and the nodes that were singled out on the way to it, in turn."""

    text: str
    form: list[list[object]]
    way: tuple[int, ...]


class _Labelling:
    """Searches the smallest form over the orders that colour refinement leaves open.

    Two leaves of one form are an automorphism apart, and so are the branches in which they lie: where the ways to
    them part, the search goes on with the next branch.
    """

    def __init__(self, nodes: dict[int, _Node]) -> None:
        self.nodes = nodes
        self.users: dict[int, dict[int, int]] = {i: {} for i in nodes}
        for i, node in nodes.items():
            for source, count in node.inputs.items():
                self.users[source][i] = count
        self.leaves = 0
        self.known: list[_Leaf] = []  # the first leaf and the smallest
        labels = sorted({node.label for node in nodes.values()})
        self._search({i: labels.index(node.label) for i, node in nodes.items()}, ())
        self.form = min(self.known).form

    def _search(self, colours: dict[int, int], way: tuple[int, ...]) -> int:
        """Search below the nodes singled out in `way`; return the depth at which to go on."""
        colours = self._refine(colours)
        cells: dict[int, list[int]] = {}
        for i, colour in colours.items():
            cells.setdefault(colour, []).append(i)
        open_cells = [colour for colour, cell in cells.items() if len(cell) > 1]
        if not open_cells or self.leaves >= MOST_LEAVES:
            return self._end(colours, way)
        for i in self._unlike(cells[min(open_cells)]):
            depth = self._search({**colours, i: -1}, (*way, i))
            if depth < len(way):
                return depth
        return len(way)

    def _end(self, colours: dict[int, int], way: tuple[int, ...]) -> int:
        self.leaves += 1
        order = sorted(self.nodes, key=lambda i: colours[i])
        form = self._rows(order)
        leaf = _Leaf(json.dumps(form), form, way)
        for known in self.known:
            if known.text == leaf.text:
                return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(known.way, way, strict=False)))
        self.known = [*self.known[:1], min([*self.known[1:], leaf])]
        return len(way)

    def _unlike(self, cell: list[int]) -> list[int]:
        """Of nodes with the very same neighbours one is enough: swapping them changes nothing."""
        kinds: dict[object, int] = {}
        for i in cell:
            kinds.setdefault((frozenset(self.nodes[i].inputs.items()), frozenset(self.users[i].items())), i)
        return list(kinds.values())

    def _refine(self, colours: dict[int, int]) -> dict[int, int]:
        while True:
            views = {
                i: (
                    colours[i],
                    tuple(sorted((colours[s], count) for s, count in node.inputs.items())),
                    tuple(sorted((colours[u], count) for u, count in self.users[i].items())),
                )
                for i, node in self.nodes.items()
            }
            rank = {view: place for place, view in enumerate(sorted(set(views.values())))}
            finer = {i: rank[view] for i, view in views.items()}
            if len(rank) == len(set(colours.values())):
                return finer
            colours = finer

    def _rows(self, order: list[int]) -> list[list[object]]:
        place = {node: row for row, node in enumerate(order)}
        return [
            [self.nodes[i].label, sorted([place[s], count] for s, count in self.nodes[i].inputs.items())] for i in order
        ]
