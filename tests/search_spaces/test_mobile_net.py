"""The ProxylessNAS chain: what can be left out, its sizes, its order of layers."""

from __future__ import annotations

import numpy as np
import pytest
from torch import nn

from nas_tune.costs import profile
from nas_tune.errors import ArchitectureError, SpaceError
from nas_tune.search_spaces.mobile_net import MobileNet
from nas_tune.search_spaces.operations.mobile import MBConv

EVERY_3 = "3x3_MBConv3"


@pytest.fixture(scope="module")
def space() -> MobileNet:
    return MobileNet()


def test_21_blocks_have_six_convolutions_and_15_of_them_can_be_left_out(space: MobileNet) -> None:
    counts = [parameter.count for parameter in space.parameters().values()]

    assert 21 == len(counts)
    assert [6, 7, 7, 7] * 5 + [6] == counts
    assert 7**15 * 6**6 == space.size()


def test_the_blocks_have_the_published_channels_and_strides(space: MobileNet) -> None:
    first = [(block.out_channels, block.stride) for block in space.blocks if block.first]

    assert [(24, 2), (40, 2), (80, 2), (96, 1), (192, 2), (320, 1)] == first
    assert all(b.stride == 1 and b.in_channels == b.out_channels for b in space.blocks if not b.first)


def test_the_layers_stand_in_the_published_order(space: MobileNet) -> None:
    network = space.build(space.from_string(" ".join([EVERY_3] * 21)))
    assert isinstance(network, nn.Sequential)
    names = [type(layer).__name__ for layer in network]

    end = ["Sequential", "AdaptiveAvgPool2d", "Flatten", "Linear"]
    assert ["GreyToColour", "Sequential", "MBConv", *["MBConv"] * 21, *end] == names
    assert {1e-3} == {module.eps for module in network.modules() if isinstance(module, nn.BatchNorm2d)}


def test_a_block_that_changes_the_shape_cannot_be_left_out(space: MobileNet) -> None:
    with pytest.raises(ArchitectureError, match="`stage_2.block_1` cannot be 'Zero': write one of 3x3_MBConv3"):
        space.from_string(" ".join([EVERY_3] * 4 + ["Zero"] + [EVERY_3] * 16))


def test_a_block_left_out_is_an_identity_wherever_it_stands() -> None:
    small = MobileNet(10, width_multiplier=0.25, stages=(4,), stem="cifar")
    early, late = (
        small.from_string(f"{EVERY_3} {rest}") for rest in ("Zero 5x5_MBConv6 Zero", "Zero Zero 5x5_MBConv6")
    )
    network = small.build(early)

    assert [EVERY_3, "Zero", "5x5_MBConv6", "Zero"] == small.to_string(early).split()
    assert ["MBConv", "Identity", "MBConv", "Identity"] == [
        type(part).__name__ for part in list(network.children())[3:7]
    ]
    assert small.canonical_key(early) == small.canonical_key(late)
    assert small.canonical_key(early) != small.canonical_key(small.from_string(f"{EVERY_3} Zero 5x5_MBConv3 Zero"))


def test_the_stage_of_a_block_tells_networks_apart() -> None:
    small = MobileNet(10, width_multiplier=0.25, stages=(2, 2))
    one, other = (small.from_string(f"{EVERY_3} {a} {EVERY_3} {b}") for a, b in ((EVERY_3, "Zero"), ("Zero", EVERY_3)))

    assert small.canonical_key(one) != small.canonical_key(other)
    assert 6 * 7 * 6 * 7 == len({small.canonical_key(a) for a in small.enumerate()})


def test_stages_of_equal_width_do_not_change_what_can_be_left_out() -> None:
    """At a quarter of the channels the stages of 80 and of 96 are equally wide: a residual, but no Zero."""
    narrow = MobileNet(width_multiplier=0.25)
    fourth = next(block for block in narrow.blocks if block.name == "stage_4.block_1")

    assert MobileNet().signature() == narrow.signature()
    assert fourth.in_channels == fourth.out_channels == 24
    block = narrow.candidates(fourth)["mb_k3_e3"]()
    assert isinstance(block, MBConv) and block.residual


@pytest.mark.parametrize("multiplier", [0.25, 0.5, 1.35])
def test_channels_are_multiples_of_eight(multiplier: float) -> None:
    assert all(block.out_channels % 8 == 0 for block in MobileNet(width_multiplier=multiplier).blocks)


def test_the_last_convolution_grows_with_the_channels_but_does_not_shrink() -> None:
    assert [1280, 1280, 1728] == [MobileNet(width_multiplier=factor).last_channels for factor in (0.25, 1.0, 1.35)]


def test_the_cost_falls_by_that_of_the_block_left_out() -> None:
    space = MobileNet(stages=(3,))
    costs = []
    for middle in (EVERY_3, "Zero"):
        network = space.build(space.from_string(f"{EVERY_3} {middle} {EVERY_3}"))
        costs.append(profile(network.to("meta"), (3, 224, 224)))

    inner = 3 * 24
    assert 2 * 24 * inner + 9 * inner + 2 * (inner + inner + 24) == costs[0].parameters - costs[1].parameters
    assert 56**2 * (2 * 24 * inner + 9 * inner) == costs[0].macs - costs[1].macs


def test_widths_are_checked() -> None:
    with pytest.raises(SpaceError, match="MobileNet: `widths` is 0; it is at least 1"):
        MobileNet(widths=(24, 0))
    with pytest.raises(SpaceError, match="MobileNet: `stages` is .* at most 2 stages"):
        MobileNet(widths=(24, 40))
    assert [24, 40] == [block.out_channels for block in MobileNet(widths=(24, 40), stages=(1, 1)).blocks]


def test_numbers_of_numpy_are_sizes() -> None:
    assert "stages=(1, 2)" in repr(MobileNet(stages=tuple(np.array([1, 2]))))
