"""Training several networks from scratch at once, one Ray task each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import ray
from ray.exceptions import RayTaskError

from nas_tune.cluster.memory import keep_freed_memory

if TYPE_CHECKING:
    from nas_tune.space import Architecture, SearchSpace
    from nas_tune.trials import FinalResult, FromScratch


def train_finals(
    evaluation: FromScratch,
    space: SearchSpace,
    architectures: Sequence[Architecture],
    *,
    num_gpus: float = 0.0,
) -> Iterator[tuple[int, FinalResult]]:
    """Train architectures on everything but the test split, as many at once as the cluster has room for.

    Args:
        evaluation: Task, recipe and seed; every training is given one core and one thread.
        space: A model space, or a joint one whose other values are training hyperparameters.
        architectures: What to train.
        num_gpus: Share of a GPU for each.

    Yields:
        Place in `architectures` and result, in the order in which they end. The networks are on the CPU.

    Raises:
        NasTuneError: What a training raised, for example `DivergedError`.
    """
    if not architectures:
        return
    shared = ray.put((evaluation, space))
    task = ray.remote(num_cpus=1, num_gpus=num_gpus, max_retries=3)(_train)
    waiting = {task.remote(shared, architecture): place for place, architecture in enumerate(architectures)}
    while waiting:
        ended, _ = ray.wait(list(waiting), num_returns=1)
        place = waiting.pop(ended[0])
        try:
            yield place, ray.get(ended[0])
        except RayTaskError as error:
            raise error.cause from None


def _train(shared: tuple[FromScratch, SearchSpace], architecture: Architecture) -> FinalResult:
    import torch

    torch.set_num_threads(1)
    keep_freed_memory()
    evaluation, space = shared
    result = evaluation.final(space, architecture)
    result.network.cpu()
    return result
