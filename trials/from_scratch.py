"""Scoring an architecture by training its network from fresh weights."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import optuna
import torch
from optuna.trial import BaseTrial
from torch import nn

from nas_tune.analysis.evaluations import EVALUATION, FROM_SCRATCH
from nas_tune.costs import Cost, profile
from nas_tune.device import device_of
from nas_tune.errors import DivergedError, TaskError
from nas_tune.space import Architecture, SearchSpace, Value

from . import joint
from .facts import record, record_cost
from .fit import check_fit
from .history import EpochResult, OnEpoch, TrainingResult
from .pruning import report_to
from .randomness import exclusive_rng, trial_seed
from .recipe import Recipe
from .task import Task
from .training import evaluate, train


@dataclass(frozen=True)
class FinalResult:
    """A network trained on everything but the test split.

    Attributes:
        test_accuracy: In [0, 1], after the last epoch.
        cost: Parameters, multiply-adds and activation memory.
        epochs: Epochs of training.
        seconds: Wall time, building and testing included.
        seed: Of the initial weights and the order of samples.
        network: The trained network, on the device it was trained on.
    """

    test_accuracy: float
    cost: Cost
    epochs: int
    seconds: float
    seed: int
    network: nn.Module = field(repr=False, compare=False)


class FromScratch:
    """The evaluation that trains each architecture's own network.

    Args:
        task: Splits to train, score and test on.
        recipe: Training hyperparameters; those of an architecture or a call override them.
        epochs: Overrides the recipe's.
        device: ``"auto"`` or the name of a device; looked up where the training runs, which may be another machine.
        seed: Of initial weights and order of samples; each trial derives its own from it.
        patience: End a trial after so many epochs without a better validation accuracy.
    """

    def __init__(
        self,
        task: Task,
        recipe: Recipe | None = None,
        *,
        epochs: int | None = None,
        device: str | torch.device = "auto",
        seed: int = 0,
        patience: int | None = None,
    ) -> None:
        if not isinstance(task, Task):
            raise TaskError(f"`task` is {task!r}: give a Task, for example `tasks.digits()`.")
        given = recipe or Recipe()
        self.task = task
        self.recipe = given if epochs is None else given.replace(epochs=epochs)
        self.device = device
        self.seed = seed
        self.patience = patience

    def score(
        self,
        space: SearchSpace,
        architecture: Architecture,
        *,
        trial: BaseTrial | None = None,
        on_epoch: OnEpoch | None = None,
        **hyperparameters: Value,
    ) -> float:
        """Train on the train split; return the validation accuracy, in [0, 1].

        It is the accuracy after the last epoch; after an early stop, that of the best epoch.

        Args:
            space: A model space, or a joint one whose other values are training hyperparameters.
            architecture: One of its architectures.
            trial: Gets every epoch reported for its pruner, and the user attributes
                ``evaluation``, ``seed``, ``parameters``, ``macs`` (before training), ``epochs`` and
                ``seconds`` (after it, also when it fails or is pruned).
            on_epoch: Called after each epoch.
            hyperparameters: Fields of the recipe; they override the architecture's.

        Raises:
            UnknownNameError: A hyperparameter is no field of the recipe.
            TaskError: The network does not fit the task, or a hyperparameter is impossible.
            DivergedError: The loss is no longer finite, and there is no `trial`.
            optuna.TrialPruned: The pruner gave the trial up, or its loss is no longer finite: then the user attribute
                ``diverged`` says where.
        """
        started = time.perf_counter()
        seed = self.seed if trial is None else trial_seed(self.seed, trial.number)
        record(trial, **{EVALUATION: FROM_SCRATCH}, seed=seed)
        network, recipe = self._prepare(space, architecture, hyperparameters, seed)
        record_cost(trial, profile(network, self.task.input_shape))
        done: list[EpochResult] = []
        callbacks = [done.append, on_epoch, None if trial is None else report_to(trial)]
        try:
            result = self._train(network, recipe, seed, callbacks)
        except DivergedError as error:
            if trial is None:
                raise
            record(trial, diverged=str(error))
            raise optuna.TrialPruned(str(error)) from error
        finally:
            record(trial, epochs=len(done), seconds=time.perf_counter() - started)
        assert result.accuracy is not None
        return result.accuracy

    def final(
        self,
        space: SearchSpace,
        architecture: Architecture,
        *,
        seed: int | None = None,
        on_epoch: OnEpoch | None = None,
        **hyperparameters: Value,
    ) -> FinalResult:
        """Train on train + validation for all epochs; report the test accuracy of the last one.

        Args:
            space: A model space or a joint one.
            architecture: One of its architectures.
            seed: Of this training; by default the evaluation's own.
            on_epoch: Called after each epoch; there is no accuracy to see.
            hyperparameters: Fields of the recipe; they override the architecture's.

        Raises:
            UnknownNameError: A hyperparameter is no field of the recipe.
            TaskError: The network does not fit the task, or a hyperparameter is impossible.
            DivergedError: The loss is no longer finite.
        """
        started = time.perf_counter()
        seed = self.seed if seed is None else seed
        network, recipe = self._prepare(space, architecture, hyperparameters, seed)
        cost = profile(network, self.task.input_shape)
        data = self.task.train_and_validation
        train(network, data, recipe, seed=seed, device=self.device, on_epoch=on_epoch)
        accuracy = evaluate(network, self.task.test, dtype=recipe.autocast_dtype(device_of(network)))
        seconds = time.perf_counter() - started
        return FinalResult(accuracy, cost, recipe.epochs, seconds, seed, network)

    def _prepare(
        self,
        space: SearchSpace,
        architecture: Architecture,
        hyperparameters: dict[str, Value],
        seed: int,
    ) -> tuple[nn.Module, Recipe]:
        """The untrained network, which fits the task, and the recipe to train it by."""
        model_space, chosen, found = joint.split(space, architecture)
        recipe = self.recipe.replace(**(found | hyperparameters))
        with exclusive_rng(seed):
            network = model_space.build(chosen)
        check_fit(network, self.task)
        return network, recipe

    def _train(self, network: nn.Module, recipe: Recipe, seed: int, callbacks: list[OnEpoch | None]) -> TrainingResult:
        def on_epoch(result: EpochResult) -> None:
            for callback in callbacks:
                if callback is not None:
                    callback(result)

        return train(
            network,
            self.task.train,
            recipe,
            validation=self.task.validation,
            seed=seed,
            device=self.device,
            on_epoch=on_epoch,
            patience=self.patience,
        )
