"""The path encoding, on chains and on cells."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from nas_tune.space import Categorical, Float, Repeat, SearchSpace
from nas_tune.space.encodings.path import PathEncoding
from tests.space.cells import OPERATIONS, Cells


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

    assert encoding.encode({"deep.length": 1, "deep.0": "b", "lr": 0.0}).tolist() == [0, 1, 0, 0, 0, 0]
    two = space.architecture({"deep.length": 2, "deep.0": "b", "deep.1": "a", "lr": 0.0})
    assert encoding.encode(two).tolist() == [0, 0, 0, 0, 1, 0]
    three = space.architecture({"deep.length": 3, "deep.0": "b", "deep.1": "a", "deep.2": "a", "lr": 0})
    assert not encoding.encode(three).any()


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
