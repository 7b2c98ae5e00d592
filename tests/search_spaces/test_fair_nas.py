"""FairNAS: its size, its numbering, its layers, the variant with squeeze-excitation."""

from __future__ import annotations

import pytest
from torch import nn

from nas_tune.errors import ArchitectureError, SpaceError
from nas_tune.search_spaces.fair_nas import FairNAS
from nas_tune.search_spaces.operations.mobile import MBConv


@pytest.fixture(scope="module")
def space() -> FairNAS:
    return FairNAS()


def test_19_layers_have_six_choices(space: FairNAS) -> None:
    assert [6] * 19 == [parameter.count for parameter in space.parameters().values()]
    assert 6**19 == space.size()


def test_the_layers_have_the_published_channels_and_strides(space: FairNAS) -> None:
    plan = [(block.out_channels, block.stride) for block in space.blocks]

    expected = [(32, 2), (32, 1), (40, 2), *[(40, 1)] * 3, (80, 2), *[(80, 1)] * 3, *[(96, 1)] * 4]
    assert [*expected, (192, 2), *[(192, 1)] * 3, (320, 1)] == plan


def test_choices_are_numbered_by_kernel_size_within_the_expansion(space: FairNAS) -> None:
    architecture = space.from_string("0 1 2 3 4 5 " + "0 " * 13)

    assert ["mb_k3_e3", "mb_k5_e3", "mb_k7_e3", "mb_k3_e6", "mb_k5_e6", "mb_k7_e6"] == list(architecture.values())[:6]
    assert architecture == space.from_string(str([0, 1, 2, 3, 4, 5] + [0] * 13))


def test_the_layers_stand_in_the_published_order(space: FairNAS) -> None:
    network = space.build(space.named("FairNAS-C"))
    assert isinstance(network, nn.Sequential)
    names = [type(layer).__name__ for layer in network]
    activations = {type(m) for m in network.modules() if isinstance(m, (nn.ReLU, nn.ReLU6, nn.SiLU))}

    end = ["Sequential", "AdaptiveAvgPool2d", "Flatten", "Dropout", "Linear"]
    assert ["GreyToColour", *["Sequential"] * 3, *["MBConv"] * 19, *end] == names
    assert {nn.ReLU6} == activations


def test_squeeze_excitation_stands_in_every_searched_layer() -> None:
    space = FairNAS(10, squeeze_excitation=0.5)
    network = space.build(space.named("FairNAS-B"))
    blocks = [module for module in network.modules() if isinstance(module, MBConv)]

    assert 19 == len(blocks)
    assert all(block.excite is not None for block in blocks)
    hidden = [
        module.out_channels
        for module in blocks[1].modules()
        if isinstance(module, nn.Conv2d) and module.bias is not None
    ]
    assert [16, 96] == hidden


def test_every_architecture_of_a_small_space_is_another_network() -> None:
    small = FairNAS(width_multiplier=0.25, stages=(2, 1))

    assert 6**3 == len({small.canonical_key(architecture) for architecture in small.enumerate()})


def test_there_is_no_identity(space: FairNAS) -> None:
    with pytest.raises(ArchitectureError, match="`stage_1.block_2` cannot be '6': write one of 0, 1, 2, 3, 4, 5"):
        space.from_string("0 6 " + "0 " * 17)


def test_a_negative_squeeze_excitation_is_refused() -> None:
    with pytest.raises(SpaceError, match="FairNAS: `squeeze_excitation` is -1; it is at least 0"):
        FairNAS(squeeze_excitation=-1)
