"""Weisfeiler-Lehman subtrees, by hand and on the cells of NAS-Bench-201."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

import networkx as nx
import numpy as np
import pytest

from nas_tune.errors import ArchitectureError, PredictorError
from nas_tune.predictors.kernels import WeisfeilerLehmanKernel
from nas_tune.predictors.kernels.weisfeiler_lehman import BUCKETS, subtrees
from nas_tune.space import Architecture
from tests.predictors.kernels.grams import drawn, gram
from tests.space.cells import Cells
from tests.space.strategies import nested

SPACE = Cells()


def graph(operations: dict[str, str], *edges: tuple[str, str]) -> nx.DiGraph[str]:
    """Return a graph from ``i``, of ``input``, to ``o``, of ``output``."""
    found: nx.DiGraph[str] = nx.DiGraph()
    found.add_nodes_from((node, {"op": op}) for node, op in {"i": "input", **operations, "o": "output"}.items())
    found.add_edges_from(edges)
    return found


def cell(*operations: str) -> Architecture:
    """Return the cell with these on the edges 0-1, 0-2, 1-2, 0-3, 1-3, 2-3."""
    short = {"n": "none", "s": "skip_connect", "1": "nor_conv_1x1", "3": "nor_conv_3x3", "p": "avg_pool_3x3"}
    return SPACE.architecture({name: short[op] for name, op in zip(SPACE.parameters(), operations, strict=True)})


def columns(*architectures: Architecture, depth: int = 2) -> list[list[float]]:
    return [list(row) for row in WeisfeilerLehmanKernel(SPACE, depth).fit(architectures).encode(architectures)]


def test_subtrees_of_a_fork_are_those_counted_by_hand() -> None:
    fork = graph({"a": "conv", "b": "conv", "c": "pool"}, ("i", "a"), ("i", "b"), ("a", "c"), ("b", "o"), ("c", "o"))
    even = graph({"a": "conv", "b": "conv", "c": "pool"}, ("i", "a"), ("i", "b"), ("a", "c"), ("b", "c"), ("c", "o"))

    assert sorted(subtrees(fork, 0)[0].values()) == sorted(subtrees(even, 0)[0].values()) == [1, 1, 1, 2]
    assert sorted(subtrees(fork, 1)[1].values()) == [1, 1, 1, 1, 1]  # one conv before the pool, one before the output
    assert sorted(subtrees(even, 1)[1].values()) == [1, 1, 1, 2]
    assert len(subtrees(fork, 1)[1].keys() & subtrees(even, 1)[1].keys()) == 2  # input before convs, conv before pool


def chain(operations: str) -> nx.DiGraph[str]:
    nodes = ["i", *map(str, range(len(operations))), "o"]
    return graph(dict(zip(nodes[1:], operations, strict=False)), *pairwise(nodes))


def test_depth_two_tells_apart_what_depth_one_cannot() -> None:
    one, other = subtrees(chain("abcabdab"), 2), subtrees(chain("abdabcab"), 2)  # the same triples, other fives

    assert one[:2] == other[:2]
    assert one[2] != other[2]


def test_sources_and_targets_are_told_apart() -> None:
    one = graph({"a": "conv", "b": "pool"}, ("i", "a"), ("a", "b"), ("b", "o"))
    other = graph({"a": "pool", "b": "conv"}, ("i", "a"), ("a", "b"), ("b", "o"))

    assert subtrees(one, 1)[0] == subtrees(other, 1)[0]
    assert subtrees(one, 1)[1] != subtrees(other, 1)[1]


def test_nodes_that_lead_nowhere_are_left_out() -> None:
    short = graph({"a": "conv"}, ("i", "a"), ("a", "o"))
    dangling = graph(
        {"a": "conv", "b": "pool", "c": "none", "d": "pool", "e": "pool"},
        ("i", "a"),
        ("a", "o"),
        ("a", "b"),  # no target
        ("i", "c"),
        ("c", "d"),  # behind a zero
        ("d", "o"),
        ("e", "a"),  # no source
    )

    assert subtrees(dangling, 2) == subtrees(short, 2)


def test_an_input_that_reaches_no_output_leaves_nothing() -> None:
    severed = cell(*"nnnnnn")
    found = WeisfeilerLehmanKernel(SPACE).fit([cell(*"333333")]).encode([severed, cell(*"333333")])

    assert not found[0].any()
    assert found[1].any()


def test_isomorphic_cells_have_the_same_columns() -> None:
    # node 1 and node 2 both hang on the input alone and end in the output: to swap them changes nothing
    one, other = columns(cell(*"31n" + "n1p"), cell(*"13n" + "np1"))

    assert one == other


def test_dead_edges_do_not_change_the_columns() -> None:
    # nothing leaves node 1, so what enters it is dead; nothing enters node 2, so what leaves it is
    first = columns(cell(*"3n" + "n3nn"), cell(*"1n" + "n3nn"), cell(*"nn" + "n3n" + "p"))

    assert first[0] == first[1] == first[2]


def test_depth_zero_counts_operations() -> None:
    kernel = WeisfeilerLehmanKernel(SPACE, 0).fit([cell(*"331p3s")])
    found = kernel.encode([cell(*"331p3s")])[0]
    counts = np.array([1, 1, 1, 1, 1, 3])  # input, output, 1x1, pool, skip and three 3x3

    assert sorted(found[found != 0.0].tolist()) == pytest.approx(counts / math.sqrt(14.0))


def test_each_depth_is_a_unit_vector_and_its_weight_weighs_the_cosine() -> None:
    architectures = [a for a in drawn(SPACE, 12) if subtrees(SPACE.graph(a), 0)[0]]
    kernel = WeisfeilerLehmanKernel(SPACE, 1).fit(architectures[:4])
    found, groups = kernel.encode(architectures[:4]), np.array(kernel.groups)
    read = [subtrees(SPACE.graph(a), 1) for a in architectures[:4]]

    def cosine(a: Counter[int], b: Counter[int]) -> float:
        return sum(a[key] * b[key] for key in a) / math.sqrt(
            sum(x * x for x in a.values()) * sum(x * x for x in b.values())
        )

    expected = [
        [math.exp(-0.7 * (1.0 - cosine(a[0], b[0])) - 1.9 * (1.0 - cosine(a[1], b[1]))) for b in read] for a in read
    ]

    assert [(found[:, groups == depth] ** 2).sum(axis=1).tolist() for depth in (0, 1)] == [pytest.approx([1.0] * 4)] * 2
    assert gram(kernel, architectures[:4], [0.7, 1.9]) == pytest.approx(np.array(expected))


def test_subtrees_that_were_not_learned_share_columns() -> None:
    kernel = WeisfeilerLehmanKernel(SPACE, 0).fit([cell(*"nnn" + "3nn")])
    learned, other = kernel.encode([cell(*"nnn" + "3nn"), cell(*"nnn" + "pnn")])

    assert len(kernel.groups) == 3 + BUCKETS
    assert np.sort(np.abs(other))[-3:] == pytest.approx([1.0 / math.sqrt(3.0)] * 3)
    assert np.flatnonzero(other)[-1] >= 3
    assert learned @ other == pytest.approx(2.0 / 3.0)  # both have the ends


def test_only_the_most_frequent_subtrees_have_columns_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nas_tune.predictors.kernels.weisfeiler_lehman.MOST_SUBTREES", 3)
    architectures = [cell(*"nnn" + "3nn")] * 2 + [cell(*"nnn" + "pnn")]
    kernel = WeisfeilerLehmanKernel(SPACE, 0).fit(architectures)
    found = kernel.encode(architectures)

    assert len(kernel.groups) == 3 + BUCKETS
    assert (found[0, :3] > 0.0).all()
    assert np.count_nonzero(found[2, :3]) == 2
    assert np.linalg.norm(found, axis=1) == pytest.approx([1.0] * 3)


@pytest.mark.slow
def test_subtrees_have_the_same_numbers_in_every_process() -> None:
    code = (
        "from nas_tune.predictors.kernels.weisfeiler_lehman import subtrees; from tests.space.cells import Cells; "
        "import numpy; s = Cells(); print(subtrees(s.graph(s.sample(numpy.random.default_rng(0))), 2))"
    )
    said = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parents[3])},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]

    assert said[0] == said[1] != ""


def test_what_it_cannot_read_is_refused() -> None:
    with pytest.raises(PredictorError, match="`depth` is -1"):
        WeisfeilerLehmanKernel(SPACE, -1)
    with pytest.raises(ArchitectureError, match="WeisfeilerLehmanKernel: the architecture is of another space"):
        WeisfeilerLehmanKernel(SPACE).fit(drawn(nested(), 1))
