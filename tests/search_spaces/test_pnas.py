"""PNAS: its size, its operations, and PNASNet-5 against the cell that its authors released."""

from __future__ import annotations

from nas_tune.search_spaces.pnas import PNAS

# As released for TensorFlow: kernels and tensors of the picks, where 0 is the previous cell and 1 the one before it.
OPERATIONS = ("sep5", "max", "sep7", "max", "sep5", "sep3", "sep3", "max", "sep3", "none")
INPUTS = (1, 1, 0, 0, 0, 0, 4, 0, 1, 0)
NAMES = {
    "sep3": "sep_conv_3x3",
    "sep5": "sep_conv_5x5",
    "sep7": "sep_conv_7x7",
    "max": "max_pool_3x3",
    "none": "skip_connect",
}


def test_a_cell_has_the_size_that_nds_counts() -> None:
    assert 556_628 == round(PNAS()["normal"].weight() / 1e9)


def test_there_are_eight_operations_and_all_nodes_are_concatenated() -> None:
    assert 8 == len(set(PNAS.operations))
    assert "all" == PNAS().output


def test_pnasnet_5_is_as_its_authors_released_it() -> None:
    genotype = PNAS().to_genotype(PNAS().named("PNASNet-5"))
    released = tuple((NAMES[op], 1 - i if i < 2 else i) for op, i in zip(OPERATIONS, INPUTS, strict=True))

    assert released == genotype.normal == genotype.reduce
    assert (2, 3, 4, 5, 6) == genotype.normal_concat == genotype.reduce_concat
