"""The super-net behind an actor: weights, training, judging and checkpoints, without Ray."""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import isnan, nan
from statistics import fmean

import numpy as np
from torch import Tensor

from nas_tune.cluster.answers import Answer
from nas_tune.cluster.job import Job
from nas_tune.cluster.judging import JudgedSuperNet
from nas_tune.cluster.state import State
from nas_tune.errors import CheckpointError, SpaceError
from nas_tune.space import Architecture
from nas_tune.supernet import Path, Plan, Split, SuperNetTrainer, UniformPaths, choose_split, split, splits
from nas_tune.supernet.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from nas_tune.supernet.few_shot import widest_part
from nas_tune.trials import Recipe

_LOGGER = logging.getLogger("nas_tune")


class HostedSuperNet:
    """Trains and judges shared weights; comes back from the newest checkpoint of its folder.

    The weights after a step depend on the job and on what was trained alone, whatever was evaluated and however often
    it was interrupted. With a moving average of the weights, architectures are judged and extracted with the average.

    Args:
        job: What to train.

    Raises:
        CheckpointError: The checkpoint is of another space, task, seed or training, or every one is damaged.
        TaskError: There is no such device.
    """

    def __init__(self, job: Job) -> None:
        self.job, self._facts = job, job.facts  # of the job before its path strategy learns
        self.judged = JudgedSuperNet(job)
        self.trainer = self._trainer()
        self.loss = nan
        self._judged_at = 0
        self._checkpoint: str | None = None
        self._saved_at, self._saved_time = -1, time.monotonic()
        self._damaged: tuple[str, ...] = ()
        found = read_checkpoint(job.folder)
        if found is not None:
            self._restore(found)

    def _trainer(self) -> SuperNetTrainer:
        """Make a trainer of the super-net as it is split now."""
        task = self.judged.task
        return SuperNetTrainer(
            self.judged.supernet,
            task.train.inputs,
            task.train.labels,
            paths=self.job.paths,
            recipe=self.job.recipe,
            held_out=(task.validation.inputs, task.validation.labels),
            seed=self.job.seed,
        )

    def state(self) -> State:
        """Return where the training is."""
        return State(
            step=self.trainer.step_count,
            steps_per_epoch=self.trainer.steps_per_epoch,
            loss=self.loss,
            plan=self.trainer.plan,
            checkpoint=self._checkpoint,
            damaged=self._damaged,
            pid=os.getpid(),
            device=str(self.judged.device),
            skipped=self.trainer.skipped,
            splits=self.splits,
        )

    def train(self, epochs: int, seconds: float) -> State:
        """Train on towards `epochs` passes since the weights were new, for about `seconds`, at least one step.

        A schedule of the learning rate that has begun is kept: a later, larger `epochs` begins another one at its end,
        a smaller one ends on the way. A checkpoint is written when one is due and at the end.

        Raises:
            DivergedError: The loss is not finite, so many steps in a row as the recipe bears.
            CheckpointError: The checkpoint cannot be written.
        """
        total = epochs * self.trainer.steps_per_epoch

        def step() -> float:
            if self.trainer.step_count >= self.trainer.plan.end:
                self.trainer.plan = Plan(self.trainer.step_count, total)
            return self.trainer.step()

        self._run(step, total - self.trainer.step_count, seconds)
        self._save(due=self.trainer.step_count >= total)
        return self.state()

    def train_on(self, architectures: Sequence[Architecture], steps: int, seconds: float) -> tuple[int, State]:
        """Train so many more steps on given architectures, for about `seconds`, at least one step.

        Every step has the next batch of the epoch, and the mean loss of all architectures. Within a schedule it is one
        of the schedule's steps, outside of one its learning rate is the recipe's `lr`. A checkpoint is written when one
        is due.

        Returns:
            How many steps were done, and the state after them.

        Raises:
            DivergedError: The loss is not finite, so many steps in a row as the recipe bears.
            CheckpointError: The checkpoint cannot be written.
        """
        plan, paths = self.trainer.plan, [Path(chosen, weight=1 / len(architectures)) for chosen in architectures]
        if self.trainer.step_count >= plan.end > plan.start:
            self.trainer.plan = Plan(self.trainer.step_count, self.trainer.step_count)
        done = self._run(lambda: self.trainer.step_on(paths), steps, seconds)
        self._save()
        return done, self.state()

    @property
    def splits(self) -> tuple[Split, ...]:
        """How the super-net is split."""
        return splits(self.judged.supernet)

    def split(self, parts: int) -> State:
        """Split the super-net until it has so many parts, one with the most architectures in two at a time; checkpoint.

        The optimiser begins anew, and so does the average of the weights.

        Raises:
            SpaceError: Nothing has been trained yet, or no decision is left to split by.
            CheckpointError: The checkpoint cannot be written.
        """
        if not self.trainer.step_count:
            raise SpaceError("The super-net is new, and its gradients say nothing yet: train it before it is split.")
        train, before = self.judged.task.train, self.splits
        while len(found := self.splits) + 1 < parts:
            rng = np.random.default_rng((self.job.seed, self.trainer.step_count, len(found)))
            part = widest_part(self.judged.supernet)
            by = choose_split(self.judged.supernet, train.inputs, train.labels, part=part, rng=rng)
            self.judged.supernet = split(self.judged.supernet, by)
        if self.splits != before:
            facts = self.trainer.facts()
            self.trainer.paths = UniformPaths()  # the strategy goes over to the new trainer
            self.trainer = self._trainer()
            self.trainer.load_facts(facts)
            self.judged.forget()
            self._saved_at = -1
        self.checkpoint()
        return self.state()

    def _run(self, step: Callable[[], float], steps: int, seconds: float) -> int:
        """Take up to so many steps, and keep the mean of their losses; return how many were taken."""
        deadline = time.monotonic() + seconds
        losses: list[float] = []
        while len(losses) < steps and (not losses or time.monotonic() < deadline):
            losses.append(step())
        if taken := [loss for loss in losses if not isnan(loss)]:
            self.loss = fmean(taken)
        return len(losses)

    def evaluate(
        self, architectures: Sequence[Architecture], recipes: Sequence[Recipe | None], seconds: float
    ) -> tuple[Answer[float], ...]:
        """Return the validation accuracies of as many architectures as fit into about `seconds`, at least one.

        See `JudgedSuperNet.evaluate`.
        """
        deadline = time.monotonic() + seconds
        with self._averaged():
            return self.judged.evaluate(architectures, recipes, lambda: time.monotonic() >= deadline)

    def weights(self, architecture: Architecture) -> dict[str, Tensor]:
        """Return weights and buffers of an architecture's own network, on the CPU, its batch norm measured anew."""
        with self._averaged():
            return self.judged.weights(architecture)

    def copied(self) -> dict[str, Tensor]:
        """Return a copy of the weights and buffers that architectures are judged with, on the CPU."""
        with self._averaged():
            return {name: tensor.cpu().clone() for name, tensor in self.judged.supernet.state_dict().items()}

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        """Give the weights their averages inside, where there are any."""
        if self._judged_at != self.trainer.step_count:
            self.judged.forget()
            self._judged_at = self.trainer.step_count
        with self.trainer.averaged():
            yield

    def _save(self, *, due: bool = False) -> None:
        if due or time.monotonic() - self._saved_time >= self.job.checkpoint_seconds:
            self.checkpoint()

    def checkpoint(self) -> str | None:
        """Write a checkpoint of this step unless there is one; return the newest one's path.

        Raises:
            CheckpointError: The folder cannot be written; the training in memory is as it was.
        """
        if self.trainer.step_count not in (0, self._saved_at):
            step = self.trainer.step_count
            made = [by.facts() for by in self.splits]
            facts = {**self._facts, "training": self.trainer.facts(), "splits": made, "loss": self.loss}
            try:
                path = write_checkpoint(self.job.folder, step, self.trainer.tensors(), facts)
            except OSError as error:
                raise CheckpointError(
                    f"The checkpoint of step {step} cannot be written to {self.job.folder}: {error}. "
                    "Make room or give another `checkpoint_dir`."
                ) from error
            self._checkpoint, self._saved_at, self._saved_time = str(path), step, time.monotonic()
        return self._checkpoint

    def close(self) -> None:
        """Write a last checkpoint, or remove the checkpoints where they were only for the time of this super-net."""
        if self.job.temporary:
            shutil.rmtree(self.job.folder, ignore_errors=True)
        else:
            self.checkpoint()

    def _restore(self, found: Checkpoint) -> None:
        self.job.check(found.facts)
        training, loss = found.facts["training"], found.facts["loss"]
        assert isinstance(training, dict) and isinstance(loss, float)
        if made := found.facts.get("splits"):
            assert isinstance(made, list)
            self.judged.split_anew([Split.from_facts(by) for by in made])
            self.trainer.paths = UniformPaths()
            self.trainer = self._trainer()
        self.trainer.load(found.tensors, training)
        self.loss, self._damaged, self._saved_at = loss, found.damaged, found.step
        self._checkpoint = found.path
        _LOGGER.info("The super-net goes on from %s.", found.path)
