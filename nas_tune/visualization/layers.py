"""Which layer each node of an acyclic graph stands in, and in which order: the first half of a layered layout.

Reference: Sugiyama, Tagawa and Toda, "Methods for visual understanding of hierarchical system structures", 1981;
median sweeps as in Gansner et al., "A technique for drawing directed graphs", 1993.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import deque
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

import networkx

from nas_tune.errors import ArchitectureError

if TYPE_CHECKING:
    from typing import TypeAlias

    Graph: TypeAlias = "networkx.DiGraph[str]"

_SWEEPS = 12


@dataclass(frozen=True)
class Lane:
    """The place that a long edge takes in a layer it passes through."""

    source: Hashable
    target: Hashable
    layer: int


Chain = tuple[Hashable, ...]
"""An edge as the things it runs through: its source, a lane in each layer between, its target."""


@dataclass(frozen=True)
class Links:
    """Neighbours in the layer above (`up`) and below (`down`), of nodes and lanes."""

    up: Mapping[Hashable, Sequence[Hashable]]
    down: Mapping[Hashable, Sequence[Hashable]]


def assign_layers(graph: Graph, widths: Mapping[Hashable, float], gap: float, max_width: float) -> dict[Hashable, int]:
    """Give each node a layer below all its predecessors: the longest path, or lower where a layer is full.

    Args:
        graph: Acyclic graph.
        widths: Width of each node's box in pixels.
        gap: Pixels between boxes.
        max_width: Pixels that the boxes of a layer may fill together; a single wider box is let in.

    Returns:
        Layer of each node, the topmost is 0.

    Raises:
        ArchitectureError: The graph has a cycle.
    """
    if not networkx.is_directed_acyclic_graph(graph):
        cycle = " -> ".join(str(edge[0]) for edge in networkx.find_cycle(graph))
        raise ArchitectureError(
            f"The graph has a cycle ({cycle}), so nothing in it can be computed first. Remove one of its edges."
        )
    layer_of: dict[Hashable, int] = {}
    filled: dict[int, float] = {}
    for node in networkx.topological_sort(graph):
        layer = max((layer_of[parent] + 1 for parent in graph.predecessors(node)), default=0)
        while layer in filled and filled[layer] + widths[node] > max_width:
            layer += 1
        layer_of[node] = layer
        filled[layer] = filled.get(layer, 0.0) + widths[node] + gap
    for node in graph.nodes:
        if graph.nodes[node].get("op") == "output" and not graph.out_degree(node):
            layer_of[node] = max(*layer_of.values(), min(1, len(graph) - 1))
    return layer_of


def route_chains(graph: Graph, layer_of: Mapping[Hashable, int]) -> tuple[Chain, ...]:
    """Give every edge a lane in each layer it passes, in the order of the graph's edges."""
    return tuple(
        (source, *(Lane(source, target, layer) for layer in range(layer_of[source] + 1, layer_of[target])), target)
        for source, target in graph.edges
    )


def link(chains: Iterable[Chain]) -> Links:
    """Collect who meets whom between neighbouring layers."""
    up: dict[Hashable, list[Hashable]] = {}
    down: dict[Hashable, list[Hashable]] = {}
    for chain in chains:
        for above, below in zip(chain, chain[1:], strict=False):
            down.setdefault(above, []).append(below)
            up.setdefault(below, []).append(above)
    return Links(up, down)


def order_layers(layer_of: Mapping[Hashable, int], chains: Iterable[Chain]) -> tuple[tuple[Hashable, ...], ...]:
    """Order nodes and lanes inside their layers so that few edges cross.

    Args:
        layer_of: Layer of each node.
        chains: Edges with their lanes.

    Returns:
        The layers from the top, each from the left: the best order that sweeps down and up found.
    """
    chains = tuple(chains)
    links = link(chains)
    layers = _first_order(layer_of, chains)
    best = tuple(map(tuple, layers))
    fewest = crossings(best, links)
    for sweep in range(_SWEEPS):
        if not fewest:
            break
        layers = _sweep(layers, links, downward=sweep % 2 == 0)
        count = crossings(layers, links)
        if count < fewest:
            best, fewest = tuple(map(tuple, layers)), count
    return best


def _first_order(layer_of: Mapping[Hashable, int], chains: Iterable[Chain]) -> list[list[Hashable]]:
    """Nodes as the graph names them, between lanes that go by turns to their left and right."""
    layers: list[deque[Hashable]] = [deque() for _ in range(max(layer_of.values(), default=-1) + 1)]
    for node, layer in layer_of.items():
        layers[layer].append(node)
    for place, chain in enumerate(chains):
        for lane in chain[1:-1]:
            assert isinstance(lane, Lane)
            (layers[lane.layer].append if place % 2 else layers[lane.layer].appendleft)(lane)
    return [list(layer) for layer in layers]


def _sweep(layers: Sequence[Sequence[Hashable]], links: Links, downward: bool) -> list[list[Hashable]]:
    """Sort each layer by the median place of its neighbours in the layer before it."""
    swept: list[list[Hashable]] = []
    neighbours = links.up if downward else links.down
    for layer in layers if downward else reversed(layers):
        before = {item: place for place, item in enumerate(swept[-1])} if swept else {}
        places = {item: float(place) for place, item in enumerate(layer)}
        for item in layer:
            seen = [before[other] for other in neighbours.get(item, ()) if other in before]
            places[item] = median(seen) if seen else places[item]
        swept.append(sorted(layer, key=places.__getitem__))
    return swept if downward else swept[::-1]


def crossings(layers: Sequence[Sequence[Hashable]], links: Links) -> int:
    """Count the pairs of edges that cross between neighbouring layers."""
    total = 0
    for above, below in zip(layers, layers[1:], strict=False):
        place = {item: index for index, item in enumerate(below)}
        passed: list[int] = []
        for item in above:
            ends = [place[other] for other in links.down.get(item, ())]
            total += sum(len(passed) - bisect_right(passed, end) for end in ends)
            for end in ends:
                insort(passed, end)
    return total
