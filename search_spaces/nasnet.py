"""NASNet: five nodes, each of two picks out of thirteen operations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from .pick_cell import Output, PickCellSpace


class NASNet(PickCellSpace):
    """The cells of NASNet: 71,465,842e9 of each kind (13 operations, loose ends concatenated).

    ``NASNet-A`` is as DARTS and NDS write it. The publication differs: the output of its normal cell also holds the
    cell's first input, so that it is six tensors and not five, and it searches whether a node adds or concatenates its
    picks; the published cells add, and so do all cells here. Its CIFAR-10 network "6 @ 768" has 20 cells as here, of 32
    channels. `PickCellSpace` explains the arguments.

    Reference: Zoph et al., Learning Transferable Architectures, arXiv:1707.07012; operations and rule of
    concatenation as counted in arXiv:1905.13214, table of the NAS design spaces.
    """

    reference: ClassVar[str] = "arXiv:1707.07012"
    operations: ClassVar[tuple[str, ...]] = (
        "skip_connect",
        "conv_3x1_1x3",
        "conv_7x1_1x7",
        "dil_conv_3x3",
        "avg_pool_3x3",
        "max_pool_3x3",
        "max_pool_5x5",
        "max_pool_7x7",
        "conv_1x1",
        "conv_3x3",
        "sep_conv_3x3",
        "sep_conv_5x5",
        "sep_conv_7x7",
    )
    published_output: ClassVar[Output] = "loose"
    architectures: ClassVar[Mapping[str, str]] = {
        "NASNet-A": (
            "Genotype(normal=[('sep_conv_5x5', 1), ('sep_conv_3x3', 0), ('sep_conv_5x5', 0), ('sep_conv_3x3', 0), "
            "('avg_pool_3x3', 1), ('skip_connect', 0), ('avg_pool_3x3', 0), ('avg_pool_3x3', 0), "
            "('sep_conv_3x3', 1), ('skip_connect', 1)], normal_concat=[2, 3, 4, 5, 6], "
            "reduce=[('sep_conv_5x5', 1), ('sep_conv_7x7', 0), ('max_pool_3x3', 1), ('sep_conv_7x7', 0), "
            "('avg_pool_3x3', 1), ('sep_conv_5x5', 0), ('skip_connect', 3), ('avg_pool_3x3', 2), "
            "('sep_conv_3x3', 2), ('max_pool_3x3', 1)], reduce_concat=[4, 5, 6])"
        ),
    }
