"""`SharedSuperNet`: shared weights in an actor of a Ray cluster, for any number of clients."""

from __future__ import annotations

import shutil
import tempfile
import uuid
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch

from nas_tune.cluster.answers import opened
from nas_tune.cluster.job import Job
from nas_tune.cluster.pace import Pace
from nas_tune.cluster.session import check_resources, ensure_ray
from nas_tune.cluster.state import Progress, State
from nas_tune.errors import ArchitectureError, NasTuneError, SpaceError, TaskError, unknown_name
from nas_tune.space import Architecture, ModelSpace, Value
from nas_tune.supernet import Paths, SuperNetRecipe, UniformPaths
from nas_tune.trials import Recipe, Task, check_fit

import ray  # isort: skip  # after `session`, which sets what Ray reads when it is imported
from ray.exceptions import RayActorError, RayError  # isort: skip

if TYPE_CHECKING:
    from ray.actor import ActorHandle
    from torch import nn

    from nas_tune.cluster.actor import SuperNetActor

NAMESPACE = "nas_tune"
SLICE_SECONDS = 1.0  # longest time that one client's call keeps the others waiting, roughly
LONGEST_MESSAGE = 256  # architectures of one call


class SharedSuperNet:
    """A client of a super-net that an actor trains and judges; make it with `start` or `connect`.

    Clients pickle, so that Ray tasks and Tune trainables take them as arguments; the calls of all are answered one by
    one. When the actor's process dies, Ray starts it again, it goes on from its newest checkpoint, and the calls under
    way are answered as if nothing had been: at most the training since the last checkpoint is done again, with the
    same weights as its result. The actor ends with the driver that started it, or by `stop`.

        with SharedSuperNet.start(space, task, checkpoint_dir="supernet") as shared:
            shared.train(epochs=20)
            scores = shared.evaluate(architectures)
    """

    def __init__(self, actor: ActorHandle[SuperNetActor], space: ModelSpace) -> None:
        self.space = space
        self._actor = actor
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
            checkpoint_dir: Where the training is saved, on a disk that every machine sees; one that holds a
                checkpoint is gone on from. Without it, the checkpoints are temporary and end with the super-net.
            checkpoint_seconds: Time of training between two checkpoints.
            name: Lets other processes `connect` while the actor lives.
            namespace: Where the name is looked up.
            seed: Of weights, order of the data and paths.

        Raises:
            SpaceError: `space` is no `ModelSpace`.
            TaskError: The task does not fit the space's networks.
            CheckpointError: `checkpoint_dir` holds a training of another space, task, seed or recipe.
            NasTuneError: The name is taken, or the machine can never give what is asked for.
        """
        _check(space, task, checkpoint_seconds)
        if paths is not None and not hasattr(paths, "select"):
            raise NasTuneError(f"`paths` is {paths!r}: give a path strategy, for example `UniformPaths()`.")
        folder = _temporary_folder() if checkpoint_dir is None else Path(checkpoint_dir).absolute()
        job = Job(
            space=space,
            task=task,
            paths=paths or UniformPaths(),
            recipe=recipe or SuperNetRecipe(),
            seed=seed,
            folder=folder,
            checkpoint_seconds=checkpoint_seconds,
            device="cpu" if device == "auto" and not num_gpus else device,
            temporary=checkpoint_dir is None,
        )
        ensure_ray()
        check_resources(num_cpus, num_gpus)
        options: dict[str, object] = {
            "num_cpus": num_cpus,
            "num_gpus": num_gpus,
            "max_restarts": -1,
            "max_task_retries": -1,
        }
        if name is not None:
            options |= {"name": name, "namespace": namespace}
        actor = _started(job, threads or max(1, int(num_cpus)), options)
        shared = cls(actor, space)
        if job.temporary:
            weakref.finalize(shared, shutil.rmtree, folder, ignore_errors=True)
        try:
            shared.state()
        except NasTuneError:
            _end(actor)
            raise
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
        return cls(actor, _ask(actor, "space"))

    def __reduce__(self) -> tuple[type[Self], tuple[ActorHandle[SuperNetActor], ModelSpace]]:
        return type(self), (self._actor, self.space)

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
        smaller `epochs` ends on its way.

        Args:
            epochs: Passes in all, not in addition.
            on_progress: Called about every second; what it raises ends the call, not the super-net.

        Raises:
            DivergedError: The loss is not finite. The weights are those before that step.
            CheckpointError: A checkpoint cannot be written.
        """
        if not isinstance(epochs, int) or isinstance(epochs, bool) or epochs < 1:
            raise NasTuneError(f"`epochs` is {epochs!r}: give a whole number of at least 1.")
        pace = Pace(self.state().step)
        while True:
            state: State = self._ask("train", epochs, SLICE_SECONDS)
            total = epochs * state.steps_per_epoch
            if on_progress is not None:
                on_progress(Progress(state.step, total, state.loss, pace.seconds_left(state.step, total)))
            if state.step >= total:
                return state

    def evaluate(
        self, architectures: Sequence[Mapping[str, Value]], recipes: Sequence[Recipe] | None = None
    ) -> list[float]:
        """Return the validation accuracy of each architecture, a share in [0, 1], in one message for a whole list.

        Batch norm is measured anew for each. The shared weights stay as they are. While others train, the parts of a
        long list see different steps; equal architectures of one call are judged once.

        Args:
            architectures: Of this space.
            recipes: Training hyperparameters for each: its own copy of the network is trained with them first, which
                gives them a score in a joint search. Few epochs do.

        Returns:
            nan where logits are not finite or the training with a recipe diverged.

        Raises:
            ArchitectureError: A value is missing, impossible or foreign.
        """
        if isinstance(architectures, Mapping):
            raise ArchitectureError("`architectures` is one architecture: give a list, here with one element.")
        chosen = [self._checked(architecture) for architecture in architectures]
        if recipes is not None and len(recipes) != len(chosen):
            raise NasTuneError(f"{len(chosen)} architectures came with {len(recipes)} `recipes`: give one for each.")
        pairs = list(zip(chosen, recipes or repeat(None, len(chosen)), strict=True))
        scores: dict[tuple[Architecture, Recipe | None], float] = {}
        while missing := [pair for pair in dict.fromkeys(pairs) if pair not in scores][:LONGEST_MESSAGE]:
            asked, how = zip(*missing, strict=True)
            answered = self._ask("evaluate", asked, how, SLICE_SECONDS)
            scores |= dict(zip(missing, answered, strict=False))
        return [scores[pair] for pair in pairs]

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
        """Write a last checkpoint and end the actor, for every client; nothing happens when it has ended already."""
        if self._stopped:
            return
        self._stopped = True
        try:
            opened(ray.get(self._actor.close.options(max_task_retries=0).remote()))
        except RayActorError:
            return
        finally:
            _end(self._actor)

    def _ask(self, method: str, *arguments: object) -> Any:
        if self._stopped:
            raise NasTuneError(_ENDED)
        return _ask(self._actor, method, *arguments)

    def _checked(self, architecture: Mapping[str, Value]) -> Architecture:
        checked = self.space.architecture(architecture)
        foreign = [name for name in architecture if name not in checked]
        if foreign:
            why = unknown_name("parameter", foreign[0], checked)
            raise ArchitectureError(f"`{foreign[0]}` is foreign to the super-net's space: {why}")
        return checked


