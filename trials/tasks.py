"""The tasks that ship, and those from a user's arrays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nas_tune.data_folder import data_folder
from nas_tune.errors import TaskError, unknown_name

from .arrays import from_arrays
from .idx import read_idx
from .splitting import stratified_parts
from .task import Split, Task

__all__ = ["Split", "Task", "digits", "fashion_mnist", "from_arrays", "named", "names"]

_DIGITS_HELD_OUT = 450
_FASHION_HELD_OUT = 10_000
_FASHION_FILES = {
    "train": ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
    "test": ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"),
}


def digits(noise: float = 0.0, seed: int = 0) -> Task:
    """Scikit-learn's 1,797 scans of handwritten digits, 1 x 8 x 8, in 10 classes.

    897 train, 450 validation and 450 test images, stratified: one image is 0.22 points of accuracy. Standardised by
    the train split. The task is easy: twelve random NAS-Bench-201 networks (16 channels, one cell per stage), trained
    for 8 epochs, lie between 98.4% and 99.6%. With ``noise=1.0`` they lie between 78% and 84%, a wider field.

    Args:
        noise: Standard deviation of Gaussian noise added to every image once, in standard
            deviations of the training pixels; it makes the task harder.
        seed: Which images each split gets, and the noise.
    """
    from sklearn.datasets import load_digits

    if noise < 0:
        raise TaskError(f"`noise` is {noise}: give a standard deviation of at least 0.")
    images, labels = load_digits(return_X_y=True)
    task = from_arrays(
        "digits",
        images.reshape(-1, 8, 8),
        labels,
        validation=_DIGITS_HELD_OUT / len(labels),
        test=_DIGITS_HELD_OUT / len(labels),
        num_classes=10,
        seed=seed,
    )
    return _noisy(task, noise, torch.Generator().manual_seed(seed)) if noise else task


def fashion_mnist(root: str | Path | None = None, train_size: int | None = None, seed: int = 0) -> Task:
    """Fashion-MNIST: 1 x 28 x 28, 10 classes, from the four official gzip-compressed IDX files.

    50,000 train, 10,000 validation (held out of the official training images, stratified) and the
    official 10,000 test images, standardised by the train split.

    Args:
        root: Folder of the four files; by default ``fashion_mnist`` in the folder that the
            environment variable ``NAS_TUNE_DATA`` names.
        train_size: Train on a stratified subset of this many images.
        seed: Which images are held out and which are the subset.

    Raises:
        MissingDataError: A file is not there.
        TaskError: A file is damaged, or ``train_size`` is not in 2..50,000.

    Reference: arXiv:1708.07747.
    """
    files = [file for pair in _FASHION_FILES.values() for file in pair]
    source = "https://github.com/zalandoresearch/fashion-mnist"
    folder = data_folder("fashion_mnist", files, source, root)
    (inputs, labels), test = (tuple(read_idx(folder / file) for file in pair) for pair in _FASHION_FILES.values())
    available = len(labels) - _FASHION_HELD_OUT
    size = available if train_size is None else train_size
    if not 2 <= size <= available:
        raise TaskError(f"`train_size` is {train_size}: choose from 2 to {available}.")
    rng = np.random.default_rng(seed)
    held_out, train = stratified_parts(labels, [_FASHION_HELD_OUT, size], rng)
    return from_arrays(
        "fashion-mnist",
        inputs[train],
        labels[train],
        validation=(inputs[held_out], labels[held_out]),
        test=(test[0], test[1]),
        num_classes=10,
    )


_TASKS: dict[str, Callable[[str | Path | None], Task]] = {
    "digits": lambda root: digits(),
    "fashion-mnist": fashion_mnist,
}


def names() -> tuple[str, ...]:
    """The names that ``named`` knows."""
    return tuple(_TASKS)


def named(name: str, *, root: str | Path | None = None) -> Task:
    """The task of that name, as the command line spells it.

    Args:
        name: ``"digits"`` or ``"fashion-mnist"``.
        root: Folder of the data, for tasks that are read from files.

    Raises:
        UnknownNameError: There is no such task.
        MissingDataError: Its files are not on this machine.
    """
    if name not in _TASKS:
        raise unknown_name("task", name, _TASKS)
    return _TASKS[name](root)


def _noisy(task: Task, noise: float, generator: torch.Generator) -> Task:
    def disturb(split: Split) -> Split:
        drawn: Tensor = torch.randn(split.inputs.shape, generator=generator)
        return Split(split.inputs + noise * drawn, split.labels)

    train, validation, test = disturb(task.train), disturb(task.validation), disturb(task.test)
    return Task(task.name, train, validation, test, task.num_classes)
