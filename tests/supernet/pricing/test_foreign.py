"""What a cost model is asked of: architectures and shapes as users have them, its own and others."""

from __future__ import annotations

import numpy as np
import pytest

from nas_tune.costs import profile
from nas_tune.errors import ArchitectureError
from nas_tune.space import Architecture, Float, SearchSpace
from tests.supernet.networks import Chain


def test_an_architecture_of_another_space_has_no_cost_here() -> None:
    """Names of a larger space, values of another one and no values at all are told; no bound is met by chance."""
    space, other = Chain(), Chain()
    cost = space.cost((1, 8, 8))
    joint = SearchSpace({"network": other, "lr": Float(1e-3, 1e-1)})
    rng = np.random.default_rng(0)
    a = joint.sample(rng)

    assert cost(a.part("network")) == profile(space.build(a.part("network")), (1, 8, 8))
    for foreign in (a, Architecture({}), Architecture({**space.sample(rng), "blocks.0": "conv9"})):
        with pytest.raises(ArchitectureError, match="cost is of the space that it was asked of"):
            cost(foreign)
    with pytest.raises(ArchitectureError, match="constrain the part before it goes into the larger space"):
        joint.where(cost.macs < 1e9).sample(rng)


def test_whole_numbers_of_numpy_are_sizes() -> None:
    space, shape = Chain(), (1, np.int64(8), np.int32(8))
    architecture = space.sample(np.random.default_rng(0))

    assert space.cost(shape)(architecture) == space.cost((1, 8, 8))(architecture)  # type: ignore[arg-type]  # as users
