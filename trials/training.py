"""The one training loop, and the accuracy of a network."""

from __future__ import annotations

import time
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from nas_tune.costs.dry_run import evaluating
from nas_tune.device import autocast, device_of, resolve_device
from nas_tune.errors import DivergedError, TaskError
from nas_tune.supernet.drop_path import set_drop_path
from nas_tune.supernet.loss import classification_loss

from .history import EpochResult, OnEpoch, TrainingResult, best_epoch
from .randomness import isolated_rng
from .recipe import Recipe
from .task import Split


def train(
    network: nn.Module,
    data: Split,
    recipe: Recipe,
    *,
    validation: Split | None = None,
    seed: int = 0,
    device: str | torch.device = "auto",
    channels_last: bool = True,
    on_epoch: OnEpoch | None = None,
    patience: int | None = None,
) -> TrainingResult:
    """Train a network in place; it ends on the device, with the weights of the last epoch.

    The samples lie on the device and batches are cut out of a random permutation of them. A last
    batch of a single sample is left out, since batch norm cannot take it. The same seed, device and
    number of threads give the same weights.

    Args:
        network: Maps inputs [B, ...] to logits [B, classes]; in training mode it may return a pair of them, the second
            of an auxiliary head.
        data: Samples to train on, at least two.
        recipe: Hyperparameters.
        validation: Samples to measure after each epoch.
        seed: Order of the samples, and what the network draws in training (dropout).
        device: ``"auto"`` or the name of a device.
        channels_last: Lay out the weights of 2-d convolutions channels-last. Measured on two CPU cores, it takes 14 to
            31% off an epoch of a small convolutional network, and tensor cores want it.
        on_epoch: Called after each epoch; what it raises ends the training.
        patience: End after this many epochs in a row without a better validation accuracy.

    Raises:
        TaskError: Too few samples, no such device, or ``patience`` without validation.
        DivergedError: The loss or the logits are no longer finite.
    """
    _check(data, validation, patience)
    place = resolve_device(device)
    _lay_out(network, place, channels_last)
    epochs = _Epochs(network, data.to(place), recipe, seed)
    held_out = None if validation is None else validation.to(place)
    history: tuple[EpochResult, ...] = ()
    stopped = False
    with isolated_rng(seed, place):
        while len(history) < recipe.epochs and not stopped:
            result = _timed_epoch(epochs, len(history) + 1, held_out)
            history += (result,)
            if on_epoch is not None:
                on_epoch(result)
            stopped = len(history) < recipe.epochs and _out_of_patience(history, patience)
    return TrainingResult.of(history, stopped_early=stopped)


def evaluate(network: nn.Module, split: Split, *, batch_size: int = 512, dtype: torch.dtype | None = None) -> float:
    """The share of samples whose largest logit is their class, in [0, 1].

    Runs in evaluation mode on the network's device and leaves its training modes as they were.

    Args:
        network: Maps inputs [B, ...] to logits [B, classes].
        split: Samples, on any device.
        batch_size: Samples at a time; only memory and speed depend on it.
        dtype: Of autocast; None runs in the network's own precision.

    Raises:
        DivergedError: A logit is not finite.
    """
    device = device_of(network)
    correct = torch.zeros((), dtype=torch.int64, device=device)
    finite = torch.ones((), dtype=torch.bool, device=device)
    with torch.no_grad(), evaluating(network), autocast(device, dtype):
        for start in range(0, len(split), batch_size):
            logits: Tensor = network(split.inputs[start : start + batch_size].to(device))
            labels = split.labels[start : start + batch_size].to(device)
            correct += (logits.argmax(1) == labels).sum()
            finite &= logits.isfinite().all()
    if not finite:
        raise DivergedError(
            f"{type(network).__name__} returns logits that are not finite: its weights have "
            "diverged. Train it again with a lower learning rate or a longer warm-up."
        )
    return int(correct) / len(split)


def _check(data: Split, validation: Split | None, patience: int | None) -> None:
    if len(data) < 2:
        raise TaskError(f"Training needs at least 2 samples, got {len(data)}.")
    if patience is not None and patience < 1:
        raise TaskError(f"`patience` is {patience}: give at least 1 epoch, or None.")
    if patience is not None and validation is None:
        raise TaskError("`patience` needs a validation split to judge epochs by: pass `validation`.")


