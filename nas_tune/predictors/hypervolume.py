"""Volume that a set of points dominates, and the gain of it that is expected of a prediction.

Larger is better in every objective. Volumes are those above a reference point: a point that is not above it in every
objective counts for nothing.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

from nas_tune.errors import PredictorError

MOST_PRODUCTS = 1 << 22  # of a candidate and a box, in memory at once


class Boxes(NamedTuple):
    """Boxes without common volume.

    Attributes:
        lower: Shape `(boxes, m)`.
        upper: Shape `(boxes, m)`, infinite where nothing bounds a box.
    """

    lower: NDArray[np.float64]
    upper: NDArray[np.float64]


def hypervolume(points: ArrayLike, reference: ArrayLike) -> float:
    """Return the volume of what lies above the reference and is dominated by one of the points.

    Exact for any number of objectives: at once for 2, in n such steps for 3, with a factor of n for each one more.

    Args:
        points: Shape `(n, m)`; they may dominate each other.
        reference: Shape `(m,)`.

    Raises:
        PredictorError: The shapes do not fit, or a number is not finite.

    Reference: While et al., "A Fast Way of Calculating Exact Hypervolumes", doi:10.1109/TEVC.2010.2077298.
    """
    found, origin = _checked(points, reference)
    return _volume(_undominated(found - origin))


def boxes(front: ArrayLike, reference: ArrayLike) -> Boxes:
    """Divide what lies above the reference and is dominated by none of the points into boxes.

    The last objective is cut at the value of every point, and each slice divided in the objectives that are left: at
    most n + 1 boxes for 2 objectives, and about n^2 / 2 for 3.

    Args:
        front: Shape `(n, m)`, n may be 0; points that are dominated change nothing.
        reference: Shape `(m,)`.

    Raises:
        PredictorError: The shapes do not fit, or a number is not finite.
    """
    found, origin = _checked(front, reference)
    return _divided(_undominated(found), origin)


def expected_improvement(
    means: ArrayLike, stds: ArrayLike, front: ArrayLike, reference: ArrayLike
) -> NDArray[np.float64]:
    """Return by how much each candidate is expected to enlarge the hypervolume of a front, shape `(n,)`, at least 0.

    Exact where the objectives of a candidate are normal and independent.

    Args:
        means: Expected objectives of the candidates, shape `(n, m)`.
        stds: Their standard deviations, at least 0, shape `(n, m)`; an objective that is known has 0.
        front: Values that are known, shape `(k, m)`, k may be 0.
        reference: Shape `(m,)`.

    Raises:
        PredictorError: The shapes do not fit, a number is not finite, or a standard deviation is below 0.

    Reference: Yang et al., "Efficient Computation of Expected Hypervolume Improvement Using Box Decomposition
        Algorithms", arXiv:1904.12672: the product over objectives of what lies between two bounds, summed over boxes.
    """
    cells = boxes(front, reference)
    expected, spread = np.asarray(means, dtype=np.float64), np.asarray(stds, dtype=np.float64)
    if expected.ndim != 2 or expected.shape[1] != cells.lower.shape[1] or spread.shape != expected.shape:
        raise PredictorError(
            f"expected_improvement: `means` of shape {expected.shape} and `stds` of shape {spread.shape}. Give one row "
            f"for each candidate and {cells.lower.shape[1]} columns, as many as `reference` has values."
        )
    if not (np.isfinite(expected).all() and np.isfinite(spread).all() and (spread >= 0).all()):
        raise PredictorError("expected_improvement: `means` and `stds` must be finite, and `stds` at least 0.")
    step = max(1, MOST_PRODUCTS // len(cells.lower))
    starts = range(0, len(expected), step)
    parts = [_gain(expected[i : i + step], spread[i : i + step], cells) for i in starts]
    return np.concatenate([np.empty(0), *parts])


def _gain(means: NDArray[np.float64], stds: NDArray[np.float64], cells: Boxes) -> NDArray[np.float64]:
    products = np.ones((len(means), len(cells.lower)))
    for mean, std, lower, upper in zip(means.T, stds.T, cells.lower.T, cells.upper.T, strict=True):
        bounds, places = np.unique(np.concatenate([lower, upper]), return_inverse=True)
        above = _above(mean[:, None], std[:, None], bounds)
        low, high = np.split(places.reshape(-1), 2)
        products *= above[:, low] - above[:, high]
    total: NDArray[np.float64] = np.maximum(products.sum(axis=1), 0.0)
    return total


def _above(mean: NDArray[np.float64], std: NDArray[np.float64], bound: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the integral of the normal's upper tail from the bound on, E[max(Y - bound, 0)]; 0 beyond infinity."""
    finite = np.where(np.isinf(bound), 0.0, bound)
    distance = mean - finite
    scaled = np.divide(distance, std, out=np.copysign(np.inf, distance), where=std > 0)
    density = np.exp(-0.5 * np.square(scaled)) / math.sqrt(2 * math.pi)
    return np.where(np.isinf(bound), 0.0, std * density + distance * ndtr(scaled))


