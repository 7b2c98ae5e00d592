"""Laws of the layout, over random graphs: nothing overlaps, edges run downward and past the boxes."""

from __future__ import annotations

from collections.abc import Hashable
from itertools import combinations, pairwise, permutations
from typing import TYPE_CHECKING

import networkx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_tune.errors import ArchitectureError
from nas_tune.visualization.layers import assign_layers, crossings, link, order_layers, route_chains
from nas_tune.visualization.layout import BOX_GAP, LANE_WIDTH, Box, layout

if TYPE_CHECKING:
    Graph = networkx.DiGraph[str]


@st.composite
def graphs(draw: st.DrawFn, most: int = 9) -> Graph:
    size = draw(st.integers(1, most))
    edges = draw(st.lists(st.sampled_from([*combinations(map(str, range(size)), 2)]), max_size=16)) if size > 1 else []
    graph: Graph = networkx.DiGraph()
    graph.add_nodes_from(map(str, range(size)))
    graph.add_edges_from(edges)
    return graph


def widths(graph: Graph) -> dict[Hashable, float]:
    return {node: 40.0 + 30.0 * (index % 4) for index, node in enumerate(graph.nodes)}


def same_widths(graph: Graph) -> dict[Hashable, float]:
    return dict.fromkeys(graph.nodes, 200.0)


def overlap(a: Box, b: Box) -> bool:
    return abs(a.x - b.x) < (a.width + b.width) / 2 and abs(a.y - b.y) < (a.height + b.height) / 2


@given(graphs())
def test_boxes_never_overlap_and_lie_inside(graph: Graph) -> None:
    placed = layout(graph, widths(graph))

    assert set(graph.nodes) == {box.node for box in placed.boxes}
    assert not [pair for pair in combinations(placed.boxes, 2) if overlap(*pair)]
    for left, right in combinations(placed.boxes, 2):
        if left.y == right.y:
            assert abs(left.x - right.x) - (left.width + right.width) / 2 >= BOX_GAP - 1e-6
    assert all(box.width / 2 <= box.x <= placed.width - box.width / 2 for box in placed.boxes)
    assert all(box.height / 2 <= box.y <= placed.height - box.height / 2 for box in placed.boxes)


@given(graphs())
def test_edges_run_downward_from_box_to_box(graph: Graph) -> None:
    placed = layout(graph, widths(graph))
    boxes = {box.node: box for box in placed.boxes}

    assert sorted(graph.edges) == sorted((route.source, route.target) for route in placed.routes)
    for route in placed.routes:
        source, target = boxes[route.source], boxes[route.target]
        heights = [y for _, y in route.points]
        assert sorted(heights) == heights
        assert source.y + source.height / 2 == route.points[0][1]
        assert target.y - target.height / 2 == route.points[-1][1]
        assert abs(route.points[0][0] - source.x) <= source.width / 2
        assert abs(route.points[-1][0] - target.x) <= target.width / 2


@given(graphs())
def test_edges_pass_beside_the_boxes_and_not_through_them(graph: Graph) -> None:
    placed = layout(graph, widths(graph))

    for route in placed.routes:
        for lane in list(pairwise(route.points))[1::2]:
            (left, top), (right, bottom) = lane
            assert left == right
            beside = [box for box in placed.boxes if top < box.y < bottom]
            assert all(abs(box.x - left) >= (box.width + LANE_WIDTH) / 2 for box in beside)


@given(graphs(most=6))
def test_the_order_never_has_more_crossings_than_the_given_one(graph: Graph) -> None:
    layer_of = assign_layers(graph, widths(graph), BOX_GAP, 1e9)
    chains = route_chains(graph, layer_of)
    ordered = order_layers(layer_of, chains)
    given_order = [sorted(layer, key=str) for layer in ordered]

    assert crossings(ordered, link(chains)) <= max(crossings(given_order, link(chains)), 1)


def test_crossings_are_counted_by_pairs_of_edges() -> None:
    above, below = ["a", "b", "c"], [1, 2, 3]
    ends = {"a": (1, 3), "b": (2, 1), "c": (3,)}
    chains = [(source, target) for source in above for target in ends[source]]

    for order in permutations(below):
        pairs = combinations([(above.index(source), order.index(int(target))) for source, target in chains], 2)
        expected = sum((a - b) * (c - d) < 0 for (a, c), (b, d) in pairs)

        assert expected == crossings([above, order], link(chains))


def test_two_crossed_edges_are_uncrossed() -> None:
    graph: Graph = networkx.DiGraph([("a", "y"), ("b", "x")])
    graph.add_nodes_from("xy")
    layer_of: dict[Hashable, int] = {"a": 0, "b": 0, "x": 1, "y": 1}
    chains = route_chains(graph, layer_of)

    assert 0 == crossings(order_layers(layer_of, chains), link(chains))


def test_layers_are_longest_paths_and_the_output_is_last() -> None:
    graph: Graph = networkx.DiGraph([("input", "a"), ("a", "b"), ("input", "b"), ("b", "dead"), ("a", "output")])
    graph.nodes["output"]["op"] = "output"
    layers = assign_layers(graph, same_widths(graph), BOX_GAP, 900)

    assert {"input": 0, "a": 1, "b": 2, "dead": 3, "output": 3} == layers


def test_an_output_that_nothing_reaches_still_stands_below() -> None:
    graph: Graph = networkx.DiGraph()
    graph.add_node("input", op="input")
    graph.add_node("output", op="output")

    assert {"input": 0, "output": 1} == assign_layers(graph, same_widths(graph), BOX_GAP, 900)


def test_a_full_layer_goes_on_below_so_that_the_drawing_stays_narrow() -> None:
    graph: Graph = networkx.DiGraph(("input", str(place)) for place in range(14))
    narrow = layout(graph, same_widths(graph), max_width=900)
    wide = layout(graph, same_widths(graph), max_width=1e9)

    assert wide.width > 14 * 200
    assert narrow.width < 0.5 * wide.width


def test_a_cycle_is_named() -> None:
    graph: Graph = networkx.DiGraph([("a", "b"), ("b", "c"), ("c", "b")])

    with pytest.raises(ArchitectureError, match=r"The graph has a cycle \(b -> c\)"):
        layout(graph, same_widths(graph))


def test_an_empty_graph_has_an_empty_layout() -> None:
    assert () == layout(networkx.DiGraph(), {}).boxes
