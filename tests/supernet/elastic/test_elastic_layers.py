"""Elastic layers: which slice of the largest weights a network runs, inherits and trains."""

from __future__ import annotations

import math
from typing import cast

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from nas_tune.errors import ArchitectureError, SpaceError
from nas_tune.space import Architecture, Categorical, Chooser, Integer
from nas_tune.space.elastic import Blocks, Channels, Elastic, Size, combine
from nas_tune.space.node import Node
from nas_tune.supernet import SuperNet, elastic
from nas_tune.supernet.elastic import ElasticBatchNorm2d, ElasticConv2d, ElasticLinear

from .networks import WIDTHS, Sized, at, chain_of_layers, images, supernet, weight_of

ALL: tuple[int, ...] = (0, 1, 2)


def _twice(channels: int) -> int:
    return 2 * channels


@pytest.fixture
def chain() -> SuperNet:
    return supernet(WIDTHS, chain_of_layers)


# Plain sizes.


def test_plain_sizes_give_torchs_own_modules() -> None:
    conv = elastic.conv2d(4, 8, 5, 2, groups=2, dilation=2, bias=True)

    assert (nn.Conv2d, nn.BatchNorm2d, nn.Linear) == tuple(
        type(module) for module in (conv, elastic.batch_norm2d(4), elastic.linear(4, 2))
    )
    assert ((5, 5), (4, 4), (2, 2), 2) == (conv.kernel_size, conv.padding, conv.dilation, conv.groups)
    assert conv.bias is not None
    assert elastic.conv2d(4, 8, 1).bias is None
    assert not elastic.batch_norm2d(4, affine=False).affine
    assert 6 == cast(nn.Conv2d, elastic.conv2d(Blocks((0, 2), 3), 8, 1)).in_channels


@pytest.mark.parametrize("side", [1, 2, 7, 8])
@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("stride", [1, 2])
def test_maps_keep_their_size_and_round_up_on_stride_two(side: int, kernel: int, stride: int) -> None:
    conv = elastic.conv2d(1, 1, kernel, stride, dilation=2)

    assert math.ceil(side / stride) == conv(torch.zeros(1, 1, side, side)).shape[-1]


def test_sizes_that_depend_on_the_architecture_give_elastic_modules(chain: SuperNet) -> None:
    conv, norm, _, _, _, linear = chain.network.children()

    assert isinstance(conv, ElasticConv2d)
    assert isinstance(norm, ElasticBatchNorm2d)
    assert isinstance(linear, ElasticLinear)
    assert (6, 2, 7, 7) == conv.weight.shape
    assert (6,) == norm.running_var.shape  # type: ignore[union-attr]  # statistics are tracked
    assert (3, 5) == linear.weight.shape


def test_a_parameter_with_one_value_is_a_plain_size() -> None:
    network = supernet({"a": Integer(4, 4)}, lambda choose: elastic.conv2d(2, choose.value("a"), 3))

    assert isinstance(network.network, nn.Conv2d)


# Slices.


