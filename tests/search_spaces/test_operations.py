"""The candidate operations, against what they compute written out."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from nas_tune.search_spaces.operations import GreyToColour, Zero, average_pool, relu_conv_bn


def _average_by_hand(x: Tensor, kernel: int, stride: int) -> Tensor:
    """Average over the pixels of each window that lie within the image."""
    n, c, height, width = x.shape
    pad = kernel // 2
    rows, columns = range(0, height, stride), range(0, width, stride)
    out = x.new_zeros(n, c, len(rows), len(columns))
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            window = x[:, :, max(row - pad, 0) : row + pad + 1, max(column - pad, 0) : column + pad + 1]
            out[:, :, i, j] = window.mean((-1, -2))
    return out


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("shape", [(1, 1), (2, 5), (6, 7)])
def test_average_pooling_leaves_the_padding_out(shape: tuple[int, int], stride: int) -> None:
    x = torch.randn(2, 3, *shape)

    torch.testing.assert_close(_average_by_hand(x, 3, stride), average_pool(3, stride)(x))


def test_average_pooling_keeps_a_constant_image() -> None:
    assert torch.equal(torch.ones(1, 2, 5, 5), average_pool(3)(torch.ones(1, 2, 5, 5)))


def test_zero_keeps_the_shape_and_passes_nothing_on() -> None:
    x = torch.full((2, 3, 4, 4), torch.inf, requires_grad=True)
    y = Zero()(x)

    assert torch.equal(torch.zeros(2, 3, 4, 4), y)
    assert not y.requires_grad


@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("stride", [1, 2])
def test_relu_convolution_batch_norm_run_in_this_order(kernel: int, stride: int) -> None:
    block = relu_conv_bn(3, 4, kernel, stride).eval()
    conv, norm = block[1], block[2]
    assert isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)
    norm.running_mean = torch.randn(4)
    x = torch.randn(2, 3, 6, 7)

    convolved = nn.functional.conv2d(x.clamp(min=0), conv.weight, stride=stride, padding=kernel // 2)
    expected = (convolved - norm.running_mean[:, None, None]) / (1 + 1e-5) ** 0.5
    torch.testing.assert_close(expected, block(x))


@pytest.mark.parametrize(("given", "expected"), [(1, 3), (3, 3), (4, 4)])
def test_only_grey_images_are_repeated(given: int, expected: int) -> None:
    x = torch.randn(2, given, 4, 4)
    y = GreyToColour(3)(x)

    assert (2, expected, 4, 4) == y.shape
    assert all(torch.equal(x[:, i % given], y[:, i]) for i in range(expected))
