"""Starting the actors of a shared super-net."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nas_tune.cluster import calls
from nas_tune.cluster.job import Job
from nas_tune.errors import NasTuneError

import ray  # isort: skip  # after `calls`

if TYPE_CHECKING:
    from ray.actor import ActorHandle

    from nas_tune.cluster.actor import SuperNetActor
    from nas_tune.cluster.replica import ReplicaActor


@dataclass(frozen=True)
class Share:
    """What one actor has of a machine.

    Attributes:
        num_cpus: Cores, or a share of one.
        num_gpus: GPUs, or a share of one.
        threads: Threads of torch; None for one per core.
    """

    num_cpus: float
    num_gpus: float
    threads: int | None = None

    def replaced(self, num_cpus: float | None, num_gpus: float | None) -> Share:
        """Return a share with as many threads, and what is not None instead of this one's."""
        cpus = self.num_cpus if num_cpus is None else num_cpus
        return Share(cpus, self.num_gpus if num_gpus is None else num_gpus, self.torch_threads)

    @property
    def torch_threads(self) -> int:
        return self.threads or max(1, int(self.num_cpus))

    def device(self, asked: str) -> str:
        """Return the device for `"auto"`: the CPU without a GPU, whatever the machine has."""
        return "cpu" if asked == "auto" and not self.num_gpus else asked

    def options(self) -> dict[str, object]:
        """Return the options of an actor that Ray starts again whenever it dies, and whose calls are repeated then."""
        return {
            "num_cpus": self.num_cpus,
            "num_gpus": self.num_gpus,
            "max_restarts": -1,
            "max_task_retries": -1,
            "max_pending_calls": calls.MOST_PENDING,
        }


def pickled_reference(job: Job) -> bytes:
    """Put a job into the object store for the life of this driver.

    Ray makes a dead actor again from the arguments of its first start, but drops those that are too large for the
    message, as a task is. A reference that is pickled by hand is never dropped.
    """
    reference: bytes = ray.cloudpickle.dumps(ray.put(job))  # type: ignore[no-untyped-call]
    return reference


def start_actors(
    job: Job, share: Share, named: Mapping[str, str], replicas: Sequence[Share], device: str
) -> tuple[ActorHandle[SuperNetActor], tuple[ActorHandle[ReplicaActor], ...]]:
    """Start the actor that trains and those that only judge, and wait until all have made their super-net.

    Args:
        job: What to train.
        share: Of the actor that trains.
        named: Its name and namespace, if it has one.
        replicas: The share of each that judges.
        device: What was asked for, for replicas.

    Raises:
        NasTuneError: The name is taken, or what an actor raised; none is left.
    """
    reference = pickled_reference(job)
    started: list[ActorHandle[Any]] = []
    try:
        judges = tuple(_replica(reference, each, device) for each in replicas)
        started += judges
        actor = _trainer(reference, share, judges, named)
        started.append(actor)
        for answered in [calls.submit(each, "state") for each in started]:
            calls.receive(answered)
    except NasTuneError:
        for each in started:
            calls.end(each)
        raise
    return actor, judges


def _trainer(
    job: bytes, share: Share, replicas: Sequence[ActorHandle[ReplicaActor]], named: Mapping[str, str]
) -> ActorHandle[SuperNetActor]:
    from nas_tune.cluster.actor import SuperNetActor

    try:
        made = ray.remote(SuperNetActor).options(**share.options(), **named)
        actor: ActorHandle[SuperNetActor] = made.remote(job, share.torch_threads, replicas)  # type: ignore[assignment]
        return actor
    except ValueError as error:
        if "name" not in named or "already taken" not in str(error):
            raise
        raise NasTuneError(
            f"There is a shared super-net '{named['name']}' already: connect to it, or take another name."
        ) from None


def _replica(job: bytes, share: Share, device: str) -> ActorHandle[ReplicaActor]:
    from nas_tune.cluster.replica import ReplicaActor

    made = ray.remote(ReplicaActor).options(**share.options())
    actor: ActorHandle[ReplicaActor] = made.remote(job, share.torch_threads, share.device(device))  # type: ignore[assignment]
    return actor
