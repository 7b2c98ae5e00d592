"""How shared weights are trained: every number of it, checked."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Literal, get_args

from torch import nn
from torch.optim import SGD, AdamW, Optimizer

from nas_tune.device import PrecisionName
from nas_tune.errors import NasTuneError, unknown_name

OptimizerName = Literal["sgd", "adamw"]
ScheduleName = Literal["cosine", "linear", "constant"]
_NAMES = {"optimizer": OptimizerName, "schedule": ScheduleName, "precision": PrecisionName}


@dataclass(frozen=True)
class SuperNetRecipe:
    """How shared weights are trained; by default SGD with momentum under a cosine schedule.

    `published` has the numbers of the papers, which are for ImageNet and large batches; here the rate suits small ones.

    Args:
        batch_size: Inputs of a step.
        lr: Highest learning rate; it falls to 0 over the steps of each plan.
        momentum: Of SGD (Nesterov), or the first beta of AdamW.
        weight_decay: L2 penalty (decoupled with AdamW), on the weights of the step's paths only.
        decay_all: Whether weight decay also holds for what has one dimension: biases, scales and shifts of batch norm.
        label_smoothing: Share of the target spread over all classes.
        clip_norm: Largest norm of the gradient of a step; `None` does not clip.
        clip_value: Largest size of each number of the gradient; `None` does not clip.
        auxiliary_weight: Weight of the loss of a network's auxiliary head; only used if it has one.
        optimizer: ``"sgd"`` or ``"adamw"``.
        schedule: ``"cosine"``, ``"linear"`` or ``"constant"``.
        warmup_epochs: Epochs over which the rate rises linearly from 0 at the beginning of each plan.
        drop_path: Rate of drop-path at the end of each plan, to which it rises linearly from 0; 0 leaves a network's
            rates as they are.
        averaging: Decay of the moving average of the weights, 0 for none. A shared super-net judges with it; a trainer
            of one's own does so within `trainer.averaged()`.
        precision: ``"auto"`` is bf16 autocast where CUDA supports it, else fp32.
        most_skipped: Steps in a row whose loss is not finite, after which training ends with an error; fewer are
            skipped.
    """

    batch_size: int = 64
    lr: float = 0.05
    momentum: float = 0.9
    weight_decay: float = 4e-5
    decay_all: bool = True
    label_smoothing: float = 0.0
    clip_norm: float | None = 5.0
    clip_value: float | None = None
    auxiliary_weight: float = 0.4
    optimizer: OptimizerName = "sgd"
    schedule: ScheduleName = "cosine"
    warmup_epochs: float = 0.0
    drop_path: float = 0.0
    averaging: float = 0.0
    precision: PrecisionName = "auto"
    most_skipped: int = 10

    def __post_init__(self) -> None:
        for name, names in _NAMES.items():
            if getattr(self, name) not in get_args(names):
                raise unknown_name(f"`{name}` of a SuperNetRecipe", str(getattr(self, name)), get_args(names))
        for name, value in asdict(self).items():
            self._check_number(name, value)
        self._check_ranges()

    def _check_number(self, name: str, value: object) -> None:
        if name in _NAMES or isinstance(value, bool) or (value is None and name.startswith("clip_")):
            return
        if not (isinstance(value, (int, float)) and math.isfinite(value) and value >= 0):
            raise NasTuneError(f"SuperNetRecipe: `{name}` is {value!r}; give a finite number of at least 0.")

    def _check_ranges(self) -> None:
        if self.batch_size < 2 or self.batch_size != int(self.batch_size):
            raise NasTuneError(
                f"SuperNetRecipe: `batch_size` is {self.batch_size}; it is a whole number of at least 2."
            )
        if self.most_skipped < 1 or self.most_skipped != int(self.most_skipped):
            raise NasTuneError(
                f"SuperNetRecipe: `most_skipped` is {self.most_skipped}; it is a whole number of at least 1."
            )
        for name in ("lr", "clip_norm", "clip_value"):
            if getattr(self, name) == 0:
                raise NasTuneError(f"SuperNetRecipe: `{name}` is 0; give a number above 0.")
        for name in ("momentum", "label_smoothing", "averaging", "drop_path"):
            if getattr(self, name) >= 1:
                raise NasTuneError(f"SuperNetRecipe: `{name}` is {getattr(self, name)}; give a number below 1.")

    def lr_at(self, done: float, warmup: float) -> float:
        """Return the learning rate where a share `done` of a plan is done, of which the first `warmup` is warm-up."""
        if done < warmup:
            return self.lr * done / warmup
        fallen = min((done - warmup) / (1.0 - warmup), 1.0) if warmup < 1.0 else 0.0
        if self.schedule == "cosine":
            return self.lr * 0.5 * (1.0 + math.cos(math.pi * fallen))
        return self.lr * (1.0 - fallen) if self.schedule == "linear" else self.lr

    def make_optimizer(self, network: nn.Module) -> Optimizer:
        """Return the optimiser over the weights of a network."""
        decayed = [p for p in network.parameters() if self.decay_all or p.ndim > 1]
        exempt = [p for p in network.parameters() if not self.decay_all and p.ndim <= 1]
        groups = [{"params": decayed, "weight_decay": self.weight_decay}, {"params": exempt, "weight_decay": 0.0}]
        groups = [group for group in groups if group["params"]]
        if self.optimizer == "adamw":
            return AdamW(groups, self.lr, betas=(self.momentum, 0.999))
        return SGD(groups, self.lr, momentum=self.momentum, nesterov=self.momentum > 0)


_PUBLISHED = {
    # arXiv:1904.00420, section 4 and the released code: 150,000 steps on ImageNet
    "SPOS": SuperNetRecipe(
        batch_size=1024, lr=0.5, weight_decay=4e-5, label_smoothing=0.1, schedule="linear", clip_norm=None
    ),
    # arXiv:2011.09011, section 4 and the released code: 360 epochs on ImageNet at 64 batches of 32
    "AttentiveNAS": SuperNetRecipe(
        batch_size=2048,
        lr=0.1,
        weight_decay=1e-5,
        decay_all=False,
        label_smoothing=0.1,
        clip_norm=None,
        clip_value=1.0,
        warmup_epochs=5.0,
    ),
}


def published(name: str) -> SuperNetRecipe:
    """Return the recipe of a paper: ``"SPOS"`` or ``"AttentiveNAS"``.

    Raises:
        UnknownNameError: There is no such recipe.
    """
    if name not in _PUBLISHED:
        raise unknown_name("published super-net recipe", name, _PUBLISHED)
    return _PUBLISHED[name]
