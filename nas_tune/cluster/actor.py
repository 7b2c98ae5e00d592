"""The Ray actor that holds a super-net."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

import ray
import torch
from torch import Tensor

from nas_tune.cluster.answers import Answer, Failure, answer
from nas_tune.cluster.holding import hold
from nas_tune.cluster.hosted import HostedSuperNet
from nas_tune.cluster.job import Job
from nas_tune.cluster.memory import keep_freed_memory
from nas_tune.cluster.replica import Broadcast, ReplicaActor
from nas_tune.cluster.state import State
from nas_tune.space import Architecture, ModelSpace
from nas_tune.trials import Recipe

if TYPE_CHECKING:
    from ray.actor import ActorHandle


class SuperNetActor:
    """Answers one call at a time. Every call may be repeated: Ray does so when the actor died while answering.

    The super-net is made by the first call, since an error in the constructor of an actor loses its type and message.

    Args:
        job: The pickled reference to the job.
        threads: Threads of torch.
        replicas: The actors that judge with copies of the weights, for clients that connect.
    """

    def __init__(self, job: bytes, threads: int, replicas: Sequence[ActorHandle[ReplicaActor]]) -> None:
        torch.set_num_threads(threads)
        keep_freed_memory()
        self._reference = job
        self._replicas = tuple(replicas)
        self._broadcast: Broadcast | None = None

    @cached_property
    def _job(self) -> Job:
        job: Job = ray.get(ray.cloudpickle.loads(self._reference))
        return job

    @cached_property
    def _hosted(self) -> HostedSuperNet:
        self._held = hold(self._job.folder)
        return HostedSuperNet(self._job)

    def known(self) -> tuple[ModelSpace, tuple[ActorHandle[ReplicaActor], ...]] | Failure:
        return answer(lambda: (self._job.space, self._replicas))

    def state(self) -> State | Failure:
        return answer(lambda: self._told(self._hosted.state()))

    def train(self, epochs: int, seconds: float) -> State | Failure:
        return answer(lambda: self._told(self._hosted.train(epochs, seconds)))

    def train_on(
        self, architectures: Sequence[Architecture], steps: int, seconds: float
    ) -> tuple[int, State] | Failure:
        def train() -> tuple[int, State]:
            done, state = self._hosted.train_on(architectures, steps, seconds)
            return done, self._told(state)

        return answer(train)

    def split(self, parts: int) -> State | Failure:
        return answer(lambda: self._told(self._hosted.split(parts)))

    def evaluate(
        self,
        broadcast: None,
        architectures: Sequence[Architecture],
        recipes: Sequence[Recipe | None],
        seconds: float,
    ) -> tuple[Answer[float], ...] | Failure:
        return answer(lambda: self._hosted.evaluate(architectures, recipes, seconds))

    def broadcast(self) -> Broadcast | Failure:
        """Put the weights into the object store, once for each step and split."""
        return answer(self._put)

    def _put(self) -> Broadcast:
        version = self._hosted.trainer.step_count, self._hosted.splits
        if self._broadcast is None or (self._broadcast.step, self._broadcast.splits) != version:
            self._broadcast = None  # the store need not hold both, unless a client still reads the one before
            self._broadcast = Broadcast(*version, ray.put(self._hosted.copied()))
        return self._broadcast

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
