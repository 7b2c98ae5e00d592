"""Training of the shared weights, one step at a time, resumable bitwise."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.dropout import _DropoutNd

from nas_tune.device import autocast, autocast_dtype
from nas_tune.errors import CheckpointError, DivergedError, NasTuneError
from nas_tune.space import Architecture
from nas_tune.supernet.averaging import Average
from nas_tune.supernet.drop_path import DropPath, set_drop_path
from nas_tune.supernet.isolation import Isolation
from nas_tune.supernet.loss import classification_loss
from nas_tune.supernet.paths import LearningPaths, Path, Paths, Step, UniformPaths
from nas_tune.supernet.recipe import SuperNetRecipe
from nas_tune.supernet.supernet import SuperNet


@dataclass(frozen=True)
class Plan:
    """The steps from `start` to `end` over which the learning rate rises and falls once."""

    start: int
    end: int


class SuperNetTrainer:
    """Trains a super-net on paths that a strategy selects.

    Everything random is a function of the seed and the step: the order of the data within an epoch, the paths, and what
    the network draws (dropout). A trainer that loads a state therefore goes on bitwise as the one that saved it.
    What no path of a step uses, whole weights and the rest of sliced ones, keeps its value and its momentum.

    Args:
        supernet: The shared weights; moved nowhere, so put it on its device before.
        inputs: Training inputs on the same device, shape `(N, ...)`.
        labels: Their classes, shape `(N,)`.
        paths: The strategy; `UniformPaths()` by default. One that learns begins anew, and is of this trainer alone.
        recipe: How to train.
        held_out: Inputs `(M, ...)` and labels `(M,)` of the validation split, on which a strategy may judge
            architectures.
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
        held_out: tuple[Tensor, Tensor] | None = None,
        seed: int = 0,
    ) -> None:
        self.supernet, self.inputs, self.labels, self.held_out = supernet, inputs, labels, held_out
        self.paths, self.recipe, self.seed = paths or UniformPaths(), recipe or SuperNetRecipe(), seed
        if isinstance(self.paths, LearningPaths):
            self.paths.remember({})
        self.step_count = 0
        self.skipped, self.skipped_in_row = 0, 0
        self.plan = Plan(0, 0)
        self._weights = dict(supernet.named_parameters())
        self.optimizer = self.recipe.make_optimizer(supernet)
        self.average = Average(self._weights, self.recipe.averaging) if self.recipe.averaging else None
        self._regularisers = [m for m in supernet.modules() if isinstance(m, (_DropoutNd, DropPath))]
        self._isolation = Isolation(supernet.network)
        self._dtype = autocast_dtype(self.recipe.precision, inputs.device)
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.long)

    @property
    def steps_per_epoch(self) -> int:
        """Steps that see every training input once; a last batch that is not full is left to the next epoch's order."""
        return max(len(self.inputs) // self.recipe.batch_size, 1)

    def lr(self, step: int) -> float:
        """Return the learning rate of a step by the schedule of the plan; the highest while there is no plan."""
        length = self.plan.end - self.plan.start
        if length <= 0:
            return self.recipe.lr
        warmup = min(self.recipe.warmup_epochs * self.steps_per_epoch / length, 1.0)
        return self.recipe.lr_at(min(max(step - self.plan.start, 0) / length, 1.0), warmup)

    def step(self) -> float:
        """Run one step on the paths that the strategy selects.

        Returns:
            The loss, averaged over the paths by their weights; nan where the step was skipped.

        Raises:
            DivergedError: The loss or its gradient is not finite, for the `most_skipped`-th time in a row.
        """
        return self.step_on(self.select())

    def select(self) -> tuple[Path, ...]:
        """Return the paths that the strategy selects for the next step."""
        moment = Step(
            number=self.step_count,
            start=self.plan.start,
            end=self.plan.end,
            steps_per_epoch=self.steps_per_epoch,
            input_shape=tuple(self.inputs.shape[1:]),
            losses=self._losses,
            accuracies=self._accuracies,
        )
        with _seeded(int(self._rng(3).integers(2**62)), self.inputs.device):
            return self.paths.select(moment, self.supernet.space, self._rng(2))

    def step_on(self, paths: Sequence[Path]) -> float:
        """Run forward and backward of given paths, then one step of the optimiser; see `step`."""
        inputs, labels = self._batch()
        weights = sum(path.weight for path in paths)
        if not weights > 0:
            raise NasTuneError(f"{self.paths!r} selects no path of positive weight at step {self.step_count}.")
        self._prepare()
        total, teacher = torch.zeros((), device=inputs.device), None
        with _seeded(int(self._rng(4).integers(2**62)), inputs.device):
            for path in paths:
                for module in self._regularisers:
                    module.training = path.regularised
                with autocast(inputs.device, self._dtype):
                    output = self.supernet(inputs, path.architecture)
                logits = (output[0] if isinstance(output, tuple) else output).float()
                loss = self._loss(path, output, logits, labels, teacher)
                (path.weight * loss).backward()  # type: ignore[no-untyped-call]  # torch has no type for it
                total += path.weight * loss.detach()
                teacher = logits.detach() if teacher is None else teacher
        for module in self._regularisers:
            module.training = True
        loss_value, norm = torch.stack((total, self._clipped())).tolist()  # one look at the device
        if not (math.isfinite(loss_value) and math.isfinite(norm)):
            return self._skip(loss_value / weights, norm)
        for group in self.optimizer.param_groups:
            group["lr"] = self.lr(self.step_count)
        with self._isolation.step(self.optimizer, (self.supernet.selection(path.architecture) for path in paths)):
            self.optimizer.step()
        if self.average is not None:
            self.average.update()
        self.step_count, self.skipped_in_row = self.step_count + 1, 0
        return float(loss_value / weights)

    def _prepare(self) -> None:
        self._to_training_mode()
        if self.recipe.drop_path:
            length = max(self.plan.end - self.plan.start, 1)
            set_drop_path(self.supernet, self.recipe.drop_path * min((self.step_count - self.plan.start) / length, 1.0))
        self.optimizer.zero_grad(set_to_none=True)

    def _to_training_mode(self) -> None:
        if not self.supernet.training:  # setting the mode of every candidate costs up to a tenth of a step
            self.supernet.train()

    def _loss(
        self, path: Path, output: Tensor | tuple[Tensor, Tensor], logits: Tensor, labels: Tensor, teacher: Tensor | None
    ) -> Tensor:
        if path.distillation is None:
            return classification_loss(output, labels, self.recipe.label_smoothing, self.recipe.auxiliary_weight)
        if teacher is None:
            raise NasTuneError(f"{self.paths!r} distils into the first path of a step, which has no teacher before it.")
        return path.distillation(logits, teacher)

    def _clipped(self) -> Tensor:
        """Clip the gradient of the step and return the norm it had, before it was clipped by norm."""
        touched = [p for p in self._weights.values() if p.grad is not None]
        if self.recipe.clip_value is not None:
            torch.nn.utils.clip_grad_value_(touched, self.recipe.clip_value)
        return torch.nn.utils.clip_grad_norm_(touched, self.recipe.clip_norm or math.inf)

    def _skip(self, loss: float, norm: float) -> float:
        """Count a step that cannot be taken. No weight changes; statistics of batch norm that it spoilt are new."""
        self.optimizer.zero_grad(set_to_none=True)
        for module in self.supernet.modules():
            statistics = [b for b in module.buffers(recurse=False) if b.is_floating_point()]
            if isinstance(module, _NormBase) and not all(bool(b.isfinite().all()) for b in statistics):
                module.reset_running_stats()
        step, lr = self.step_count, self.lr(self.step_count)
        self.skipped, self.skipped_in_row, self.step_count = self.skipped + 1, self.skipped_in_row + 1, step + 1
        if self.skipped_in_row < self.recipe.most_skipped:
            return math.nan
        raise DivergedError(
            f"The super-net's loss is {loss}, its gradient's norm {norm} at step {step} with learning rate {lr:.3g}, "
            f"and {self.skipped_in_row} steps in a row could not be taken: lower `lr` or `clip_norm` of the "
            "SuperNetRecipe."
        )

    def _losses(self, architectures: Sequence[Architecture]) -> tuple[float, ...]:
        inputs, labels = self._batch()
        found = [cross_entropy(logits, labels) for logits in self._logits(architectures, inputs)]
        return tuple(torch.stack(found).tolist()) if found else ()

    def _accuracies(self, architectures: Sequence[Architecture]) -> tuple[float, ...]:
        if self.held_out is None:
            raise NasTuneError(
                f"{self.paths!r} judges architectures on held-out inputs: give the trainer `held_out`, a part of the "
                "validation split."
            )
        inputs, labels = self.held_out
        size = min(len(inputs), max(self.recipe.batch_size, HELD_OUT_BATCH))
        drawn = torch.from_numpy(self._rng(5).permutation(len(inputs))[:size]).to(inputs.device)
        found = [
            (logits.argmax(-1) == labels[drawn]).double().mean()
            for logits in self._logits(architectures, inputs[drawn])
        ]
        return tuple(torch.stack(found).tolist()) if found else ()

    @torch.no_grad()
    def _logits(self, architectures: Sequence[Architecture], inputs: Tensor) -> Iterator[Tensor]:
        """Yield the logits of each architecture by the statistics of the batch."""
        self._to_training_mode()
        for architecture in architectures:
            with autocast(inputs.device, self._dtype):
                output = self.supernet(inputs, architecture)
            yield (output[0] if isinstance(output, tuple) else output).float()

    def _rng(self, purpose: int) -> np.random.Generator:
        return np.random.default_rng((self.seed, self.step_count, purpose))

    def _batch(self) -> tuple[Tensor, Tensor]:
        epoch, place = divmod(self.step_count, self.steps_per_epoch)
        if epoch != self._epoch:
            order = np.random.default_rng((self.seed, epoch, 1)).permutation(len(self.inputs))
            self._epoch, self._order = epoch, torch.from_numpy(order).to(self.inputs.device)
        chosen = self._order[place * self.recipe.batch_size : (place + 1) * self.recipe.batch_size]
        return self.inputs[chosen], self.labels[chosen]

    def tensors(self) -> dict[str, Tensor]:
        """Return weights, buffers, the optimiser's memory and the averaged weights by name; nothing is copied."""
        state = {f"supernet.{name}": tensor for name, tensor in self.supernet.state_dict().items()}
        for name, weight in self._weights.items():
            remembered = self.optimizer.state.get(weight, {})
            state |= {f"{kind}.{name}": value for kind, value in remembered.items() if isinstance(value, Tensor)}
        if self.average is not None:
            state |= {f"average.{name}": tensor for name, tensor in self.average.tensors.items()}
        return state

    def facts(self) -> dict[str, object]:
        """Return what a trainer is beside its tensors, JSON-able: step, plan, skipped steps, the strategy's memory."""
        memory = dict(self.paths.memory()) if isinstance(self.paths, LearningPaths) else {}
        return {
            "step": self.step_count,
            "plan": [self.plan.start, self.plan.end],
            "skipped": self.skipped,
            "skipped_in_row": self.skipped_in_row,
            "paths": memory,
        }

    def load(self, tensors: Mapping[str, Tensor], facts: Mapping[str, object]) -> None:
        """Go on from the tensors and facts of another trainer of the same super-net.

        Raises:
            CheckpointError: The tensors are of another super-net; nothing has been changed.
        """
        weights = {n.removeprefix("supernet."): t for n, t in tensors.items() if n.startswith("supernet.")}
        if other := _difference(self.supernet.state_dict(), weights):
            raise CheckpointError(f"The checkpoint is of another super-net: {other}.")
        self.supernet.load_state_dict(weights)
        self._load_optimizer(tensors)
        if self.average is not None:
            self.average.load({n.removeprefix("average."): t for n, t in tensors.items() if n.startswith("average.")})
        self.load_facts(facts)

    def load_facts(self, facts: Mapping[str, object]) -> None:
        """Take over step, plan, skipped steps and the strategy's memory from the facts of another trainer."""
        plan, memory = facts["plan"], facts["paths"]
        assert isinstance(plan, Sequence) and isinstance(memory, Mapping)
        self.plan = Plan(*plan)
        self.step_count, self.skipped, self.skipped_in_row = (
            int(str(facts[name])) for name in ("step", "skipped", "skipped_in_row")
        )
        if isinstance(self.paths, LearningPaths):
            self.paths.remember(memory)

    def _load_optimizer(self, tensors: Mapping[str, Tensor]) -> None:
        self.optimizer.state.clear()
        for name, weight in self._weights.items():
            for kind in OPTIMIZER_TENSORS:
                if f"{kind}.{name}" not in tensors:
                    continue
                value = tensors[f"{kind}.{name}"]
                like = torch.empty_like(weight, requires_grad=False) if value.shape == weight.shape else value.clone()
                self.optimizer.state[weight][kind] = like.copy_(value)


HELD_OUT_BATCH = 256  # least number of held-out inputs on which a strategy's candidates are judged
OPTIMIZER_TENSORS = ("momentum_buffer", "step", "exp_avg", "exp_avg_sq")  # of SGD, and of AdamW


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
