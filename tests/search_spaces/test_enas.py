"""ENAS: its size, its operations, and its final cells against the sequence that its authors released."""

from __future__ import annotations

from nas_tune.search_spaces.enas import ENAS

# As released: tensor and operation of each pick, the normal cell first.
ARC = "0 2 0 0 0 4 0 1 0 4 1 1 1 0 0 1 0 2 1 1 1 0 1 0 0 3 0 2 1 1 3 1 1 0 0 4 0 3 1 1"
OPERATIONS = ("sep_conv_3x3", "sep_conv_5x5", "avg_pool_3x3", "max_pool_3x3", "skip_connect")


def test_a_cell_has_the_size_that_nds_counts() -> None:
    assert 5_062_500_000_000 == ENAS()["normal"].weight()


def test_there_are_five_operations_and_loose_ends_are_concatenated() -> None:
    assert set(OPERATIONS) == set(ENAS.operations)
    assert "loose" == ENAS().output


def test_the_cells_are_as_their_authors_released_them() -> None:
    genotype = ENAS().to_genotype(ENAS().named("ENAS"))
    numbers = list(map(int, ARC.split()))
    released = tuple((OPERATIONS[op], source) for source, op in zip(numbers[::2], numbers[1::2], strict=True))

    assert released == (*genotype.normal, *genotype.reduce)
    assert ((2, 3, 4, 5, 6), (2, 4, 5, 6)) == (genotype.normal_concat, genotype.reduce_concat)
