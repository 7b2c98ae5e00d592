"""The decisions of many architectures as one array of places: what Hamming distances and counts are made from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from nas_tune.space import Categorical
from nas_tune.space.parameters import Numeric

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nas_tune.space import Architecture, SearchSpace, Value

INACTIVE = -1


def categoricals(space: SearchSpace) -> dict[str, Categorical]:
    """Return the categorical parameters that leave a choice, by name."""
    return {n: p for n, p in space.parameters().items() if isinstance(p, Categorical) and not p.fixed}


def numerics(space: SearchSpace) -> dict[str, Numeric]:
    """Return the numeric parameters that leave a choice, by name."""
    return {n: p for n, p in space.parameters().items() if isinstance(p, Numeric) and not p.fixed}


def ordered(parameter: Categorical) -> bool:
    """Say whether a categorical chooses between at least three numbers, so that its values have an order."""
    return len(parameter.values) > 2 and all(_is_number(value) for value in parameter.values)


def ranks(parameter: Categorical) -> NDArray[np.float64]:
    """Return the rank of each value of a categorical of numbers on the [0, 1] scale, shape `(values,)`."""
    order = np.argsort(np.argsort(np.array(parameter.values, dtype=np.float64)))
    scaled: NDArray[np.float64] = order / (len(parameter.values) - 1.0)
    return scaled


def _is_number(value: Value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def places(parameters: dict[str, Categorical], architectures: Sequence[Architecture]) -> NDArray[np.intp]:
    """Return the place of each value among those of its parameter, shape `(n, len(parameters))`; -1 if inactive."""
    index = [(name, {value: i for i, value in enumerate(p.values)}) for name, p in parameters.items()]
    rows = [[known.get(a[name], INACTIVE) if name in a else INACTIVE for name, known in index] for a in architectures]
    return np.array(rows, dtype=np.intp).reshape(len(architectures), len(index))


def units(parameters: dict[str, Numeric], architectures: Sequence[Architecture]) -> NDArray[np.float64]:
    """Return numbers on their [0, 1] scale, shape `(n, len(parameters))`; NaN if inactive."""
    rows = [[p.to_unit(float(str(a[n]))) if n in a else np.nan for n, p in parameters.items()] for a in architectures]
    return np.array(rows, dtype=np.float64).reshape(len(architectures), len(parameters))
