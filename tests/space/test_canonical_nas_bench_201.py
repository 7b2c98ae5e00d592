"""The canonical key on all 15,625 cells of NAS-Bench-201, against a count by another algorithm and by networks."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import TypeAlias

import networkx as nx
import numpy as np
import pytest
from networkx.algorithms.isomorphism import DiGraphMatcher, categorical_node_match
from numpy.typing import NDArray

from nas_tune.search_spaces import NASBench201
from nas_tune.space import Architecture

Edge: TypeAlias = tuple[int, int]
Terms: TypeAlias = "Counter[Edge | str]"  # a sum: how often each operation's output, or the input "x", enters

EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))


def operations(architecture: Architecture) -> dict[Edge, str]:
    return {(i, j): str(architecture[f"edge_{i}_{j}"]) for i, j in EDGES}


def terms(cell: Mapping[Edge, str]) -> dict[int | Edge, Terms]:
    """Return what each node and each operation sums, skips resolved and empty sums absorbed."""
    sums: dict[int | Edge, Terms] = {0: Counter({"x": 1}), 1: Counter(), 2: Counter(), 3: Counter()}
    for (i, j), op in cell.items():
        if op == "skip_connect":
            sums[j].update(sums[i])
        elif op != "none" and sums[i]:
            sums[i, j] = Counter(sums[i])
            sums[j][i, j] += 1
    return sums


def live(sums: Mapping[int | Edge, Terms]) -> list[Edge]:
    found: set[Edge] = set()
    stack = [term for term in sums[3] if not isinstance(term, str)]
    while stack:
        edge = stack.pop()
        found.add(edge)
        stack.extend(term for term in sums[edge] if not isinstance(term, str))
    return sorted(found)


def relabelled(cell: Mapping[Edge, str]) -> str:
    """Return the smallest description of a cell's network over all numberings of its live operations."""
    sums = terms(cell)
    edges = sorted(live(sums), key=lambda edge: cell[edge])
    groups = [list(group) for _, group in itertools.groupby(edges, key=lambda edge: cell[edge])]
    smallest = ""
    for choice in itertools.product(*map(itertools.permutations, groups)):
        order = [edge for group in choice for edge in group]
        number: dict[Edge | str, int] = {"x": -1, **{edge: n for n, edge in enumerate(order)}}
        rows = [(cell[edge], sorted((number[t], n) for t, n in sums[edge].items())) for edge in order]
        text = repr((rows, sorted((number[t], n) for t, n in sums[3].items())))
        smallest = min(smallest or text, text)
    return smallest


def published(cell: Mapping[Edge, str]) -> str:
    """Return the string by which the benchmark's authors compare cells; a zero is an operand of a sum."""
    nodes = {0: "0"}
    for j in (1, 2, 3):
        parts = []
        for i in range(j):
            op = cell[i, j]
            empty = op == "none" or nodes[i] == "#"
            parts.append("#" if empty else nodes[i] if op == "skip_connect" else f"({nodes[i]})@{op}")
        nodes[j] = "+".join(sorted(parts))
    return nodes[3]


def expression(cell: Mapping[Edge, str], flat: bool) -> str:
    """Return a cell as an expression tree, in which a node used twice reads like two; zeros are left out.

    `flat` takes a skipped sum as its terms, else it stays together, so that the order of sums counts.
    """
    nodes = {0: "0"}
    for j in (1, 2, 3):
        parts = []
        for i in range(j):
            if cell[i, j] == "skip_connect" and nodes[i]:
                parts += split_sum(nodes[i]) if flat else [nodes[i]]
            elif cell[i, j] != "none" and nodes[i]:
                parts.append(f"({nodes[i]})@{cell[i, j]}")
        nodes[j] = "+".join(sorted(parts))
    return nodes[3]


def split_sum(text: str) -> list[str]:
    depth, pieces = 0, [""]
    for letter in text:
        depth += (letter == "(") - (letter == ")")
        if letter == "+" and depth == 0:
            pieces.append("")
        else:
            pieces[-1] += letter
    return pieces


@pytest.fixture(scope="module")
def classes() -> dict[str, list[Architecture]]:
    """All architectures of the benchmark by canonical key."""
    space = NASBench201()
    found: dict[str, list[Architecture]] = defaultdict(list)
    for architecture in space.enumerate():
        found[space.canonical_key(architecture)].append(architecture)
    return dict(found)


