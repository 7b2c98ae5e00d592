"""Kernel transformation: smaller kernels as learned maps of the larger ones' centre."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from nas_tune.costs import profile
from nas_tune.errors import SpaceError
from nas_tune.space import Architecture, Categorical, Chooser, Integer
from nas_tune.space.node import Node
from nas_tune.supernet import SuperNet, elastic
from nas_tune.supernet.elastic.sorting import sort_channels

from .networks import Sized, images, largest, supernet

KERNELS: Mapping[str, Node] = {"a": Integer(2, 4), "kernel": Categorical(1, 3, 7)}
SIZES = (1, 3, 7)


def _network(choose: Chooser, transform: Sequence[int] = SIZES) -> nn.Module:
    a, kernel = choose.value("a"), choose.value("kernel")
    return nn.Sequential(
        elastic.conv2d(1, a, 1),
        elastic.conv2d(a, a, kernel, groups=a, bias=True, kernel_transform=transform),
        elastic.conv2d(a, 2, kernel, kernel_transform=transform),
    )


def _cropped(choose: Chooser) -> nn.Module:
    return _network(choose, ())


@pytest.fixture
def network() -> SuperNet:
    return supernet(KERNELS, _network)


def _all(network: SuperNet) -> list[Architecture]:
    return [*network.space.enumerate()]


def _by_hand(network: SuperNet, layer: int, kernel: int) -> Tensor:
    """Return a layer's filters of a size, by the matrices one after the other."""
    weight: Tensor = network.network.get_parameter(f"{layer}.weight")
    for larger, smaller in ((7, 3), (3, 1)):
        if kernel < larger:
            matrix = network.network.get_parameter(f"{layer}.transform_{larger}_to_{smaller}")
            border = (larger - smaller) // 2
            flat = weight[:, :, border : larger - border, border : larger - border].reshape(*weight.shape[:2], -1)
            weight = torch.einsum("oip,qp->oiq", flat, matrix).reshape(*weight.shape[:2], smaller, smaller)
    return weight


@torch.no_grad()
def test_smaller_kernels_are_the_maps_of_the_larger_ones(network: SuperNet) -> None:
    x = images(2, 1, 7, 7)
    for architecture in _all(network):
        a, kernel = int(str(architecture["a"])), int(str(architecture["kernel"]))
        bias = network.network.get_parameter("1.bias")[:a]
        y = functional.conv2d(x, network.network.get_parameter("0.weight")[:a])
        y = functional.conv2d(y, _by_hand(network, 1, kernel)[:a], bias, padding=kernel // 2, groups=a)
        expected = functional.conv2d(y, _by_hand(network, 2, kernel)[:, :a], padding=kernel // 2)

        torch.testing.assert_close(network(x, architecture), expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_an_extracted_network_has_the_mapped_kernels_and_no_maps(network: SuperNet) -> None:
    x = images(2, 1, 7, 7)
    for architecture in _all(network):
        alone = network.extract(architecture)

        torch.testing.assert_close(network(x, architecture), alone(x), rtol=1e-5, atol=1e-5)
        assert {"0.weight", "1.weight", "1.bias", "2.weight"} == {*alone.state_dict()}


@torch.no_grad()
def test_untrained_maps_crop() -> None:
    fresh, plain = (Sized(KERNELS, make).supernet() for make in (_network, _cropped))
    fresh.load_state_dict(plain.state_dict(), strict=False)
    for architecture in _all(fresh):
        torch.testing.assert_close(fresh(images(2, 1, 7, 7), architecture), plain(images(2, 1, 7, 7), architecture))


@pytest.mark.parametrize(("kernel", "trained"), [(7, ()), (3, ("7_to_3",)), (1, ("3_to_1", "7_to_3"))])
def test_only_the_maps_on_the_way_are_trained(network: SuperNet, kernel: int, trained: tuple[str, ...]) -> None:
    network.zero_grad(set_to_none=True)
    network(images(2, 1, 7, 7), network.space.architecture({"a": 3, "kernel": kernel})).square().sum().backward()
    touched = {name for name, p in network.network.named_parameters() if "transform" in name and p.grad is not None}

    assert {f"{layer}.transform_{step}" for layer in (1, 2) for step in trained} == touched


@torch.no_grad()
def test_sorted_channels_keep_their_maps(network: SuperNet) -> None:
    x = images(2, 1, 7, 7)
    most = {kernel: network.space.architecture({"a": 4, "kernel": kernel}) for kernel in SIZES}
    before = {kernel: network(x, a) for kernel, a in most.items()}

    assert most[7] == largest(network)
    assert ("a",) == sort_channels(network)
    for kernel, architecture in most.items():
        torch.testing.assert_close(network(x, architecture), before[kernel], rtol=1e-4, atol=1e-5)


def test_the_analytic_cost_leaves_the_maps_out(network: SuperNet) -> None:
    cost = network.space.cost((1, 7, 7))
    for architecture in _all(network):
        assert profile(network.space.build(architecture), (1, 7, 7)) == cost(architecture)


@pytest.mark.parametrize(
    ("kernel", "sizes", "message"),
    [
        ("kernel", (1, 3, 5), r"`kernel_transform` is \(1, 3, 5\) for kernels up to 7; give all their sizes"),
        ("kernel", (2, 7), "which are odd"),
        ("pair", (1, 3, 7), "for square kernels; give one `kernel_size`"),
    ],
)
def test_impossible_sizes_are_named(kernel: str, sizes: tuple[int, ...], message: str) -> None:
    def made(choose: Chooser) -> nn.Module:
        size = choose.value("kernel")
        return elastic.conv2d(1, 1, (size, 1) if kernel == "pair" else size, kernel_transform=sizes)

    with pytest.raises(SpaceError, match=message):
        Sized({"kernel": KERNELS["kernel"]}, made).supernet()


def test_a_size_without_a_map_is_an_error() -> None:
    network = supernet(KERNELS, lambda choose: _network(choose, (3, 7)))

    with pytest.raises(SpaceError, match=r"no map to kernels of 1: `kernel_transform` is \(3, 7\)"):
        network(images(1, 1, 7, 7), network.space.architecture({"a": 2, "kernel": 1}))
