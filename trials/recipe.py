"""How a network is trained: every number of it, checked."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import nn
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.lr_scheduler import (
    ConstantLR,
    CosineAnnealingLR,
    LinearLR,
    LRScheduler,
    SequentialLR,
)

from nas_tune.device import PrecisionName, autocast_dtype
from nas_tune.errors import TaskError, unknown_name
from nas_tune.space import Float, SearchSpace

OptimizerName = Literal["sgd", "adamw"]
ScheduleName = Literal["cosine", "constant"]

_WARMUP_START = 0.01


@dataclass(frozen=True)
class Recipe:
    """The hyperparameters of training one network.

    Attributes:
        epochs: Passes over the training samples.
        batch_size: Samples in a step; at least 2, since batch norm cannot take one.
        lr: Peak learning rate.
        momentum: Of SGD (Nesterov), or the first beta of AdamW.
        weight_decay: Applied to every parameter, biases and batch norm included.
        label_smoothing: Share of the target spread over all classes, in [0, 1).
        optimizer: ``"sgd"`` or ``"adamw"``.
        schedule: ``"cosine"`` falls to 0 at the last step; ``"constant"``.
        warmup_epochs: Epochs over which the rate rises linearly from 1% of its peak; less than
            ``epochs``, fractions allowed.
        clip_norm: Largest norm of the whole gradient; None does not clip.
        auxiliary_weight: Weight of the loss of a network's auxiliary head; only used if it has one.
        drop_path: Rate of drop-path that is reached at the end: it rises linearly over the epochs, from 0 in the
            first one. 0 leaves a network's rates as they are.
        precision: ``"auto"`` is bf16 autocast where CUDA supports it, else fp32.
    """

    epochs: int = 20
    batch_size: int = 64
    lr: float = 0.05
    momentum: float = 0.9
    weight_decay: float = 5e-4
    label_smoothing: float = 0.0
    optimizer: OptimizerName = "sgd"
    schedule: ScheduleName = "cosine"
    warmup_epochs: float = 0.0
    clip_norm: float | None = 5.0
    auxiliary_weight: float = 0.4
    drop_path: float = 0.0
    precision: PrecisionName = "auto"

    def __post_init__(self) -> None:
        self._check_integer("epochs", 1)
        self._check_integer("batch_size", 2)
        self._check("lr", "above 0", lambda lr: lr > 0)
        self._check("momentum", "in [0, 1)", lambda momentum: 0 <= momentum < 1)
        self._check("weight_decay", "at least 0", lambda decay: decay >= 0)
        self._check("label_smoothing", "in [0, 1)", lambda smoothing: 0 <= smoothing < 1)
        self._check(
            "warmup_epochs",
            f"from 0 to below the {self.epochs} epochs",
            lambda warmup: 0 <= warmup < self.epochs,
        )
        if self.clip_norm is not None:
            self._check("clip_norm", "above 0, or None", lambda norm: norm > 0)
        self._check("auxiliary_weight", "at least 0", lambda weight: weight >= 0)
        self._check("drop_path", "in [0, 1)", lambda rate: 0 <= rate < 1)
        self._check_name("optimizer", OptimizerName)
        self._check_name("schedule", ScheduleName)
        self._check_name("precision", PrecisionName)

    def _check_integer(self, name: str, low: int) -> None:
        value = getattr(self, name)
        if not isinstance(value, int) or isinstance(value, bool) or value < low:
            raise TaskError(f"`{name}` is {value!r}: give a whole number of at least {low}.")

    def _check(self, name: str, rule: str, holds: Callable[[float], bool]) -> None:
        value = getattr(self, name)
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number or not math.isfinite(value) or not holds(value):
            raise TaskError(f"`{name}` is {value!r}: give a number {rule}.")

    def _check_name(self, name: str, names: object) -> None:
        value = getattr(self, name)
        if value not in get_args(names):
            raise unknown_name(name, str(value), get_args(names))

    def replace(self, **changes: object) -> Recipe:
        """The recipe with some fields changed.

        Raises:
            UnknownNameError: A name is no field of a recipe.
            TaskError: A value is impossible.
        """
        fields = [field.name for field in dataclasses.fields(self)]
        for name in changes:
            if name not in fields:
                raise unknown_name("training hyperparameter", name, fields)
        return dataclasses.replace(self, **changes)  # type: ignore[arg-type]  # the constructor checks every value

    @staticmethod
    def search_space() -> SearchSpace:
        """Ranges worth searching for SGD with momentum on small images, batches of about 64.

        lr 0.005 to 0.3 and weight decay 1e-5 to 5e-3 (both logarithmic), label smoothing 0 to 0.2.
        """
        return SearchSpace(
            {
                "lr": Float(5e-3, 0.3, log=True),
                "weight_decay": Float(1e-5, 5e-3, log=True),
                "label_smoothing": Float(0.0, 0.2),
            }
        )

    def make_optimizer(self, parameters: Iterable[nn.Parameter]) -> Optimizer:
        """The optimiser over ``parameters``, in the fused form that is one call for all of them."""
        if self.optimizer == "adamw":
            betas = (self.momentum, 0.999)
            return AdamW(parameters, self.lr, betas=betas, weight_decay=self.weight_decay, fused=True)
        return SGD(
            parameters,
            self.lr,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
            nesterov=self.momentum > 0,
            fused=True,
        )

    def make_schedule(self, optimizer: Optimizer, steps_per_epoch: int) -> LRScheduler:
        """The learning rate by step; call ``step`` on it after every step of the optimiser."""
        steps = self.epochs * steps_per_epoch
        warmup = min(round(self.warmup_epochs * steps_per_epoch), steps - 1)
        if not warmup:
            return self._main_schedule(optimizer, steps)
        rise = LinearLR(optimizer, _WARMUP_START, 1.0, total_iters=warmup)
        return SequentialLR(optimizer, [rise, self._main_schedule(optimizer, steps - warmup)], [warmup])

    def _main_schedule(self, optimizer: Optimizer, steps: int) -> LRScheduler:
        if self.schedule == "cosine":
            return CosineAnnealingLR(optimizer, T_max=steps)
        return ConstantLR(optimizer, factor=1.0, total_iters=0)

    def autocast_dtype(self, device: torch.device) -> torch.dtype | None:
        """The type of autocast on ``device``; None for full precision."""
        return autocast_dtype(self.precision, device)