@pytest.mark.slow
def test_the_keys_are_the_classes_that_exhaustive_relabelling_finds(classes: dict[str, list[Architecture]]) -> None:
    forms = {key: {relabelled(operations(a)) for a in members} for key, members in classes.items()}

    assert sum(map(len, classes.values())) == 15_625
    assert all(len(found) == 1 for found in forms.values())  # sound: one key, one network
    assert len(set().union(*forms.values())) == len(classes) == 5_425  # complete: one network, one key


@pytest.mark.slow
def test_the_count_lies_between_the_two_published_ways_to_count(classes: dict[str, list[Architecture]]) -> None:
    cells = [operations(a) for members in classes.values() for a in members]

    trees = {key: {expression(operations(a), flat=True) for a in members} for key, members in classes.items()}

    assert len({published(cell) for cell in cells}) == 6_466
    assert len({expression(cell, flat=False) for cell in cells}) == 5_390
    assert 5_390 <= len(classes) <= 6_466
    assert all(len(found) == 1 for found in trees.values())  # the keys only ever split an expression tree,
    assert len(set().union(*trees.values())) == 4_930  # and split those that confuse one node with two


def run(
    cell: Mapping[Edge, str], weights: Mapping[Edge, NDArray[np.float64]], x: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the output of a cell as it is written, no edge left out; no operation makes something of nothing."""
    pool = np.roll(np.eye(len(x)), 1, axis=0) / 2 + np.eye(len(x)) / 2
    compute = {
        "none": lambda w, v: 0 * v,
        "skip_connect": lambda w, v: v,
        "nor_conv_1x1": lambda w, v: np.tanh(w @ v),
        "nor_conv_3x3": lambda w, v: np.maximum(w @ v, 0),
        "avg_pool_3x3": lambda w, v: pool @ v,
    }
    nodes = [x, 0 * x, 0 * x, 0 * x]
    for i, j in EDGES:
        nodes[j] = nodes[j] + compute[cell[i, j]](weights[i, j], nodes[i])
    return nodes[3]


def as_graph(cell: Mapping[Edge, str]) -> nx.DiGraph[object]:
    sums = terms(cell)
    graph: nx.DiGraph[object] = nx.DiGraph()
    graph.add_node("x", op="x")
    graph.add_node(3, op="output")
    graph.add_nodes_from((edge, {"op": cell[edge]}) for edge in live(sums))
    ends: list[int | Edge] = [*live(sums), 3]
    graph.add_edges_from((term, end, {"count": count}) for end in ends for term, count in sums[end].items())
    return graph


def matched(one: Mapping[Edge, str], other: Mapping[Edge, str]) -> dict[Edge, Edge]:
    """Return which live operation of `one` each of `other` is."""
    matcher = DiGraphMatcher(
        as_graph(one), as_graph(other), categorical_node_match("op", None), lambda a, b: bool(a["count"] == b["count"])
    )
    assert matcher.is_isomorphic()
    edge_of: dict[object, Edge] = {edge: edge for edge in EDGES}
    return {edge_of[theirs]: edge_of[ours] for ours, theirs in matcher.mapping.items() if ours in edge_of}


@pytest.mark.slow
def test_networks_of_equal_keys_compute_the_same_with_matched_weights(classes: dict[str, list[Architecture]]) -> None:
    rng = np.random.default_rng(0)
    pairs = 0
    for members in classes.values():
        for other in members[1:3]:
            first, second = operations(members[0]), operations(other)
            match = matched(first, second)
            weights, theirs = ({edge: rng.normal(size=(5, 5)) for edge in EDGES} for _ in range(2))
            theirs.update({edge: weights[ours] for edge, ours in match.items()})
            x = rng.normal(size=5)

            np.testing.assert_allclose(run(second, theirs, x), run(first, weights, x), rtol=1e-10, atol=1e-12)
            pairs += 1
    assert pairs > 1_000


@pytest.mark.slow
def test_neighbours_have_equal_keys_exactly_when_their_graphs_are_isomorphic(
    classes: dict[str, list[Architecture]],
) -> None:
    space, rng = NASBench201(), np.random.default_rng(0)
    key_of = {a: key for key, members in classes.items() for a in members}

    for _ in range(60):
        centre = space.sample(rng)
        for near in space.neighbours(centre):
            same = nx.is_isomorphic(
                as_graph(operations(centre)),
                as_graph(operations(near)),
                categorical_node_match("op", None),
                lambda a, b: bool(a["count"] == b["count"]),
            )
            assert same == (key_of[centre] == key_of[near])
