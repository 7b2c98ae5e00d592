"""DARTS: sizes, published cells with their costs, genotypes, graphs, networks."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
import torch
from torch import nn

from nas_tune.costs import profile
from nas_tune.errors import ArchitectureError, NasTuneError, UnknownNameError
from nas_tune.search_spaces.cell_network import DropPath
from nas_tune.search_spaces.darts import DARTS, PRIMITIVES, DARTSCell, live_nodes
from nas_tune.space import Architecture

GOLDEN = json.loads((Path(__file__).parent / "golden" / "darts.json").read_text())
TWO = ("sep_conv_3x3", "max_pool_3x3")  # no identity among them
SPARSE = "Genotype(normal={}, normal_concat=[2, 3, 4, 5], reduce={}, reduce_concat=[2, 3, 4, 5])"


def _small(operations: Sequence[str] = PRIMITIVES, **arguments: object) -> DARTS:
    sizes: dict[str, object] = {"channels": 4, "cells": 3, **arguments}
    return DARTS(operations=operations, **sizes)  # type: ignore[arg-type]


def _some(space: DARTS, count: int, seed: int = 0) -> list[Architecture]:
    rng = np.random.default_rng(seed)
    return [space.sample(rng) for _ in range(count)]


def _genotype(normal: str, reduce: str = "sep_conv_3x3-2-0") -> str:
    """Write cells given as words `operation-node-input`."""
    cells = []
    for text in (normal, reduce):
        edges = [word.split("-") for word in text.split()]
        cells.append([(op, int(node), int(source)) for op, node, source in edges])
    return SPARSE.format(*cells)


# Sizes.


def test_one_cell_has_the_published_number_of_forms() -> None:
    space = DARTS()
    cell = space["normal"]
    by_formula = math.prod(math.comb(k, 2) for k in range(2, 6)) * 7**8

    assert 1_037_664_180 == by_formula == cell.weight() == space["reduce"].weight()
    assert 1_037_664_180**2 == space.size()


def test_a_small_space_has_as_many_architectures_as_it_enumerates() -> None:
    space = DARTS(nodes=2, operations=TWO)
    found = list(space.enumerate())

    assert (1 * 2**2 * 3 * 2**2) ** 2 == space.size() == len(found) == len(set(found))


# Published cells.


def _operations(module: nn.Module, image: Sequence[int]) -> int:
    """Multiply-adds, two for each element of a batch norm, one for each of a ReLU."""
    elements: list[int] = []
    weights = {nn.BatchNorm2d: 2, nn.ReLU: 1}
    for part in module.modules():
        if (weight := weights.get(type(part))) is not None:
            part.register_forward_hook(lambda _, __, y, weight=weight: elements.append(weight * y.numel()))
    macs = profile(module, image).macs
    return macs + sum(elements)


def _millions_agree(measured: int, published: str) -> bool:
    """Within one unit of the last published digit: some publications round, some truncate."""
    decimals = len(published.partition(".")[2])
    return abs(measured / 1e6 - float(published)) < 10.0**-decimals


@pytest.mark.parametrize(
    "name", [n if n == "DARTS-V2 (CIFAR-10)" else pytest.param(n, marks=pytest.mark.slow) for n in GOLDEN]
)
def test_published_networks_cost_what_is_recorded_and_published(name: str) -> None:
    golden = GOLDEN[name]
    space = DARTS(**golden["arguments"])
    with torch.device("meta" if golden["image"][1] > 32 else "cpu"):
        network = space.build(space.named(golden["architecture"]))
    cost = profile(network, golden["image"])
    measured = {"parameters": cost.parameters, "macs": cost.macs, "operations": 0}
    if "operations" in golden["published_millions"]:
        measured["operations"] = _operations(network, golden["image"])

    assert (golden["parameters"], golden["macs"]) == (cost.parameters, cost.macs)
    for quantity, published in golden["published_millions"].items():
        assert _millions_agree(measured[quantity], published), quantity
    for quantity, published in golden["published_but_missed"].items():
        assert not _millions_agree(measured[quantity], published), quantity


def test_every_published_cell_has_a_golden_cost() -> None:
    assert DARTS.architectures.keys() == {golden["architecture"] for golden in GOLDEN.values()}


@pytest.mark.parametrize("name", DARTS.architectures)
def test_published_cells_survive_writing_and_reading(name: str) -> None:
    space = DARTS(operations=PRIMITIVES)
    cell = space.named(name)

    assert cell == space.from_string(space.to_string(cell)) == space.from_genotype(space.to_genotype(cell))
    inputs = [edge[-1] for edge in space.to_genotype(cell).normal]
    assert all(first < second for first, second in zip(inputs[::2], inputs[1::2], strict=True))


def test_the_second_order_cell_is_the_published_one() -> None:
    cell = DARTS().named("DARTS-V2").part("normal")

    assert {
        "node_0": "input_0,input_1",
        "node_0.input_0": "sep_conv_3x3",
        "node_0.input_1": "sep_conv_3x3",
        "node_1": "input_0,input_1",
        "node_1.input_0": "sep_conv_3x3",
        "node_1.input_1": "sep_conv_3x3",
        "node_2": "input_0,input_1",
        "node_2.input_0": "skip_connect",
        "node_2.input_1": "sep_conv_3x3",
        "node_3": "input_0,node_0",
        "node_3.input_0": "skip_connect",
        "node_3.node_0": "dil_conv_3x3",
    } == dict(cell)


def test_cells_with_fewer_edges_say_which_space_holds_them() -> None:
    with pytest.raises(ArchitectureError, match=r"fewer than two operations.*DARTS\(operations=PRIMITIVES\)"):
        DARTS().named("FairDARTS-a")
    with pytest.raises(UnknownNameError, match="Did you mean 'P-DARTS'"):
        DARTS().named("PDARTS")


# Genotypes.


def test_random_architectures_survive_writing_and_reading() -> None:
    for space in (DARTS(), DARTS(operations=PRIMITIVES), DARTS(nodes=7)):
        for architecture in _some(space, 20):
            assert architecture == space.from_string(space.to_string(architecture))


@pytest.mark.parametrize(
    ("normal", "message"),
    [
        ("sep_conv_3x3-2-0 sep_conv_3x3-2-0", r"inputs \[0, 0\]"),
        ("sep_conv_3x3-2-0 sep_conv_3x3-2-1 skip_connect-3-0 skip_connect-3-1 skip_connect-3-2", r"inputs \[0, 1, 2\]"),
        ("sep_conv_3x3-2-2", r"inputs \[2\]; .* 0 to 1"),
        ("sep_conv_7x7-2-0", "Node 2 of the normal cell has the operation 'sep_conv_7x7'"),
        ("sep_conv_3x3-6-0", "nodes being 2 to 5"),
    ],
)
def test_cells_of_other_spaces_are_refused(normal: str, message: str) -> None:
    with pytest.raises(ArchitectureError, match=message):
        _small().from_string(_genotype(normal))


def test_another_concatenation_is_refused() -> None:
    text = _genotype("sep_conv_3x3-2-0 sep_conv_3x3-5-0")
    live = _small().from_string(text.replace("normal_concat=[2, 3, 4, 5]", "normal_concat=[5, 2]"))

    assert _small().from_string(text) == live
    with pytest.raises(ArchitectureError, match=r"concatenates the nodes \[3\]; in this space it is \[2, 5\]"):
        _small().from_string(text.replace("normal_concat=[2, 3, 4, 5]", "normal_concat=[3]"))


# Graphs and canonical keys.


def test_the_graph_holds_both_cells_on_the_same_inputs() -> None:
    space = _small()
    cell = space.from_string(_genotype("skip_connect-3-0 sep_conv_3x3-5-3 max_pool_3x3-4-2", "skip_connect-2-1"))
    graph = space.graph(cell)

    assert {
        "input_0": "input_0",
        "input_1": "input_1",
        "normal.node_1": "sum",
        "normal.node_1.input_0": "skip_connect",
        "normal.node_3": "sum",
        "normal.node_3.node_1": "sep_conv_3x3",
        "normal.concat": "concat",
        "reduce.node_0": "sum",
        "reduce.node_0.input_1": "skip_connect",
        "reduce.concat": "concat",
        "output": "output",
    } == {node: attributes["op"] for node, attributes in graph.nodes(data=True)}
    assert {
        ("input_0", "normal.node_1.input_0"),
        ("normal.node_1.input_0", "normal.node_1"),
        ("normal.node_1", "normal.node_3.node_1"),
        ("normal.node_3.node_1", "normal.node_3"),
        ("normal.node_1", "normal.concat"),
        ("normal.node_3", "normal.concat"),
        ("input_1", "reduce.node_0.input_1"),
        ("reduce.node_0.input_1", "reduce.node_0"),
        ("reduce.node_0", "reduce.concat"),
        ("normal.concat", "output"),
        ("reduce.concat", "output"),
    } == set(graph.edges)


def test_equal_keys_are_isomorphic_graphs() -> None:
    """Without identities among the operations, nothing but the order of nodes and edges can be equal."""
    space = DARTS(nodes=2, operations=TWO)
    first = next(space.enumerate()).part("reduce")
    cells = [a for a in space.enumerate() if a.part("reduce") == first]
    classes: list[nx.DiGraph[str]] = []
    for graph in map(space.graph, cells):
        if not any(nx.vf2pp_is_isomorphic(graph, known, node_label="op") for known in classes):
            classes.append(graph)

    assert 48 == len(cells)
    assert len(classes) == len({space.canonical_key(cell) for cell in cells}) < 48


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        pytest.param(
            "sep_conv_3x3-2-0 max_pool_3x3-3-1 dil_conv_3x3-4-2",
            "max_pool_3x3-2-1 sep_conv_3x3-3-0 dil_conv_3x3-4-3",
            True,
            id="nodes in another order",
        ),
        pytest.param("sep_conv_3x3-2-0", "sep_conv_3x3-5-0", True, id="dead nodes before"),
        pytest.param("sep_conv_3x3-2-0", "sep_conv_3x3-2-1", False, id="another input"),
        pytest.param("sep_conv_3x3-2-0", "sep_conv_5x5-2-0", False, id="another operation"),
        pytest.param(
            "sep_conv_3x3-2-0 skip_connect-3-2",
            "sep_conv_3x3-2-0 sep_conv_3x3-3-0",
            False,
            id="one convolution used twice, and two of the same input",
        ),
    ],
)
def test_the_canonical_key_tells_networks_apart_and_cells_not(one: str, other: str, same: bool) -> None:
    space = _small()
    for write in (_genotype, lambda cell: _genotype("sep_conv_3x3-2-0", cell)):
        keys = [space.canonical_key(space.from_string(write(text))) for text in (one, other)]

        assert same == (keys[0] == keys[1])


def test_a_skip_of_stride_two_has_weights_and_is_no_identity() -> None:
    own = "skip_connect-2-0 skip_connect-2-1 skip_connect-3-0 skip_connect-3-1"
    shared = "skip_connect-2-0 skip_connect-2-1 skip_connect-3-2"
    space = _small()

    def equal(write: object) -> bool:
        one, other = (space.from_string(write(cell)) for cell in (own, shared))  # type: ignore[operator]
        return space.canonical_key(one) == space.canonical_key(other)

    assert equal(_genotype)
    assert not equal(lambda cell: _genotype("sep_conv_3x3-2-0", cell))


def test_the_normal_and_the_reduction_cell_are_not_interchangeable() -> None:
    space = _small()
    cells = ("sep_conv_3x3-2-0", "max_pool_3x3-2-0")
    keys = {space.canonical_key(space.from_string(_genotype(*pair))) for pair in (cells, cells[::-1])}

    assert 2 == len(keys)


# Networks.


@torch.no_grad()
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 32, 32), (3, 1, 1), (3, 7, 5)])
def test_random_architectures_run_on_images_of_any_size(shape: tuple[int, ...]) -> None:
    for space in (_small(), _small(stem="imagenet", nodes=2)):
        for architecture in _some(space, 4):
            output = space.build(architecture).eval()(torch.randn(2, *shape))

            assert (2, 10) == output.shape
            assert output.isfinite().all()


@torch.no_grad()
@pytest.mark.parametrize(
    "arguments", [{}, {"affine": False}, {"auxiliary": True, "stem": "imagenet"}, {"operations": TWO, "nodes": 2}]
)
def test_extracted_networks_compute_what_the_super_net_computes(arguments: dict[str, object]) -> None:
    torch.manual_seed(0)
    space = _small(**arguments)  # type: ignore[arg-type]
    supernet = space.supernet()
    x = torch.randn(4, 3, 8, 8)
    for p in supernet.parameters():
        p.add_(torch.randn_like(p) * 0.1)
    for architecture in _some(space, 3, seed=1):
        supernet.train()(x + 0.5, architecture)
    supernet.eval()
    outputs = []
    for architecture in _some(space, 3):
        alone = supernet.extract(architecture)
        outputs.append(supernet(x, architecture))

        assert (outputs[-1] - alone(x)).abs().max() < 1e-5
        assert space.build(architecture).state_dict().keys() == alone.state_dict().keys()
    assert torch.stack(outputs).std(0).min() > 0


@torch.no_grad()
def test_nodes_that_nothing_enters_leave_the_concatenation() -> None:
    space = _small()
    architecture = space.from_string(_genotype("max_pool_3x3-2-0 sep_conv_3x3-4-0 skip_connect-5-3"))
    cells = [m for m in space.build(architecture).modules() if isinstance(m, DARTSCell)]

    assert (0, 2) == live_nodes("normal", 4, architecture)
    assert [2 * 4, 1 * 8, 1 * 16] == [len(cell.out_channels) for cell in cells]  # type: ignore[arg-type]


def test_a_cell_without_any_operation_is_zeros() -> None:
    space = _small()
    nothing = space.from_string(_genotype("none-2-0", "none-2-0"))

    assert (0, 1, 2, 3) == live_nodes("normal", 4, nothing)
    assert (2, 10) == space.build(nothing)(torch.randn(2, 3, 8, 8)).shape


@torch.no_grad()
def test_a_cell_concatenates_the_sums_of_its_operations() -> None:
    space = DARTS(channels=4, cells=3)
    cell = next(m for m in space.build(space.named("DARTS-V2")).eval().modules() if isinstance(m, DARTSCell))
    s0, s1 = torch.randn(2, 12, 6, 6), torch.randn(2, 12, 6, 6)
    a, b = cell.inputs(s0, s1)
    parts = [node.parts for node in cell.nodes]  # the inputs of a node stand in ascending order
    one, two = (p[0](a) + p[1](b) for p in parts[:2])  # type: ignore[index, operator]
    three = a + parts[2][1](b)  # type: ignore[index, operator]
    four = a + parts[3][1](one)  # type: ignore[index, operator]

    torch.testing.assert_close(torch.cat([one, two, three, four], 1), cell(s0, s1))


def test_drop_path_stands_behind_every_operation_but_the_identity() -> None:
    space = DARTS(channels=4, cells=3)
    network = space.build(space.named("DARTS-V2"))
    per_cell = [
        sum(isinstance(m, DropPath) for m in c.modules()) for c in network.modules() if isinstance(c, DARTSCell)
    ]

    # the normal cell has two identities; of the reduction cell's three skips none leads from its inputs
    assert [6, 5, 5] == per_cell


def test_a_search_network_has_no_scale_in_its_cells_and_norms_behind_pooling() -> None:
    network = _small(affine=False).supernet()
    cells = [m for m in network.modules() if isinstance(m, DARTSCell)]
    norms = [m for cell in cells for m in cell.modules() if isinstance(m, nn.BatchNorm2d)]
    pools = sum(isinstance(m, (nn.MaxPool2d, nn.AvgPool2d)) for cell in cells for m in cell.modules())
    with_scale = [m for m in _small().supernet().modules() if isinstance(m, nn.BatchNorm2d)]

    assert norms and not any(norm.affine for norm in norms)
    assert 3 * 14 * 2 == pools == len([m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]) - len(with_scale)


# Arguments.


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"channels": 0}, "`channels` is 0"),
        ({"cells": 1.5}, "`cells` is 1.5"),
        ({"nodes": 16}, "at most 15"),
        ({"operations": ()}, "give one or more, each once"),
        ({"operations": ("skip_connect", "skip_connect")}, "give one or more, each once"),
        ({"operations": ("sep_conv_9x9",)}, "no operation of DARTS 'sep_conv_9x9'"),
    ],
)
def test_impossible_arguments_are_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(NasTuneError, match=message):
        DARTS(**arguments)  # type: ignore[arg-type]


def test_the_repr_makes_the_space_again() -> None:
    made = DARTS(5, 1, 8, 3, 2, PRIMITIVES, "imagenet", False, True)

    assert repr(made) == repr(eval(repr(made), {"DARTS": DARTS}))
    assert made.signature() == eval(repr(made), {"DARTS": DARTS}).signature()
