"""PNAS: five nodes, each of two picks out of eight operations, all nodes concatenated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from .pick_cell import Output, PickCellSpace


class PNAS(PickCellSpace):
    """The cells of PNAS: 556,628e9 of each kind (8 operations, all nodes concatenated).

    ``PNASNet-5`` is the published cell as its author's code for PyTorch writes it. The publication has one cell for
    both kinds, in a reduction with stride 2 on the cell's inputs; here the kinds are decided apart, as in NDS. Its
    CIFAR-10 network, N = 3 and F = 48 with 3.2 M parameters, fits ``PNAS(channels=48, cells=9)`` with 3.18 M.
    `PickCellSpace` explains the arguments.

    Reference: Liu et al., Progressive Neural Architecture Search, arXiv:1712.00559; operations and rule of
    concatenation as counted in arXiv:1905.13214, table of the NAS design spaces.
    """

    reference: ClassVar[str] = "arXiv:1712.00559"
    operations: ClassVar[tuple[str, ...]] = (
        "sep_conv_3x3",
        "sep_conv_5x5",
        "sep_conv_7x7",
        "conv_7x1_1x7",
        "skip_connect",
        "avg_pool_3x3",
        "max_pool_3x3",
        "dil_conv_3x3",
    )
    published_output: ClassVar[Output] = "all"
    architectures: ClassVar[Mapping[str, str]] = {
        "PNASNet-5": (
            "Genotype(normal=[('sep_conv_5x5', 0), ('max_pool_3x3', 0), ('sep_conv_7x7', 1), ('max_pool_3x3', 1), "
            "('sep_conv_5x5', 1), ('sep_conv_3x3', 1), ('sep_conv_3x3', 4), ('max_pool_3x3', 1), "
            "('sep_conv_3x3', 0), ('skip_connect', 1)], normal_concat=[2, 3, 4, 5, 6], "
            "reduce=[('sep_conv_5x5', 0), ('max_pool_3x3', 0), ('sep_conv_7x7', 1), ('max_pool_3x3', 1), "
            "('sep_conv_5x5', 1), ('sep_conv_3x3', 1), ('sep_conv_3x3', 4), ('max_pool_3x3', 1), "
            "('sep_conv_3x3', 0), ('skip_connect', 1)], reduce_concat=[2, 3, 4, 5, 6])"
        ),
    }
