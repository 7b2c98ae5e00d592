"""What a trainer is given, checked once, so that a mistake is named where it was made."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from nas_tune.errors import NasTuneError, TaskError
from nas_tune.space import SearchSpace
from nas_tune.supernet.paths import Path, Paths
from nas_tune.supernet.supernet import SuperNet


def check_supernet(supernet: object) -> None:
    """Check what is to be trained.

    Raises:
        NasTuneError: It is no super-net.
    """
    if not isinstance(supernet, SuperNet):
        raise NasTuneError(f"This is a {type(supernet).__name__}, no super-net: give `space.supernet()`.")


def check_samples(name: str, inputs: object, labels: object) -> None:
    """Check inputs and their classes.

    Raises:
        TaskError: They are no tensors of equal length with at least one sample, the classes are no whole numbers of at
            least 0, or an input is not finite.
    """
    for part, tensor in ((name, inputs), ("labels", labels)):
        if not isinstance(tensor, Tensor):
            raise TaskError(f"`{part}` is a {type(tensor).__name__}: give a torch tensor.")
    assert isinstance(inputs, Tensor) and isinstance(labels, Tensor)
    if labels.ndim != 1 or not len(inputs) or len(inputs) != len(labels):
        raise TaskError(
            f"`{name}` has {len(inputs)} samples and `labels` the shape {tuple(labels.shape)}: give at least one "
            "sample, and the class of each."
        )
    if labels.dtype != torch.long or int(labels.min()) < 0:
        raise TaskError(f"`labels` is of {labels.dtype}, from {labels.min()} on: give classes from 0, as torch.long.")
    if not bool(inputs.isfinite().all()):
        raise TaskError(f"`{name}` holds numbers that are not finite: remove or replace these samples.")


def check_pair(held_out: object) -> tuple[Tensor, Tensor]:
    """Return held-out inputs and their labels.

    Raises:
        TaskError: It is no pair.
    """
    if not isinstance(held_out, tuple) or len(held_out) != 2:
        raise TaskError(f"`held_out` is a {type(held_out).__name__}: give a pair of inputs and labels.")
    return held_out


def check_strategy(paths: Paths) -> Paths:
    """Return a path strategy.

    Raises:
        NasTuneError: It is none, or the class of one.
    """
    if isinstance(paths, type) or not callable(getattr(paths, "select", None)):
        raise NasTuneError(f"`paths` is {paths!r}: give a path strategy, for example `UniformPaths()`.")
    return paths


def check_paths(chosen: object, space: SearchSpace, who: str, step: int) -> tuple[Path, ...]:
    """Return the paths of a step.

    Args:
        chosen: What was selected.
        space: What it was selected from.
        who: Beginning of the message, such as "UniformPaths() selects".
        step: Its number.

    Raises:
        NasTuneError: They are no paths, a weight is negative or not finite, none is positive, or a path breaks a
            constraint of the space.
    """
    paths = tuple(chosen) if isinstance(chosen, Iterable) else (chosen,)
    if not all(isinstance(path, Path) for path in paths):
        raise NasTuneError(f"{who} {chosen!r} at step {step}; a step takes a tuple of `Path`s.")
    weights = [path.weight for path in paths]
    if not all(math.isfinite(weight) and weight >= 0 for weight in weights):
        raise NasTuneError(f"{who} paths of the weights {weights} at step {step}: give finite ones of at least 0.")
    if not sum(weights) > 0:
        raise NasTuneError(f"{who} no path of positive weight at step {step}.")
    if space.constrained():
        for path in paths:
            if broken := list(space.violations("", path.architecture)):
                raise NasTuneError(
                    f"{who} an architecture that breaks '{broken[0]}' at step {step}: {path.architecture}."
                )
    return paths


def difference(ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> str | None:
    """Say in words the first difference between the tensors of two super-nets."""
    for name in (*ours, *theirs):
        if name not in theirs:
            return f"it has no `{name}`"
        if name not in ours:
            return f"its `{name}` is not in this one"
        if ours[name].shape != theirs[name].shape:
            return f"its `{name}` has shape {tuple(theirs[name].shape)}, here {tuple(ours[name].shape)}"
    return None
