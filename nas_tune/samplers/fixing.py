"""Values that an enqueued trial fixes, and the rest of the architecture around them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from nas_tune.space import Architecture, walks

if TYPE_CHECKING:
    from numpy.random import Generator

    from nas_tune.space import Parameter, SearchSpace, Value


def completed(
    space: SearchSpace, architecture: Architecture, fixed: Mapping[str, Value], rng: Generator
) -> Architecture:
    """Give an architecture the fixed values, and draw the decisions that they open."""
    if not fixed:
        return architecture

    def answer(name: str, parameter: Parameter, weights: Sequence[int] | None) -> Value:
        if name in fixed:
            return fixed[name]
        return architecture[name] if name in architecture else walks.draw(parameter, weights, rng)

    return Architecture(walks.follow(space, answer))
