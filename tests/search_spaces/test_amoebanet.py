"""AmoebaNet: its size, its operations, and AmoebaNet-A against the cells that its authors released."""

from __future__ import annotations

from collections import Counter

from nas_tune.search_spaces.amoebanet import AmoebaNet

# How often each operation stands in the cells that the authors released.
NORMAL = {"avg_pool_3x3": 3, "max_pool_3x3": 1, "sep_conv_3x3": 3, "sep_conv_5x5": 1, "skip_connect": 2}
REDUCE = {"avg_pool_3x3": 2, "max_pool_3x3": 3, "sep_conv_3x3": 2, "sep_conv_7x7": 2, "conv_7x1_1x7": 1}


def test_a_cell_has_the_size_that_nds_counts() -> None:
    assert 556_628 == round(AmoebaNet()["normal"].weight() / 1e9)


def test_there_are_eight_operations_and_loose_ends_are_concatenated() -> None:
    assert 8 == len(set(AmoebaNet.operations))
    assert "loose" == AmoebaNet().output


def test_amoebanet_a_has_the_operations_that_its_authors_released() -> None:
    genotype = AmoebaNet().to_genotype(AmoebaNet().named("AmoebaNet-A"))

    assert Counter(NORMAL) == Counter(edge[0] for edge in genotype.normal)
    assert Counter(REDUCE) == Counter(edge[0] for edge in genotype.reduce)


def test_the_loose_ends_of_amoebanet_a_are_those_of_darts() -> None:
    genotype = AmoebaNet().to_genotype(AmoebaNet().named("AmoebaNet-A"))

    assert ((4, 5, 6), (3, 4, 6)) == (genotype.normal_concat, genotype.reduce_concat)