@pytest.mark.parametrize(("a", "b", "kernel"), [(2, 1, 1), (6, 5, 7), (3, 5, 3), (5, 2, 5)])
@torch.no_grad()
def test_a_network_runs_the_first_channels_and_the_centre_of_the_kernel(
    chain: SuperNet, a: int, b: int, kernel: int
) -> None:
    x, r = images(2, 2, 9, 9), (7 - kernel) // 2
    crop, norm = slice(r, 7 - r), cast(ElasticBatchNorm2d, chain.network.get_submodule("1"))
    y = functional.conv2d(
        x, weight_of(chain, "0.weight")[:a, :, crop, crop], weight_of(chain, "0.bias")[:a], 1, kernel // 2
    )
    mean, variance = (cast(Tensor, tensor)[:a] for tensor in (norm.running_mean, norm.running_var))
    y = functional.batch_norm(y, mean, variance, norm.weight[:a], norm.bias[:a])
    y = functional.conv2d(y, weight_of(chain, "2.weight")[:b, :a, crop], None, 2, (kernel // 2, 0))
    expected = functional.linear(y.mean((2, 3)), weight_of(chain, "5.weight")[:, :b], weight_of(chain, "5.bias"))

    torch.testing.assert_close(chain(x, at(chain, a=a, b=b, kernel=kernel)), expected)


@torch.no_grad()
def test_extraction_inherits_exactly_the_slice(chain: SuperNet) -> None:
    x = images(2, 2, 9, 9)
    for a in range(2, 7):
        for b in range(1, 6):
            architecture = at(chain, a=a, b=b, kernel=3)
            alone = chain.extract(architecture)

            torch.testing.assert_close(chain(x, architecture), alone(x), rtol=1e-5, atol=1e-5)
            assert torch.equal(weight_of(chain, "0.weight")[:a, :, 2:5, 2:5], alone.get_parameter("0.weight"))
            assert chain.space.build(architecture).state_dict().keys() == alone.state_dict().keys()


@torch.no_grad()
def test_a_depthwise_convolution_is_sliced_along_its_only_channels() -> None:
    def depthwise(choose: Chooser) -> nn.Module:
        a = choose.value("a")
        return nn.Sequential(elastic.conv2d(2, a, 1), elastic.conv2d(a, a, 3, groups=a, bias=True))

    network = supernet({"a": Integer(2, 6)}, depthwise)
    for a in (2, 5, 6):
        x = functional.conv2d(images(1, 2, 5, 5), weight_of(network, "0.weight")[:a])
        expected = functional.conv2d(
            x, weight_of(network, "1.weight")[:a], weight_of(network, "1.bias")[:a], padding=1, groups=a
        )
        alone = network.extract({"a": a})

        torch.testing.assert_close(network(images(1, 2, 5, 5), at(network, a=a)), expected)
        torch.testing.assert_close(alone(images(1, 2, 5, 5)), expected)
    assert (6, 1, 3, 3) == weight_of(network, "1.weight").shape


@torch.no_grad()
def test_elastic_groups_keep_the_first_inputs_of_every_filter() -> None:
    def grouped(choose: Chooser) -> nn.Module:
        return elastic.conv2d(8, choose.value("b"), 3, groups=choose.value("groups"))

    network = supernet({"b": Integer(4, 8, step=4), "groups": Categorical(1, 2, 4)}, grouped)
    for groups in (1, 2, 4):
        for b in (4, 8):
            weight = weight_of(network, "weight")[:b, : 8 // groups]
            expected = functional.conv2d(images(1, 8, 5, 5), weight, padding=1, groups=groups)

            torch.testing.assert_close(network(images(1, 8, 5, 5), at(network, b=b, groups=groups)), expected)
            torch.testing.assert_close(network.extract({"b": b, "groups": groups})(images(1, 8, 5, 5)), expected)


def test_channels_that_do_not_fit_their_groups_are_an_error() -> None:
    network = supernet({"a": Integer(4, 6, step=2)}, lambda choose: elastic.conv2d(choose.value("a"), 8, 1, groups=4))

    with pytest.raises(SpaceError, match="6 channels in 4 groups"):
        network(images(1, 6, 2, 2), at(network, a=6))


@torch.no_grad()
def test_blocks_read_the_channels_of_the_chosen_tensors() -> None:
    def joined(choose: Chooser) -> nn.Module:
        places = choose.derive(_chosen_places, ALL)
        channels: Channels = combine(_blocks, places)
        return Join(places, elastic.conv2d(channels, 4, 1))

    network = supernet({"a": Categorical("0", "0,2", "1,2", "0,1,2")}, joined)
    x = images(2, 6, 4, 4)
    for text in ("0", "0,2", "1,2", "0,1,2"):
        channels = [2 * int(place) + i for place in text.split(",") for i in range(2)]
        expected = functional.conv2d(x[:, channels], weight_of(network, "conv.weight")[:, channels])
        alone = network.extract({"a": text})

        torch.testing.assert_close(network(x, at(network, a=text)), expected)
        torch.testing.assert_close(alone(x), expected)
        assert len(channels) == cast(nn.Conv2d, alone.get_submodule("conv")).in_channels


def _chosen_places(architecture: Architecture) -> tuple[int, ...]:
    return tuple(map(int, str(architecture["a"]).split(",")))


def _blocks(places: tuple[int, ...]) -> Blocks:
    return Blocks(places, 2)


class Join(nn.Module):
    """Concatenates some of three pairs of channels and convolves them."""

    def __init__(self, places: tuple[int, ...] | Elastic[tuple[int, ...]], conv: nn.Module) -> None:
        super().__init__()
        self.join, self.conv = elastic.Concat(places), conv

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(self.join(x.chunk(3, dim=1)))
        return y


@torch.no_grad()
def test_joins_take_the_tensors_at_their_places() -> None:
    tensors = [images(1, 2, 3, 3, seed=seed) for seed in range(3)]

    assert torch.equal(torch.cat([tensors[0], tensors[2]], 1), elastic.Concat((0, 2))(tensors))
    assert torch.equal(tensors[1], elastic.Concat((1,))(tensors))
    assert torch.equal(tensors[0] + tensors[2], elastic.Sum((0, 2))(tensors))
    assert torch.equal(tensors[1], elastic.Sum((1,))(tensors))


@torch.no_grad()
def test_joins_follow_the_architecture() -> None:
    class Summed(nn.Module):
        def __init__(self, places: tuple[int, ...] | Elastic[tuple[int, ...]]) -> None:
            super().__init__()
            self.sum = elastic.Sum(places)

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.sum(x.chunk(3, dim=1))
            return y

    network = supernet({"a": Categorical("0", "0,2")}, lambda choose: Summed(choose.derive(_chosen_places, ALL)))
    x = images(1, 3, 2, 2)

    assert torch.equal(x[:, :1], network(x, at(network, a="0")))
    assert torch.equal(x[:, :1] + x[:, 2:], network(x, at(network, a="0,2")))


@torch.no_grad()
def test_resizing_follows_the_architecture_and_leaves_fitting_images_alone() -> None:
    network = supernet({"size": Integer(4, 8, step=4)}, lambda choose: elastic.Resize(choose.value("size")))
    x = images(2, 3, 8, 8)

    assert x is network(x, at(network, size=8))
    assert (2, 3, 4, 4) == network(x, at(network, size=4)).shape
    assert (1, 3, 8, 8) == network(images(1, 3, 5, 7), at(network, size=8)).shape
    assert torch.equal(network.extract({"size": 4})(x), network(x, at(network, size=4)))
    torch.testing.assert_close(elastic.Resize(9)(torch.ones(1, 1, 2, 3)), torch.ones(1, 1, 9, 9))


@torch.no_grad()
def test_derived_strides_and_combined_widths_follow_the_architecture() -> None:
    def made(choose: Chooser) -> nn.Module:
        a = choose.value("a")
        inside = combine(_twice, a)
        stride = choose.derive(_stride, 2)
        return nn.Sequential(elastic.conv2d(1, inside, 3, stride), elastic.conv2d(inside, a, 1))

    network = supernet({"a": Integer(1, 3)}, made)
    for a, side in ((1, 4), (2, 4), (3, 2)):
        output = network(images(1, 1, 4, 4), at(network, a=a))
        alone = network.extract({"a": a})

        assert (1, a, side, side) == output.shape
        assert 2 * a == cast(nn.Conv2d, alone.get_submodule("0")).out_channels
        torch.testing.assert_close(alone(images(1, 1, 4, 4)), output)


def _stride(architecture: Architecture) -> int:
    return 2 if architecture["a"] == 3 else 1


# Depth.


def _deep(choose: Chooser) -> nn.Module:
    return nn.Sequential(*choose.copies("depth", lambda _: nn.Linear(2, 2)))


@torch.no_grad()
@pytest.mark.parametrize("depth", [Integer(0, 3), Categorical(2, 0, 3)])
def test_copies_beyond_the_depth_pass_their_input_on(depth: Node) -> None:
    network = supernet({"depth": depth}, _deep)
    for n in (0, 2, 3):
        expected = x = images(4, 2)
        for layer in network.extract({"depth": n}).children():
            expected = layer(expected)

        torch.testing.assert_close(network(x, at(network, depth=n)), expected)
        assert n == len([*network.extract({"depth": n}).children()])


@torch.no_grad()
def test_a_derived_number_of_copies_follows_the_architecture() -> None:
    def made(choose: Chooser) -> nn.Module:
        a, b = choose.value("a"), choose.value("b")
        count: Size = choose.derive(_differ, 1)
        adapt = choose.copies(count, lambda _: elastic.conv2d(a, b, 1))
        return nn.Sequential(elastic.conv2d(1, a, 1), *adapt)

    network = supernet({"a": Integer(1, 2), "b": Integer(1, 2)}, made)
    for a in (1, 2):
        for b in (1, 2):
            output = network(images(1, 1, 2, 2), at(network, a=a, b=b))

            assert b == output.shape[1]
            assert (a != b) + 1 == len([*network.extract({"a": a, "b": b}).children()])
            torch.testing.assert_close(network.extract({"a": a, "b": b})(images(1, 1, 2, 2)), output)


def _differ(architecture: Architecture) -> int:
    return int(architecture["a"] != architecture["b"])


# Errors.


def test_weights_for_a_size_are_refused_by_name(chain: SuperNet) -> None:
    soft = {"a": torch.full((5,), 0.2), "b": 0, "kernel": 0}

    with pytest.raises(ArchitectureError, match="The size a needs an index for `a`: elastic sizes have no mixtures"):
        chain(images(1, 2, 5, 5), soft)


def test_weights_for_another_decision_run_beside_elastic_sizes() -> None:
    def made(choose: Chooser) -> nn.Module:
        a = choose.value("a")
        return nn.Sequential(
            elastic.conv2d(1, a, 1),
            choose("op", {"conv": lambda: elastic.conv2d(a, a, 3), "skip": nn.Identity}),
        )

    network = supernet({"a": Integer(1, 3), "op": Categorical("conv", "skip")}, made)
    x = images(1, 1, 3, 3)
    for place in range(3):
        both = [network(x, at(network, a=1 + place, op=op)) for op in ("conv", "skip")]
        mixed = network(x, {"a": place, "op": torch.tensor([0.25, 0.75])})

        torch.testing.assert_close(mixed, 0.25 * both[0] + 0.75 * both[1])


def test_no_selection_is_refused(chain: SuperNet) -> None:
    with pytest.raises(ArchitectureError, match="none is made"):
        chain(images(1, 2, 5, 5))


def test_words_are_no_sizes() -> None:
    space = Sized({"a": Categorical("wide", "thin")}, lambda choose: elastic.conv2d(1, choose.value("a"), 1))

    with pytest.raises(SpaceError, match="only numbers can be elastic sizes"):
        space.supernet()


@torch.no_grad()
def test_a_super_net_of_elastic_layers_is_saved_and_loaded(chain: SuperNet) -> None:
    other = Sized(WIDTHS, chain_of_layers).supernet().eval()
    other.load_state_dict(chain.state_dict())
    architecture = at(chain, a=3, b=2, kernel=5)

    assert torch.equal(chain(images(1, 2, 5, 5), architecture), other(images(1, 2, 5, 5), architecture))
