"""Cells of picks as networks: their cost in closed form, what they compute, the super-net."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import cast

import cloudpickle  # type: ignore[import-untyped]  # ships no types
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nas_tune.costs import profile
from nas_tune.search_spaces.amoebanet import AmoebaNet
from nas_tune.search_spaces.enas import ENAS
from nas_tune.search_spaces.genotypes import Genotype
from nas_tune.search_spaces.nasnet import NASNet
from nas_tune.search_spaces.operations.pick import OPERATIONS, picked
from nas_tune.search_spaces.pick_cell import Output, PickCellLayer, PickCellSpace
from nas_tune.search_spaces.pnas import PNAS
from nas_tune.space import Architecture
from nas_tune.supernet.drop_path import DropPath

SPACES: tuple[type[PickCellSpace], ...] = (NASNet, AmoebaNet, PNAS, ENAS)
BY_NAME = {space.__name__: space for space in SPACES}
GOOD = (("skip_connect", 0), ("sep_conv_3x3", 1), ("avg_pool_3x3", 2), ("sep_conv_3x3", 0))
every_space = pytest.mark.parametrize("kind_of_space", SPACES, ids=lambda space: space.__name__)


def _small(kind_of_space: type[PickCellSpace], nodes: int = 3, output: Output | None = None) -> PickCellSpace:
    return kind_of_space(channels=4, cells=3, nodes=nodes, output=output)


def _some(space: PickCellSpace, count: int, seed: int = 0) -> list[Architecture]:
    rng = np.random.default_rng(seed)
    return [space.sample(rng) for _ in range(count)]


# The network in closed form.


def _price(op: str, c: int, stride: int, side: int) -> tuple[int, int]:
    """Return parameters and multiply-adds of an operation that makes maps of `side` x `side`."""
    kind, _, size = op.rpartition("_")
    k = int(size[0]) if size[0].isdigit() else 0
    depthwise = {"sep_conv": 2, "dil_conv": 1, "dil_sep_conv": 2}.get(kind)
    if depthwise:
        return depthwise * (k * k * c + c * c + 2 * c), depthwise * (k * k * c + c * c) * side**2
    if kind == "conv":
        return k * k * c * c + 2 * c, k * k * c * c * side**2
    if op.startswith("conv_"):
        k = int(size[-1])
        return 2 * k * c * c + 2 * c, k * c * c * side * (stride + 1) * side
    if op == "skip_connect" and stride == 2:
        return c * c + 2 * c, c * c * side**2
    return 0, 0


def _closed_form(space: PickCellSpace, architecture: Architecture, side: int) -> tuple[int, int]:
    genotype = space.to_genotype(architecture)
    width = space.channels
    total = np.array([9 * 3 * 3 * width + 6 * width, 9 * 3 * 3 * width * side**2])
    before, last, halved = 3 * width, 3 * width, False
    for layer in range(space.cells):
        reduction = layer in (space.cells // 3, 2 * space.cells // 3)
        width *= 1 + reduction
        for channels in (before, last):
            total += np.array([channels * width + 2 * width, channels * width * side**2])
        side //= 1 + reduction
        picks, concat = genotype[2:] if reduction else genotype[:2]
        for op, source in cast(tuple[tuple[str, int], ...], picks):
            total += np.array(_price(op, width, 2 if reduction and source < 2 else 1, side))
        before, last, halved = last, width * len(concat), reduction
    assert not halved
    total += np.array([last * 10 + 10, last * 10])
    return int(total[0]), int(total[1])


@every_space
@pytest.mark.parametrize("output", ["loose", "all"])
def test_parameters_and_multiply_adds_are_those_of_the_closed_form(
    kind_of_space: type[PickCellSpace], output: Output
) -> None:
    space = kind_of_space(channels=4, cells=5, output=output)
    a = _some(space, 1, seed=2)[0]
    with torch.device("meta"):
        cost = profile(space.build(a), (3, 16, 16))

    assert _closed_form(space, a, 16) == (cost.parameters, cost.macs)


GOLDEN = json.loads((Path(__file__).parent / "golden" / "pick_cells.json").read_text())


@pytest.mark.slow
@pytest.mark.parametrize("name", GOLDEN)
def test_published_architectures_have_their_golden_cost(name: str) -> None:
    golden = GOLDEN[name]
    space = BY_NAME[golden["space"]](**golden["arguments"])
    with torch.device("meta"):
        cost = profile(space.build(space.named(golden["architecture"])), golden["image"])

    assert (golden["parameters"], golden["macs"]) == (cost.parameters, cost.macs)
    assert golden.get("millions_of_parameters", round(cost.parameters / 1e6, 1)) == round(cost.parameters / 1e6, 1)


def test_the_golden_costs_hold_every_published_architecture() -> None:
    expected = {(space.__name__, name) for space in SPACES for name in space.architectures}

    assert expected == {(golden["space"], golden["architecture"]) for golden in GOLDEN.values()}


# The network as it computes.


def _layers(network: nn.Module) -> list[PickCellLayer]:
    return [module for module in network.modules() if isinstance(module, PickCellLayer)]


@torch.no_grad()
def test_a_cell_adds_picks_and_concatenates_loose_ends() -> None:
    space = _small(ENAS)
    picks = (*GOOD, ("sep_conv_5x5", 1), ("max_pool_3x3", 2))
    layer = _layers(space.build(space.from_genotype(Genotype(picks, (3, 4), picks, (3, 4)))).eval())[0]
    x = torch.randn(2, 12, 6, 6)
    parts = [next(m for m in pick.modules() if isinstance(m, (nn.Sequential, nn.Identity))) for pick in layer.picks]

    a, b = layer.inputs(x, x)
    nodes = [a, b, parts[0](a) + parts[1](b)]
    nodes.append(parts[2](nodes[2]) + parts[3](a))
    nodes.append(parts[4](b) + parts[5](nodes[2]))
    torch.testing.assert_close(torch.cat(nodes[3:], 1), layer(x, x))


@torch.no_grad()
@pytest.mark.parametrize("op", OPERATIONS)
def test_operations_keep_or_halve_maps_of_every_size(op: str) -> None:
    one, two = picked(op, 4).eval(), picked(op, 4, 2).eval()
    for height, width in ((1, 1), (2, 3), (7, 8), (8, 8)):
        x = torch.randn(2, 4, height, width)

        assert x.shape == one(x).shape
        assert (2, 4, (height + 1) // 2, (width + 1) // 2) == two(x).shape
        assert one(x).isfinite().all() and two(x).isfinite().all()


def _layers_of(op: str) -> list[str]:
    return [_describe(module) for module in picked(op, 4, 2).modules() if not list(module.children())]


def _describe(module: nn.Module) -> str:
    if isinstance(module, nn.Conv2d):
        height, width = module.kernel_size
        depthwise = " depthwise" if module.groups > 1 else ""
        return f"{height}x{width}/{max(module.stride)}{depthwise}{' dilated' * (module.dilation[0] == 2)}"
    if isinstance(module, (nn.MaxPool2d, nn.AvgPool2d)):
        return f"{type(module).__name__} {module.kernel_size}/{module.stride}"
    return {"ReLU": "relu", "BatchNorm2d": "bn", "DropPath": "drop"}[type(module).__name__]


@pytest.mark.parametrize(
    ("op", "layers"),
    [
        ("conv_1x1", "relu, 1x1/2, bn, drop"),
        ("conv_3x3", "relu, 3x3/2, bn, drop"),
        ("conv_3x1_1x3", "relu, 1x3/2, 3x1/2, bn, drop"),
        ("conv_7x1_1x7", "relu, 1x7/2, 7x1/2, bn, drop"),
        ("dil_conv_3x3", "relu, 3x3/2 depthwise dilated, 1x1/1, bn, drop"),
        (
            "dil_sep_conv_3x3",
            "relu, 3x3/2 depthwise dilated, 1x1/1, bn, relu, 3x3/1 depthwise dilated, 1x1/1, bn, drop",
        ),
        ("sep_conv_7x7", "relu, 7x7/2 depthwise, 1x1/1, bn, relu, 7x7/1 depthwise, 1x1/1, bn, drop"),
        ("avg_pool_3x3", "AvgPool2d 3/2, drop"),
        ("max_pool_5x5", "MaxPool2d 5/2, drop"),
        ("max_pool_7x7", "MaxPool2d 7/2, drop"),
        ("skip_connect", "relu, 1x1/2, 1x1/2, bn, drop"),
    ],
)
def test_the_operations_have_the_published_layers(op: str, layers: str) -> None:
    assert layers == ", ".join(_layers_of(op))


def test_the_identity_is_not_dropped() -> None:
    assert isinstance(picked("skip_connect", 4), nn.Identity)


def test_the_drop_path_rate_reaches_every_pick() -> None:
    network = ENAS(channels=4, cells=3, nodes=2, drop_path=0.25).supernet()

    assert {0.25} == {module.rate for module in network.modules() if isinstance(module, DropPath)}


@torch.no_grad()
@every_space
def test_images_of_any_size_run_through_random_architectures(kind_of_space: type[PickCellSpace]) -> None:
    space = _small(kind_of_space)
    for a, shape in zip(_some(space, 4), ((1, 8, 8), (3, 32, 32), (3, 9, 7), (3, 1, 1)), strict=True):
        output = space.build(a).eval()(torch.randn(2, *shape))

        assert (2, 10) == output.shape
        assert output.isfinite().all()


@torch.no_grad()
def test_a_network_for_imagenet_begins_with_an_eighth() -> None:
    space = AmoebaNet(7, channels=4, cells=3, nodes=2, stem="imagenet")
    network = space.build(_some(space, 1)[0]).eval()
    sizes: list[tuple[int, ...]] = []
    for layer in _layers(network):
        layer.register_forward_hook(lambda _, __, output: sizes.append(output.shape[-2:]))

    assert (1, 7) == network(torch.randn(1, 3, 64, 64)).shape
    assert [(8, 8), (4, 4), (2, 2)] == sizes


def test_an_auxiliary_head_classifies_in_training_alone() -> None:
    space = PNAS(channels=4, cells=3, nodes=2, auxiliary=True)
    a = _some(space, 1)[0]
    for network in (space.build(a), space.supernet().extract(a)):
        logits, auxiliary = network.train()(torch.randn(2, 3, 8, 8))

        assert (2, 10) == logits.shape == auxiliary.shape
        assert (2, 10) == network.eval()(torch.randn(2, 3, 8, 8)).shape


# The super-net.


@torch.no_grad()
def _shaken(space: PickCellSpace) -> nn.Module:
    """Return the super-net with weights and statistics that differ from their first values, in evaluation."""
    supernet = space.supernet()
    for p in supernet.parameters():
        p.add_(torch.randn_like(p) * 0.1)
    for a in _some(space, 10, seed=1):
        supernet.train()(torch.randn(4, 3, 8, 8) + 0.5, a)
    return supernet.eval()


@pytest.mark.slow
@torch.no_grad()
@pytest.mark.parametrize(
    ("kind_of_space", "output"),
    [(NASNet, "loose"), (AmoebaNet, "all"), (PNAS, "all"), (PNAS, "loose"), (ENAS, "loose"), (ENAS, "all")],
)
def test_extracted_networks_compute_what_the_super_net_computes(
    kind_of_space: type[PickCellSpace], output: Output
) -> None:
    torch.manual_seed(0)
    space = _small(kind_of_space, nodes=2, output=output)
    supernet = _shaken(space)
    x = torch.randn(2, 3, 9, 8)
    outputs: list[Tensor] = []
    for a in _some(space, 6):
        alone = supernet.extract(a)  # type: ignore[operator]
        outputs.append(supernet(x, a))

        torch.testing.assert_close(alone(x), outputs[-1], rtol=0, atol=1e-5)
        assert _shapes(space.build(a)) == _shapes(alone)
    assert torch.stack(outputs).std(0).min() > 1e-3


@torch.no_grad()
def test_loose_ends_are_cut_out_of_the_weights_of_a_super_net() -> None:
    """Architectures that differ in their loose ends alone need other channels of the same preprocessing."""
    space = ENAS(channels=2, cells=2, nodes=2)
    supernet = _shaken(space)
    x = torch.randn(2, 3, 8, 8)
    for source, concat in ((0, (2, 3)), (2, (3,))):
        picks = (*GOOD[:2], ("sep_conv_3x3", source), GOOD[3])
        a = space.from_genotype(Genotype(picks, concat, picks, concat))
        alone = supernet.extract(a)  # type: ignore[operator]

        assert 8 * len(concat) == alone.classifier.in_features
        torch.testing.assert_close(alone(x), supernet(x, a), rtol=0, atol=1e-5)


def _shapes(network: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}


def test_only_the_picked_operations_of_a_super_net_are_trained() -> None:
    space = _small(ENAS, nodes=2)
    supernet = space.supernet()
    a = _some(space, 1)[0]
    supernet(torch.randn(2, 3, 8, 8), a).sum().backward()
    touched = sum(p.grad is not None for p in supernet.parameters())

    alone = space.build(a)
    alone(torch.randn(2, 3, 8, 8)).sum().backward()
    assert sum(p.grad is not None for p in alone.parameters()) == touched


@torch.no_grad()
def test_copies_of_a_super_net_compute_the_same() -> None:
    space = _small(ENAS, nodes=2)
    supernet = space.supernet().eval()
    x, a = torch.randn(2, 3, 8, 8), _some(space, 1)[0]
    for other in (copy.deepcopy(supernet), cloudpickle.loads(cloudpickle.dumps(supernet))):
        assert torch.equal(supernet(x, a), other(x, a))
