"""A super-net so small that a step takes milliseconds, and the task it learns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from nas_tune.cluster.answers import opened
from nas_tune.cluster.hosted import HostedSuperNet
from nas_tune.cluster.job import Job
from nas_tune.search_spaces import NASBench201
from nas_tune.space import Architecture, Categorical, Chooser, ModelSpace, SearchSpace
from nas_tune.supernet import Path as ChosenPath
from nas_tune.supernet import Step, SuperNetRecipe, UniformPaths
from nas_tune.supernet.checkpoint import read_checkpoint
from nas_tune.trials import Recipe, Task, tasks


class Overflow(nn.Module):
    """Makes every number infinite."""

    def forward(self, x: Tensor) -> Tensor:
        return x * 1e30 * 1e30


class Vast(nn.Module):
    """Asks for a petabyte for each input."""

    def forward(self, x: Tensor) -> Tensor:
        return x + torch.empty(len(x), 2**48).sum()


class Wild(ModelSpace):
    """One convolution, and then what has one of these natures."""

    def __init__(self) -> None:
        super().__init__({"nature": Categorical("calm", "overflow", "vast", "still")})

    def network(self, choose: Chooser) -> nn.Module:
        nature = choose("nature", {"calm": nn.ReLU, "overflow": Overflow, "vast": Vast, "still": nn.Tanh})
        return nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nature, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)
        )

    def of(self, *natures: str) -> list[Architecture]:
        """The architectures of these natures."""
        return [self.architecture({"nature": nature}) for nature in natures]


@dataclass(frozen=True)
class InTurn:
    """Paths that are given, one a step, over and over."""

    given: tuple[Architecture, ...]

    def select(self, step: Step, space: SearchSpace, rng: np.random.Generator) -> tuple[ChosenPath, ...]:
        return (ChosenPath(self.given[step.number % len(self.given)]),)


SPACE = NASBench201(channels=4, cells_per_stage=1, num_classes=3, in_channels=1)
RECIPE = SuperNetRecipe(batch_size=16)
STEPS_PER_EPOCH = 4


def stripes(name: str = "stripes", noise: float = 1.5) -> Task:
    """Grey 8x8 images of three kinds of stripes: 64 to train, 32 to validate, 32 to test."""
    rng = np.random.default_rng(0)
    labels = rng.permutation(128) % 3
    wave = np.cos(np.arange(8) * (1 + labels[:, None]))
    images = wave[:, None, :] + noise * rng.standard_normal((128, 8, 8))
    return tasks.from_arrays(name, images.astype(np.float32), labels, validation=0.25, test=0.25)


def job(folder: Path, **changes: object) -> Job:
    """A job on the tiny super-net; `changes` replace its fields."""
    fields = {"space": SPACE, "task": stripes(), "paths": UniformPaths(), "recipe": RECIPE, "seed": 0, **changes}
    return Job(folder=folder, **fields)  # type: ignore[arg-type]


def undisturbed(folder: Path, epochs: int, **changes: object) -> dict[str, Tensor]:
    """What a checkpoint holds after a training in this process that nothing disturbs."""
    HostedSuperNet(job(folder, **changes)).train(epochs, seconds=600)
    return saved(folder)


def saved(folder: Path) -> dict[str, Tensor]:
    """What the newest checkpoint holds."""
    found = read_checkpoint(folder)
    assert found is not None
    return dict(found.tensors)


def equal(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> bool:
    """Whether two sets of tensors are the same bit by bit."""
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def architectures(count: int, seed: int = 0) -> list[Architecture]:
    """Architectures drawn from the tiny space."""
    rng = np.random.default_rng(seed)
    return [SPACE.sample(rng) for _ in range(count)]


def scores(hosted: HostedSuperNet, chosen: Sequence[Architecture], *recipes: Recipe | None) -> list[float]:
    """What a super-net of this process scores, by the shared weights as they are or after fine-tuning."""
    given = recipes or [None] * len(chosen)
    return [opened(answer) for answer in hosted.evaluate(chosen, given, seconds=600)]
