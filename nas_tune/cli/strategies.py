"""Which paths train the shared weights of a search: `--paths`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from nas_tune.errors import unknown_name

if TYPE_CHECKING:
    from nas_tune.space import ModelSpace
    from nas_tune.supernet import Paths


def paths(name: str, space: ModelSpace, seed: int) -> Paths:
    """Make the strategy of that name, with its defaults.

    Raises:
        UnknownNameError: There is no such strategy.
    """
    return STRATEGIES[check_strategy(name)](space, seed)


def check_strategy(name: str) -> str:
    """Return the name of a strategy.

    Raises:
        UnknownNameError: There is no such strategy.
    """
    if name not in STRATEGIES:
        raise unknown_name("path strategy", name, STRATEGIES)
    return name


def _uniform(space: ModelSpace, seed: int) -> Paths:
    from nas_tune.supernet import UniformPaths

    return UniformPaths()


def _fair(space: ModelSpace, seed: int) -> Paths:
    from nas_tune.supernet import FairPaths

    return FairPaths()


def _sandwich(space: ModelSpace, seed: int) -> Paths:
    from nas_tune.supernet import SandwichPaths

    return SandwichPaths()


def _attentive(space: ModelSpace, seed: int) -> Paths:
    from nas_tune.supernet import AttentivePaths

    return AttentivePaths(seed=seed)


def _greedy(space: ModelSpace, seed: int) -> Paths:
    from nas_tune.supernet import GreedyPaths

    return GreedyPaths()


def _controller(space: ModelSpace, seed: int) -> Paths:
    from nas_tune.samplers.controllers import Agent
    from nas_tune.supernet import ControllerPaths

    return ControllerPaths(Agent(space, seed=seed))


DEFAULT = "uniform"

STRATEGIES: Mapping[str, Callable[[ModelSpace, int], Paths]] = {
    DEFAULT: _uniform,
    "fair": _fair,
    "sandwich": _sandwich,
    "attentive": _attentive,
    "greedy": _greedy,
    "controller": _controller,
}
"""By the name on the command line: makes a strategy for a space and a seed.

Each imports its class when it is called: the command line lists the names without loading torch.
"""
