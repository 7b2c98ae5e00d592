"""Published cells of the DARTS space, as genotypes.

From the papers and the authors' releases: DARTS (first and second order), arXiv:1806.09055; SNAS under mild, moderate
and aggressive resource constraint, arXiv:1812.09926; P-DARTS, searched on CIFAR-10, arXiv:1904.12760; PC-DARTS,
searched on CIFAR-10 and on ImageNet, arXiv:1907.05737; FairDARTS a to g, arXiv:1911.12126.
"""

from __future__ import annotations

from collections.abc import Mapping

from .genotypes import Edge, Genotype

_SHORT = {
    "max": "max_pool_3x3",
    "avg": "avg_pool_3x3",
    "skip": "skip_connect",
    "sep3": "sep_conv_3x3",
    "sep5": "sep_conv_5x5",
    "dil3": "dil_conv_3x3",
    "dil5": "dil_conv_5x5",
    "none": "none",
}


def _genotype(normal: str, reduce: str) -> str:
    nodes = (2, 3, 4, 5)
    return str(Genotype(_cell(normal), nodes, _cell(reduce), nodes))


def _cell(text: str) -> tuple[Edge, ...]:
    """Read words such as `sep3-0`, operation and input; in a cell with nodes of their own such as `sep3-2-0`."""
    return tuple(map(_edge, text.split()))


def _edge(word: str) -> Edge:
    operation, *numbers = word.split("-")
    if len(numbers) == 1:
        return _SHORT[operation], int(numbers[0])
    return _SHORT[operation], int(numbers[0]), int(numbers[1])


ARCHITECTURES: Mapping[str, str] = {
    "DARTS-V1": _genotype(
        "sep3-1 sep3-0 skip-0 sep3-1 skip-0 sep3-1 sep3-0 skip-2",
        "max-0 max-1 skip-2 max-0 max-0 skip-2 skip-2 avg-0",
    ),
    "DARTS-V2": _genotype(
        "sep3-0 sep3-1 sep3-0 sep3-1 sep3-1 skip-0 skip-0 dil3-2",
        "max-0 max-1 skip-2 max-1 max-0 skip-2 skip-2 max-1",
    ),
    "SNAS-mild": _genotype(
        "sep3-0 sep3-1 skip-0 dil3-1 skip-0 skip-1 skip-0 sep3-1",
        "max-0 max-1 max-1 skip-2 max-1 skip-2 max-0 dil5-2",
    ),
    "SNAS-moderate": _genotype(
        "dil5-0 skip-1 sep3-0 skip-1 skip-0 skip-1 sep3-0 dil5-1",
        "max-0 max-1 sep5-0 dil5-1 sep5-0 sep5-1 sep5-0 sep5-1",
    ),
    "SNAS-aggressive": _genotype(
        "sep5-0 skip-1 skip-0 skip-1 dil5-1 skip-0 skip-0 dil5-1",
        "sep5-0 none-1 sep5-0 none-1 none-1 none-0 none-1 none-0",
    ),
    "P-DARTS": _genotype(
        "skip-0 dil3-1 skip-0 sep3-1 sep3-1 sep3-3 sep3-0 dil5-4",
        "avg-0 sep5-1 sep3-0 dil5-2 max-0 dil3-1 dil3-1 dil5-3",
    ),
    "PC-DARTS": _genotype(
        "sep3-1 skip-0 sep3-0 dil3-1 sep5-0 sep3-1 avg-0 dil3-1",
        "sep5-1 max-0 sep5-1 sep5-2 sep3-0 sep3-3 sep3-1 sep3-2",
    ),
    "PC-DARTS-ImageNet": _genotype(
        "skip-1 sep3-0 sep3-0 skip-1 sep3-1 sep3-3 sep3-1 dil5-4",
        "sep3-0 skip-1 dil5-2 max-1 sep3-2 sep3-1 sep5-0 sep3-3",
    ),
    "FairDARTS-a": _genotype(
        "sep3-2-0 sep5-2-1 max-4-0 sep3-5-0",
        "max-2-0 avg-2-1 avg-3-0 dil5-3-1 avg-4-0 sep5-4-1 skip-5-0 skip-5-1",
    ),
    "FairDARTS-b": _genotype(
        "sep3-2-0 sep3-2-1 sep3-3-1 dil3-4-0 sep5-4-1 dil5-5-1",
        "skip-2-0 dil3-2-1 skip-3-0 dil3-3-1 max-4-0 sep3-4-1 skip-5-2 max-5-0",
    ),
    "FairDARTS-c": _genotype(
        "max-2-0 sep5-2-1 dil3-4-0 dil5-4-2 skip-5-3 sep3-5-0",
        "dil3-2-1 dil5-2-0 dil3-3-0 sep3-3-1 sep5-4-0 sep5-4-3 sep5-5-0 skip-5-1",
    ),
    "FairDARTS-d": _genotype(
        "sep3-2-0 sep5-2-1 dil3-3-1 max-3-0 dil3-4-0 dil3-4-1 sep3-5-0 dil5-5-1",
        "max-2-0 sep5-2-1 avg-3-0 dil5-3-2 dil3-4-3 avg-4-0 avg-5-0 skip-5-3",
    ),
    "FairDARTS-e": _genotype(
        "sep3-2-0 sep3-2-1 dil3-4-1 dil3-4-2 dil3-5-0 dil5-5-1",
        "max-2-1 max-2-0 max-3-1 max-3-0 sep5-4-1 max-4-0 avg-5-0 dil5-5-1",
    ),
    "FairDARTS-f": _genotype(
        "max-2-0 sep3-2-1 dil3-3-1 sep5-4-1 sep3-5-0 sep3-5-1",
        "max-2-0 max-2-1 max-3-0 dil3-3-1 dil3-4-2 max-4-0 max-5-0 sep3-5-1",
    ),
    "FairDARTS-g": _genotype(
        "sep3-2-0 sep3-2-1 skip-4-3 sep5-4-1 dil3-5-0 sep3-5-1",
        "avg-2-1 skip-2-0 skip-3-2 max-3-1 sep5-4-3 max-4-0 dil3-5-1 dil3-5-4",
    ),
}
