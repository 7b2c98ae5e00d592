"""What a kernel is here: columns in groups, each group with a weight that the data decide."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from nas_tune.space import Architecture


class Kernel(Protocol):
    """Maps architectures to columns ``phi``; the similarity of two is ``exp(-1/2 sum_g w_g |phi_g - phi'_g|^2)``.

    Each group ``g`` of columns has a weight of its own (automatic relevance determination), chosen by the marginal
    likelihood. A squared exponential of columns is positive semi-definite for whatever columns.

    Attributes:
        groups: Group of each column, 0, 1, 2, ...; may change with `fit`, but not the number of groups.
        blocks: What each group is a part of: the prior shares out the same distance to every block.
    """

    @property
    def groups(self) -> tuple[int, ...]: ...

    @property
    def blocks(self) -> tuple[int, ...]: ...

    def fit(self, architectures: Sequence[Architecture]) -> Self:
        """Learn which columns there are from the architectures that a predictor learns."""

    def encode(self, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        """Return the columns of architectures, shape `(n, len(groups))`."""
