"""What a network is trained and judged on."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nas_tune.errors import TaskError


@dataclass(frozen=True, eq=False)
class Split:
    """Samples with their classes.

    Attributes:
        inputs: float32 [N, C, H, W] for images, [N, F] for tables.
        labels: int64 [N], each in [0, num_classes).
    """

    inputs: Tensor
    labels: Tensor

    def __post_init__(self) -> None:
        if len(self.inputs) != len(self.labels) or self.labels.ndim != 1:
            raise TaskError(
                f"A split needs one label for each input: got {len(self.inputs)} inputs and "
                f"labels of shape {tuple(self.labels.shape)}."
            )
        if self.inputs.dtype != torch.float32 or self.labels.dtype != torch.int64:
            raise TaskError(
                f"A split holds float32 inputs and int64 labels, got {self.inputs.dtype} and "
                f"{self.labels.dtype}. Convert them, or use tasks.from_arrays, which does."
            )

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        return f"Split({len(self)} x {tuple(self.inputs.shape[1:])}, {self.inputs.device})"

    def to(self, device: torch.device | str) -> Split:
        """The same split on another device."""
        return Split(self.inputs.to(device), self.labels.to(device))

    def take(self, indices: Tensor) -> Split:
        """The samples at ``indices`` (int64 [M]), in that order."""
        return Split(self.inputs[indices], self.labels[indices])


@dataclass(frozen=True, eq=False)
class Task:
    """A classification task in three disjoint splits.

    Searching trains on ``train`` and compares architectures by ``validation``; the final networks
    train on ``train_and_validation``, and only they ever see ``test``.

    Attributes:
        name: What reports call the task.
        train: Samples to train on.
        validation: Samples that score an architecture.
        test: Samples for the final accuracy.
        num_classes: Number of logits a network must return.
    """

    name: str
    train: Split
    validation: Split
    test: Split
    num_classes: int

    def __post_init__(self) -> None:
        if self.num_classes < 2:
            raise TaskError(f"Task {self.name} has {self.num_classes} classes; it needs two.")
        for name, split in self._splits().items():
            self._check(name, split)

    def _splits(self) -> dict[str, Split]:
        return {"train": self.train, "validation": self.validation, "test": self.test}

    def _check(self, name: str, split: Split) -> None:
        if not len(split):
            raise TaskError(f"The {name} split of task {self.name} is empty.")
        if split.inputs.shape[1:] != self.train.inputs.shape[1:]:
            raise TaskError(
                f"The {name} split of task {self.name} holds inputs of shape "
                f"{tuple(split.inputs.shape[1:])}, the train split {self.input_shape}."
            )
        low, high = int(split.labels.min()), int(split.labels.max())
        if low < 0 or high >= self.num_classes:
            raise TaskError(
                f"The {name} split of task {self.name} has labels from {low} to {high}; with "
                f"{self.num_classes} classes they must lie in 0..{self.num_classes - 1}."
            )

    def __repr__(self) -> str:
        sizes = "/".join(str(len(split)) for split in self._splits().values())
        shape = "x".join(str(size) for size in self.input_shape)
        return f"Task({self.name}: {shape}, {self.num_classes} classes, {sizes} samples)"

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input: (C, H, W), or (F,) for a table."""
        return tuple(self.train.inputs.shape[1:])

    @property
    def train_and_validation(self) -> Split:
        """Both training splits as one, for the final networks."""
        return Split(
            torch.cat([self.train.inputs, self.validation.inputs]),
            torch.cat([self.train.labels, self.validation.labels]),
        )

    def to(self, device: torch.device | str) -> Task:
        """The same task with all splits on another device."""
        moved = {name: split.to(device) for name, split in self._splits().items()}
        return Task(self.name, num_classes=self.num_classes, **moved)
