"""One-hot encoding: a column per categorical value, one per number; inactive parameters are masked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from nas_tune.errors import SpaceError
from nas_tune.space.architecture import Architecture
from nas_tune.space.parameters import Categorical, Numeric
from nas_tune.space.walks import decisions, follow

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nas_tune.space.node import Value
    from nas_tune.space.parameters import Parameter
    from nas_tune.space.search_space import SearchSpace


class OneHotEncoding:
    """Every parameter that can ever be active has its columns; those of inactive ones are 0 and not in the mask.

    Numbers are scaled to [0, 1], linearly or logarithmically as declared.

    Args:
        space: The space whose architectures are encoded.

    Reference: White et al., A Study on Encodings for NAS, arXiv:2007.04965, section 3.
    """

    def __init__(self, space: SearchSpace) -> None:
        self.space = space
        self.columns: tuple[str, ...] = ()
        self._start: dict[str, int] = {}
        for name, parameter in space.parameters().items():
            if not parameter.fixed:
                self._start[name] = len(self.columns)
                self.columns += _columns(name, parameter)
        self.width = len(self.columns)

    def places(self, name: str) -> range:
        """Return the columns of a parameter, none for one that leaves no choice."""
        if name not in self._start:
            return range(0)
        parameter = self.space.parameters()[name]
        width = 1 if isinstance(parameter, Numeric) else len(parameter.values)
        return range(self._start[name], self._start[name] + width)

    def encode(self, architecture: Mapping[str, Value]) -> NDArray[np.float64]:
        """Return the vector of an architecture, shape `(width,)`."""
        vector = np.zeros(self.width)
        for name, parameter in decisions(self.space, architecture).items():
            value, start = architecture[name], self._start[name]
            if isinstance(parameter, Numeric):
                assert isinstance(value, (int, float))
                vector[start] = parameter.to_unit(value)
            elif isinstance(parameter, Categorical):
                vector[start + parameter.index(value)] = 1.0
        return vector

    def mask(self, architecture: Mapping[str, Value]) -> NDArray[np.bool_]:
        """Return which columns belong to active parameters, shape `(width,)`."""
        mask = np.zeros(self.width, dtype=bool)
        for name in decisions(self.space, architecture):
            mask[self.places(name)] = True
        return mask

    def decode(self, vector: NDArray[np.float64]) -> Architecture:
        """Return the architecture nearest to `vector`, shape `(width,)`: the largest column, the nearest number.

        Inverts `encode`; a float that was not drawn by this library comes back to 12 significant digits, on a linear
        scale of the larger end of its range.

        Raises:
            SpaceError: The vector has another shape.
        """
        if np.shape(vector) != (self.width,):
            raise SpaceError(f"The vector has shape {np.shape(vector)}, the encoding {(self.width,)}.")

        def answer(name: str, parameter: Parameter, weights: Sequence[int] | None) -> Value:
            start = self._start[name]
            if isinstance(parameter, Numeric):
                return parameter.from_unit(float(vector[start]))
            return parameter.values[int(np.argmax(vector[start : start + len(parameter.values)]))]

        return Architecture(follow(self.space, answer))


def _columns(name: str, parameter: Parameter) -> tuple[str, ...]:
    if isinstance(parameter, Numeric):
        return (name,)
    return tuple(f"{name}={value}" for value in parameter.values)
