"""The path encoding, on chains and on cells."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import networkx as nx
import numpy as np
import pytest

from nas_tune.errors import SpaceError
from nas_tune.space import Categorical, Float, Repeat, SearchSpace, Value
from nas_tune.space.encodings.path import PathEncoding, ways
from tests.space.cells import OPERATIONS, Cells, TwoCells


@pytest.mark.parametrize(("length", "width"), [(1, 5), (2, 30), (3, 155)])
def test_nas_bench_201_has_5_30_and_155_paths(length: int, width: int) -> None:
    assert PathEncoding(Cells(), length).width == width


def test_the_paths_of_a_cell_are_those_of_its_nodes() -> None:
    space, rng = Cells(), np.random.default_rng(0)
    encoding = PathEncoding(space, 3)
    names = [path for n in (1, 2, 3) for path in itertools.product(OPERATIONS, repeat=n)]

    for _ in range(30):
        architecture = space.sample(rng)
        edge = {(i, j): architecture[f"edge_{i}_{j}"] for i, j in space.edges}
        ways = ([(0, 3)], [(0, 1), (1, 3)], [(0, 2), (2, 3)], [(0, 1), (1, 2), (2, 3)])
        expected = {tuple(edge[step] for step in way) for way in ways}

        assert {names[i] for i in np.flatnonzero(encoding.encode(architecture))} == expected


def test_a_chain_is_one_path_and_longer_ones_are_dropped() -> None:
    space = SearchSpace({"deep": Repeat(Categorical("a", "b"), 1, 3), "lr": Float(0, 1)})
    encoding = PathEncoding(space, 2)

    def columns(*ops: str) -> list[float]:
        copies: dict[str, Value] = {f"deep.{i}": op for i, op in enumerate(ops)}
        vector = encoding.encode(space.architecture({"deep.length": len(ops), **copies, "lr": 0.75}))
        return list(map(float, vector))

    assert columns("b") == [0, 1, 0, 0, 0, 0, 0.75]  # the paths a, b, aa, ab, ba, bb, and the number
    assert columns("b", "a") == [0, 0, 0, 0, 1, 0, 0.75]
    assert columns("b", "a", "a") == [0, 0, 0, 0, 0, 0, 0.75]


def test_the_input_and_the_cell_are_part_of_a_path() -> None:
    space = TwoCells(1)
    values: dict[str, Value] = {
        "normal.node_0": "input_0,input_1",
        "normal.node_0.input_0": "conv",
        "normal.node_0.input_1": "pool",
        "reduction.node_0": "input_0,input_1",
        "reduction.node_0.input_0": "pool",
        "reduction.node_0.input_1": "conv",
    }
    one = [1, 0, 0, 1, 0, 1, 1, 0]  # conv and pool for each input, in the normal cell and the reduction cell
    encoding = PathEncoding(space, 1)

    assert encoding.operations == ("conv", "pool")
    assert encoding.encode(values).tolist() == one
    inside = PathEncoding(SearchSpace({"net": space, "lr": Float(0, 1)}), 1)
    vector = inside.encode({**{f"net.{name}": value for name, value in values.items()}, "lr": 0.5})
    assert vector.sum() == 4 + 0.5


def test_ways_are_paths_with_their_input_and_cell() -> None:
    space = TwoCells(2)
    graph = space.graph(space.sample(np.random.default_rng(3)))

    found = list(ways(graph))

    assert {way.start for way in found} == {"input_0", "input_1"}
    assert {way.cell for way in found} == {"normal", "reduction"}
    assert all(len(way.ops) in (3, 5) and way.ops[-1] == "concat" for way in found)


def test_a_path_outside_the_known_cells_is_refused() -> None:
    class Moody(SearchSpace):
        def graph(self, architecture: Mapping[str, Value]) -> nx.DiGraph[str]:
            graph: nx.DiGraph[str] = nx.DiGraph()
            graph.add_nodes_from([("i", {"op": architecture["in"]}), ("a", {"op": "a"}), ("o", {"op": "output"})])
            nx.add_path(graph, "iao")
            return graph

    space = Moody({"in": Categorical("input_0", "input_1"), "op": Categorical("a", "b")})
    known = str(space.sample(np.random.default_rng(0))["in"])
    other = "input_1" if known == "input_0" else "input_0"

    with pytest.raises(SpaceError, match=f"A path leads from '{other}' through the cell None, but other graphs"):
        space.encode({"in": other, "op": "a"}, "path")


def test_the_length_is_what_fits_in_4096_columns() -> None:
    assert (
        PathEncoding(SearchSpace({str(i): Categorical(*"abcd") for i in range(20)})).width == 4 + 16 + 64 + 256 + 1024
    )
    assert PathEncoding(SearchSpace({"a": Categorical("x", "y")})).length == 1
    wide = SearchSpace({"a": Categorical(*map(str, range(5000)))})
    assert PathEncoding(wide).width == 5000  # one operation is the least


def test_joints_of_nested_cells_are_passed_over() -> None:
    joint = SearchSpace({"cell": Cells(2, ("conv", "pool")), "lr": Float(0, 1)})

    assert joint.encode({"cell.edge_0_1": "pool", "lr": 0.5}, "path").tolist()[:2] == [0, 1]
