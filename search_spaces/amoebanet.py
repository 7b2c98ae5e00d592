"""AmoebaNet: five nodes, each of two picks out of eight operations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from .pick_cell import Output, PickCellSpace


class AmoebaNet(PickCellSpace):
    """The cells of AmoebaNet: 556,628e9 of each kind (8 operations, loose ends concatenated).

    ``AmoebaNet-A`` is as DARTS and NDS read it off the publication's figure. The cells that its authors released later
    have the same operations, but exchange the two inputs of the cell, pool both picks of one node from the same input,
    and put out more tensors, an input of the cell among them. Their CIFAR-10 network, N = 6 and F = 36, has 20 cells
    of 36 channels as here. `PickCellSpace` explains the arguments.

    Reference: Real et al., Regularized Evolution, arXiv:1802.01548; operations and rule of concatenation as counted
    in arXiv:1905.13214, table of the NAS design spaces.
    """

    reference: ClassVar[str] = "arXiv:1802.01548"
    operations: ClassVar[tuple[str, ...]] = (
        "skip_connect",
        "sep_conv_3x3",
        "sep_conv_5x5",
        "sep_conv_7x7",
        "avg_pool_3x3",
        "max_pool_3x3",
        "dil_sep_conv_3x3",
        "conv_7x1_1x7",
    )
    published_output: ClassVar[Output] = "loose"
    architectures: ClassVar[Mapping[str, str]] = {
        "AmoebaNet-A": (
            "Genotype(normal=[('avg_pool_3x3', 0), ('max_pool_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_5x5', 2), "
            "('sep_conv_3x3', 0), ('avg_pool_3x3', 3), ('sep_conv_3x3', 1), ('skip_connect', 1), "
            "('skip_connect', 0), ('avg_pool_3x3', 1)], normal_concat=[4, 5, 6], "
            "reduce=[('avg_pool_3x3', 0), ('sep_conv_3x3', 1), ('max_pool_3x3', 0), ('sep_conv_7x7', 2), "
            "('sep_conv_7x7', 0), ('avg_pool_3x3', 1), ('max_pool_3x3', 0), ('max_pool_3x3', 1), "
            "('conv_7x1_1x7', 0), ('sep_conv_3x3', 5)], reduce_concat=[3, 4, 6])"
        ),
    }
