"""A canonical order of the nodes of a labelled acyclic graph: equal for equal graphs, however they are written.

Reference: colour refinement with individualisation, McKay & Piperno, arXiv:1301.1493.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import takewhile
from typing import Any, NamedTuple, TypeAlias, TypeVar

Counts: TypeAlias = Mapping[int, Mapping[int, int]]
"""For each node, how often each of the nodes above (or below) is joined to it."""

Colours: TypeAlias = dict[int, int]

View = TypeVar("View", bound="tuple[Any, ...]")

MOST_LEAVES = 2_000  # of the search tree of a highly symmetric graph; beyond it the order is sound but may differ


def canonical_order(labels: Mapping[int, str], inputs: Counts) -> list[int]:
    """Return the nodes in a canonical order.

    Most graphs need no search: every node is told from the others by what it is made of, and what is made of it.

    Args:
        labels: Label of every node.
        inputs: How often each other node enters a node; no cycles.
    """
    users: dict[int, dict[int, int]] = {i: {} for i in labels}
    for i, terms in inputs.items():
        for source, count in terms.items():
            users[source][i] = count
    colours = _from_inputs(labels, inputs, users)
    if not _all_differ(colours):
        _split(colours, inputs, users)
        if not _all_differ(colours):
            return _Search(labels, inputs, users, colours).order
    return sorted(colours, key=colours.__getitem__)


def _all_differ(colours: Colours) -> bool:
    return len(set(colours.values())) == len(colours)


def _from_inputs(labels: Mapping[int, str], inputs: Counts, users: Counts) -> Colours:
    """Colour every node by its depth, its label and the colours of its inputs.

    A colour is the number of nodes with a smaller one, so that those of a colour can be split in place.
    """
    waiting = {i: len(sources) for i, sources in inputs.items()}
    layer = [i for i, count in waiting.items() if not count]
    colours: Colours = {}
    while layer:
        if len(layer) == 1:
            colours[layer[0]] = len(colours)
        else:
            views = [(labels[i], _view(inputs[i], colours)) for i in layer]
            place = _places(views, len(colours))
            for i, view in zip(layer, views, strict=True):
                colours[i] = place[view]
        layer = _next_layer(layer, users, waiting)
    return colours


def _split(colours: Colours, inputs: Counts, users: Counts) -> None:
    """Tell nodes of one colour apart by the colours around them, as long as that tells any apart."""
    cells: dict[int, list[int]] = {}
    for i, colour in colours.items():
        cells.setdefault(colour, []).append(i)
    while cells := {colour: cell for colour, cell in cells.items() if len(cell) > 1}:
        finer: dict[int, list[int]] = {}
        for colour, cell in cells.items():
            views = [(_view(users[i], colours), _view(inputs[i], colours)) for i in cell]
            place = _places(views, colour)
            for i, view in zip(cell, views, strict=True):
                finer.setdefault(place[view], []).append(i)
        if len(finer) == len(cells):
            return
        for colour, cell in finer.items():
            for i in cell:
                colours[i] = colour
        cells = finer


def _view(around: Mapping[int, int], colours: Colours) -> tuple[int, ...]:
    if len(around) == 1:
        ((only, count),) = around.items()
        return colours[only], count
    view: list[int] = []
    for pair in sorted([(colours[i], count) for i, count in around.items()]):
        view += pair
    return tuple(view)


def _places(views: list[View], first: int) -> dict[View, int]:
    """Return the place of each view in their order, counted from `first`; equal ones have that of the first of them."""
    place: dict[View, int] = {}
    for i, view in enumerate(sorted(views), first):
        place.setdefault(view, i)
    return place


def _next_layer(layer: list[int], users: Counts, waiting: dict[int, int]) -> list[int]:
    ready = []
    for i in layer:
        for user in users[i]:
            waiting[user] -= 1
            if not waiting[user]:
                ready.append(user)
    return ready


class _Leaf(NamedTuple):
    """An end of the search: the form found, its order, and the nodes singled out on the way to it, in turn."""

    text: str
    order: list[int]
    way: tuple[int, ...]


class _Search:
    """Searches the smallest form over the orders that colour refinement leaves open.

    Two leaves of one form are an automorphism apart, and so are the branches in which they lie: where the ways to
    them part, the search goes on with the next branch.
    """

    def __init__(self, labels: Mapping[int, str], inputs: Counts, users: Counts, colours: Colours) -> None:
        self.labels, self.inputs, self.users = labels, inputs, users
        self.leaves = 0
        self.known: list[_Leaf] = []  # the first leaf and the smallest
        self._search(colours, ())
        self.order = min(self.known).order

    def _search(self, colours: Colours, way: tuple[int, ...]) -> int:
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

    def _end(self, colours: Colours, way: tuple[int, ...]) -> int:
        self.leaves += 1
        order = sorted(colours, key=colours.__getitem__)
        leaf = _Leaf(json.dumps(self._rows(order)), order, way)
        for known in self.known:
            if known.text == leaf.text:
                return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(known.way, way, strict=False)))
        self.known = [*self.known[:1], min([*self.known[1:], leaf])]
        return len(way)

    def _unlike(self, cell: list[int]) -> list[int]:
        """Of nodes with the very same neighbours one is enough: swapping them changes nothing."""
        kinds: dict[object, int] = {}
        for i in cell:
            kinds.setdefault((frozenset(self.inputs[i].items()), frozenset(self.users[i].items())), i)
        return list(kinds.values())

    def _refine(self, colours: Colours) -> Colours:
        while True:
            views = {
                i: (
                    colour,
                    tuple(sorted((colours[s], count) for s, count in self.inputs[i].items())),
                    tuple(sorted((colours[u], count) for u, count in self.users[i].items())),
                )
                for i, colour in colours.items()
            }
            rank = {view: place for place, view in enumerate(sorted(set(views.values())))}
            finer = {i: rank[view] for i, view in views.items()}
            if len(rank) == len(set(colours.values())):
                return finer
            colours = finer

    def _rows(self, order: list[int]) -> list[list[object]]:
        place = {node: row for row, node in enumerate(order)}
        return [[self.labels[i], sorted([place[s], count] for s, count in self.inputs[i].items())] for i in order]
