"""The interactive figure: everything in it, in place, and a page that needs nothing else."""

from __future__ import annotations

import math
import re
from html.parser import HTMLParser
from pathlib import Path

import networkx as nx
import numpy as np
import pytest

from nas_tune.errors import ArchitectureError
from nas_tune.space import Categorical, Integer, SearchSpace
from nas_tune.visualization import write_architecture
from nas_tune.visualization.architecture import architecture_data, architecture_figure
from tests.space.cells import TwoCells


@pytest.fixture
def cells() -> nx.DiGraph[str]:
    space = TwoCells(4)
    return space.graph(space.sample(np.random.default_rng(0)))


def test_every_node_and_every_edge_is_in_the_data_and_inside(cells: nx.DiGraph[str]) -> None:
    data = architecture_data(cells)

    assert {str(node.box.node) for node in data.nodes} == set(cells)
    assert len(data.edges) == cells.number_of_edges()
    points = [point for edge in data.edges for point in (*edge.points, edge.tip)]
    assert all(0 <= x <= data.width and 0 <= y <= data.height for x, y in points)


def test_edges_run_from_the_foot_of_their_source_to_the_head_of_their_target(cells: nx.DiGraph[str]) -> None:
    data = architecture_data(cells)
    boxes = {str(node.box.node): node.box for node in data.nodes}

    for (source, target), edge in zip(cells.edges, data.edges, strict=True):
        (x, y), above, below = edge.points[0], boxes[source], boxes[target]
        assert y == above.y + above.height / 2 and abs(x - above.x) <= above.width / 2
        assert edge.tip[1] == below.y - below.height / 2 and abs(edge.tip[0] - below.x) <= below.width / 2
        assert all(b[1] >= a[1] for a, b in zip(edge.points, edge.points[1:], strict=False))


def test_hovering_tells_name_operation_parameters_and_inputs() -> None:
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_node("in", op="input")
    graph.add_node("block<1>", op="conv", parameters={"block<1>.width": 8})
    graph.add_node("unused", op="pool")
    graph.add_node("out", op="output")
    nx.add_path(graph, ["in", "block<1>", "out"])
    graph.add_edge("in", "unused")

    hovers = {str(node.box.node): node.hover for node in architecture_data(graph).nodes}

    assert hovers["block<1>"] == "<b>block&lt;1&gt;</b><br>conv<br>width: 8<br>from in"
    assert hovers["unused"].endswith("does not reach the output")


def test_a_figure_has_a_hovered_box_for_each_node_and_labels_that_fit(cells: nx.DiGraph[str]) -> None:
    figure = architecture_figure(architecture_data(cells))

    boxes = [trace for trace in figure.data if trace.hoveron == "fills"]
    assert len(boxes) == cells.number_of_nodes()
    (labels,) = (trace for trace in figure.data if trace.mode == "text" and len(trace.text) > 3)
    assert "normal.concat" in labels.text and "input_0" in labels.text
    assert figure.layout.yaxis.scaleanchor == "x"
    xs = [x for trace in figure.data for x in trace.x if x is not None and not math.isnan(x)]
    low, high = figure.layout.xaxis.range
    assert low <= min(xs) and max(xs) <= high


def test_an_edge_that_counts_twice_says_so() -> None:
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from([("i", {"op": "input"}), ("o", {"op": "output"})])
    graph.add_edge("i", "o", count=2)

    figure = architecture_figure(architecture_data(graph))

    assert any(trace.text is not None and "×2" in trace.text for trace in figure.data)


def test_a_cycle_is_refused() -> None:
    graph: nx.DiGraph[str] = nx.DiGraph([("a", "b"), ("b", "a")])

    with pytest.raises(ArchitectureError, match="has a cycle"):
        architecture_data(graph)


class Links(HTMLParser):
    """Collects what a page would load."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [str(value) for name, value in attrs if name in ("src", "href")]


def test_a_page_loads_nothing_and_holds_names_and_numbers_as_text(tmp_path: Path) -> None:
    space = SearchSpace({"op": Categorical("</script><b>"), "width": Integer(8, 9)})

    path = write_architecture(
        space.graph({"width": 8}), tmp_path / "new" / "a.html", title="<x>", facts=[("<name>", "a & b")]
    )

    text, links = path.read_text(), Links()
    links.feed(text)
    assert links.found == []
    assert "&lt;name&gt;" in text and "a &amp; b" in text and "<th scope='row'>width</th><td>8</td>" in text
    assert "default-src 'none'" in text
    (figure,) = re.findall(r"<script type='application/json'>(.*?)</script>", text, re.DOTALL)
    assert "</" not in figure
    assert text.count("class='figure canvas'") == 1
    assert "showSendToCloud: false" in text  # else plotly offers to upload the figure
