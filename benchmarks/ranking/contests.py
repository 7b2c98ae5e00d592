"""What is ranked: two tasks, the cells of each, and how they are trained alone and together."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Literal, TypedDict

import numpy as np

from nas_tune.search_spaces import NASBench201
from nas_tune.space import Architecture
from nas_tune.supernet import SuperNetRecipe
from nas_tune.trials import Recipe, Task, tasks

FOLDER = Path(__file__).parent


class Cell(TypedDict):
    """What is recorded of a cell; `runs` has the accuracies of each training by its seed."""

    parameters: int
    macs: int
    runs: dict[str, dict[str, float]]


@dataclass(frozen=True)
class Contest:
    """Cells of a space, and their ranking by training each alone.

    Args:
        name: Of the contest and of the file of its truth.
        space: Its cells are ranked.
        count: Number of cells.
        task: Makes the task.
        alone: How a cell is trained alone.
        together: How a super-net is trained.
        path_steps: Steps on one average cell that every super-net may cost.
    """

    name: str
    space: NASBench201
    count: int
    task: Callable[[], Task]
    alone: Recipe
    together: SuperNetRecipe
    path_steps: int

    def cells(self) -> list[Architecture]:
        """Return the cells: drawn uniformly, no two of them the same network."""
        rng = np.random.default_rng(0)
        drawn: dict[str, Architecture] = {}
        while len(drawn) < self.count:
            cell = self.space.sample(rng)
            drawn.setdefault(self.space.canonical_key(cell), cell)
        return list(drawn.values())

    @property
    def file(self) -> Path:
        """Where the truth is recorded."""
        return FOLDER / f"{self.name}.json"

    def recorded(self) -> dict[str, Cell]:
        """Return what is recorded of each cell, by its string."""
        found: dict[str, Cell] = json.loads(self.file.read_text(encoding="utf-8"))["cells"]
        return found

    def truth(self) -> list[float]:
        """Return the test accuracy of each cell trained alone, in [0, 1], the mean over its trainings."""
        return [fmean(run["test"] for run in cell["runs"].values()) for cell in self._in_order()]

    def sizes(self, name: Literal["parameters", "macs"]) -> list[float]:
        """Return the parameters of each cell's network, or its multiply-adds on one image."""
        return [cell[name] for cell in self._in_order()]

    def _in_order(self) -> list[Cell]:
        found = self.recorded()
        return [found[self.space.to_string(cell)] for cell in self.cells()]


def noisy_digits() -> Task:
    """Return scikit-learn's digits in [0, 1] with Gaussian noise of 0.35: 600 to train, the other 1,197 held out."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    rng = np.random.default_rng(0)
    order = rng.permutation(len(labels))
    noisy = (images.reshape(-1, 8, 8) / 16 + rng.normal(0, 0.35, (len(labels), 8, 8))).astype(np.float32)[order]
    held_out = noisy[600:], labels[order][600:]
    return tasks.from_arrays("noisy-digits", noisy[:600], labels[order][:600], validation=held_out, test=held_out)


DIGITS = Contest(
    name="noisy_digits",
    space=NASBench201(channels=12, cells_per_stage=1, num_classes=10, in_channels=1),
    count=30,
    task=noisy_digits,
    alone=Recipe(epochs=25, batch_size=64, lr=0.1, weight_decay=5e-4),
    together=SuperNetRecipe(batch_size=64, lr=0.1, weight_decay=5e-4),
    path_steps=3_000,
)
FASHION_MNIST = Contest(
    name="fashion_mnist",
    space=NASBench201(channels=8, cells_per_stage=1, num_classes=10, in_channels=1),
    count=40,
    task=lambda: tasks.fashion_mnist(train_size=10_000),
    alone=Recipe(epochs=10, batch_size=64, lr=0.1, weight_decay=5e-4),
    together=SuperNetRecipe(batch_size=64, lr=0.05, weight_decay=5e-4, schedule="constant", averaging=0.999),
    path_steps=12_000,
)
CONTESTS = {contest.name: contest for contest in (DIGITS, FASHION_MNIST)}