def _check(space: ModelSpace, task: Task, checkpoint_seconds: float) -> None:
    if not isinstance(space, ModelSpace):
        raise SpaceError(
            f"A super-net needs a ModelSpace, and this is a {type(space).__name__}: "
            'of a joint space, give the model part, for example space["cell"].'
        )
    if not isinstance(task, Task):
        raise TaskError(f"`task` is {task!r}: give a Task, for example `nas_tune.trials.tasks.digits()`.")
    if checkpoint_seconds < 0:
        raise NasTuneError(f"`checkpoint_seconds` is {checkpoint_seconds}: give at least 0.")
    with torch.random.fork_rng(devices=[]):
        check_fit(space.build(space.sample(np.random.default_rng(0))), task)


def _started(job: Job, threads: int, options: Mapping[str, object]) -> ActorHandle[SuperNetActor]:
    """Start the actor; what it is made of stays in the object store for the life of this driver.

    Ray makes a dead actor again from the arguments of its first start, but drops those that are too large for the
    message, as a task is. A reference that is pickled by hand is never dropped.
    """
    from nas_tune.cluster.actor import SuperNetActor

    reference: bytes = ray.cloudpickle.dumps(ray.put(job))  # type: ignore[no-untyped-call]
    try:
        made = ray.remote(SuperNetActor).options(**options)
        actor: ActorHandle[SuperNetActor] = made.remote(reference, threads)  # type: ignore[assignment]
        return actor
    except ValueError as error:
        if "name" not in options or "already taken" not in str(error):
            raise
        raise NasTuneError(
            f"There is a shared super-net '{options['name']}' already: connect to it, or take another name."
        ) from None


def _temporary_folder() -> Path:
    return Path(tempfile.gettempdir()) / f"nas_tune-{uuid.uuid4().hex}"


_ENDED = (
    "The shared super-net has ended: it was stopped, or its driver ended. Start it again; "
    "with the same `checkpoint_dir` it goes on from its last checkpoint."
)


def _end(actor: ActorHandle[SuperNetActor]) -> None:
    """Kill an actor and wait until it is dead, so that its name is free and no client is answered any more."""
    ray.kill(actor, no_restart=True)
    with suppress(RayActorError):
        while True:
            ray.get(actor.space.options(max_task_retries=0).remote())


def _ask(actor: ActorHandle[SuperNetActor], method: str, *arguments: object) -> Any:
    """Call a method of the actor and wait for its answer.

    Raises:
        NasTuneError: What the actor raised, or that it is gone.
    """
    try:
        return opened(ray.get(getattr(actor, method).remote(*arguments)))
    except RayActorError:
        raise NasTuneError(_ENDED) from None
    except RayError as error:
        last = str(error).strip().splitlines()[-1]
        raise NasTuneError(f"The actor of the shared super-net could not answer: {last}") from None
