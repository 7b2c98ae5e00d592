"""Everything a shared super-net is made of, and how its checkpoint is recognised."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, is_dataclass
from functools import cached_property
from pathlib import Path

from nas_tune.errors import CheckpointError
from nas_tune.space import ModelSpace, differences
from nas_tune.supernet import Paths, SuperNetRecipe
from nas_tune.trials import Task

_WORDS = {
    "network": "the network",
    "task": "the task",
    "data": "the checksum of the training split",
    "seed": "`seed`",
    "recipe": "`recipe`",
    "paths": "`paths`",
}


@dataclass(frozen=True)
class Job:
    """What an actor is started with, and started again with after it died.

    Attributes:
        space: Its network is built.
        task: Trained on its train split, judged on its validation split.
        paths: Selects the architectures of each training step.
        recipe: How the shared weights are trained.
        seed: Of weights, order of the data and paths.
        folder: Where checkpoints are.
        checkpoint_seconds: Longest time of training between two of them.
        device: ``"auto"`` or the name of a device.
        temporary: Whether the folder goes when the super-net is stopped.
    """

    space: ModelSpace
    task: Task
    paths: Paths
    recipe: SuperNetRecipe
    seed: int
    folder: Path
    checkpoint_seconds: float = 30.0
    device: str = "auto"
    temporary: bool = False

    @cached_property
    def facts(self) -> dict[str, object]:
        """What has to be the same for a checkpoint to be gone on from, JSON-able."""
        return {
            "space": self.space.signature(),
            "network": repr(self.space),
            "task": repr(self.task),
            "data": self._data(),
            "seed": self.seed,
            "recipe": asdict(self.recipe),
            "paths": self._paths(),
        }

    def _paths(self) -> str:
        """Describe the strategy by its fields, without the addresses in memory of functions among them."""
        described = repr(self.paths) if is_dataclass(self.paths) else type(self.paths).__qualname__
        return re.sub(r" at 0x[0-9a-f]+", "", described)

    def _data(self) -> str:
        digest = hashlib.sha256()
        for tensor in (self.task.train.inputs, self.task.train.labels):
            digest.update(tensor.contiguous().cpu().numpy().tobytes())
        return digest.hexdigest()[:16]

    def check(self, found: Mapping[str, object]) -> None:
        """Compare the facts of a checkpoint with this job.

        Raises:
            CheckpointError: It is of another space, task, seed or training; the message names the difference.
        """
        ours = json.loads(json.dumps(self.facts))
        space = found.get("space")
        reasons = differences(space, ours["space"]) if isinstance(space, Mapping) else ["it names no space"]
        reasons += [
            f"{words} was {found.get(name)} and is {ours[name]}"
            for name, words in _WORDS.items()
            if found.get(name) != ours[name]
        ]
        if reasons:
            raise CheckpointError(
                f"The checkpoint in {self.folder} is of another super-net: {'; '.join(reasons)}. "
                "Give another `checkpoint_dir`, or what it was trained with."
            )
