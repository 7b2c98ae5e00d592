"""The adjacency encoding, on chains and on cells."""

from __future__ import annotations

from collections.abc import Mapping

import networkx as nx
import numpy as np
import pytest

from nas_tune.errors import SpaceError
from nas_tune.space import Categorical, Float, Integer, Repeat, SearchSpace, Subset, Switch, Value
from nas_tune.space.encodings.adjacency import AdjacencyEncoding
from tests.space.cells import Cells, TwoCells


def test_a_chain_is_its_edges_one_op_per_node_and_its_numbers() -> None:
    space = SearchSpace({"first": Categorical("conv", "pool"), "lr": Float(0, 2), "last": Categorical("conv")})
    encoding = AdjacencyEncoding(space)

    vector = space.encode({"first": "pool", "lr": 0.5}, "adjacency")

    assert encoding.operations == ("input", "output", "conv", "pool")
    adjacency, kinds, numbers = vector[:6], vector[6:22].reshape(4, 4), vector[22:]
    assert adjacency.tolist() == [1, 0, 0, 1, 0, 1]  # 0-1, 1-2 and 2-3 of the pairs 01, 02, 03, 12, 13, 23
    assert kinds.tolist() == [[1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0], [0, 1, 0, 0]]
    assert numbers.tolist() == [0.25]


def test_what_a_graph_does_not_show_tells_vectors_apart() -> None:
    conv = SearchSpace({"k": Categorical(3, 5), "width": Integer(8, 16)})
    branches = Switch({"conv": conv, "skip": SearchSpace({})})
    space = SearchSpace({"deep": Repeat(branches, 1, 2), "ins": Subset("abc", 2), "r": Integer(1, 3)})
    rng = np.random.default_rng(0)
    drawn = {space.sample(rng) for _ in range(300)}

    for kind in ("adjacency", "path"):
        vectors = {space.encode(architecture, kind).tobytes() for architecture in drawn}
        assert len(vectors) == len(drawn)
        assert space.encoding(kind).width == len(space.encode(next(iter(drawn)), kind))


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


def test_cells_of_two_inputs_with_sums_and_concatenations_fit_and_differ() -> None:
    alone, joint = TwoCells(), SearchSpace({"stem": Categorical("conv", "pool"), "net": TwoCells(), "lr": Float(0, 1)})
    rng = np.random.default_rng(0)

    for space in (alone, joint):
        encoding = AdjacencyEncoding(space)
        drawn = {space.sample(rng) for _ in range(200)}
        assert len({encoding.encode(architecture).tobytes() for architecture in drawn}) == len(drawn)
        assert {"input_0", "input_1", "sum", "concat"} < set(encoding.operations)
        assert not {"input_0,input_1", "input_0,node_0"} & set(encoding.operations)


def test_a_space_says_how_large_its_graphs_are_and_what_they_hold() -> None:
    class Doubled(SearchSpace):
        """Every operation comes with a normalisation."""

        def graph(self, architecture: Mapping[str, Value]) -> nx.DiGraph[str]:
            graph: nx.DiGraph[str] = nx.DiGraph()
            nodes = {"i": "input", "a": f"big_{architecture['op']}", "n": "norm", "b": "norm", "o": "output"}
            graph.add_nodes_from((name, {"op": op}) for name, op in nodes.items())
            nx.add_path(graph, nodes)
            return graph

        def graph_nodes(self) -> int:
            return 5

        def graph_choices(self) -> tuple[str, ...]:
            return ("big_conv", "big_pool", "norm")

    space = Doubled({"op": Categorical("conv", "pool")})

    assert AdjacencyEncoding(space).operations == ("input", "output", "sum", "concat", "big_conv", "big_pool", "norm")
    assert space.encode({"op": "conv"}, "adjacency").shape == (10 + 5 * 7,)
    nested = SearchSpace({"net": space, "lr": Float(0, 1)})
    assert AdjacencyEncoding(nested).max_nodes == 2 + 5
    assert "big_pool" in AdjacencyEncoding(nested).operations and "pool" not in AdjacencyEncoding(nested).operations


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
