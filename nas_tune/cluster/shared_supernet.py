"""`SharedSuperNet`: shared weights in an actor of a Ray cluster, for any number of clients."""

from __future__ import annotations

import logging
import math
import shutil
import tempfile
import uuid
import weakref
from collections.abc import Callable, Mapping, Sequence
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import torch

from nas_tune.cluster import calls
from nas_tune.cluster.answers import Answer, Failure, opened
from nas_tune.cluster.checks import check, check_count
from nas_tune.cluster.job import Job
from nas_tune.cluster.pace import Pace
from nas_tune.cluster.scoring import scores, scores_of_one_version
from nas_tune.cluster.session import check_resources, ensure_ray
from nas_tune.cluster.starting import Share, start_actors
from nas_tune.cluster.state import Progress, State
from nas_tune.errors import ArchitectureError, NasTuneError, unknown_name
from nas_tune.space import Architecture, ModelSpace, Value
from nas_tune.supernet import Paths, SuperNetRecipe, UniformPaths
from nas_tune.trials import Recipe, Task

import ray  # isort: skip  # after `session`, which sets what Ray reads when it is imported
from ray.exceptions import RayActorError  # isort: skip

if TYPE_CHECKING:
    from ray.actor import ActorHandle
    from torch import nn

    from nas_tune.cluster.actor import SuperNetActor
    from nas_tune.cluster.replica import ReplicaActor

NAMESPACE = "nas_tune"
SLICE_SECONDS = 1.0  # longest time that one client's call keeps the others waiting, roughly
_LOGGER = logging.getLogger("nas_tune")


