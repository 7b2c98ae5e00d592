"""ENAS, the micro search space: five nodes, each of two picks out of five operations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from .pick_cell import Output, PickCellSpace


class ENAS(PickCellSpace):
    """The cells of the micro search space of ENAS: 5,063e9 of each kind (5 operations, loose ends concatenated).

    ``ENAS`` is the pair of cells that the authors' released code trains as final, not verified to be the pair drawn in
    the publication. Their network, 17 cells of 36 channels, is ``ENAS(channels=36, cells=17)`` but for two layers: it
    has one more 1x1 convolution on every cell's second input, and keeps the first input as it is where its
    channels already fit. `PickCellSpace` explains the arguments.

    Reference: Pham et al., Efficient Neural Architecture Search, arXiv:1802.03268, section 2.4; rule of concatenation
    as counted in arXiv:1905.13214, table of the NAS design spaces.
    """

    reference: ClassVar[str] = "arXiv:1802.03268"
    operations: ClassVar[tuple[str, ...]] = (
        "skip_connect",
        "sep_conv_3x3",
        "sep_conv_5x5",
        "avg_pool_3x3",
        "max_pool_3x3",
    )
    published_output: ClassVar[Output] = "loose"
    architectures: ClassVar[Mapping[str, str]] = {
        "ENAS": (
            "Genotype(normal=[('avg_pool_3x3', 0), ('sep_conv_3x3', 0), ('skip_connect', 0), ('sep_conv_5x5', 0), "
            "('skip_connect', 0), ('sep_conv_5x5', 1), ('sep_conv_3x3', 1), ('sep_conv_5x5', 0), "
            "('avg_pool_3x3', 0), ('sep_conv_5x5', 1)], normal_concat=[2, 3, 4, 5, 6], "
            "reduce=[('sep_conv_3x3', 1), ('sep_conv_3x3', 1), ('max_pool_3x3', 0), ('avg_pool_3x3', 0), "
            "('sep_conv_5x5', 1), ('sep_conv_5x5', 3), ('sep_conv_3x3', 1), ('skip_connect', 0), "
            "('max_pool_3x3', 0), ('sep_conv_5x5', 1)], reduce_concat=[2, 4, 5, 6])"
        ),
    }
