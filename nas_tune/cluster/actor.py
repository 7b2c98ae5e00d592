"""The Ray actor that holds a super-net."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import ray
import torch
from torch import Tensor

from nas_tune.cluster.answers import Failure, answer
from nas_tune.cluster.hosted import HostedSuperNet
from nas_tune.cluster.job import Job
from nas_tune.cluster.state import State
from nas_tune.space import Architecture, ModelSpace
from nas_tune.trials import Recipe


class SuperNetActor:
    """Answers one call at a time. Every call may be repeated: Ray does so when the actor died while answering.

    The super-net is made by the first call, since an error in the constructor of an actor loses its type and message.

    Args:
        job: The pickled reference to the job.
        threads: Threads of torch.
    """

    def __init__(self, job: bytes, threads: int) -> None:
        torch.set_num_threads(threads)
        self._reference = job

    @cached_property
    def _job(self) -> Job:
        job: Job = ray.get(ray.cloudpickle.loads(self._reference))
        return job

    @cached_property
    def _hosted(self) -> HostedSuperNet:
        return HostedSuperNet(self._job)

    def space(self) -> ModelSpace | Failure:
        return answer(lambda: self._job.space)

    def state(self) -> State | Failure:
        return answer(lambda: self._told(self._hosted.state()))

    def train(self, epochs: int, seconds: float) -> State | Failure:
        return answer(lambda: self._told(self._hosted.train(epochs, seconds)))

    def evaluate(
        self, architectures: Sequence[Architecture], recipes: Sequence[Recipe | None], seconds: float
    ) -> tuple[float, ...] | Failure:
        return answer(lambda: self._hosted.evaluate(architectures, recipes, seconds))

    def weights(self, architecture: Architecture) -> dict[str, Tensor] | Failure:
        return answer(lambda: self._hosted.weights(architecture))

    def checkpoint(self) -> str | None | Failure:
        return answer(lambda: self._hosted.checkpoint())

    def close(self) -> None | Failure:
        return answer(lambda: self._hosted.close())

    def _told(self, state: State) -> State:
        return replace(state, restarted=self._restarted)

    @cached_property
    def _restarted(self) -> bool:
        return bool(ray.get_runtime_context().was_current_actor_reconstructed)
