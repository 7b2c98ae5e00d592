"""The macro space of Zoph and Le: size, costs in closed form and published ones, wiring, super-net, text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
import torch
from torch import nn

from nas_tune.costs import Cost, profile
from nas_tune.errors import ArchitectureError, SpaceError
from nas_tune.search_spaces.nas_rl import NASRL, Layers
from nas_tune.space import Architecture, Value
from nas_tune.space.elastic import Spans

GOLDEN = json.loads((Path(__file__).parent / "golden" / "nas_rl.json").read_text())
SMALL = {
    "plain": NASRL(layers=5, kernels=(1, 3), filters=(2, 3, 5)),
    "strides": NASRL(layers=5, kernels=(1, 5), filters=(2, 4), strides=(1, 2, 3)),
    "pooling": NASRL(layers=5, kernels=(3,), filters=(2, 3), pooling=(2, 4)),
    "one configuration": NASRL(layers=4, kernels=(3,), filters=(4,)),
    "one layer": NASRL(layers=1, kernels=(1, 3), filters=(2, 3)),
}


@pytest.fixture(params=SMALL)
def small(request: pytest.FixtureRequest) -> NASRL:
    return SMALL[request.param]


def _some(space: NASRL, count: int, seed: int = 0) -> list[Architecture]:
    rng = np.random.default_rng(seed)
    return [space.sample(rng) for _ in range(count)]


def _measured(space: NASRL, architecture: Architecture, image: tuple[int, int, int] = (3, 32, 32)) -> Cost:
    with torch.device("meta"):
        network = space.build(architecture)
    return profile(network, image)


@pytest.mark.parametrize(
    ("layers", "kernels", "filters", "strides"), [(1, 1, 1, 1), (2, 2, 3, 1), (6, 4, 4, 1), (15, 4, 4, 3)]
)
def test_the_size_is_the_published_formula(layers: int, kernels: int, filters: int, strides: int) -> None:
    space = NASRL(layers, (1, 3, 5, 7)[:kernels], (24, 36, 48, 64)[:filters], (1, 2, 3)[:strides])

    assert (kernels**2 * filters * strides) ** layers * 2 ** ((layers - 1) * (layers - 2) // 2) == space.size()


def test_the_size_is_that_of_the_enumeration() -> None:
    space = NASRL(layers=4, kernels=(3,), filters=(2, 4))
    everything = list(space.enumerate())

    assert 2**4 * 2**3 == space.size() == len(everything) == len(set(everything))
    assert len(everything) == len({space.canonical_key(architecture) for architecture in everything})


def test_the_parameters_are_named_by_layer() -> None:
    assert [
        "layer_01.op",
        "layer_02.op",
        "layer_03.op",
        "layer_03.from_01",
        "layer_04.op",
        "layer_04.from_01",
        "layer_04.from_02",
    ] == list(NASRL(layers=4).parameters())
    assert "layer_100.from_098" in NASRL(layers=100, kernels=(1,)).parameters()


def test_the_published_network_has_the_published_size() -> None:
    space = NASRL()
    for row in GOLDEN.values():
        cost = _measured(space, space.named(row["architecture"]))

        assert (row["parameters"], row["macs"]) == (cost.parameters, cost.macs)
        assert 4.2 == round(cost.parameters / 1e6, 1)


@pytest.mark.parametrize("name", NASRL.architectures)
def test_published_architectures_are_written_as_they_are_read(name: str) -> None:
    space = NASRL()

    assert NASRL.architectures[name] == space.to_string(space.named(name))


def _closed_form(space: NASRL, architecture: Mapping[str, Value], side: int) -> tuple[int, int]:
    """Return parameters and multiply-adds, from the names of the parameters alone."""
    made: list[tuple[int, int]] = []  # filters and side of every layer
    parameters = macs = 0
    for i in range(1, space.layers + 1):
        op, _, stride = str(architecture[f"layer_{i:02d}.op"]).partition("/")
        height, width, filters = map(int, op.split("x"))
        entering = [j for j in range(1, i - 1) if architecture[f"layer_{i:02d}.from_{j:02d}"]] + [i - 1]
        read = [made[j - 1] for j in entering] if i > 1 else [(3, side)]
        weights = height * width * filters * sum(count for count, _ in read)
        out = -(-max(size for _, size in read) // int(stride or 1))
        parameters += weights + 2 * filters
        macs += weights * out**2
        made.append((filters, -(-out // 2) if i in space.pooling else out))
    return parameters + made[-1][0] * 10 + 10, macs + made[-1][0] * 10


def test_costs_are_those_of_the_closed_form(small: NASRL) -> None:
    for architecture in _some(small, 5):
        cost = _measured(small, architecture, (3, 19, 19))

        assert _closed_form(small, architecture, 19) == (cost.parameters, cost.macs)


def test_analytic_costs_are_the_measured_ones(small: NASRL) -> None:
    cost = small.cost((3, 19, 19))
    for architecture in _some(small, 5, seed=1):
        assert _measured(small, architecture, (3, 19, 19)) == cost(architecture)


def _alive(space: NASRL, text: str) -> nn.Module:
    """Build a network in which no ReLU hides anything: every weight is positive."""
    network = space.build(space.from_string(text)).eval()
    for p in network.parameters():
        p.copy_(torch.rand_like(p) + 0.1)
    return network


def _layers(network: nn.Module) -> Layers:
    return next(module for module in network.modules() if isinstance(module, Layers))


@torch.no_grad()
def test_a_layer_reads_the_concatenation_of_its_inputs() -> None:
    space = NASRL(layers=4, kernels=(1, 3), filters=(2, 3))
    network = _alive(space, "3x1x2 1x1x3 3x3x3(1) 1x3x2(1)")
    one, two, three, four = _layers(network).layers
    x = torch.rand(2, 3, 6, 6)

    first = one(x)
    third = three(torch.cat([first, two(first)], dim=1))
    assert torch.equal(four(torch.cat([first, third], dim=1)), _layers(network)(x))
    assert [(3, 1), (1, 1), (3, 3), (1, 3)] == [
        module.kernel_size for module in network.modules() if isinstance(module, nn.Conv2d)
    ]


@torch.no_grad()
def test_smaller_maps_are_padded_with_zeros() -> None:
    space = NASRL(layers=3, kernels=(1,), filters=(2,), strides=(1, 2))
    network = _alive(space, "1x1x2/1 1x1x2/2 1x1x2/1(1)")
    one, two, three = _layers(network).layers
    x = torch.rand(1, 3, 5, 7)

    padded = torch.zeros(1, 2, 5, 7)
    padded[:, :, :3, :4] = two(one(x))
    assert torch.equal(three(torch.cat([one(x), padded], dim=1)), _layers(network)(x))


@torch.no_grad()
def test_pooling_halves_the_map_behind_a_layer() -> None:
    space = NASRL(layers=3, kernels=(3,), filters=(2,), pooling=(1, 3))
    network = space.build(space.from_string("3x3x2 3x3x2 3x3x2"))
    x = torch.randn(1, 3, 9, 9)
    maps = []
    for layer in _layers(network).layers:
        x = layer(x)
        maps.append(x.shape[-1])

    assert [5, 5, 3] == maps


@torch.no_grad()
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 32, 32), (3, 1, 1), (1, 5, 7)])
def test_random_networks_run_on_any_image(small: NASRL, shape: tuple[int, int, int]) -> None:
    for architecture in _some(small, 5, seed=sum(shape)):
        output = small.build(architecture).eval()(torch.randn(2, *shape))

        assert (2, 10) == output.shape
        assert output.isfinite().all()


@torch.no_grad()
def test_extracted_networks_compute_what_the_super_net_computes(small: NASRL) -> None:
    torch.manual_seed(0)
    supernet = small.supernet()
    for p in supernet.parameters():
        p.add_(torch.randn_like(p) * 0.2)
    for architecture in _some(small, 10, seed=1):  # statistics of batch norms differ from their first values
        supernet.train()(torch.randn(4, 3, 8, 8) + 0.5, architecture)
    supernet.eval()
    x = torch.randn(2, 3, 9, 8)
    for architecture in _some(small, 10):
        alone = supernet.extract(architecture)

        assert (supernet(x, architecture) - alone(x)).abs().max() < 1e-5
        assert small.build(architecture).state_dict().keys() == alone.state_dict().keys()


@torch.no_grad()
def test_a_filter_keeps_its_weights_for_the_layers_that_enter() -> None:
    space = NASRL(layers=4, kernels=(1, 3), filters=(2, 3))
    supernet = space.supernet()
    alone = supernet.extract(space.from_string("3x1x2 1x1x3 3x3x3 1x3x2(1)"))
    shared, own = supernet.get_parameter("network.1.layers.3.0.weight"), alone.get_parameter("1.layers.3.0.weight")

    assert (3, 9, 3, 3) == shared.shape
    assert torch.equal(shared[:2, [0, 1, 6, 7, 8], 1:2], own)


def test_spans_are_channels_of_several_tensors() -> None:
    spans = Spans(((0, 2), (5, 8)))

    assert (5, (0, 1, 5, 6, 7)) == (len(spans), spans.indices)


def test_the_graph_joins_several_inputs_by_a_concat() -> None:
    space = NASRL(layers=4, kernels=(1, 3), filters=(2, 3))
    graph = space.graph(space.from_string("3x1x2 1x1x3 3x3x3(1) 1x3x2"))

    assert {
        "input": "input",
        "layer_01": "3x1x2",
        "layer_02": "1x1x3",
        "layer_03.inputs": "concat",
        "layer_03": "3x3x3",
        "layer_04": "1x3x2",
        "output": "output",
    } == {node: data["op"] for node, data in graph.nodes(data=True)}
    assert {
        ("input", "layer_01"),
        ("layer_01", "layer_02"),
        ("layer_01", "layer_03.inputs"),
        ("layer_02", "layer_03.inputs"),
        ("layer_03.inputs", "layer_03"),
        ("layer_03", "layer_04"),
        ("layer_04", "output"),
    } == set(graph.edges)


def test_every_layer_leads_to_the_output(small: NASRL) -> None:
    for architecture in _some(small, 5):
        graph = small.graph(architecture)

        assert nx.is_directed_acyclic_graph(graph)
        assert graph.nodes - {"output"} == nx.ancestors(graph, "output")


def test_text_names_every_architecture_both_ways(small: NASRL) -> None:
    for architecture in _some(small, 20):
        assert architecture == small.from_string(small.to_string(architecture))


@pytest.mark.parametrize(
    "text", ["", "3x3x24 3x3x24", "3x3x24 3x3x24 3x3", "3x3x24 3x3x24 3x3x24()", "3x3x24  3x3x24 3x3x24", "3x3x24 " * 3]
)
def test_text_of_another_form_is_no_architecture(text: str) -> None:
    with pytest.raises(ArchitectureError, match=r"is no architecture of 3 layers: .* such as '3x5x36\(1,2\)'"):
        NASRL(layers=3).from_string(text)


def test_a_layer_cannot_read_a_later_one() -> None:
    with pytest.raises(
        ArchitectureError, match=r"layer 3 cannot read \[2, 3\] beside its predecessor; possible are \[1\]"
    ):
        NASRL(layers=3).from_string("3x3x24 3x3x24 3x3x24(1,2,3)")


def test_an_unknown_configuration_is_refused_by_name() -> None:
    with pytest.raises(ArchitectureError, match="`layer_02.op` has the impossible value '3x9x24'"):
        NASRL(layers=2).from_string("3x3x24 3x9x24")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layers": 0}, "NASRL: `layers` is 0; it is at least 1"),
        ({"kernels": (3, 4)}, r"NASRL: `kernels` is \(3, 4\); only odd kernels keep the size"),
        ({"filters": ()}, r"NASRL: `filters` is \(\); give at least one value"),
        ({"strides": (1, 1)}, r"NASRL: `strides` is \(1, 1\); give at least one value, each of them once"),
        ({"pooling": (16,)}, r"NASRL: `pooling` is \(16,\); give different layers from 1 to 15"),
        ({"num_classes": 0}, "NASRL: `num_classes` is 0; it is at least 1"),
        ({"in_channels": 1.5}, "NASRL: `in_channels` is 1.5; give a whole number"),
    ],
)
def test_an_impossible_argument_is_refused_by_name(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        NASRL(**arguments)  # type: ignore[arg-type]


def test_the_repr_makes_the_space_again(small: NASRL) -> None:
    again = eval(repr(small), {"NASRL": NASRL})

    assert repr(small) == repr(again)
    assert small.signature() == again.signature()
