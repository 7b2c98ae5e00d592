"""The operations of cells: layers, sizes, and how they treat odd and tiny maps."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from nas_tune.search_spaces.operations.cells import (
    OPERATIONS,
    FactorizedReduce,
    Nothing,
    dilated,
    operation,
    pointwise,
    separable,
)
from nas_tune.space.elastic import Blocks

EVERY = (*OPERATIONS, "none", "sep_conv_7x7")


def _parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@torch.no_grad()
@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("affine", [True, False])
def test_every_operation_keeps_the_channels_and_halves_the_map_rounded_up(name: str, affine: bool) -> None:
    for stride in (1, 2):
        made = operation(name, 4, stride, affine).eval()
        for height, width in ((1, 1), (2, 3), (7, 5), (8, 8)):
            expected = (2, 4, -(-height // stride), -(-width // stride))

            assert expected == made(torch.randn(2, 4, height, width)).shape


@pytest.mark.parametrize("kernel", [3, 5, 7])
def test_the_parameters_of_convolutions_follow_their_formula(kernel: int) -> None:
    once = kernel**2 * 6 + 6 * 6 + 2 * 6  # depthwise, 1x1, scale and shift

    assert 2 * once == _parameters(separable(6, kernel))
    assert 3 * once == _parameters(separable(6, kernel, repeats=3))
    assert once == _parameters(dilated(6, kernel))
    assert once - 2 * 6 == _parameters(dilated(6, kernel, affine=False))


def test_layers_stand_in_the_published_order() -> None:
    depthwise = ["ReLU", "Conv2d", "Conv2d", "BatchNorm2d"]
    strides = [m.stride[0] for m in separable(4, 3, 2).modules() if isinstance(m, nn.Conv2d)]
    dilations = [m.dilation[0] for m in dilated(4, 3).modules() if isinstance(m, nn.Conv2d)]

    assert 2 * depthwise == [type(layer).__name__ for layer in separable(4, 5)]
    assert [2, 1, 1, 1] == strides
    assert depthwise == [type(layer).__name__ for layer in dilated(4, 5)]
    assert [2, 1] == dilations


def test_a_batch_norm_without_scale_follows_the_pooling_of_search_networks_alone() -> None:
    searched = operation("max_pool_3x3", 4, affine=False)
    norm = list(searched.children())[1]

    assert isinstance(operation("max_pool_3x3", 4), nn.MaxPool2d)
    assert isinstance(norm, nn.BatchNorm2d) and not norm.affine
    assert 0 == _parameters(searched)


@torch.no_grad()
def test_the_border_does_not_count_in_averages() -> None:
    ones = torch.ones(1, 2, 5, 5)

    assert torch.equal(ones, operation("avg_pool_3x3", 2)(ones))


@torch.no_grad()
def test_a_factorized_reduction_sees_every_second_pixel_twice_over() -> None:
    reduce = FactorizedReduce(3, 4).eval()
    x = torch.randn(2, 3, 6, 8)
    positive = F.relu(x)
    even, odd = (conv.weight for conv in (reduce.even, reduce.odd))
    assert isinstance(even, torch.Tensor) and isinstance(odd, torch.Tensor)
    halves = [F.conv2d(positive[..., i::2, i::2], weight) for i, weight in enumerate((even, odd))]

    torch.testing.assert_close(torch.cat(halves, 1) / (1 + 1e-5) ** 0.5, reduce(x))


@torch.no_grad()
def test_a_factorized_reduction_of_an_odd_map_pads_the_moved_image_with_zeros() -> None:
    reduce = FactorizedReduce(3, 5).eval()
    x = torch.randn(2, 3, 5, 7)
    padded = F.pad(x, (0, 1, 0, 1))

    assert (2, 5, 3, 4) == reduce(x).shape
    torch.testing.assert_close(reduce(padded), reduce(x))


@torch.no_grad()
def test_preprocessing_takes_the_channels_of_a_concatenation() -> None:
    blocks = Blocks((0, 2), 3)
    x = torch.randn(2, 6, 4, 4)

    assert (2, 4, 4, 4) == pointwise(blocks, 4)(x).shape
    assert (2, 4, 2, 2) == FactorizedReduce(blocks, 4)(x).shape


@torch.no_grad()
def test_nothing_is_zero_even_where_the_input_is_not_finite() -> None:
    x = torch.full((1, 2, 3, 3), torch.inf)

    assert torch.equal(torch.zeros(1, 2, 2, 2), Nothing(2)(x))
    assert "stride=2" in repr(Nothing(2))
