"""What the tests of samplers share: small spaces, and the fitness of their architectures."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import optuna
import pytest

from nas_tune.space import Categorical, Float, Integer, Repeat, SearchSpace, Switch, Value

EDGES = ("edge_0_1", "edge_0_2", "edge_1_2", "edge_0_3", "edge_1_3", "edge_2_3")
OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")

optuna.logging.set_verbosity(optuna.logging.ERROR)


@pytest.fixture(scope="session")
def cell_space() -> SearchSpace:
    """Six edges with five operations each, as in NAS-Bench-201."""
    return SearchSpace({edge: Categorical(*OPERATIONS) for edge in EDGES})


@pytest.fixture(scope="session")
def joint_space() -> SearchSpace:
    """Conditional branches, a variable length and numbers of every kind."""
    convolution = SearchSpace({"kernel": Categorical(3, 5, 7), "width": Integer(8, 64, step=8)})
    return SearchSpace(
        {
            "op": Switch({"conv": convolution, "skip": SearchSpace({})}),
            "blocks": Repeat(Categorical("a", "b"), 0, 3),
            "lr": Float(1e-4, 1e-1, log=True),
            "dropout": Float(0.0, 0.5, step=0.1),
        }
    )


@pytest.fixture(scope="session")
def convolutions() -> Callable[[Mapping[str, Value]], float]:
    """Fitness of a cell: its number of 3x3 convolutions."""
    return lambda architecture: float(sum(value == "nor_conv_3x3" for value in architecture.values()))
