"""NASNet: its size, its operations, and NASNet-A against the cells that its authors released."""

from __future__ import annotations

from nas_tune.search_spaces.genotypes import Edge
from nas_tune.search_spaces.nasnet import NASNet

# As released: operations, and the tensors they take, where 0 is the previous cell and 1 the one before it.
NAMES = {
    "separable_3x3_2": "sep_conv_3x3",
    "separable_5x5_2": "sep_conv_5x5",
    "separable_7x7_2": "sep_conv_7x7",
    "avg_pool_3x3": "avg_pool_3x3",
    "max_pool_3x3": "max_pool_3x3",
    "none": "skip_connect",
}
NORMAL = (
    "separable_5x5_2 separable_3x3_2 separable_5x5_2 separable_3x3_2 avg_pool_3x3 none avg_pool_3x3 avg_pool_3x3 "
    "separable_3x3_2 none"
)
NORMAL_INPUTS = (0, 1, 1, 1, 0, 1, 1, 1, 0, 0)
REDUCE = (
    "separable_5x5_2 separable_7x7_2 max_pool_3x3 separable_7x7_2 avg_pool_3x3 separable_5x5_2 none avg_pool_3x3 "
    "separable_3x3_2 max_pool_3x3"
)
REDUCE_INPUTS = (0, 1, 0, 1, 0, 1, 3, 2, 2, 0)


def _released(operations: str, inputs: tuple[int, ...]) -> tuple[Edge, ...]:
    exchanged = (1 - i if i < 2 else i for i in inputs)
    return tuple((NAMES[op], i) for op, i in zip(operations.split(), exchanged, strict=True))


def test_a_cell_has_the_size_that_nds_counts() -> None:
    assert 71_465_842 == round(NASNet()["normal"].weight() / 1e9)


def test_there_are_thirteen_operations_and_loose_ends_are_concatenated() -> None:
    assert 13 == len(set(NASNet.operations))
    assert "loose" == NASNet().output


def test_nasnet_a_is_as_its_authors_released_it() -> None:
    genotype = NASNet().to_genotype(NASNet().named("NASNet-A"))

    assert _released(NORMAL, NORMAL_INPUTS) == genotype.normal
    assert _released(REDUCE, REDUCE_INPUTS) == genotype.reduce
    assert ((2, 3, 4, 5, 6), (4, 5, 6)) == (genotype.normal_concat, genotype.reduce_concat)
