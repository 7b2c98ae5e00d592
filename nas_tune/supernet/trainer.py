"""Training of the shared weights, one step at a time, resumable bitwise."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
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
from nas_tune.supernet.checks import check_pair, check_paths, check_samples, check_strategy, check_supernet, difference
from nas_tune.supernet.drop_path import DropPath, set_drop_path
from nas_tune.supernet.isolation import Isolation
from nas_tune.supernet.loss import classification_loss
from nas_tune.supernet.ownership import begin
from nas_tune.supernet.paths import LearningPaths, Path, Paths, Step, UniformPaths
from nas_tune.supernet.randomness import seeded
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

        trainer = SuperNetTrainer(space.supernet(), inputs, labels, paths=FairPaths())
        trainer.train(epochs=20)

    `step` takes one step by the schedule of `plan`; while there is none, the learning rate is the recipe's `lr`, and
    whatever follows the schedule (drop-path, a curriculum) is at its beginning.

    Attributes:
        paths: The strategy.
        plan: Steps of the current schedule; `train` makes one.
        step_count: Steps done, also those that were skipped.
        skipped: Steps whose loss or gradient was not finite.
        average: The moving average of the weights, None without one; `averaged` judges with it.

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
        check_supernet(supernet)
        check_samples("inputs", inputs, labels)
        if held_out is not None:
            check_samples("held_out", *check_pair(held_out))
        self.supernet, self.inputs, self.labels, self.held_out = supernet, inputs, labels, held_out
        self.paths, self.recipe, self.seed = check_strategy(paths or UniformPaths()), recipe or SuperNetRecipe(), seed
        begin(self.paths, self)
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

    def train(self, epochs: int, *, on_step: Callable[[float], None] | None = None) -> float:
        """Train for more epochs, a schedule of their own: the learning rate falls to 0 at their end.

        Args:
            epochs: Passes over the training inputs, in addition to those done.
            on_step: Called after every step with its loss.

        Returns:
            The mean loss of the last epoch, skipped steps left out; nan if all were.

        Raises:
            DivergedError: See `step`.
        """
        if not isinstance(epochs, int) or isinstance(epochs, bool) or epochs < 1:
            raise NasTuneError(f"`epochs` is {epochs!r}: give a whole number of at least 1.")
        self.plan = Plan(self.step_count, self.step_count + epochs * self.steps_per_epoch)
        losses: list[float] = []
        while self.step_count < self.plan.end:
            losses.append(self.step())
            if on_step is not None:
                on_step(losses[-1])
        taken = [loss for loss in losses[-self.steps_per_epoch :] if not math.isnan(loss)]
        return sum(taken) / len(taken) if taken else math.nan

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Give the weights their moving averages inside, to judge with them; without an average they stay."""
        with nullcontext() if self.average is None else self.average.applied():
            yield

    def step(self) -> float:
        """Run one step on the paths that the strategy selects.

        Returns:
            The loss, averaged over the paths by their weights; nan where the step was skipped.

        Raises:
            DivergedError: The loss or its gradient is not finite, for the `most_skipped`-th time in a row.
        """
        return self._step_on(self.select())

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
        with seeded(int(self._rng(3).integers(2**62)), self.inputs.device):
            chosen = self.paths.select(moment, self.supernet.space, self._rng(2))
        return check_paths(chosen, self.supernet.space, f"{self.paths!r} selects", self.step_count)

    def step_on(self, paths: Sequence[Path]) -> float:
        """Run forward and backward of given paths, then one step of the optimiser; see `step`."""
        paths = check_paths(paths, self.supernet.space, "It is given", self.step_count)
        return self._step_on(paths)

    def _step_on(self, paths: tuple[Path, ...]) -> float:
        inputs, labels = self._batch()
        weights = sum(path.weight for path in paths)
        self._prepare()
        total, teacher = torch.zeros((), device=inputs.device), None
        with seeded(int(self._rng(4).integers(2**62)), inputs.device):
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
        found = [_accuracy(logits, labels[drawn]) for logits in self._logits(architectures, inputs[drawn])]
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
            "seed": self.seed,
            "optimizer": self.recipe.optimizer,
            "averaging": self.average is not None,
            "strategy": type(self.paths).__qualname__ if memory else "",
        }

    def load(self, tensors: Mapping[str, Tensor], facts: Mapping[str, object]) -> None:
        """Go on from the tensors and facts of another trainer of the same super-net.

        Raises:
            CheckpointError: They are of another super-net, seed, optimiser or strategy; nothing has been changed.
        """
        self._check_facts(facts)
        weights = {n.removeprefix("supernet."): t for n, t in tensors.items() if n.startswith("supernet.")}
        if other := difference(self.supernet.state_dict(), weights):
            raise CheckpointError(f"The checkpoint is of another super-net: {other}.")
        self.supernet.load_state_dict(weights)
        self._load_optimizer(tensors)
        if self.average is not None:
            self.average.load({n.removeprefix("average."): t for n, t in tensors.items() if n.startswith("average.")})
        self.load_facts(facts)

    def _check_facts(self, facts: Mapping[str, object]) -> None:
        ours = self.facts()
        if missing := [name for name in ours if name not in facts]:
            raise CheckpointError(f"These are no facts of a trainer, they have no `{missing[0]}`: give its `facts()`.")
        ours["strategy"] = type(self.paths).__qualname__ if facts["strategy"] else ""
        for name in ("seed", "optimizer", "averaging", "strategy"):
            if ours[name] != facts[name]:
                raise CheckpointError(
                    f"The checkpoint is of another training: its `{name}` is {facts[name]!r}, here {ours[name]!r}."
                )

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


def _accuracy(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the share of right answers, nan where a logit is not finite."""
    share = (logits.argmax(-1) == labels).double().mean()
    return torch.where(logits.isfinite().all(), share, torch.nan)


HELD_OUT_BATCH = 256  # least number of held-out inputs on which a strategy's candidates are judged
OPTIMIZER_TENSORS = ("momentum_buffer", "step", "exp_avg", "exp_avg_sq")  # of SGD, and of AdamW
