"""The Ray actor that judges with a copy of the shared weights."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import ray
import torch
from ray.exceptions import ObjectLostError

from nas_tune.cluster.answers import Answer, Failure, answer
from nas_tune.cluster.job import Job
from nas_tune.cluster.judging import JudgedSuperNet
from nas_tune.cluster.memory import keep_freed_memory
from nas_tune.space import Architecture
from nas_tune.supernet import Split, splits
from nas_tune.trials import Recipe

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Broadcast:
    """The weights of a step in the object store, and how their super-net is split.

    They are there while somebody holds this and their actor lives.
    """

    step: int
    splits: tuple[Split, ...]
    weights: ray.ObjectRef[dict[str, Tensor]]


class ReplicaActor:
    """Judges architectures with the weights that the asker names, one call at a time; any call may be repeated.

    Args:
        job: The pickled reference to the job.
        threads: Threads of torch.
        device: Where to judge.
    """

    def __init__(self, job: bytes, threads: int, device: str) -> None:
        torch.set_num_threads(threads)
        keep_freed_memory()
        self._reference, self._device = job, device
        self._held: Broadcast | None = None

    @cached_property
    def _judged(self) -> JudgedSuperNet:
        job: Job = ray.get(ray.cloudpickle.loads(self._reference))
        return JudgedSuperNet(replace(job, device=self._device))

    def state(self) -> str | Failure:
        """Make the super-net unless there is one; return its device."""
        return answer(lambda: str(self._judged.device))

    def evaluate(
        self,
        broadcast: Broadcast,
        architectures: Sequence[Architecture],
        recipes: Sequence[Recipe | None],
        seconds: float,
    ) -> tuple[Answer[float], ...] | None | Failure:
        """Answer as the super-net's actor does; None where the weights went with the process that had put them."""

        def evaluate() -> tuple[Answer[float], ...] | None:
            deadline = time.monotonic() + seconds
            if not self._hold(broadcast):
                return None
            return self._judged.evaluate(architectures, recipes, lambda: time.monotonic() >= deadline)

        return answer(evaluate)

    def _hold(self, broadcast: Broadcast) -> bool:
        """Take the weights unless they are held already; say whether that was possible."""
        if self._held == broadcast:
            return True
        try:
            weights: dict[str, Tensor] = ray.get(broadcast.weights)
        except ObjectLostError:
            return False
        self._held = None
        if splits(self._judged.supernet) != broadcast.splits:
            self._judged.split_anew(broadcast.splits)
        self._judged.supernet.load_state_dict(weights)
        self._judged.forget()
        self._held = broadcast
        return True