def _volume(points: NDArray[np.float64]) -> float:
    """Return the hypervolume above 0 of points that are above 0."""
    if points.shape[1] == 1:
        return float(points.max(initial=0.0))
    points = points[np.argsort(-points[:, -1], kind="stable")]
    if points.shape[1] == 2:
        widths = np.maximum.accumulate(points[:, 0])
        return float((np.diff(widths, prepend=0.0) * points[:, 1]).sum())
    total = 0.0
    for place, (*others, last) in enumerate(points):
        shadowed = np.minimum(points[:place, :-1], others)  # by points that are higher in the last objective
        total += float(last) * (math.prod(map(float, others)) - _volume(_undominated(shadowed)))
    return total


def _divided(front: NDArray[np.float64], reference: NDArray[np.float64]) -> Boxes:
    if len(reference) == 1:
        return Boxes(np.array([[front.max(initial=reference[0])]]), np.array([[np.inf]]))
    last = front[:, -1]
    cuts = np.concatenate([reference[-1:], np.unique(last), [np.inf]])
    lower, upper = [], []
    for low, high in zip(cuts[:-1], cuts[1:], strict=True):
        inside = _divided(_undominated(front[last >= high, :-1]), reference[:-1])
        lower.append(np.column_stack([inside.lower, np.full(len(inside.lower), low)]))
        upper.append(np.column_stack([inside.upper, np.full(len(inside.upper), high)]))
    return Boxes(np.concatenate(lower), np.concatenate(upper))


def _undominated(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return each point that no other dominates, once."""
    distinct = np.unique(points, axis=0)
    no_worse = np.ones((len(distinct), len(distinct)), dtype=np.bool_)
    for column in distinct.T:
        no_worse &= column[:, None] >= column
    kept: NDArray[np.float64] = distinct[no_worse.sum(axis=0) == 1]
    return kept


def _checked(points: ArrayLike, reference: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the points that are above the reference in every objective, and the reference."""
    found, origin = np.asarray(points, dtype=np.float64), np.asarray(reference, dtype=np.float64)
    if origin.ndim != 1 or not len(origin):
        raise PredictorError(f"`reference` has the shape {origin.shape}. Give one value for each objective.")
    if not found.size:
        found = np.empty((0, len(origin)))
    if found.ndim != 2 or found.shape[1] != len(origin):
        raise PredictorError(
            f"The points have the shape {found.shape}. Give one row for each point and {len(origin)} columns, as many "
            "as `reference` has values."
        )
    if not (np.isfinite(found).all() and np.isfinite(origin).all()):
        raise PredictorError("The points and `reference` must be finite: leave out what failed, or clip it.")
    return found[(found > origin).all(axis=1)], origin
