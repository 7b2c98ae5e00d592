"""NAS-Bench-201: its names, its network in closed form, and the published parameter counts."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Mapping
from pathlib import Path

import cloudpickle  # type: ignore[import-untyped]  # ships no types
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nas_tune.costs import profile
from nas_tune.errors import ArchitectureError, SpaceError
from nas_tune.search_spaces import SPACES, NASBench201
from nas_tune.search_spaces.nas_bench_201 import Cell, ReductionBlock
from nas_tune.space import Architecture, Value
from nas_tune.supernet import LayerChoice

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
EDGES = ("edge_0_1", "edge_0_2", "edge_1_2", "edge_0_3", "edge_1_3", "edge_2_3")
EVERY = "|{}~0|+|{}~0|{}~1|+|{}~0|{}~1|{}~2|"


@pytest.fixture(scope="module")
def space() -> NASBench201:
    return NASBench201()


@pytest.fixture(scope="module")
def small() -> NASBench201:
    return NASBench201(channels=4, cells_per_stage=1, num_classes=10)


def _some(space: NASBench201, count: int, seed: int = 0) -> list[Architecture]:
    rng = np.random.default_rng(seed)
    return [space.sample(rng) for _ in range(count)]


def test_the_command_line_knows_it() -> None:
    assert NASBench201 is SPACES["nas-bench-201"]


@pytest.mark.slow
def test_string_and_index_name_every_cell_both_ways(space: NASBench201) -> None:
    for index, ops in enumerate(itertools.product(OPERATIONS, repeat=6)):
        cell = space.from_index(index)

        assert ops == tuple(cell.values())
        assert index == space.index(cell)
        assert EVERY.format(*ops) == space.to_string(cell)
        assert cell == space.from_string(EVERY.format(*ops))
    assert index == 15_624
    assert 15_625 == space.size()


def test_indices_follow_the_enumeration(space: NASBench201) -> None:
    for index, cell in zip(range(2_000), space.enumerate(), strict=False):
        assert index == space.index(cell)


def test_the_edges_of_the_string_are_those_of_the_space(space: NASBench201) -> None:
    cell = space.from_string("|none~0|+|skip_connect~0|nor_conv_1x1~1|+|nor_conv_3x3~0|avg_pool_3x3~1|none~2|")

    assert dict(zip(EDGES, (*OPERATIONS, "none"), strict=True)) == dict(cell)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "|none~0|",
        "|none~0|+|none~0|none~1|",
        EVERY.format(*["none"] * 6)[:-1],
        EVERY.format(*["none"] * 6) + "|",
        "cell " + EVERY.format(*["none"] * 6),
        EVERY.format(*["none"] * 6).replace("+", "", 1) + "+",
        EVERY.format(*["none"] * 6).replace("~1", "~2", 1),
        EVERY.format(*["none"] * 6) + "\n",
    ],
)
def test_text_of_another_form_is_no_cell(space: NASBench201, text: str) -> None:
    with pytest.raises(ArchitectureError, match=r"is no NAS-Bench-201 cell: write it like '\|op~0\|\+"):
        space.from_string(text)


def test_an_unknown_operation_in_a_string_names_its_edge(space: NASBench201) -> None:
    with pytest.raises(ArchitectureError, match="`edge_1_2` has the impossible value 'conv'.*nor_conv_3x3"):
        space.from_string(EVERY.format("none", "none", "conv", "none", "none", "none"))


@pytest.mark.parametrize("index", [-1, 15_625])
def test_an_index_without_a_cell_is_refused(space: NASBench201, index: int) -> None:
    with pytest.raises(ArchitectureError, match=f"`index` is {index}; NAS-Bench-201 has the cells 0 to 15624"):
        space.from_index(index)


def test_an_index_is_a_whole_number(space: NASBench201) -> None:
    assert space.from_index(7) == space.from_index(np.int64(7))  # type: ignore[arg-type]
    with pytest.raises(SpaceError, match="`index` is 7.5; give a whole number"):
        space.from_index(7.5)  # type: ignore[arg-type]


@pytest.mark.parametrize("reading", ["graph", "to_string", "index"])
def test_a_mapping_that_is_no_cell_is_refused_by_name(space: NASBench201, reading: str) -> None:
    whole = dict(space.from_index(0))

    with pytest.raises(ArchitectureError, match="no value for `edge_2_3`"):
        getattr(space, reading)({name: op for name, op in whole.items() if name != "edge_2_3"})
    with pytest.raises(ArchitectureError, match="`edge_0_3` has the impossible value 'conv'"):
        getattr(space, reading)({**whole, "edge_0_3": "conv"})


@pytest.mark.parametrize("argument", ["channels", "cells_per_stage", "num_classes", "in_channels"])
@pytest.mark.parametrize(
    ("value", "message"),
    [
        (0, "is 0; it is at least 1"),
        (-3, "is -3; it is at least 1"),
        (2.5, "is 2.5; give a whole number"),
        ("16", "is '16'; give a finite number"),
        (True, "is True; give a finite number"),
    ],
)
def test_an_impossible_size_is_refused_by_name(argument: str, value: int, message: str) -> None:
    with pytest.raises(SpaceError, match=f"NASBench201: `{argument}` {message}"):
        NASBench201(**{argument: value})


# The network in closed form: 16 channels, 5 cells in each stage, 32 x 32 images.

STAGES = ((16, 32), (32, 16), (64, 8))  # channels, side
KERNEL_AREA = {"nor_conv_1x1": 1, "nor_conv_3x3": 9}


def _parameters(cell: Mapping[str, Value], num_classes: int = 10) -> int:
    total = 3 * 16 * 9 + 2 * 16 + 2 * 64 + (64 * num_classes + num_classes)  # stem, last batch norm, classifier
    for c in (32, 64):  # reduction: two 3x3 convolutions with batch norm, a 1x1 shortcut
        total += (c // 2) * c * 9 + 2 * c + c * c * 9 + 2 * c + (c // 2) * c
    for op in cell.values():
        total += sum(5 * (KERNEL_AREA[str(op)] * c * c + 2 * c) for c, _ in STAGES if op in KERNEL_AREA)
    return total


def _macs(cell: Mapping[str, Value], num_classes: int = 10) -> int:
    total = 3 * 16 * 9 * 32 * 32 + 64 * num_classes
    for c, side in STAGES[1:]:
        total += ((c // 2) * c * 9 + c * c * 9 + (c // 2) * c) * side**2
    for op in cell.values():
        total += sum(5 * KERNEL_AREA[str(op)] * c * c * side**2 for c, side in STAGES if op in KERNEL_AREA)
    return total


@pytest.mark.parametrize("op", OPERATIONS)
def test_parameters_and_multiply_adds_are_those_of_the_closed_form(space: NASBench201, op: str) -> None:
    for cell in (space.from_string(EVERY.format(*[op] * 6)), _some(space, 5)[OPERATIONS.index(op)]):
        cost = profile(space.build(cell), (3, 32, 32))

        assert (_parameters(cell), _macs(cell)) == (cost.parameters, cost.macs)


def _expression(cell: Mapping[str, Value]) -> str:
    """Write the cell out as a sum of terms, which does not tell a shared operation from two with the same input."""
    nodes = ["x", "", "", ""]
    for target in (1, 2, 3):
        edges = [(source, str(cell[f"edge_{source}_{target}"])) for source in range(target)]
        terms = (nodes[source] if op == "skip_connect" else f"{op}({nodes[source]})" for source, op in edges)
        nodes[target] = "+".join(sorted(terms))
    return nodes[3]


@pytest.mark.data
@pytest.mark.slow
def test_parameters_are_the_published_ones(space: NASBench201, data_dir: Path) -> None:
    """All but 150 cells: the table gives those the figure of another cell with the same expression."""
    with np.load(data_dir / "nas_bench_201" / "nas_bench_201.npz") as table:
        strings, ops, rows = table["arch_str"], table["ops"], table["arch"]
        published = {name: table[f"{name}/params_mb"] for name in ("cifar10", "cifar100", "ImageNet16-120")}
    cells = [space.from_string(str(text)) for text in strings]

    assert OPERATIONS == tuple(ops)
    assert 15_625 == len(set(cells))
    assert all(tuple(cell.values()) == tuple(ops[row]) for cell, row in zip(cells, rows, strict=True))
    for (name, sizes), classes in zip(published.items(), (10, 100, 120), strict=True):
        ours = np.array([_parameters(cell, classes) for cell in cells])
        theirs = np.rint(sizes.astype(np.float64) * 1e6)
        alike: dict[str, set[int]] = {}
        for cell, size in zip(cells, ours, strict=True):
            alike.setdefault(_expression(cell), set()).add(size)

        other = np.flatnonzero(np.abs(ours - theirs) > 1)
        assert 150 == len(other), name
        assert all(min(abs(size - theirs[i]) for size in alike[_expression(cells[i])]) <= 1 for i in other)


def test_the_operations_are_the_published_ones(space: NASBench201) -> None:
    """Type and settings of every layer, in the order in which they run."""
    supernet = NASBench201(channels=4, cells_per_stage=1).supernet()
    edge = _cell(supernet.network).edges[0]
    assert isinstance(edge, LayerChoice)
    none, skip, conv1, conv3, pool = edge.candidates

    assert OPERATIONS == edge.values
    assert not list(none.parameters()) and isinstance(skip, nn.Identity)
    for block, kernel in ((conv1, 1), (conv3, 3)):
        relu, conv, norm = block.children()
        assert isinstance(relu, nn.ReLU) and isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)
        assert ((kernel, kernel), (1, 1), (kernel // 2, kernel // 2)) == (conv.kernel_size, conv.stride, conv.padding)
        assert conv.bias is None
        assert norm.affine and norm.track_running_stats
    assert isinstance(pool, nn.AvgPool2d)
    assert (3, 1, 1, False) == (pool.kernel_size, pool.stride, pool.padding, pool.count_include_pad)


def _cell(network: nn.Module) -> Cell:
    return next(module for module in network.modules() if isinstance(module, Cell))


def test_the_layers_stand_in_the_published_order(space: NASBench201) -> None:
    network = space.build(space.from_index(0))
    assert isinstance(network, nn.Sequential)
    names = [type(layer).__name__ for layer in network]

    cells, reduction = ["Cell"] * 5, ["ReductionBlock"]
    end = ["BatchNorm2d", "ReLU", "AdaptiveAvgPool2d", "Flatten", "Linear"]
    assert ["GreyToColour", "Conv2d", "BatchNorm2d", *cells, *reduction, *cells, *reduction, *cells, *end] == names


def _cell_by_hand(edges: nn.ModuleList, x: Tensor) -> Tensor:
    one = edges[0](x)
    two = edges[1](x) + edges[2](one)
    three: Tensor = edges[3](x) + edges[4](one) + edges[5](two)
    return three


@torch.no_grad()
def test_a_cell_sums_its_edges(small: NASBench201) -> None:
    x = torch.randn(2, 4, 6, 6)
    for cell in _some(small, 10):
        network = small.build(cell).eval()

        torch.testing.assert_close(_cell_by_hand(_cell(network).edges, x), _cell(network)(x))


@torch.no_grad()
def test_the_reduction_block_adds_a_pooled_shortcut(small: NASBench201) -> None:
    network = small.build(small.from_index(0)).eval()
    block = next(module for module in network.modules() if isinstance(module, ReductionBlock))
    x = torch.randn(2, 4, 8, 8)

    pooled = x.unfold(2, 2, 2).unfold(3, 2, 2).mean((-1, -2))
    expected = block.second(block.first(x)) + block.shortcut[1](pooled)
    assert (2, 8, 4, 4) == block(x).shape
    torch.testing.assert_close(expected, block(x))


@torch.no_grad()
@pytest.mark.parametrize("shape", [(1, 1), (5, 7), (9, 8), (13, 13), (28, 28), (2, 31)])
def test_images_of_any_size_run_through_every_operation(small: NASBench201, shape: tuple[int, int]) -> None:
    supernet = small.supernet().eval()
    for op in OPERATIONS:
        output = supernet(torch.randn(2, 3, *shape), small.from_string(EVERY.format(*[op] * 6)))

        assert (2, 10) == output.shape
        assert output.isfinite().all()


@torch.no_grad()
def test_grey_images_are_repeated_over_the_colours(small: NASBench201) -> None:
    network = small.build(_some(small, 1)[0]).eval()
    grey = torch.randn(2, 1, 8, 8)

    assert torch.equal(network(grey.repeat(1, 3, 1, 1)), network(grey))


@torch.no_grad()
def test_one_channel_networks_take_grey_images_as_they_are() -> None:
    space = NASBench201(channels=2, cells_per_stage=1, in_channels=1)
    network = space.build(space.from_index(15_624))
    assert isinstance(network, nn.Sequential)
    grey = torch.randn(2, 1, 8, 8)

    assert grey is network[0](grey)
    assert (2, 10) == network(grey).shape


def test_grey_images_can_be_trained_on(small: NASBench201) -> None:
    """The repeated channels share memory; nothing writes to them in place."""
    network = small.build(small.from_string(EVERY.format(*["nor_conv_3x3"] * 6)))
    grey = torch.randn(2, 1, 8, 8)
    before = grey.clone()
    network(grey).sum().backward()

    assert torch.equal(before, grey)
    assert all(p.grad is not None for p in network.parameters())


@pytest.mark.slow
@torch.no_grad()
def test_fifty_extracted_cells_compute_what_the_super_net_computes(small: NASBench201) -> None:
    torch.manual_seed(0)
    supernet = small.supernet()
    for p in supernet.parameters():
        p.add_(torch.randn_like(p) * 0.1)
    for cell in _some(small, 30, seed=1):  # statistics of batch norms differ from their first values
        supernet.train()(torch.randn(8, 3, 8, 8) + 0.5, cell)
    supernet.eval()
    x = torch.randn(4, 3, 8, 8)
    outputs = []
    for cell in _some(small, 50):
        alone = supernet.extract(cell)
        outputs.append(supernet(x, cell))

        assert (outputs[-1] - alone(x)).abs().max() < 1e-5
        assert small.build(cell).state_dict().keys() == alone.state_dict().keys()
    assert torch.stack(outputs).std(0).min() > 0.01


@torch.no_grad()
def test_copies_compute_the_same(small: NASBench201) -> None:
    supernet = small.supernet().eval()
    x = torch.randn(2, 3, 8, 8)
    for other in (copy.deepcopy(supernet), cloudpickle.loads(cloudpickle.dumps(supernet))):
        for cell in _some(small, 3):
            assert torch.equal(supernet(x, cell), other(x, cell))
    for again in (copy.deepcopy(small), cloudpickle.loads(cloudpickle.dumps(small))):
        assert repr(small) == repr(again)
        assert small.signature() == again.signature()
        assert small.from_index(99) == again.from_index(99)


def test_the_repr_makes_the_space_again() -> None:
    made = NASBench201(8, 2, 100, 1)

    assert repr(made) == "NASBench201(channels=8, cells_per_stage=2, num_classes=100, in_channels=1)"
    assert vars(eval(repr(made), {"NASBench201": NASBench201})).keys() == vars(made).keys()


def test_the_graph_leaves_none_out_and_joins_the_rest(space: NASBench201) -> None:
    cell = space.from_string("|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|none~1|nor_conv_1x1~2|")
    graph = space.graph(cell)

    assert {
        "input": "input",
        "0->1": "nor_conv_3x3",
        "1->2": "skip_connect",
        "0->3": "avg_pool_3x3",
        "2->3": "nor_conv_1x1",
        "output": "output",
    } == {node: attributes["op"] for node, attributes in graph.nodes(data=True)}
    assert {
        ("input", "0->1"),
        ("0->1", "1->2"),
        ("input", "0->3"),
        ("1->2", "2->3"),
        ("0->3", "output"),
        ("2->3", "output"),
    } == set(graph.edges)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        pytest.param("300100", "000100", True, id="an output that leads nowhere"),
        pytest.param("002100", "000100", True, id="no input"),
        pytest.param("300010", "030001", True, id="the same chain over another node"),
        pytest.param("301011", "330011", False, id="one convolution used twice, and two with the same input"),
        pytest.param("300010", "200010", False, id="another convolution"),
    ],
)
def test_the_canonical_key_tells_networks_apart_and_cells_not(
    space: NASBench201, one: str, other: str, same: bool
) -> None:
    """The cells are written as the places of their operations among `OPERATIONS`, in the order of `EDGES`."""
    keys = [space.canonical_key(space.from_index(int(text, 5))) for text in (one, other)]

    assert same == (keys[0] == keys[1])


def test_a_constrained_space_is_read_as_the_whole_one() -> None:
    space = NASBench201(channels=2, cells_per_stage=1).where(lambda a: a["edge_0_1"] != "none", "a first edge")
    cell = space.from_index(15_624)

    assert 15_624 == space.index(cell)
    assert (1, 10) == space.supernet().eval()(torch.randn(1, 3, 8, 8), cell).shape
    with pytest.raises(SpaceError, match="a first edge"):
        space.from_index(0)
