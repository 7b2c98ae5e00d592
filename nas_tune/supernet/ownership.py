"""A strategy that learns belongs to one trainer."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from nas_tune.errors import NasTuneError
from nas_tune.supernet.paths import LearningPaths, Paths

if TYPE_CHECKING:
    from nas_tune.supernet.trainer import SuperNetTrainer


def begin(paths: Paths, trainer: SuperNetTrainer) -> None:
    """Let a strategy that learns begin anew, unless it learns for another trainer.

    Raises:
        NasTuneError: It does.
    """
    if not isinstance(paths, LearningPaths):
        return
    owner = _OWNERS.get(id(paths))
    if owner is not None and owner.paths is paths:
        raise NasTuneError(f"{paths!r} learns for another trainer: give each a strategy of its own.")
    _OWNERS[id(paths)] = trainer
    paths.remember({})


_OWNERS: WeakValueDictionary[int, SuperNetTrainer] = WeakValueDictionary()  # of strategies that learn, by their id
