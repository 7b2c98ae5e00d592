"""The super-net behind an actor: weights, training, judging and checkpoints, without Ray."""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Sequence
from contextlib import closing
from math import isnan, nan
from statistics import fmean

import numpy as np
import torch
from torch import Tensor, nn

from nas_tune.cluster.fine_tuning import fine_tuned_accuracy
from nas_tune.cluster.job import Job
from nas_tune.cluster.state import State
from nas_tune.errors import CheckpointError
from nas_tune.space import Architecture
from nas_tune.supernet import Judge, Plan, SuperNetTrainer, recalibrate_batch_norm
from nas_tune.supernet.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from nas_tune.trials import Recipe, resolve_device
from nas_tune.trials.randomness import exclusive_rng

CALIBRATION = 512  # training inputs that measure batch norm anew for each architecture
_LOGGER = logging.getLogger("nas_tune")


class HostedSuperNet:
    """Trains and judges shared weights; comes back from the newest checkpoint of its folder.

    The weights after a step depend on the job alone, whatever was evaluated and however often it was interrupted.

    Args:
        job: What to train.

    Raises:
        CheckpointError: The checkpoint is of another space, task, seed or training, or every one is damaged.
        TaskError: There is no such device.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        device = resolve_device(job.device)
        self.task = job.task.to(device)
        with exclusive_rng(job.seed):
            self.supernet = job.space.supernet().to(device)
        lay_out(self.supernet)
        self.trainer = SuperNetTrainer(
            self.supernet,
            self.task.train.inputs,
            self.task.train.labels,
            paths=job.paths,
            recipe=job.recipe,
            held_out=(self.task.validation.inputs, self.task.validation.labels),
            seed=job.seed,
        )
        self.judge = judge(self.task.train.inputs, self.task.validation.inputs, self.task.validation.labels, job.seed)
        self.loss, self.device = nan, str(device)
        self._scores: dict[tuple[Architecture, Recipe | None], float] = {}
        self._scored_at = 0
        self._checkpoint: str | None = None
        self._saved_at, self._saved_time = -1, time.monotonic()
        self._damaged: tuple[str, ...] = ()
        found = read_checkpoint(job.folder)
        if found is not None:
            self._restore(found)

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
            device=self.device,
        )

    def train(self, epochs: int, seconds: float) -> State:
        """Train on towards `epochs` passes since the weights were new, for about `seconds`, at least one step.

        A schedule of the learning rate that has begun is kept: a later, larger `epochs` begins another one at its end,
        a smaller one ends on the way. A checkpoint is written when one is due and at the end.

        Raises:
            DivergedError: The loss is not finite.
            CheckpointError: The checkpoint cannot be written.
        """
        total, deadline = epochs * self.trainer.steps_per_epoch, time.monotonic() + seconds
        losses: list[float] = []
        while self.trainer.step_count < total and (not losses or time.monotonic() < deadline):
            if self.trainer.step_count >= self.trainer.plan.end:
                self.trainer.plan = Plan(self.trainer.plan.end, total)
            losses.append(self.trainer.step())
        if taken := [loss for loss in losses if not isnan(loss)]:
            self.loss = fmean(taken)
        due = time.monotonic() - self._saved_time >= self.job.checkpoint_seconds
        if due or self.trainer.step_count >= total:
            self.checkpoint()
        return self.state()

    def evaluate(
        self, architectures: Sequence[Architecture], recipes: Sequence[Recipe | None], seconds: float
    ) -> tuple[float, ...]:
        """Return the validation accuracies of as many architectures as fit into about `seconds`, at least one.

        Args:
            architectures: Judged in this order.
            recipes: One for each; its network is trained with it before, None judges the shared weights as they are.
            seconds: No architecture is begun after that.
        """
        if self._scored_at != self.trainer.step_count:
            self._scores, self._scored_at = {}, self.trainer.step_count
        deadline = time.monotonic() + seconds
        pairs = list(zip(architectures, recipes, strict=True))
        shared = [
            architecture
            for architecture, recipe in pairs
            if (architecture, recipe) not in self._scores and recipe is None
        ]
        scores: list[float] = []
        with closing(self.judge.each(self.supernet, shared)) as judged:
            for architecture, recipe in pairs:
                if (architecture, recipe) not in self._scores:
                    score = next(judged) if recipe is None else self._fine_tuned(architecture, recipe)
                    self._scores[architecture, recipe] = score
                scores.append(self._scores[architecture, recipe])
                if time.monotonic() >= deadline:
                    break
        return tuple(scores)

    def _fine_tuned(self, architecture: Architecture, recipe: Recipe) -> float:
        network = self.supernet.extract(architecture)
        return fine_tuned_accuracy(network, self.task, recipe, self.judge.calibration, self.job.seed)

    def weights(self, architecture: Architecture) -> dict[str, Tensor]:
        """Return weights and buffers of an architecture's own network, on the CPU, its batch norm measured anew."""
        network = self.supernet.extract(architecture)
        recalibrate_batch_norm(network, [self.judge.calibration])
        return {name: tensor.cpu() for name, tensor in network.state_dict().items()}

    def checkpoint(self) -> str | None:
        """Write a checkpoint of this step unless there is one; return the newest one's path.

        Raises:
            CheckpointError: The folder cannot be written; the training in memory is as it was.
        """
        if self.trainer.step_count not in (0, self._saved_at):
            step = self.trainer.step_count
            facts = {**self.job.facts, "training": self.trainer.facts(), "loss": self.loss}
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
        self.trainer.load(found.tensors, training)
        self.loss, self._damaged, self._saved_at = loss, found.damaged, found.step
        self._checkpoint = found.path
        _LOGGER.info("The super-net goes on from %s.", found.path)


def lay_out(network: nn.Module) -> None:
    """Store the weights of 2-d convolutions channels-last.

    Measured on one CPU thread with NAS-Bench-201 on the digits, it takes a quarter off a training step and nearly half
    off a score; tensor cores want it too.
    """
    if all(parameter.ndim < 5 for parameter in network.parameters()):
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def judge(calibration: Tensor, inputs: Tensor, labels: Tensor, seed: int) -> Judge:
    """Return the judge of a validation split; batch norm is measured on up to 512 inputs drawn from `calibration`."""
    drawn = np.random.default_rng((seed, 2)).permutation(len(calibration))[:CALIBRATION]
    return Judge(calibration[torch.from_numpy(drawn).to(calibration.device)], inputs, labels)
