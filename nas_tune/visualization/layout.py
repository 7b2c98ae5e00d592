"""Layered layout of an acyclic graph: boxes and routes as plain data, no drawing.

Edges pass a layer in lanes of their own, so no edge runs through a box.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nas_tune.visualization.layers import Chain, Lane, Links, assign_layers, link, order_layers, route_chains

if TYPE_CHECKING:
    from typing import TypeAlias

    from nas_tune.visualization.layers import Graph

    Places: TypeAlias = Mapping[Hashable, float]
    Boxes: TypeAlias = "Mapping[Hashable, Box]"

BOX_HEIGHT = 32.0
LAYER_GAP = 38.0
BOX_GAP = 20.0
LANE_WIDTH = 8.0
LANE_GAP = 6.0
MARGIN = 6.0
PORT_SPACING = 16.0
_LANE_WEIGHT = 8.0
_SWEEPS = 24


@dataclass(frozen=True)
class Box:
    """A node's rectangle: centre `(x, y)`, `width` and `height`, in pixels."""

    node: Hashable
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Route:
    """An edge's way down: points `(x, y)` in pixels, from the bottom of its source to the top of its target.

    The first, third, ... step runs through the gap between two layers, the others straight through a layer.
    """

    source: Hashable
    target: Hashable
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Layout:
    """Boxes and routes between `(0, 0)` and `(width, height)`, in pixels."""

    boxes: tuple[Box, ...]
    routes: tuple[Route, ...]
    width: float
    height: float


def layout(graph: Graph, widths: Mapping[Hashable, float], max_width: float = 900.0) -> Layout:
    """Place every node and route every edge, downward; the same graph always gives the same layout.

    Args:
        graph: Acyclic graph.
        widths: Width of each node's box in pixels.
        max_width: Pixels that the boxes of a layer may fill together; further boxes move down a layer.

    Returns:
        The layout.

    Raises:
        ArchitectureError: The graph has a cycle.
    """
    layer_of = assign_layers(graph, widths, BOX_GAP, max_width)
    chains = route_chains(graph, layer_of)
    layers = order_layers(layer_of, chains)
    sizes = {item: widths.get(item, LANE_WIDTH) for layer in layers for item in layer}
    centres = _centres(layers, link(chains), sizes)
    boxes = _boxes(layers, centres, sizes)
    ports = _ports(chains, boxes, centres)
    routes = tuple(_route(chain, boxes, centres, ends) for chain, ends in zip(chains, ports, strict=True))
    width = max((centre + sizes[item] / 2 for item, centre in centres.items()), default=0.0) + MARGIN
    height = max((box.y + box.height / 2 for box in boxes.values()), default=0.0) + MARGIN
    return Layout(tuple(boxes.values()), routes, width, height)


def _centres(layers: Sequence[Sequence[Hashable]], links: Links, sizes: Places) -> dict[Hashable, float]:
    """Horizontal centres: every item is drawn to the mean of its neighbours, as near as separation allows."""
    centres: dict[Hashable, float] = {}
    for layer in layers:
        centres.update(zip(layer, _separate([0.0] * len(layer), layer, sizes), strict=True))
    for sweep in range(_SWEEPS):
        for layer in layers if sweep % 2 == 0 else layers[::-1]:
            wanted = [_mean_of_neighbours(item, links, centres) for item in layer]
            centres.update(zip(layer, _separate(wanted, layer, sizes), strict=True))
    left = min((centre - sizes[item] / 2 for item, centre in centres.items()), default=0.0)
    return {item: centre - left + MARGIN for item, centre in centres.items()}


def _mean_of_neighbours(item: Hashable, links: Links, centres: Places) -> float:
    """Lanes follow each other more than anything else, which keeps long edges straight."""
    around = (*links.up.get(item, ()), *links.down.get(item, ()))
    weights = [_LANE_WEIGHT if isinstance(item, Lane) and isinstance(other, Lane) else 1.0 for other in around]
    pull = sum(weight * centres[other] for weight, other in zip(weights, around, strict=True))
    return pull / sum(weights) if around else centres[item]


def _separate(wanted: Sequence[float], layer: Sequence[Hashable], sizes: Places) -> list[float]:
    """The centres nearest to `wanted`, by weighted least squares, that keep the order and the gaps."""
    offsets = [0.0]
    for left, right in zip(layer, layer[1:], strict=False):
        gap = LANE_GAP if isinstance(left, Lane) and isinstance(right, Lane) else BOX_GAP
        offsets.append(offsets[-1] + (sizes[left] + sizes[right]) / 2 + gap)
    weights = [_LANE_WEIGHT if isinstance(item, Lane) else 1.0 for item in layer]
    shifted = [want - offset for want, offset in zip(wanted, offsets, strict=False)]
    return [value + offset for value, offset in zip(_isotonic(shifted, weights), offsets, strict=False)]


def _isotonic(values: Sequence[float], weights: Sequence[float]) -> list[float]:
    """Weighted isotonic regression by pooling adjacent violators."""
    pools: list[tuple[float, float, int]] = []
    for value, weight in zip(values, weights, strict=True):
        pool = (value, weight, 1)
        while pools and pools[-1][0] > pool[0]:
            mean, mass, size = pools.pop()
            total = mass + pool[1]
            pool = ((mean * mass + pool[0] * pool[1]) / total, total, size + pool[2])
        pools.append(pool)
    return [mean for mean, _, size in pools for _ in range(size)]


def _boxes(layers: Sequence[Sequence[Hashable]], centres: Places, sizes: Places) -> dict[Hashable, Box]:
    return {
        item: Box(item, centres[item], _layer_top(depth) + BOX_HEIGHT / 2, sizes[item], BOX_HEIGHT)
        for depth, layer in enumerate(layers)
        for item in layer
        if not isinstance(item, Lane)
    }


def _layer_top(depth: int) -> float:
    return MARGIN + depth * (BOX_HEIGHT + LAYER_GAP)


def _ports(chains: Sequence[Chain], boxes: Boxes, centres: Places) -> list[tuple[float, float]]:
    """Where each edge leaves and enters its boxes: side by side, in the order in which the edges arrive."""
    leaves = _spread(chains, boxes, centres, end=0, beside=1)
    enters = _spread(chains, boxes, centres, end=-1, beside=-2)
    return list(zip(leaves, enters, strict=True))


def _spread(chains: Sequence[Chain], boxes: Boxes, centres: Places, end: int, beside: int) -> list[float]:
    ports = [0.0] * len(chains)
    for node in {chain[end] for chain in chains}:
        mine = [index for index, chain in enumerate(chains) if chain[end] == node]
        mine.sort(key=lambda index: centres[chains[index][beside]])
        spacing = min(PORT_SPACING, (boxes[node].width - PORT_SPACING) / len(mine))
        for place, index in enumerate(mine):
            ports[index] = centres[node] + (place - (len(mine) - 1) / 2) * spacing
    return ports


def _route(chain: Chain, boxes: Boxes, centres: Places, ports: tuple[float, float]) -> Route:
    source, target = boxes[chain[0]], boxes[chain[-1]]
    points = [(ports[0], source.y + source.height / 2)]
    for lane in chain[1:-1]:
        assert isinstance(lane, Lane)
        top = _layer_top(lane.layer)
        points += [(centres[lane], top), (centres[lane], top + BOX_HEIGHT)]
    points.append((ports[1], target.y - target.height / 2))
    return Route(chain[0], chain[-1], tuple(points))
