"""Single Path One-Shot: its size, its layers, its published network."""

from __future__ import annotations

import pytest
from torch import nn

from nas_tune.errors import ArchitectureError, SpaceError
from nas_tune.search_spaces.spos import SPOS


@pytest.fixture(scope="module")
def space() -> SPOS:
    return SPOS()


def test_20_blocks_have_four_choices(space: SPOS) -> None:
    assert [4] * 20 == [parameter.count for parameter in space.parameters().values()]
    assert 4**20 == space.size()


def test_the_blocks_have_the_published_channels_and_strides(space: SPOS) -> None:
    first = [(block.name, block.in_channels, block.out_channels, block.stride) for block in space.blocks if block.first]

    assert [
        ("stage_1.block_1", 16, 64, 2),
        ("stage_2.block_1", 64, 160, 2),
        ("stage_3.block_1", 160, 320, 2),
        ("stage_4.block_1", 320, 640, 2),
    ] == first
    assert [4, 4, 8, 4] == [sum(block.name.startswith(f"stage_{i}.") for block in space.blocks) for i in (1, 2, 3, 4)]


def test_the_layers_stand_in_the_published_order(space: SPOS) -> None:
    network = space.build(space.named("SPOS"))
    assert isinstance(network, nn.Sequential)
    names = [type(layer).__name__ for layer in network]

    end = ["Sequential", "AdaptiveAvgPool2d", "Flatten", "Dropout", "Linear"]
    assert ["GreyToColour", "Sequential", *["ShuffleBlock"] * 20, *end] == names
    classifier = network[-1]
    assert isinstance(classifier, nn.Linear)
    assert classifier.bias is None


def test_the_published_tuple_is_read(space: SPOS) -> None:
    published = "(2, 1, 0, 1, 2, 0, 2, 0, 2, 0, 2, 3, 0, 0, 0, 0, 3, 2, 3, 3)"
    architecture = space.from_string(published)

    assert space.named("SPOS") == architecture
    assert ["shuffle_7", "shuffle_5", "shuffle_3"] == list(architecture.values())[:3]
    assert "xception" == architecture["stage_4.block_4"]


def test_every_architecture_of_a_small_space_is_another_network() -> None:
    small = SPOS(width_multiplier=0.25, stages=(2, 2))

    assert 4**4 == len({small.canonical_key(architecture) for architecture in small.enumerate()})


def test_an_unknown_number_names_its_block(space: SPOS) -> None:
    with pytest.raises(ArchitectureError, match="`stage_2.block_1` cannot be '4': write one of 0, 1, 2, 3 at its"):
        space.from_string("0 0 0 0 4 " + "0 " * 15)


def test_stages_have_to_grow() -> None:
    with pytest.raises(
        SpaceError, match="SPOS: `width_multiplier` is 0.05, which gives stage_1.block_1 4 channels in and"
    ):
        SPOS(width_multiplier=0.05)
