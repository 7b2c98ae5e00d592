"""Sizes of cell spaces as design spaces count them."""

from __future__ import annotations

from math import prod

from .published import size_of


def design_space_size(operations: int, nodes: int) -> int:
    """Return the number of cells whose nodes each take two ordered (input, operation) pairs, repeats allowed.

    That is the product over the nodes i = 2, ..., nodes + 1 of `(operations * i) ** 2`, i being the number of inputs a
    node can choose from. It counts one cell, and every order of nodes and inputs as another cell.

    Args:
        operations: Operations to choose from, ``"none"`` included where it is one.
        nodes: Nodes of the cell.

    Raises:
        SpaceError: Either is no whole number of at least 1.

    Reference: Radosavovic et al., On Network Design Spaces, arXiv:1905.13214, table 5.
    """
    operations = size_of("design_space_size", "operations", operations)
    nodes = size_of("design_space_size", "nodes", nodes)
    return prod((operations * inputs) ** 2 for inputs in range(2, nodes + 2))
