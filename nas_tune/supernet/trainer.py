"""Training of the shared weights, one step at a time, resumable bitwise."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor

from nas_tune.errors import CheckpointError, DivergedError, NasTuneError
from nas_tune.supernet.loss import classification_loss
from nas_tune.supernet.paths import Paths, UniformPaths
from nas_tune.supernet.supernet import SuperNet


@dataclass(frozen=True)
class SuperNetRecipe:
    """How shared weights are trained: SGD with momentum under a cosine schedule.

    The published values are for ImageNet at batch 1,024 with learning rate 0.5 (arXiv:1904.00420, section 4); here the
    rate is scaled to the batch.

    Args:
        batch_size: Inputs of a step.
        lr: Learning rate at the start; it falls to 0 along a cosine over the steps of each plan.
        momentum: Momentum of SGD (Nesterov).
        weight_decay: L2 penalty, on the weights of the path only.
        label_smoothing: Share of the target spread over all classes.
        clip_norm: Largest norm of the gradient of a step.
        auxiliary_weight: Weight of the loss of a network's auxiliary head; only used if it has one.
    """

    batch_size: int = 64
    lr: float = 0.05
    momentum: float = 0.9
    weight_decay: float = 4e-5
    label_smoothing: float = 0.0
    clip_norm: float = 5.0
    auxiliary_weight: float = 0.4

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not (isinstance(value, (int, float)) and math.isfinite(value) and value >= 0):
                raise NasTuneError(f"SuperNetRecipe: `{name}` is {value!r}; give a finite number of at least 0.")
        if self.batch_size < 2 or self.batch_size != int(self.batch_size):
            raise NasTuneError(
                f"SuperNetRecipe: `batch_size` is {self.batch_size}; it is a whole number of at least 2."
            )
        if self.lr == 0 or self.clip_norm == 0:
            raise NasTuneError("SuperNetRecipe: `lr` and `clip_norm` are above 0.")
        if self.momentum >= 1 or self.label_smoothing > 1:
            raise NasTuneError("SuperNetRecipe: `momentum` is below 1, `label_smoothing` at most 1.")


@dataclass(frozen=True)
class Plan:
    """The steps from `start` to `end` over which the learning rate falls once."""

    start: int
    end: int


class SuperNetTrainer:
    """Trains a super-net on paths that a strategy selects.

    Everything random is a function of the seed and the step: the order of the data within an epoch, the paths, and what
    the network draws (dropout). A trainer that loads a state therefore goes on bitwise as the one that saved it.
    Parameters outside a step's paths have no gradient, so neither momentum nor weight decay touches them.

    Args:
        supernet: The shared weights; moved nowhere, so put it on its device before.
        inputs: Training inputs on the same device, shape `(N, ...)`.
        labels: Their classes, shape `(N,)`.
        paths: The strategy; `UniformPaths()` by default.
        recipe: How to train.
        seed: Seed of data order and paths.
    """

    def __init__(
        self,
        supernet: SuperNet,
        inputs: Tensor,
        labels: Tensor,
        *,
        paths: Paths | None = None,
        recipe: SuperNetRecipe | None = None,
        seed: int = 0,
    ) -> None:
        self.supernet, self.inputs, self.labels = supernet, inputs, labels
        self.paths, self.recipe, self.seed = paths or UniformPaths(), recipe or SuperNetRecipe(), seed
        self.step_count = 0
        self.plan = Plan(0, 0)
        self._weights = dict(supernet.named_parameters())
        self.optimizer = torch.optim.SGD(
            self._weights.values(),
            lr=self.recipe.lr,
            momentum=self.recipe.momentum,
            nesterov=self.recipe.momentum > 0,
            weight_decay=self.recipe.weight_decay,
        )
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.long)

    @property
    def steps_per_epoch(self) -> int:
        """Steps that see every training input once; a last batch that is not full is left to the next epoch's order."""
        return max(len(self.inputs) // self.recipe.batch_size, 1)

    def lr(self, step: int) -> float:
        """Return the learning rate of a step: on the cosine of the plan, constant while there is no plan."""
        length = self.plan.end - self.plan.start
        done = min(max(step - self.plan.start, 0) / length, 1.0) if length > 0 else 0.0
        return self.recipe.lr * 0.5 * (1.0 + math.cos(math.pi * done))

    def step(self) -> float:
        """Run one step: forward and backward of every selected path, then one step of the optimiser.

        Returns:
            The loss, averaged over the paths by their weights.

        Raises:
            DivergedError: The loss or its gradient is not finite; no weight has been changed by this step,
                but batch norms have seen its inputs.
        """
        inputs, labels = self._batch()
        chosen = self.paths.select(self.step_count, self.supernet.space, self._rng())
        if not sum(path.weight for path in chosen) > 0:
            raise NasTuneError(f"{self.paths!r} selects no path of positive weight at step {self.step_count}.")
        if not self.supernet.training:  # setting the mode of every candidate costs up to a tenth of a step
            self.supernet.train()
        self.optimizer.zero_grad(set_to_none=True)
        total, weights = 0.0, 0.0
        with _seeded(int(self._rng().integers(2**62)), inputs.device):
            for path in chosen:
                output = self.supernet(inputs, path.architecture)
                loss = classification_loss(output, labels, self.recipe.label_smoothing, self.recipe.auxiliary_weight)
                (path.weight * loss).backward()  # type: ignore[no-untyped-call]  # torch has no type for it
                total, weights = total + path.weight * float(loss.detach()), weights + path.weight
        touched = [p for p in self._weights.values() if p.grad is not None]
        norm = float(torch.nn.utils.clip_grad_norm_(touched, self.recipe.clip_norm))
        if not math.isfinite(total) or not math.isfinite(norm):
            raise DivergedError(
                f"The super-net's loss is {total}, its gradient's norm {norm} at step {self.step_count} with learning "
                f"rate {self.lr(self.step_count):.3g}: lower `lr` or `clip_norm` of the SuperNetRecipe."
            )
        for group in self.optimizer.param_groups:
            group["lr"] = self.lr(self.step_count)
        self.optimizer.step()
        self.step_count += 1
        return total / weights

    def _rng(self) -> np.random.Generator:
        return np.random.default_rng((self.seed, self.step_count, 2))

    def _batch(self) -> tuple[Tensor, Tensor]:
        epoch, place = divmod(self.step_count, self.steps_per_epoch)
        if epoch != self._epoch:
            order = np.random.default_rng((self.seed, epoch, 1)).permutation(len(self.inputs))
            self._epoch, self._order = epoch, torch.from_numpy(order).to(self.inputs.device)
        chosen = self._order[place * self.recipe.batch_size : (place + 1) * self.recipe.batch_size]
        return self.inputs[chosen], self.labels[chosen]

    def tensors(self) -> dict[str, Tensor]:
        """Return weights, buffers and momentum by name; nothing is copied."""
        state = {f"supernet.{name}": tensor for name, tensor in self.supernet.state_dict().items()}
        for name, weight in self._weights.items():
            momentum = self.optimizer.state.get(weight, {}).get("momentum_buffer")
            if momentum is not None:
                state[f"momentum.{name}"] = momentum
        return state

    def load(self, tensors: Mapping[str, Tensor], step: int, plan: Plan) -> None:
        """Go on from the tensors, step and plan of another trainer of the same super-net.

        Raises:
            CheckpointError: The tensors are of another super-net; nothing has been changed.
        """
        weights = {n.removeprefix("supernet."): t for n, t in tensors.items() if n.startswith("supernet.")}
        if other := _difference(self.supernet.state_dict(), weights):
            raise CheckpointError(f"The checkpoint is of another super-net: {other}.")
        self.supernet.load_state_dict(weights)
        self.optimizer.state.clear()
        for name, weight in self._weights.items():
            if f"momentum.{name}" in tensors:
                momentum = torch.empty_like(weight, requires_grad=False).copy_(tensors[f"momentum.{name}"])
                self.optimizer.state[weight]["momentum_buffer"] = momentum
        self.step_count, self.plan = step, plan


def _difference(ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> str | None:
    """Say in words the first difference between the tensors of two super-nets."""
    for name in (*ours, *theirs):
        if name not in theirs:
            return f"it has no `{name}`"
        if name not in ours:
            return f"its `{name}` is not in this one"
        if ours[name].shape != theirs[name].shape:
            return f"its `{name}` has shape {tuple(theirs[name].shape)}, here {tuple(ours[name].shape)}"
    return None


@contextmanager
def _seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed what a network draws from torch's own generators; afterwards they are as before."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.default_generator.manual_seed(seed)
        if device.type == "cuda":
            torch.cuda.manual_seed(seed)
        yield
