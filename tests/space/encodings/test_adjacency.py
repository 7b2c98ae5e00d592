"""The adjacency encoding, on chains and on cells."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest

from nas_tune.errors import SpaceError
from nas_tune.space import Categorical, Float, Repeat, SearchSpace
from nas_tune.space.encodings.adjacency import AdjacencyEncoding
from tests.space.cells import Cells


def test_a_chain_is_its_edges_and_one_op_per_node() -> None:
    space = SearchSpace({"first": Categorical("conv", "pool"), "lr": Float(0, 1)})
    encoding = AdjacencyEncoding(space)

    vector = space.encode({"first": "pool", "lr": 0.5}, "adjacency")

    assert encoding.operations == ("input", "output", "conv", "pool")
    adjacency, kinds = vector[:6], vector[6:].reshape(4, 4)
    assert adjacency.tolist() == [1, 0, 0, 1, 0, 0]  # 0-1 and 1-2 of the pairs 01, 02, 03, 12, 13, 23
    assert kinds.tolist() == [[1, 0, 0, 0], [0, 0, 0, 1], [0, 1, 0, 0], [0, 0, 0, 0]]


def test_different_cells_have_different_vectors_of_one_width() -> None:
    space = Cells(3)
    vectors = [space.encode(architecture, "adjacency") for architecture in space.enumerate()]

    assert {vector.shape for vector in vectors} == {(AdjacencyEncoding(space).width,)}
    assert len({vector.tobytes() for vector in vectors}) == 125


def test_an_edge_counts_how_often_it_enters_a_sum() -> None:
    class Twice(SearchSpace):
        def graph(self, architecture: object) -> nx.DiGraph[str]:
            graph: nx.DiGraph[str] = nx.DiGraph()
            graph.add_nodes_from([("i", {"op": "input"}), ("a", {"op": "conv"}), ("o", {"op": "output"})])
            graph.add_edge("i", "a", count=2)
            graph.add_edge("a", "o")
            return graph

    vector = Twice({"op": Categorical("conv", "pool")}).encode({"op": "conv"}, "adjacency")

    assert vector[:3].tolist() == [2, 0, 1]


@pytest.mark.parametrize(
    "space",
    [
        SearchSpace({"a": Cells(3), "b": SearchSpace({"c": Cells(3)}), "lr": Float(0, 1)}),
        SearchSpace({"d": Repeat(Cells(2), 0, 2)}),
        SearchSpace({"d": Repeat(SearchSpace({"e": Cells(2)}), 1, 2)}),
    ],
)
def test_nested_and_repeated_cells_fit(space: SearchSpace) -> None:
    rng = np.random.default_rng(0)

    vectors = [space.encode(space.sample(rng), "adjacency") for _ in range(50)]

    assert {vector.shape for vector in vectors} == {(AdjacencyEncoding(space).width,)}


def test_a_graph_with_ops_or_nodes_beyond_the_space_is_refused() -> None:
    class Foreign(SearchSpace):
        def graph(self, architecture: object) -> nx.DiGraph[str]:
            graph: nx.DiGraph[str] = nx.DiGraph()
            graph.add_nodes_from([("i", {"op": "input"}), ("a", {"op": "fft"}), ("o", {"op": "output"})])
            nx.add_path(graph, "iao")
            return graph

    class Large(SearchSpace):
        def graph(self, architecture: object) -> nx.DiGraph[str]:
            graph: nx.DiGraph[str] = nx.DiGraph()
            graph.add_nodes_from("abcdef", op="conv")
            return graph

    with pytest.raises(SpaceError, match="The graph holds the op 'fft', which is no value of the space"):
        Foreign({"op": Categorical("conv", "pool")}).encode({"op": "conv"}, "adjacency")
    with pytest.raises(SpaceError, match="The graph has 6 nodes, the encoding room for 3"):
        Large({"op": Categorical("conv", "pool")}).encode({"op": "conv"}, "adjacency")
    with pytest.raises(SpaceError, match="The graph holds the op 'fft', which is no value of the space"):
        Foreign({"op": Categorical("conv", "pool")}).encode({"op": "conv"}, "path")
