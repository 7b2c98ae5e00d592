"""Stratified splits: every part holds each class in the proportion the whole has."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]


def stratified_parts(
    labels: NDArray[np.integer], sizes: Sequence[int], rng: np.random.Generator
) -> tuple[Indices, ...]:
    """Draw disjoint parts of the given sizes.

    The samples are ordered at random inside their class, and the classes are then interleaved
    evenly, so each consecutive run of that order is stratified to within one sample of each class.

    Args:
        labels: Class of each sample, [N].
        sizes: Size of each part; they sum to at most N.
        rng: Randomness of the order inside a class.

    Returns:
        Indices into ``labels`` for each part, ascending.
    """
    assert sum(sizes) <= len(labels)
    order = rng.permutation(len(labels))
    position = np.empty(len(labels))
    for label in np.unique(labels):
        members = order[labels[order] == label]
        position[members] = (np.arange(len(members)) + 0.5) / len(members)
    interleaved = order[np.argsort(position[order], kind="stable")]
    ends = np.cumsum(sizes)
    return tuple(np.sort(interleaved[end - size : end]) for end, size in zip(ends, sizes, strict=True))
