"""What architectures cost, for strategies that select by cost: the costs of a space, kept between steps."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from nas_tune.errors import SpaceError
from nas_tune.space import ModelSpace

if TYPE_CHECKING:
    from nas_tune.costs import CostModel
    from nas_tune.space import Measure, SearchSpace

MOST_KEPT = 8  # spaces and input shapes whose tables are kept


@lru_cache(maxsize=MOST_KEPT)
def cost_of(space: SearchSpace, input_shape: tuple[int, ...]) -> CostModel:
    """Return the analytic costs of a space's networks on one input, the same ones at every step.

    Args:
        space: A `ModelSpace`.
        input_shape: Shape of one sample without the batch.

    Raises:
        SpaceError: The space builds no networks, so it has no costs.
    """
    if not isinstance(space, ModelSpace):
        raise SpaceError(
            f"{type(space).__name__} builds no networks that could be priced: give the strategy a `Measure`, "
            "or train a super-net of a `ModelSpace`."
        )
    return space.cost(input_shape)


def macs_of(space: SearchSpace, input_shape: tuple[int, ...]) -> Measure:
    """Return the multiply-adds of a space's networks for one sample of shape `input_shape`; see `cost_of`."""
    return cost_of(space, input_shape).macs
