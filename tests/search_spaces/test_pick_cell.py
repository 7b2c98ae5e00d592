"""Cells of picks as spaces: their number, their graph, their notation, what they refuse."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence

import networkx as nx
import numpy as np
import pytest

from nas_tune.errors import ArchitectureError, SpaceError, UnknownNameError
from nas_tune.search_spaces.amoebanet import AmoebaNet
from nas_tune.search_spaces.enas import ENAS
from nas_tune.search_spaces.genotypes import Edge, Genotype
from nas_tune.search_spaces.nasnet import NASNet
from nas_tune.search_spaces.pick_cell import KINDS, Output, PickCell, PickCellSpace
from nas_tune.search_spaces.pnas import PNAS
from nas_tune.space import Architecture, Value

SPACES: tuple[type[PickCellSpace], ...] = (NASNet, AmoebaNet, PNAS, ENAS)
BY_NAME = {space.__name__: space for space in SPACES}
DARTS_OPERATIONS = (
    "none",
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
every_space = pytest.mark.parametrize("kind_of_space", SPACES, ids=lambda space: space.__name__)


def _some(space: PickCellSpace, count: int, seed: int = 0) -> list[Architecture]:
    rng = np.random.default_rng(seed)
    return [space.sample(rng) for _ in range(count)]


# How many cells there are.


@pytest.mark.parametrize(
    ("operations", "nodes", "output", "size"),
    [
        pytest.param(NASNet.operations, 5, "loose", 71_465_842_174_521_600, id="NASNet"),
        pytest.param(AmoebaNet.operations, 5, "loose", 556_627_761_561_600, id="AmoebaNet"),
        pytest.param(PNAS.operations, 5, "all", 556_627_761_561_600, id="PNAS"),
        pytest.param(ENAS.operations, 5, "loose", 5_062_500_000_000, id="ENAS"),
        pytest.param(DARTS_OPERATIONS, 4, "all", 241_591_910_400, id="DARTS as NDS counts it"),
    ],
)
def test_a_cell_space_has_the_size_that_nds_counts(
    operations: Sequence[str], nodes: int, output: Output, size: int
) -> None:
    assert size == PickCell(operations, nodes, output).size()
    assert size == math.prod((len(operations) * i) ** 2 for i in range(2, nodes + 2))


@every_space
def test_the_pair_of_cells_has_the_square_of_their_number(kind_of_space: type[PickCellSpace]) -> None:
    space = kind_of_space()
    normal = space["normal"].weight()

    assert normal == space["reduce"].weight()
    assert normal**2 == space.size()


@pytest.mark.parametrize("output", ["loose", "all"])
def test_enumeration_of_a_shrunken_cell_has_its_size(output: Output) -> None:
    cell = PickCell(("skip_connect", "sep_conv_3x3"), 2, output)

    assert 576 == cell.size() == len(set(cell.enumerate()))


def test_enumeration_of_a_shrunken_pair_has_its_size() -> None:
    space = ENAS(nodes=1)

    assert 10_000 == space.size() == len(set(space.enumerate()))


# Which of them are one network.


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("nodes", "networks"), [(1, 10), (2, 165)])
def test_swapped_picks_and_renamed_nodes_are_one_network(kind: str, nodes: int, networks: int) -> None:
    """Of 4 operations on inputs there are 10 pairs; of the 21 for node 1, 10 leave node 0 alone: 10 * 11 + 55."""
    cell = PickCell(("avg_pool_3x3", "sep_conv_3x3"), nodes, "loose", kind)  # type: ignore[arg-type]
    keys = {cell.canonical_key(a) for a in cell.enumerate()}

    assert networks == len(keys)


@every_space
def test_swapping_the_picks_of_any_node_keeps_the_key(kind_of_space: type[PickCellSpace]) -> None:
    space = kind_of_space()
    for a in _some(space, 3):
        for kind, node in itertools.product(KINDS, range(5)):
            name = f"{kind}.node_{node}."
            swap = {f"{name}{part}_{p}": a[f"{name}{part}_{1 - p}"] for part in ("input", "op") for p in (0, 1)}

            assert space.canonical_key(a) == space.canonical_key(space.architecture({**a, **swap}))


def test_a_normal_cell_is_not_a_reduction_cell() -> None:
    space = ENAS()
    for a in _some(space, 5):
        other = {name.replace("normal", "x").replace("reduce", "normal").replace("x", "reduce"): a[name] for name in a}

        assert space.canonical_key(a) != space.canonical_key(space.architecture(other))


@pytest.mark.parametrize(("kind", "same"), [("normal", True), ("reduce", False)])
def test_a_skip_connection_is_an_identity_unless_it_has_a_stride(kind: str, same: bool) -> None:
    """Node 1 repeats node 0, and node 2 takes both, or node 0 twice: with weights in the skips that is not the same."""
    cell = PickCell(("skip_connect", "sep_conv_3x3"), 3, "all", kind)  # type: ignore[arg-type]
    skips: list[Edge] = [("skip_connect", 0), ("skip_connect", 1)]
    keys = [
        cell.canonical_key(cell.from_picks([*skips, *skips, ("sep_conv_3x3", 2), ("sep_conv_3x3", i)], [2, 3, 4]))
        for i in (2, 3)
    ]

    assert same == (keys[0] == keys[1])


def _ops(graph: nx.DiGraph[str]) -> list[str]:
    return [str(data["op"]) for _, data in graph.nodes(data=True)]


def test_two_equal_picks_are_two_operations() -> None:
    cell = PickCell(("sep_conv_3x3", "skip_connect"), 1)
    graph = cell.graph(cell.from_picks([("sep_conv_3x3", 1), ("sep_conv_3x3", 1)], [2]))

    assert ["sep_conv_3x3"] * 2 == [op for op in _ops(graph) if op in cell.operations]


def test_the_graph_is_the_cell() -> None:
    cell = PickCell(ENAS.operations, 2, "loose", "reduce")
    graph = cell.graph(
        cell.from_picks([("skip_connect", 0), ("max_pool_3x3", 1), ("avg_pool_3x3", 2), ("sep_conv_3x3", 0)], [3])
    )

    strided = {"parameters": {"stride": 2}}
    assert {
        "input_0": {"op": "input_0"},
        "input_1": {"op": "input_1"},
        "node_0": {"op": "sum"},
        "node_1": {"op": "sum"},
        "node_0.op_0": {"op": "skip_connect", **strided},
        "node_0.op_1": {"op": "max_pool_3x3", **strided},
        "node_1.op_0": {"op": "avg_pool_3x3"},
        "node_1.op_1": {"op": "sep_conv_3x3", **strided},
        "concat": {"op": "concat", "parameters": {"cell": "reduce"}},
        "output": {"op": "output"},
    } == {name: data for name, data in graph.nodes(data=True)}
    assert {
        ("input_0", "node_0.op_0"),
        ("input_1", "node_0.op_1"),
        ("node_0.op_0", "node_0"),
        ("node_0.op_1", "node_0"),
        ("node_0", "node_1.op_0"),
        ("input_0", "node_1.op_1"),
        ("node_1.op_0", "node_1"),
        ("node_1.op_1", "node_1"),
        ("node_1", "concat"),
        ("concat", "output"),
    } == set(graph.edges)


@every_space
def test_the_graph_of_a_pair_holds_both_cells(kind_of_space: type[PickCellSpace]) -> None:
    space = kind_of_space()
    for a in _some(space, 5):
        graph = space.graph(a)

        assert {"input_0", "input_1"} == {op for op in _ops(graph) if op.startswith("input")}
        assert {"normal.concat", "reduce.concat"} == set(graph.predecessors("output"))
        for kind in KINDS:
            outputs = space.kinds[kind].outputs(a, f"{kind}.")
            assert {f"{kind}.node_{i}" for i in outputs} == set(graph.predecessors(f"{kind}.concat"))


# What it is called.


@every_space
def test_strings_and_genotypes_name_every_architecture_both_ways(kind_of_space: type[PickCellSpace]) -> None:
    space = kind_of_space()
    for a in _some(space, 20):
        assert a == space.from_string(space.to_string(a))
        assert a == space.from_genotype(space.to_genotype(a))


@every_space
def test_published_architectures_are_written_as_they_were(kind_of_space: type[PickCellSpace]) -> None:
    space = kind_of_space()
    for name, text in space.architectures.items():
        assert text == space.to_string(space.named(name))


def test_parameters_have_readable_names() -> None:
    names = list(ENAS(nodes=1).parameters())

    expected = [f"{kind}.node_0.{part}" for kind in KINDS for part in ("input_0", "op_0", "input_1", "op_1")]
    assert expected == names


GOOD = (("skip_connect", 0), ("sep_conv_3x3", 1), ("avg_pool_3x3", 2), ("sep_conv_3x3", 0))


@pytest.mark.parametrize(
    ("picks", "concat", "message"),
    [
        pytest.param(GOOD[:2], (2,), r"2 edges in a cell of 2 nodes", id="too few picks"),
        pytest.param((*GOOD, *GOOD[2:]), (3,), r"6 edges in a cell of 2 nodes", id="too many picks"),
        pytest.param(
            (*GOOD[:2], ("skip_connect", 3), GOOD[3]),
            (3,),
            r"Node 3 of the normal cell takes the tensor 3.*0 to 2",
            id="itself",
        ),
        pytest.param(
            (("conv_1x1", 0), *GOOD[1:]),
            (3,),
            r"Node 2 of the normal cell has the operation 'conv_1x1'.*max_pool_3x3",
            id="operation",
        ),
        pytest.param(GOOD, (2, 3), r"normal cell concatenates \[2, 3\].*output='loose'.*\[3\]", id="too much output"),
        pytest.param(GOOD, (2,), r"normal cell concatenates \[2\].*\[3\]", id="other output"),
        pytest.param(
            (("skip_connect", 2, 0), ("skip_connect", 2, 1), ("skip_connect", 3, 0)),
            (3,),
            r"Node 3 of the normal cell has 1 picks",
            id="one pick",
        ),
    ],
)
def test_a_genotype_that_is_no_cell_of_the_space_is_refused(
    picks: tuple[Edge, ...], concat: tuple[int, ...], message: str
) -> None:
    with pytest.raises(ArchitectureError, match=message):
        ENAS(nodes=2).from_genotype(Genotype(picks, concat, GOOD, (3,)))


def test_the_rule_of_concatenation_decides_which_genotype_fits() -> None:
    both, loose = (Genotype(GOOD, concat, GOOD, concat) for concat in ((2, 3), (3,)))

    assert both == ENAS(nodes=2, output="all").to_genotype(ENAS(nodes=2, output="all").from_genotype(both))
    assert loose == ENAS(nodes=2, output="loose").to_genotype(ENAS(nodes=2, output="loose").from_genotype(loose))
    with pytest.raises(ArchitectureError, match=r"output='all'"):
        ENAS(nodes=2, output="all").from_genotype(loose)


def test_a_mapping_that_is_no_architecture_is_refused_by_name() -> None:
    space = ENAS()
    whole = dict(_some(space, 1)[0])
    for reading in (space.graph, space.to_string, space.to_genotype):
        with pytest.raises(ArchitectureError, match="no value for `reduce.node_4.op_1`"):
            reading({name: value for name, value in whole.items() if name != "reduce.node_4.op_1"})
        with pytest.raises(ArchitectureError, match=r"`normal.node_0.input_1` has the impossible value 'node_0'"):
            reading({**whole, "normal.node_0.input_1": "node_0"})


# What a space can be made of.


@pytest.mark.parametrize("argument", ["num_classes", "in_channels", "channels", "cells"])
def test_an_impossible_size_is_refused_by_name(argument: str) -> None:
    with pytest.raises(SpaceError, match=f"NASNet: `{argument}` is 0; it is at least 1"):
        NASNet(**{argument: 0})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"nodes": 0}, "`nodes` is 0; it is at least 1"),
        ({"output": "last"}, "no output of a cell 'last'"),
        ({"stem": "mnist"}, "no stem 'mnist'"),
        ({"drop_path": 1.0}, "drop-path rate is 1.0"),
    ],
)
def test_an_impossible_argument_is_refused(arguments: Mapping[str, object], message: str) -> None:
    with pytest.raises((SpaceError, UnknownNameError), match=message):
        NASNet(**arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("operations", "message"),
    [((), "give at least one"), (("skip_connect",) * 2, "each once"), (("sep_conv_9x9",), "Did you mean 'sep_conv_")],
)
def test_impossible_operations_are_refused(operations: tuple[str, ...], message: str) -> None:
    with pytest.raises((SpaceError, UnknownNameError), match=message):
        PickCell(operations)


@every_space
def test_the_repr_makes_the_space_again(kind_of_space: type[PickCellSpace]) -> None:
    made = kind_of_space(100, 1, channels=8, cells=6, nodes=2, output="all", auxiliary=True, drop_path=0.2)
    again = eval(repr(made), dict(BY_NAME))

    assert repr(made) == repr(again)
    assert made.signature() == again.signature()


def test_a_constrained_space_is_read_as_the_whole_one() -> None:
    def few(a: Mapping[str, Value]) -> bool:
        return "node_0" not in a.values()

    space = ENAS(nodes=2).where(few, "no use of node 0")
    a = _some(space, 1)[0]

    assert a == space.from_string(space.to_string(a))
    with pytest.raises(SpaceError, match="no use of node 0"):
        space.from_genotype(Genotype(GOOD, (3,), GOOD, (3,)))