def _lay_out(network: nn.Module, device: torch.device, channels_last: bool) -> None:
    network.to(device)
    if channels_last and all(parameter.ndim < 5 for parameter in network.parameters()):
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _out_of_patience(history: tuple[EpochResult, ...], patience: int | None) -> bool:
    best = best_epoch(history)
    return patience is not None and best is not None and len(history) - best.epoch >= patience


def _timed_epoch(epochs: _Epochs, number: int, validation: Split | None) -> EpochResult:
    started = time.perf_counter()
    loss, lr = epochs.run(number)
    accuracy = None
    if validation is not None:
        accuracy = evaluate(epochs.network, validation, dtype=epochs.dtype)
    return EpochResult(number, loss, accuracy, time.perf_counter() - started, lr)


class _Epochs:
    """The state of a training between epochs: optimiser, schedule, order of the samples."""

    def __init__(self, network: nn.Module, data: Split, recipe: Recipe, seed: int) -> None:
        self.network, self.data, self.recipe = network, data, recipe
        self.parameters = [p for p in network.parameters() if p.requires_grad]
        if not self.parameters:
            raise TaskError(f"{type(network).__name__} has no parameters to train.")
        self.dtype = recipe.autocast_dtype(data.inputs.device)
        self.generator = torch.Generator().manual_seed(seed)
        self.optimizer: Optimizer = recipe.make_optimizer(self.parameters)
        steps = _steps(len(data), recipe.batch_size)
        self.schedule: LRScheduler = recipe.make_schedule(self.optimizer, steps)

    def run(self, epoch: int) -> tuple[float, float]:
        """Train one epoch; return its mean loss and its last learning rate."""
        self.network.train()
        if self.recipe.drop_path:
            set_drop_path(self.network, self.recipe.drop_path * (epoch - 1) / self.recipe.epochs)
        losses: list[Tensor] = []
        rates: list[float] = []
        sizes: list[int] = []
        for indices in self._batches():
            rates.append(float(self.optimizer.param_groups[0]["lr"]))
            losses.append(self._step(self.data.take(indices)))
            sizes.append(len(indices))
        # One look at the losses for each epoch: looking at each step would stall a GPU.
        values = torch.stack(losses).double().cpu()
        if not values.isfinite().all():
            first = int((~values.isfinite()).nonzero()[0])
            raise self._diverged(float(values[first]), first + 1, epoch, rates[first])
        weights = torch.tensor(sizes, dtype=torch.float64)
        return float((values * weights).sum() / weights.sum()), rates[-1]

    def _batches(self) -> Iterator[Tensor]:
        count = len(self.data)
        order = torch.randperm(count, generator=self.generator).to(self.data.labels.device)
        for step in range(_steps(count, self.recipe.batch_size)):
            yield order[step * self.recipe.batch_size : (step + 1) * self.recipe.batch_size]

    def _step(self, batch: Split) -> Tensor:
        self.optimizer.zero_grad(set_to_none=True)
        with autocast(batch.inputs.device, self.dtype):
            output: Tensor | tuple[Tensor, Tensor] = self.network(batch.inputs)
        recipe = self.recipe
        loss = classification_loss(output, batch.labels, recipe.label_smoothing, recipe.auxiliary_weight)
        loss.backward()  # type: ignore[no-untyped-call]
        if self.recipe.clip_norm is not None:
            clip_grad_norm_(self.parameters, self.recipe.clip_norm)
        self.optimizer.step()
        self.schedule.step()
        return loss.detach()

    def _diverged(self, loss: float, step: int, epoch: int, lr: float) -> DivergedError:
        return DivergedError(
            f"The loss became {loss} in step {step} of epoch {epoch}, at learning rate {lr:.3g}. "
            "Lower the learning rate, lengthen `warmup_epochs` or set a smaller `clip_norm`."
        )


def _steps(samples: int, batch_size: int) -> int:
    """Batches in an epoch, without a last one of a single sample."""
    full, left = divmod(samples, batch_size)
    return full + (left > 1)
