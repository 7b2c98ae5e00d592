"""Architectures as the rows of a matrix: an encoding, and whatever else is known before training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from nas_tune.errors import PredictorError
from nas_tune.predictors.memory import Memory

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nas_tune.space import Architecture, SearchSpace
    from nas_tune.space.encodings import Encoding

    Columns: TypeAlias = Callable[[Sequence[Architecture]], NDArray[np.float64]]
    """Numbers known of architectures before training, such as zero-cost proxies: shape `(n, k)`, with one `k`."""

BYTES = 64 * 2**20  # of remembered rows
LARGEST = 1e18  # of a number that a float32 and its square hold


class Features:
    """Rows of an encoding with extra columns behind it, remembered for as many architectures as fit in 64 MiB.

    Args:
        owner: Who asks, for errors.
        space: The space that the architectures are of.
        encoding: ``"one-hot"``, ``"adjacency"`` or ``"path"``, or an encoding; `None` has the extra columns alone.
        extra: Returns further columns for architectures, shape `(n, k)`.

    Raises:
        UnknownNameError: There is no such encoding.
    """

    def __init__(
        self, owner: str, space: SearchSpace, encoding: str | Encoding | None, extra: Columns | None = None
    ) -> None:
        self._owner, self._extra = owner, extra
        self._encoding = space.encoding(encoding) if isinstance(encoding, str) else encoding
        self.encoded = 0 if self._encoding is None else self._encoding.width
        room = max(BYTES // (4 * self.encoded + 64), 2_000)
        self._rows: Memory[NDArray[np.float32]] = Memory(owner, space, self._compute, room)

    def __call__(self, architectures: Sequence[Architecture]) -> NDArray[np.float32]:
        """Return a row for each of at least one architecture, shape `(n, encoded + k)`.

        Raises:
            ArchitectureError: An architecture is of another space.
            PredictorError: The extra columns are not of shape `(n, k)`, or hold what is no finite number.
        """
        rows = self._rows(architectures)
        if len({len(row) for row in rows}) > 1:
            raise PredictorError(f"{self._owner}: `features` returned another number of columns than before.")
        return np.stack(rows)

    def _compute(self, architectures: Sequence[Architecture]) -> list[NDArray[np.float32]]:
        matrix = np.zeros((len(architectures), self.encoded), dtype=np.float32)
        if self._encoding is not None:
            for row, architecture in zip(matrix, architectures, strict=True):
                row[:] = self._encoding.encode(architecture)
        whole = [matrix] if self._extra is None else [matrix, self._further(self._extra, architectures)]
        return list(np.hstack(whole))

    def _further(self, extra: Columns, architectures: Sequence[Architecture]) -> NDArray[np.float32]:
        found = np.asarray(extra(architectures), dtype=np.float64)
        if found.ndim != 2 or len(found) != len(architectures):
            raise PredictorError(
                f"{self._owner}: `features` returned the shape {found.shape} for {len(architectures)} architectures. "
                "Return one row for each, shape (n, k)."
            )
        if not (np.abs(found) <= LARGEST).all():
            raise PredictorError(
                f"{self._owner}: `features` returned what is not finite or above {LARGEST:g}. "
                "Give what has no value a number, and take the logarithm of what is large."
            )
        return found.astype(np.float32)


class Standardization(NamedTuple):
    """What brings the extra columns to mean 0 and standard deviation 1; those of an encoding stay as they are.

    Attributes:
        shift: What is taken off each column, shape `(width,)`.
        scale: What each is then divided by, shape `(width,)`.
    """

    shift: NDArray[np.float32]
    scale: NDArray[np.float32]

    def __call__(self, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the matrix standardised; shape `(n, width)`."""
        if not self.shift.any() and (self.scale == 1).all():
            return matrix
        standard: NDArray[np.float32] = (matrix - self.shift) / self.scale
        return standard


def standardization(matrix: NDArray[np.float32], encoded: int) -> Standardization:
    """Return the standardisation of the columns behind the first `encoded`, by the rows of `matrix`."""
    shift, scale = matrix.mean(0, dtype=np.float64), matrix.std(0, dtype=np.float64)
    scale[scale <= 1e-6 * np.abs(shift)] = 1.0
    scale[scale == 0] = 1.0
    shift[:encoded], scale[:encoded] = 0.0, 1.0
    return Standardization(shift.astype(np.float32), scale.astype(np.float32))
