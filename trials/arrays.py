"""A task from arrays a user already has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nas_tune.errors import TaskError

from .splitting import stratified_parts
from .standardization import Standardization
from .task import Split, Task

Array: TypeAlias = "NDArray[np.generic] | Tensor"
Part: TypeAlias = "float | tuple[Array, Array]"


def from_arrays(
    name: str,
    inputs: Array,
    labels: Array,
    *,
    validation: Part = 0.25,
    test: Part = 0.25,
    num_classes: int | None = None,
    standardize: bool = True,
    seed: int = 0,
) -> Task:
    """Make a task of images or of a table.

    Args:
        name: What reports call the task.
        inputs: Images [N, C, H, W] or [N, H, W] (grey), or a table [N, F]; numpy or torch, bytes or
            floats. Bytes are divided by 255.
        labels: Class of each input, whole numbers from 0, [N].
        validation: Fraction of ``inputs`` to hold out (stratified), or ``(inputs, labels)``.
        test: The same for the test split.
        num_classes: Number of classes; by default one more than the largest label.
        standardize: Map each channel (column) to zero mean and unit variance on the train split.
        seed: Which samples the held-out fractions get.

    Raises:
        TaskError: Lengths, shapes or labels do not fit each other, or a value is not finite.
    """
    given = _split("inputs", inputs, labels)
    train, held_out = _hold_out(given, {"validation": validation, "test": test}, seed)
    if standardize:
        scale = Standardization.of(train.inputs)
        train = Split(scale(train.inputs), train.labels)
        held_out = {part: Split(scale(split.inputs), split.labels) for part, split in held_out.items()}
    if num_classes is None:
        num_classes = 1 + max(int(split.labels.max()) for split in (train, *held_out.values()))
    return Task(name, train, held_out["validation"], held_out["test"], num_classes)


def _hold_out(given: Split, parts: dict[str, Part], seed: int) -> tuple[Split, dict[str, Split]]:
    """Divide the given samples into the train split and those parts that are fractions of it."""
    held_out: dict[str, Split] = {}
    sizes: dict[str, int] = {}
    for name, part in parts.items():
        if isinstance(part, (tuple, list)):
            held_out[name] = _split(name, *_pair(name, part))
            _check_shape(name, held_out[name], given)
        else:
            sizes[name] = _size(name, part, len(given))
    left = len(given) - sum(sizes.values())
    if left < 2:
        raise TaskError(
            f"Of {len(given)} inputs {left} are left to train on after holding out "
            f"{', '.join(f'{size} for {name}' for name, size in sizes.items())}. Hold out less."
        )
    rng = np.random.default_rng(seed)
    indices = stratified_parts(given.labels.numpy(), [left, *sizes.values()], rng)
    train, *drawn = (given.take(torch.from_numpy(part)) for part in indices)
    return train, held_out | dict(zip(sizes, drawn, strict=True))


def _pair(name: str, part: Sequence[Array]) -> tuple[Array, Array]:
    if len(part) != 2:
        raise TaskError(f"`{name}` has {len(part)} elements: give a fraction or the pair (inputs, labels).")
    return part[0], part[1]


def _size(name: str, fraction: float, total: int) -> int:
    if not 0 < fraction < 1:
        raise TaskError(f"`{name}` is {fraction}: give a fraction between 0 and 1, or (inputs, labels).")
    return max(1, round(fraction * total))


def _check_shape(name: str, split: Split, given: Split) -> None:
    if split.inputs.shape[1:] != given.inputs.shape[1:]:
        raise TaskError(
            f"`{name}` holds inputs of shape {tuple(split.inputs.shape[1:])}, "
            f"`inputs` of {tuple(given.inputs.shape[1:])}."
        )


def _split(name: str, inputs: Array, labels: Array) -> Split:
    values, classes = _inputs(name, inputs), _labels(name, labels)
    if len(values) != len(classes):
        raise TaskError(f"`{name}` has {len(values)} inputs and {len(classes)} labels.")
    if not len(values):
        raise TaskError(f"`{name}` is empty.")
    return Split(values, classes)


def _inputs(name: str, array: Array) -> Tensor:
    """Float32 [N, C, H, W] or [N, F] on the CPU, all finite."""
    tensor = _tensor(name, array)
    if tensor.ndim not in (2, 3, 4):
        raise TaskError(
            f"`{name}` has shape {tuple(tensor.shape)}: images are [N, C, H, W] or [N, H, W], tables [N, F]."
        )
    if tensor.ndim == 4 and tensor.dtype == torch.uint8 and _channels_last(tensor):
        raise TaskError(
            f"`{name}` has shape {tuple(tensor.shape)}, which looks like [N, H, W, C]: "
            "move the channels to the front, for example with inputs.transpose(0, 3, 1, 2)."
        )
    values = tensor.float() / 255 if tensor.dtype == torch.uint8 else tensor.float()
    if not values.isfinite().all():
        rows = (~values.flatten(1).isfinite().all(1)).nonzero().flatten()
        raise TaskError(
            f"`{name}` has NaN or infinite values in {len(rows)} of {len(values)} rows, "
            f"first in row {int(rows[0])}. Fill or drop them."
        )
    return values.unsqueeze(1) if values.ndim == 3 else values


def _channels_last(images: Tensor) -> bool:
    return images.shape[1] > 4 and images.shape[2] > 4 and images.shape[3] in (1, 3, 4)


def _labels(name: str, array: Array) -> Tensor:
    tensor = _tensor(f"{name} labels", array)
    if tensor.ndim != 1 or tensor.is_floating_point() or tensor.is_complex():
        raise TaskError(
            f"The labels of `{name}` are {tensor.dtype} of shape {tuple(tensor.shape)}: "
            "give one whole number for each input, [N]."
        )
    return tensor.long()


def _tensor(name: str, array: Array) -> Tensor:
    if isinstance(array, Tensor):
        return array.detach().cpu()
    try:
        return torch.from_numpy(np.array(array))
    except TypeError as error:
        raise TaskError(
            f"`{name}` is an array of {array.dtype}: give numbers, classes as whole numbers from 0."
        ) from error
