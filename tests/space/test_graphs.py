"""The default graph, a chain, and cells set into it."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings

from nas_tune.errors import InfeasibleError
from nas_tune.space import Categorical, Float, Integer, Repeat, SearchSpace, Subset, Switch, Value
from nas_tune.space.encodings.path import paths
from tests.space.cells import Cells
from tests.space.strategies import seeds, spaces


def test_the_default_graph_is_a_chain_of_the_active_choices() -> None:
    conv = SearchSpace({"k": Categorical(3, 5)})
    space = SearchSpace(
        {
            "stem": Categorical("conv", "patch"),
            "deep": Repeat(Switch({"conv": conv, "skip": SearchSpace({})}), 0, 2),
            "lr": Float(0, 1),
            "ins": Subset([0, 1], 1),
        }
    )
    values: dict[str, Value] = {
        "stem": "patch",
        "deep.length": 2,
        "deep.0": "conv",
        "deep.0.conv.k": 5,
        "deep.1": "skip",
        "lr": 0.5,
        "ins": "1",
    }

    graph = space.graph(values)

    assert list(nx.topological_sort(graph)) == ["input", "stem", "deep.0", "deep.1", "output"]
    assert [data["op"] for _, data in graph.nodes(data=True)] == ["input", "patch", "conv", "skip", "output"]
    assert graph.nodes["deep.0"]["parameters"] == {"deep.0.conv.k": 5}
    assert graph.graph["parameters"] == {"lr": 0.5, "ins": "1"}
    assert {data["count"] for _, _, data in graph.edges(data=True)} == {1}


@given(spaces(), seeds)
@settings(max_examples=30)
def test_every_architecture_has_a_chain_from_input_to_output(space: SearchSpace, seed: int) -> None:
    graph = space.graph(space.sample(np.random.default_rng(seed)))

    assert graph.nodes["input"]["op"] == "input" and graph.nodes["output"]["op"] == "output"
    assert len(list(paths(graph))) == 1
    assert graph.number_of_edges() == graph.number_of_nodes() - 1


def test_nested_cells_stand_in_the_chain_as_graphs() -> None:
    space = SearchSpace({"stem": Categorical("conv"), "cell": Cells(2, ("a", "b")), "n": Integer(1, 2)})

    graph = space.graph({"cell.edge_0_1": "b", "n": 2})

    assert list(paths(graph)) == [("conv", "b", "sum")]
    assert set(graph) == {"input", "stem", "cell.0-1", "cell.output", "output"}


@pytest.mark.parametrize("length", [0, 1, 3])
def test_repeated_cells_follow_one_another(length: int) -> None:
    space = SearchSpace({"cells": Repeat(Cells(2, ("a", "b")), 0, 3)})
    values: dict[str, Value] = {"cells.length": length, **{f"cells.{i}.edge_0_1": "a" for i in range(length)}}

    assert list(paths(space.graph(values))) == [("a", "sum") * length]


def test_a_cell_without_any_path_cuts_the_chain() -> None:
    space = SearchSpace({"first": Cells(2), "second": Cells(2)})

    graph = space.graph({"first.edge_0_1": "none", "second.edge_0_1": "skip_connect"})

    assert list(paths(graph)) == [("none", "sum", "skip_connect", "sum")]
    assert nx.is_directed_acyclic_graph(graph)


def test_an_infeasible_architecture_has_no_graph() -> None:
    space = SearchSpace({"op": Categorical("a", "b")}).where(lambda x: x["op"] == "a", "only a")

    with pytest.raises(InfeasibleError, match="The architecture is infeasible: only a"):
        space.graph({"op": "b"})
