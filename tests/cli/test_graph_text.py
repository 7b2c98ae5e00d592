"""Graphs as text: cells as sums, chains as lists, within the width and without unicode."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest

from nas_tune.cli.graph_text import graph_lines
from nas_tune.space import Categorical, Integer, SearchSpace
from tests.space.cells import Cells, TwoCells


def graph_of(edges: str, **ops: str) -> nx.DiGraph[str]:
    """Return a graph from edges such as ``"i>a a>o"``; the ops of `i` and `o` are input and output, else conv."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    for edge in edges.split():
        source, target = edge.split(">")
        for node in (source, target):
            graph.add_node(node, op={"i": "input", "o": "output", **ops}.get(node, "conv"))
        graph.add_edge(
            source, target, count=graph.edges[source, target]["count"] + 1 if graph.has_edge(source, target) else 1
        )
    return graph


def test_two_cells_are_two_sections_of_sums() -> None:
    space = TwoCells(2)
    values = {
        "normal.node_0": "input_0,input_1",
        "normal.node_0.input_0": "conv",
        "normal.node_0.input_1": "pool",
        "normal.node_1": "input_1,node_0",
        "normal.node_1.input_1": "pool",
        "normal.node_1.node_0": "conv",
        "reduction.node_0": "input_0,input_1",
        "reduction.node_0.input_0": "conv",
        "reduction.node_0.input_1": "conv",
        "reduction.node_1": "input_0,input_1",
        "reduction.node_1.input_0": "pool",
        "reduction.node_1.input_1": "pool",
    }

    lines = graph_lines(space.graph(space.architecture(values)))

    assert lines == [
        "input_0",
        "input_1",
        "normal:",
        "  node_0  conv(input_0) + pool(input_1)",
        "  node_1  pool(input_1) + conv(node_0)",
        "  concat  (node_0, node_1)",
        "reduction:",
        "  node_0  conv(input_0) + conv(input_1)",
        "  node_1  pool(input_0) + pool(input_1)",
        "  concat  (node_0, node_1)",
        "output  normal.concat + reduction.concat",
    ]


def test_a_chain_is_a_list_and_equal_links_are_folded() -> None:
    names = [f"stage.block_{i}" for i in range(5)]
    graph = graph_of(" ".join(f"{a}>{b}" for a, b in zip(["i", *names], [*names, "o"], strict=True)))
    graph.nodes["stage.block_4"]["op"] = "pool"
    graph.nodes["stage.block_3"]["parameters"] = {"stage.block_3.width": 8}

    assert graph_lines(graph) == [
        "i                  input",
        "stage.block_0 … 2  conv",
        "stage.block_3      conv[width=8]",
        "stage.block_4      pool",
        "o                  output",
    ]
    assert "stage.block_0 .. 2  conv" in graph_lines(graph, unicode=False)


def test_an_operation_that_several_use_has_a_row_and_names_its_input_where_it_does_not_follow() -> None:
    graph = graph_of("i>a i>b a>o b>o b>c c>o c>o", c="pool")

    assert graph_lines(graph) == ["i  input", "b  conv", "o  conv(i) + b + 2 x pool(b)"]
    turned = graph_of("i>a a>b i>c b>o c>o a>o c>b", a="norm", c="pool")
    assert graph_lines(turned) == ["i  input", "a  norm", "c  pool ← i", "b  conv ← a + c", "o  b + c + a"]


def test_numbers_of_a_chain_stand_below_it() -> None:
    space = SearchSpace({"op": Categorical("conv"), "width": Integer(8, 64), "depth": Integer(1, 9)})

    assert graph_lines(space.graph({"width": 16, "depth": 2})) == [
        "input",
        "op      conv",
        "output",
        "with width=16, depth=2",
    ]


@pytest.mark.parametrize("width", [40, 80, 120])
@pytest.mark.parametrize("unicode", [True, False])
def test_lines_keep_the_width_and_plain_ones_are_ascii(width: int, unicode: bool) -> None:
    rng = np.random.default_rng(0)

    for space in (Cells(4), TwoCells(4)):
        for _ in range(20):
            lines = graph_lines(space.graph(space.sample(rng)), width, unicode)
            assert max(map(len, lines)) <= width
            assert unicode or all(line.isascii() for line in lines)


def test_every_operation_of_a_cell_is_told() -> None:
    space, rng = TwoCells(4, ("conv", "pool", "skip_connect")), np.random.default_rng(1)

    for _ in range(20):
        architecture = space.sample(rng)
        text = " ".join(graph_lines(space.graph(architecture)))
        for op in ("conv", "pool", "skip_connect"):
            assert text.count(f"{op}(") == list(architecture.values()).count(op)


def test_braces_and_brackets_in_names_are_text() -> None:
    graph = graph_of("i>{0} i>b {0}>o b>o", **{"{0}": "{op}"})
    graph.nodes["b"]["parameters"] = {"k": "[x]"}

    assert graph_lines(graph)[-1] == "o  {op}(i) + conv[k=[x]](i)"
