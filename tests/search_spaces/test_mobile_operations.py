"""Inverted residuals and shuffle blocks: their layers, their closed forms, their shapes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nas_tune.costs import profile
from nas_tune.errors import SpaceError
from nas_tune.search_spaces.operations.mobile import MBConv, Projection, ShuffleBlock, SqueezeExcitation


def _layers(module: nn.Module) -> list[str]:
    return [type(leaf).__name__ for leaf in module.modules() if next(leaf.children(), None) is None]


def _parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_an_inverted_residual_expands_filters_and_projects() -> None:
    block = MBConv(8, 16, kernel=5, expansion=3, stride=2)
    convs = [module for module in block.modules() if isinstance(module, nn.Conv2d)]

    assert ["Conv2d", "BatchNorm2d", "ReLU6", "Conv2d", "BatchNorm2d", "ReLU6", "Conv2d", "BatchNorm2d"] == _layers(
        block
    )
    assert [(8, 24, (1, 1), (1, 1), 1), (24, 24, (5, 5), (2, 2), 24), (24, 16, (1, 1), (1, 1), 1)] == [
        (c.in_channels, c.out_channels, c.kernel_size, c.stride, c.groups) for c in convs
    ]
    assert not any(c.bias is not None for c in convs)


@pytest.mark.parametrize("kernel", [3, 5, 7])
@pytest.mark.parametrize("expansion", [1, 3, 6])
@pytest.mark.parametrize("squeezed", [0, 4])
def test_costs_of_an_inverted_residual_are_those_of_the_closed_form(kernel: int, expansion: int, squeezed: int) -> None:
    c, d, inner = 8, 12, 8 * expansion
    expand = c * inner if expansion > 1 else 0
    norms = 2 * inner * (2 if expansion > 1 else 1) + 2 * d
    gate = 2 * inner * squeezed
    cost = profile(MBConv(c, d, kernel, expansion, stride=2, squeezed=squeezed), (c, 9, 9))

    biases = inner + squeezed if squeezed else 0
    assert expand + inner * kernel**2 + inner * d + norms + gate + biases == cost.parameters
    assert 81 * expand + 25 * (inner * kernel**2 + inner * d) + gate == cost.macs


@torch.no_grad()
@pytest.mark.parametrize(("out_channels", "stride", "residual"), [(6, 1, True), (6, 2, False), (8, 1, False)])
def test_the_input_is_added_where_the_shape_stays(out_channels: int, stride: int, residual: bool) -> None:
    block = MBConv(6, out_channels, 3, 6, stride).eval()
    x = torch.randn(2, 6, 5, 5)
    assert block.expand is not None

    inside: Tensor = block.project(block.depthwise(block.expand(x)))
    torch.testing.assert_close(x + inside if residual else inside, block(x))


@torch.no_grad()
def test_squeeze_excitation_scales_channels_by_a_gate_of_their_means() -> None:
    excite = SqueezeExcitation(4, 2, nn.SiLU)
    _, down, _, up, _ = excite.gate
    assert isinstance(down, nn.Conv2d) and isinstance(up, nn.Conv2d)
    x = torch.randn(3, 4, 5, 7)

    hidden = F.silu(F.linear(x.mean((2, 3)), down.weight.flatten(1), down.bias))
    gates = torch.sigmoid(F.linear(hidden, up.weight.flatten(1), up.bias))
    torch.testing.assert_close(x * gates[:, :, None, None], excite(x))


@torch.no_grad()
def test_half_the_channels_pass_a_shuffle_block_that_keeps_the_shape() -> None:
    block = ShuffleBlock(8, 8, kernel=5).eval()
    x = torch.randn(2, 8, 6, 6)
    output = block(x)

    assert torch.equal(x[:, 0::2], output[:, :4])
    torch.testing.assert_close(block.main(x[:, 1::2]), output[:, 4:])
    again = block(output)[:, :4]  # what passes the second one was passed and made by the first one
    assert torch.equal(torch.stack([x[:, 0], x[:, 4], *block.main(x[:, 1::2])[:, [0, 2]].unbind(1)], dim=1), again)


@torch.no_grad()
@pytest.mark.parametrize(("channels", "stride"), [(20, 1), (20, 2), (8, 2)])
def test_both_halves_of_a_shuffle_block_that_changes_the_shape_are_made_from_all_channels(
    channels: int, stride: int
) -> None:
    block = ShuffleBlock(6, channels, kernel=3, stride=stride).eval()
    assert block.shortcut is not None
    x = torch.randn(2, 6, 5, 5)

    torch.testing.assert_close(torch.cat([block.shortcut(x), block.main(x)], dim=1), block(x))
    assert (2, 6) == tuple(block.shortcut(x).shape[:2])
    assert (2, channels) == tuple(block(x).shape[:2])


def _separable(inputs: int, outputs: int, kernel: int) -> int:
    return inputs * kernel**2 + 2 * inputs + inputs * outputs + 2 * outputs


@pytest.mark.parametrize("kernel", [3, 5, 7])
@pytest.mark.parametrize(("inputs", "outputs", "stride"), [(8, 8, 1), (8, 20, 2)])
def test_parameters_of_a_shuffle_block_are_those_of_the_closed_form(
    kernel: int, inputs: int, outputs: int, stride: int
) -> None:
    passing = inputs if stride == 2 else inputs // 2
    middle, made = outputs // 2, outputs - passing
    shortcut = _separable(passing, passing, kernel) if stride == 2 else 0
    shuffle = passing * middle + 2 * middle + _separable(middle, made, kernel)
    xception = (
        _separable(passing, middle, kernel) + _separable(middle, middle, kernel) + _separable(middle, made, kernel)
    )

    assert shuffle + shortcut == _parameters(ShuffleBlock(inputs, outputs, kernel, stride))
    assert xception + shortcut == _parameters(ShuffleBlock(inputs, outputs, kernel, stride, xception=True))


def test_activations_of_a_shuffle_block_follow_its_pointwise_convolutions() -> None:
    for xception, separables in ((False, 1), (True, 3)):
        block = ShuffleBlock(8, 8, 3, xception=xception)
        start = [] if xception else ["Conv2d", "BatchNorm2d", "ReLU"]
        separable = ["Conv2d", "BatchNorm2d", "Conv2d", "BatchNorm2d", "ReLU"]

        assert [*start, *separable * separables] == _layers(block.main)


@torch.no_grad()
@pytest.mark.parametrize(
    "block",
    [
        pytest.param(MBConv(4, 8, 7, 3, 2), id="inverted residual"),
        pytest.param(ShuffleBlock(4, 8, 7, 2), id="shuffle"),
        pytest.param(ShuffleBlock(4, 8, 3, 2, xception=True), id="xception"),
        pytest.param(Projection(4, 8, 2), id="projection"),
    ],
)
def test_odd_maps_round_up_and_a_single_pixel_stays(block: nn.Module) -> None:
    block.eval()
    for side, half in ((1, 1), (2, 1), (7, 4), (8, 4)):
        assert (1, 8, half, half) == block(torch.randn(1, 4, side, side)).shape


@pytest.mark.parametrize(("inputs", "outputs", "stride"), [(8, 8, 2), (8, 4, 1), (5, 5, 1), (1, 1, 1)])
def test_a_shuffle_block_without_channels_for_a_branch_is_refused(inputs: int, outputs: int, stride: int) -> None:
    with pytest.raises(SpaceError, match=f"ShuffleBlock: {inputs} to {outputs} channels leaves a branch without"):
        ShuffleBlock(inputs, outputs, 3, stride)
