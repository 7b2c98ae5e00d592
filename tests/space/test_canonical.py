"""The canonical key of graphs: what changes it and what does not."""

from __future__ import annotations

import random

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networkx.algorithms.isomorphism import categorical_node_match

from nas_tune.errors import ArchitectureError
from nas_tune.space import Categorical, Float, Repeat, SearchSpace, Switch, Value
from nas_tune.space.canonical import canonical_form
from tests.space.cells import Cells


def graph_of(edges: str, **ops: str) -> nx.DiGraph[str]:
    """Return a graph from edges such as ``"i>a a>o"``; the ops of `i` and `o` are input and output, else conv."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    for edge in edges.split():
        source, target = edge.split(">")
        for node in (source, target):
            graph.add_node(node, op={"i": "input", "o": "output", **ops}.get(node, "conv"))
        count = graph.edges[source, target]["count"] + 1 if graph.has_edge(source, target) else 1
        graph.add_edge(source, target, count=count)
    return graph


def shuffled(graph: nx.DiGraph[str], seed: int) -> nx.DiGraph[str]:
    """Return the same graph under other names, its nodes and edges in another order."""
    rng = random.Random(seed)
    edges = list(graph.edges(data=True))
    rng.shuffle(edges)
    name = {node: f"x{i}" for i, node in enumerate(rng.sample(list(graph), len(graph)))}
    other: nx.DiGraph[str] = nx.DiGraph()
    for node in rng.sample(list(graph), len(graph)):
        other.add_node(name[node], **graph.nodes[node])
    other.add_edges_from((name[source], name[target], data) for source, target, data in edges)
    return other


@st.composite
def dags(draw: st.DrawFn) -> nx.DiGraph[str]:
    """Random graphs from `i` to `o`, with sums, concatenations, zeros, identities and several equal operations."""
    n = draw(st.integers(1, 8))
    names = ["i", *map(str, range(n)), "o"]
    ops = [
        "input",
        *draw(st.lists(st.sampled_from(["a", "a", "b", "sum", "concat", "none"]), min_size=n, max_size=n)),
        "output",
    ]
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from((name, {"op": op}) for name, op in zip(names, ops, strict=True))
    for place in range(1, n + 2):
        for source in draw(st.sets(st.integers(0, place - 1), max_size=3)):
            graph.add_edge(names[source], names[place], count=draw(st.integers(1, 2)))
    return graph


@given(dags(), st.integers(0, 99))
@settings(max_examples=150)
def test_names_and_order_of_nodes_do_not_change_the_form(graph: nx.DiGraph[str], seed: int) -> None:
    assert canonical_form(shuffled(graph, seed)) == canonical_form(graph)


@given(dags(), st.data())
@settings(max_examples=100)
def test_an_identity_on_an_edge_does_not_change_the_form(graph: nx.DiGraph[str], data: st.DataObject) -> None:
    form = canonical_form(graph)
    if edges := sorted(graph.edges):
        source, target = data.draw(st.sampled_from(edges))
        count = graph.edges[source, target]["count"]
        graph.remove_edge(source, target)
        graph.add_node("new", op=data.draw(st.sampled_from(["identity", "skip_connect", "sum"])))
        before = graph.nodes[target]["op"] != "concat" and data.draw(st.booleans())
        graph.add_edge(source, "new", count=count if before else 1)
        graph.add_edge("new", target, count=1 if before else count)

    assert canonical_form(graph) == form


@given(dags(), st.data())
@settings(max_examples=100)
def test_dead_operations_do_not_change_the_form(graph: nx.DiGraph[str], data: st.DataObject) -> None:
    form = canonical_form(graph)
    nodes = sorted(set(graph) - {"o"})
    graph.add_nodes_from(["dead end", "deader end", "empty"], op="a")
    graph.add_node("nothing", op="none")
    graph.add_edge(data.draw(st.sampled_from(nodes)), "dead end", count=1)
    graph.add_edge("dead end", "deader end", count=2)
    graph.add_edge(data.draw(st.sampled_from(nodes)), "nothing", count=1)
    graph.add_edge("empty", "o", count=1)
    graph.add_edge("nothing", "o", count=1)

    assert canonical_form(graph) == form


@given(dags(), dags())
@settings(max_examples=100)
def test_reduced_graphs_have_equal_forms_exactly_when_isomorphic(a: nx.DiGraph[str], b: nx.DiGraph[str]) -> None:
    def rebuilt(graph: nx.DiGraph[str]) -> nx.DiGraph[int]:
        found: nx.DiGraph[int] = nx.DiGraph()
        for row, (label, inputs) in enumerate(canonical_form(graph)):
            found.add_node(row, op=label)
            assert isinstance(inputs, list)
            found.add_edges_from((source, row, {"count": count}) for source, count in inputs)
        return found

    same = nx.is_isomorphic(
        rebuilt(a), rebuilt(b), categorical_node_match("op", None), lambda x, y: bool(x["count"] == y["count"])
    )

    assert same == (canonical_form(a) == canonical_form(b))


DIFFERENT = {
    "a node used twice and two equal nodes": ("i>a a>b a>c b>o c>o", "i>a i>d a>b d>c b>o c>o"),
    "a node that enters a sum twice and once": ("i>a a>o a>o", "i>a a>o"),
    "a node that enters a sum twice and two nodes that do": ("i>a a>o a>o", "i>a i>b a>o b>o"),
    "a chain and a parallel": ("i>a a>b b>o", "i>a i>b a>o b>o"),
    "a residual and a plain one": ("i>a a>o i>o", "i>a a>o"),
    "something and nothing": ("i>a a>o", "i>i2 i2>o2"),
}


@pytest.mark.parametrize("case", DIFFERENT)
def test_networks_that_differ_have_different_forms(case: str) -> None:
    one, other = (graph_of(edges) for edges in DIFFERENT[case])

    assert canonical_form(one) != canonical_form(other)


SAME = {
    "an identity": ("i>a a>o", "i>skip skip>a a>o"),
    "an operation after nothing": ("i>a a>o", "i>a a>o i>none none>b b>o"),
    "a sum written out": ("i>a i>b a>c b>c c>o", "i>a i>b a>sum b>sum sum>c c>o"),
    "two identities and one that counts twice": ("i>o i>o", "i>skip i>identity skip>o identity>o"),
    "a sum within a sum": ("i>a i>b i>o a>o b>o", "i>a i>b a>sum b>sum sum>o i>o"),
    "no path at all": ("i>none none>o", "i>none none>a a>o"),
}


@pytest.mark.parametrize("case", SAME)
def test_networks_that_are_the_same_have_the_same_form(case: str) -> None:
    names = {name: name for name in ("skip", "identity", "none", "sum")}
    one, other = (graph_of(edges, **names) for edges in SAME[case])

    assert canonical_form(one) == canonical_form(other)


def test_a_sum_that_enters_a_concatenation_is_not_its_terms() -> None:
    summed = graph_of("i>a i>b a>sum b>sum sum>concat i>concat concat>o", sum="sum", concat="concat")
    apart = graph_of("i>a i>b a>concat b>concat i>concat concat>o", concat="concat")
    renamed = graph_of("i>a i>b a>skip b>skip skip>concat i>concat concat>o", skip="skip", concat="concat")

    assert canonical_form(summed) == canonical_form(renamed) != canonical_form(apart)


def test_a_sum_passed_on_is_the_sum_itself_whichever_is_written_first() -> None:
    names = {"sum": "sum", "skip": "skip", "concat": "concat"}
    edges = "i>a i>b a>sum b>sum sum>skip sum>concat skip>concat concat>o"
    backwards = "concat>o skip>concat sum>concat sum>skip b>sum a>sum i>b i>a"
    twice = "i>a i>b a>sum b>sum sum>concat sum>concat concat>o"

    forms = [canonical_form(graph_of(written, **names)) for written in (edges, backwards, twice)]

    assert forms[0] == forms[1] == forms[2]


def test_a_graph_with_a_cycle_is_refused() -> None:
    with pytest.raises(ArchitectureError, match="The graph has a cycle, so nothing in it can be computed first"):
        canonical_form(graph_of("i>a a>b b>a b>o"))


def test_attributes_of_nodes_and_of_the_graph_tell_networks_apart() -> None:
    plain, wide, cut = graph_of("i>a a>o"), graph_of("i>a a>o"), graph_of("i>a a>o")
    wide.nodes["a"]["channels"] = 32
    cut.graph["resolution"] = 16

    assert len({str(canonical_form(graph)) for graph in (plain, wide, cut)}) == 3


def parallel(branches: int, depth: int) -> nx.DiGraph[str]:
    ways = (["i", *(f"{b}.{d}" for d in range(depth)), "o"] for b in range(branches))
    return graph_of(
        " ".join(f"{source}>{target}" for way in ways for source, target in zip(way, way[1:], strict=False))
    )


def rings(*sizes: int) -> nx.DiGraph[str]:
    """Two layers of nodes, each of the second fed by two of the first that are next to each other on a ring."""
    edges = [
        f"i>{r}.{n} {r}.{n}>{r}.{n}' {r}.{n}>{r}.{(n + 1) % size}' {r}.{n}'>o"
        for r, size in enumerate(sizes)
        for n in range(size)
    ]
    return graph_of(" ".join(edges))


SYMMETRIC = [parallel(8, 2), parallel(12, 3), *(rings(*sizes) for sizes in ([12], [6, 6], [3] * 4, [4] * 3, [3, 4, 5]))]


@pytest.mark.parametrize("graph", SYMMETRIC)
def test_highly_symmetric_graphs_are_labelled_canonically_in_moments(graph: nx.DiGraph[str]) -> None:
    form = canonical_form(graph)

    assert all(canonical_form(shuffled(graph, seed)) == form for seed in range(5))


def test_graphs_that_colour_refinement_cannot_tell_apart_have_different_forms() -> None:
    graphs = [rings(12), rings(6, 6), rings(4, 4, 4), rings(3, 3, 3, 3), rings(3, 4, 5)]

    assert len({str(canonical_form(graph)) for graph in graphs}) == 5


# Keys of spaces.


def test_the_key_of_a_space_without_a_graph_of_its_own_is_that_of_its_values() -> None:
    space = SearchSpace(
        {
            "op": Switch({"a": SearchSpace({"k": Categorical(1, 2)}), "b": SearchSpace({})}),
            "n": Repeat(Categorical(None, "None", 0, "0"), 0, 2),
        }
    )

    assert len({space.canonical_key(architecture) for architecture in space.enumerate()}) == space.size()
    assert all(len(space.canonical_key(architecture)) == 64 for architecture in space.enumerate())


def test_nested_cells_are_compared_as_networks_and_numbers_as_they_are() -> None:
    space = SearchSpace({"cell": Cells(3), "lr": Float(0, 1)})
    straight: dict[str, Value] = {
        "cell.edge_0_1": "none",
        "cell.edge_0_2": "nor_conv_1x1",
        "cell.edge_1_2": "none",
        "lr": 0.5,
    }
    dead: dict[str, Value] = {**straight, "cell.edge_1_2": "nor_conv_3x3"}
    detour: dict[str, Value] = {
        **straight,
        "cell.edge_0_1": "skip_connect",
        "cell.edge_0_2": "none",
        "cell.edge_1_2": "nor_conv_1x1",
    }

    assert space.canonical_key(straight) == space.canonical_key(dead) == space.canonical_key(detour)
    assert space.canonical_key({**straight, "lr": 0.6}) != space.canonical_key(straight)
    assert space.canonical_key({**straight, "cell.edge_0_2": "nor_conv_3x3"}) != space.canonical_key(straight)


def test_keys_do_not_depend_on_the_process() -> None:
    key = Cells(2).canonical_key({"edge_0_1": "nor_conv_3x3"})

    assert key == "95ae8bb91cec93917f15f03b91e5fdbf62e2bce7eac86fd8c8c5d39b24b6ad88"
