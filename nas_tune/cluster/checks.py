"""What a shared super-net is started with, checked before an actor starts."""

from __future__ import annotations

import numpy as np
import torch

from nas_tune.errors import NasTuneError, SpaceError, TaskError
from nas_tune.space import ModelSpace
from nas_tune.supernet import Paths
from nas_tune.supernet.checks import check_strategy
from nas_tune.trials import Task, check_fit


def check(space: ModelSpace, task: Task, checkpoint_seconds: float, paths: Paths | None, replicas: int) -> None:
    """Refuse what no actor can be made of.

    Raises:
        SpaceError: `space` is no `ModelSpace`.
        TaskError: `task` is none, or does not fit the space's networks.
        NasTuneError: Another argument is impossible.
    """
    if not isinstance(space, ModelSpace):
        raise SpaceError(
            f"A super-net needs a ModelSpace, and this is a {type(space).__name__}: "
            'of a joint space, give the model part, for example space["cell"].'
        )
    if not isinstance(task, Task):
        raise TaskError(f"`task` is {task!r}: give a Task, for example `nas_tune.trials.tasks.digits()`.")
    if checkpoint_seconds < 0:
        raise NasTuneError(f"`checkpoint_seconds` is {checkpoint_seconds}: give at least 0.")
    if paths is not None:
        check_strategy(paths)
    check_count("replicas", replicas, least=0)
    with torch.random.fork_rng(devices=[]):
        check_fit(space.build(space.sample(np.random.default_rng(0))), task)


def check_count(name: str, count: int, *, least: int = 1) -> None:
    """Refuse what is no whole number, or less than the least.

    Raises:
        NasTuneError: It names the argument.
    """
    if not isinstance(count, int) or isinstance(count, bool) or count < least:
        raise NasTuneError(f"`{name}` is {count!r}: give a whole number of at least {least}.")