class SharedSuperNet:
    """A client of a super-net that an actor trains and judges; make it with `start` or `connect`.

    Clients pickle, so that Ray tasks and Tune trainables take them as arguments. The actor answers the calls of all one
    by one and long ones in slices of about a second, so that nobody waits for another's epoch or list. At most 32 calls
    of a process wait in the actor, further ones before it. When the actor's process dies, Ray starts it again, it goes
    on from its newest checkpoint, and the calls under way are answered as if nothing had been: at most the training
    since the last checkpoint is done again, with the same weights as its result. The actor ends with the driver that
    started it, or by `stop`.

        with SharedSuperNet.start(space, task, checkpoint_dir="supernet") as shared:
            shared.train(epochs=20)
            scores = shared.evaluate(architectures)
    """

    def __init__(
        self, actor: ActorHandle[SuperNetActor], space: ModelSpace, replicas: Sequence[ActorHandle[ReplicaActor]] = ()
    ) -> None:
        self.space = space
        self._actor, self._replicas = actor, tuple(replicas)
        self._stopped = False

    @classmethod
    def start(
        cls,
        space: ModelSpace,
        task: Task,
        *,
        paths: Paths | None = None,
        recipe: SuperNetRecipe | None = None,
        num_gpus: float = 0,
        num_cpus: float = 1,
        threads: int | None = None,
        device: str = "auto",
        replicas: int = 0,
        replica_gpus: float | None = None,
        replica_cpus: float | None = None,
        checkpoint_dir: str | Path | None = None,
        checkpoint_seconds: float = 30.0,
        name: str | None = None,
        namespace: str = NAMESPACE,
        seed: int = 0,
    ) -> Self:
        """Start the actor, and Ray if none is running (on this machine, or what ``RAY_ADDRESS`` names).

        Args:
            space: Its network is built; of a joint space, its model part.
            task: Trained on its train split, judged on its validation split.
            paths: Selects the architectures of each training step; `UniformPaths()` by default.
            recipe: How the shared weights are trained.
            num_gpus: GPUs, or a share of one, that the actor is placed on.
            num_cpus: CPUs that Ray sets aside for it.
            threads: Threads of torch; as many as `num_cpus` by default. One gives the same weights on every run.
            device: ``"auto"`` is CUDA with `num_gpus`, else the CPU.
            replicas: Further actors that judge with copies of the weights while this one trains; see `evaluate`.
            replica_gpus: `num_gpus` of each replica, by default that of the actor.
            replica_cpus: `num_cpus` of each replica, by default that of the actor.
            checkpoint_dir: Where the training is saved, on a disk that every machine sees; one that holds a
                checkpoint is gone on from. Without it, the checkpoints are temporary and end with the super-net.
            checkpoint_seconds: Time of training between two checkpoints.
            name: Lets other processes `connect` while the actor lives.
            namespace: Where the name is looked up.
            seed: Of weights, order of the data and paths.

        Raises:
            SpaceError: `space` is no `ModelSpace`.
            TaskError: The task does not fit the space's networks.
            CheckpointError: `checkpoint_dir` holds a training of another space, task, seed, recipe or strategy, or
                another super-net trains in it.
            NasTuneError: The name is taken, or the machine can never give what is asked for.
        """
        check(space, task, checkpoint_seconds, paths, replicas)
        folder = _temporary_folder() if checkpoint_dir is None else Path(checkpoint_dir).absolute()
        share = Share(num_cpus, num_gpus, threads)
        each = share.replaced(replica_cpus, replica_gpus)
        job = Job(
            space=space,
            task=task,
            paths=paths or UniformPaths(),
            recipe=recipe or SuperNetRecipe(),
            seed=seed,
            folder=folder,
            checkpoint_seconds=checkpoint_seconds,
            device=share.device(device),
            temporary=checkpoint_dir is None,
        )
        ensure_ray()
        check_resources(num_cpus + replicas * each.num_cpus, num_gpus + replicas * each.num_gpus, replicas)
        named = {} if name is None else {"name": name, "namespace": namespace}
        actor, judges = start_actors(job, share, named, [each] * replicas, device)
        shared = cls(actor, space, judges)
        if job.temporary:
            weakref.finalize(shared, shutil.rmtree, folder, ignore_errors=True)
        return shared

    @classmethod
    def connect(cls, name: str, *, namespace: str = NAMESPACE) -> Self:
        """Attach to a super-net that another process of the cluster started under a name.

        Raises:
            UnknownNameError: There is none of that name.
        """
        ensure_ray()
        try:
            actor = ray.get_actor(name, namespace=namespace)
        except ValueError:
            named = ray.util.list_named_actors(all_namespaces=True)
            known = [entry["name"] for entry in named if entry["namespace"] == namespace]
            raise unknown_name("shared super-net", name, known) from None
        return cls(actor, *calls.ask(actor, "known"))

    def __reduce__(
        self,
    ) -> tuple[type[Self], tuple[ActorHandle[SuperNetActor], ModelSpace, tuple[ActorHandle[ReplicaActor], ...]]]:
        return type(self), (self._actor, self.space, self._replicas)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def steps(self, epochs: int) -> int:
        """Return the training steps of so many epochs, counted from new weights."""
        return epochs * self.state().steps_per_epoch

    def train(self, epochs: int, *, on_progress: Callable[[Progress], None] | None = None) -> State:
        """Train until the weights have seen the training split `epochs` times since they were new.

        What is already done counts: after a crash, or in a new process with the same `checkpoint_dir`, the same call
        trains what is missing. Each larger `epochs` is a schedule of its own: the learning rate falls to 0 at the end
        of the first, rises at the beginning of the next and falls again. A schedule once begun is kept, so that a
        smaller `epochs` ends on its way. Steps of `train_on` count like any other.

        Args:
            epochs: Passes in all, not in addition.
            on_progress: Called about every second; what it raises ends the call, not the super-net.

        Raises:
            DivergedError: The loss was not finite `most_skipped` steps in a row; these are skipped, and the weights
                those before the first. Fewer are counted in `State.skipped`.
            CheckpointError: A checkpoint cannot be written.
        """
        check_count("epochs", epochs)
        pace = Pace(self.state().step)
        while True:
            state: State = self._ask("train", epochs, SLICE_SECONDS)
            total = epochs * state.steps_per_epoch
            if on_progress is not None:
                left = pace.seconds_left(state.step, total)
                on_progress(Progress(state.step, total, state.loss, left, state.skipped))
            if state.step >= total:
                return state

    def train_on(self, architectures: Sequence[Mapping[str, Value]], *, steps: int = 1) -> State:
        """Train so many more steps on given architectures instead of those of the path strategy.

        With it a trial trains what it proposes before it asks for its score, as in ENAS (arXiv:1802.03268), whose
        gradient is the mean over the architectures of a step, as here. A step has the next batch of the training split
        and counts like one of `train`: within a schedule of `train`, begun and not yet finished, it has the schedule's
        learning rate and is one of its steps; outside of one the rate is the recipe's `lr`, and the next `train`
        begins its schedule where it then is. Steps of several clients interleave, and are never done at once; of one
        client, the same calls give the same weights.

        If the actor dies, steps since the last checkpoint are lost (`train` does its own again), also those of calls
        that were answered; of the call under way, those of the last second or so may be done twice.

        Args:
            architectures: Of this space; all are in every step.
            steps: In addition to those done.

        Raises:
            ArchitectureError: A value is missing, impossible or foreign.
            DivergedError: As in `train`.
            CheckpointError: A checkpoint cannot be written.
        """
        check_count("steps", steps)
        chosen = self._all_checked(architectures)
        if not chosen:
            raise ArchitectureError("`architectures` is empty: give at least one to train on.")
        while True:
            done, state = self._ask("train_on", chosen, steps, SLICE_SECONDS)
            steps -= done
            if steps <= 0:
                after: State = state
                return after

    def split(self, parts: int = 2) -> State:
        """Split the super-net, where its candidates disagree most, until it has so many parts; see `choose_split`.

        Every part begins with the weights that there are, trains on the paths that lead to it, and scores their
        architectures: few-shot NAS. Paths, `train` and `evaluate` stay as they are, and a step costs what it did. The
        optimiser begins anew. A checkpoint is written; the same call again finds the parts and does nothing.

        Args:
            parts: In all; a super-net that was never split has one.

        Raises:
            SpaceError: The weights are new, or no decision is left to split by.
            CheckpointError: The checkpoint cannot be written.

        Reference: arXiv:2006.06863, arXiv:2203.15207.
        """
        check_count("parts", parts)
        state: State = self._ask("split", parts)
        return state

    def evaluate(
        self, architectures: Sequence[Mapping[str, Value]], recipes: Sequence[Recipe] | None = None
    ) -> list[float]:
        """Return the validation accuracy of each architecture, a share in [0, 1].

        Batch norm is measured anew for each. The shared weights stay as they are; if the recipe averages them, their
        average is judged. Equal architectures of one call are judged once. Without replicas, the parts of a long list
        see different steps while others train. With replicas, these share the list, and all scores of a call are of
        the same weights, those at the time of the call or soon after: the actor puts them into the object store once
        for each step that is asked for, between two slices of training, and a replica takes those that it lacks. Scores
        are the same with replicas and without.

        Args:
            architectures: Of this space.
            recipes: Training hyperparameters for each: its own copy of the network is trained with them first, which
                gives them a score in a joint search. Few epochs do.

        Returns:
            nan where logits are not finite, the training with a recipe diverged, or one of several architectures does
            not fit into memory, which the log tells.

        Raises:
            ArchitectureError: A value is missing, impossible or foreign.
            InfeasibleError: The only architecture does not fit into memory, not even with one input at a time.
        """
        chosen = self._all_checked(architectures)
        if recipes is not None and len(recipes) != len(chosen):
            raise NasTuneError(f"{len(chosen)} architectures came with {len(recipes)} `recipes`: give one for each.")
        self._check_running()
        pairs = list(zip(chosen, recipes or repeat(None, len(chosen)), strict=True))
        if self._replicas:
            found = scores_of_one_version(self._actor, self._replicas, pairs, SLICE_SECONDS)
        else:
            found = scores([self._actor], pairs, SLICE_SECONDS) or {}
        if len(pairs) == 1:
            return [opened(found[pairs[0]])]
        return [_score(found[pair]) for pair in pairs]

    def extract(self, architecture: Mapping[str, Value]) -> nn.Module:
        """Return an architecture's own network with the inherited weights, on the CPU, in eval mode.

        Its batch norm is measured anew, so that it scores what `evaluate` says.

        Raises:
            ArchitectureError: A value is missing, impossible or foreign.
        """
        checked = self._checked(architecture)
        weights = self._ask("weights", checked)
        with torch.random.fork_rng(devices=[]):
            network = self.space.build(checked)
        network.load_state_dict(weights)
        return network.eval()

    def state(self) -> State:
        """Return step, loss, schedule, checkpoint, process and device."""
        state: State = self._ask("state")
        return state

    def checkpoint(self) -> Path | None:
        """Write a checkpoint now, unless this step has one; return the newest one's path, None before any step.

        Raises:
            CheckpointError: It cannot be written.
        """
        path: str | None = self._ask("checkpoint")
        return None if path is None else Path(path)

    def stop(self) -> None:
        """Write a last checkpoint and end the actors, for every client; nothing happens where they have ended."""
        if self._stopped:
            return
        self._stopped = True
        try:
            opened(ray.get(calls.submit(self._actor, "close", repeated=False)))
        except RayActorError:
            return
        finally:
            ended: tuple[ActorHandle[Any], ...] = (self._actor, *self._replicas)
            for actor in ended:
                calls.end(actor)

    def _ask(self, method: str, *arguments: object) -> Any:
        self._check_running()
        return calls.ask(self._actor, method, *arguments)

    def _check_running(self) -> None:
        if self._stopped:
            raise NasTuneError(calls.ENDED)

    def _all_checked(self, architectures: Sequence[Mapping[str, Value]]) -> list[Architecture]:
        if isinstance(architectures, Mapping):
            raise ArchitectureError("`architectures` is one architecture: give a list, here with one element.")
        return [self._checked(architecture) for architecture in architectures]

    def _checked(self, architecture: Mapping[str, Value]) -> Architecture:
        checked = self.space.architecture(architecture)
        foreign = [name for name in architecture if name not in checked]
        if foreign:
            why = unknown_name("parameter", foreign[0], checked)
            raise ArchitectureError(f"`{foreign[0]}` is foreign to the super-net's space: {why}")
        return checked


def _score(answered: Answer[float]) -> float:
    if isinstance(answered, Failure):
        _LOGGER.warning("%s Its score is nan.", answered.error)
        return math.nan
    return answered


def _temporary_folder() -> Path:
    return Path(tempfile.gettempdir()) / f"nas_tune-{uuid.uuid4().hex}"
