"""A super-net and what judges its architectures, without Ray and without training."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from functools import reduce
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from nas_tune.cluster.answers import Answer, Failure
from nas_tune.cluster.fine_tuning import fine_tuned_accuracy
from nas_tune.cluster.job import Job
from nas_tune.errors import InfeasibleError
from nas_tune.space import Architecture
from nas_tune.supernet import Judge, Split, SuperNet, recalibrate_batch_norm, split
from nas_tune.supernet.out_of_memory import is_out_of_memory
from nas_tune.trials import Recipe, resolve_device
from nas_tune.trials.randomness import exclusive_rng

CALIBRATION = 512  # training inputs that measure batch norm anew for each architecture
Pair: TypeAlias = "tuple[Architecture, Recipe | None]"


class JudgedSuperNet:
    """Scores architectures with shared weights, and remembers the scores until it is told that the weights changed.

    Args:
        job: Space, task, seed and device.

    Raises:
        TaskError: There is no such device.
    """

    def __init__(self, job: Job) -> None:
        self.seed, self.device, self._space = job.seed, resolve_device(job.device), job.space
        self.task = job.task.to(self.device)
        self.supernet = self.split_anew(())
        self.judge = judge(self.task.train.inputs, self.task.validation.inputs, self.task.validation.labels, job.seed)
        self._scores: dict[Pair, Answer[float]] = {}

    def split_anew(self, splits: Sequence[Split]) -> SuperNet:
        """Put a super-net with new weights, split so, into the place of the one that is there, and return it."""
        with exclusive_rng(self.seed):
            made = self._space.supernet().to(self.device)
        lay_out(made)
        self.supernet = reduce(split, splits, made)
        return self.supernet

    def forget(self) -> None:
        """Forget every score, since the weights are others."""
        self._scores.clear()

    def evaluate(
        self, architectures: Sequence[Architecture], recipes: Sequence[Recipe | None], ended: Callable[[], bool]
    ) -> tuple[Answer[float], ...]:
        """Return the validation accuracies of the first architectures, at least one.

        Args:
            architectures: Judged in this order.
            recipes: One for each; its network is trained with it before, None judges the shared weights as they are.
            ended: Asked after each; no further one is begun once it says so.

        Returns:
            The failure of an architecture that does not fit into memory stands in the place of its accuracy.
        """
        pairs, answers = list(zip(architectures, recipes, strict=True)), []
        with closing(self._each(pairs)) as judged:
            for answer in judged:
                answers.append(answer)
                if ended():
                    break
        return tuple(answers)

    def _each(self, pairs: Sequence[Pair]) -> Generator[Answer[float]]:
        judged = self._shared(pairs)
        try:
            for place, pair in enumerate(pairs):
                if pair not in self._scores:
                    try:
                        self._scores[pair] = next(judged) if pair[1] is None else self._fine_tuned(*pair)
                    except InfeasibleError as error:
                        self._scores[pair] = Failure(error.with_traceback(None))
                        judged.close()
                        judged = self._shared(pairs[place + 1 :])
                yield self._scores[pair]
        finally:
            judged.close()

    def _shared(self, pairs: Sequence[Pair]) -> Generator[float]:
        """Judge what has neither a recipe nor a score, each once."""
        missing = dict.fromkeys(pair for pair in pairs if pair[1] is None and pair not in self._scores)
        return self.judge.each(self.supernet, [architecture for architecture, _ in missing], steady=True)

    def _fine_tuned(self, architecture: Architecture, recipe: Recipe | None) -> float:
        assert recipe is not None
        network = self.supernet.extract(architecture)
        try:
            return fine_tuned_accuracy(network, self.task, recipe, self.judge.calibration, self.seed)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise InfeasibleError(
                f"{architecture} does not fit into memory when it is trained in batches of {recipe.batch_size} "
                f"({error}): give a smaller `batch_size`."
            ) from None

    def weights(self, architecture: Architecture) -> dict[str, Tensor]:
        """Return weights and buffers of an architecture's own network, on the CPU, its batch norm measured anew."""
        network = self.supernet.extract(architecture)
        recalibrate_batch_norm(network, [self.judge.calibration])
        return {name: tensor.cpu() for name, tensor in network.state_dict().items()}


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
