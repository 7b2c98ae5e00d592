"""Super-nets trained at equal cost, each by another strategy."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field

import numpy as np
import torch

from benchmarks.ranking.cells import SPACE, cells
from nas_tune.cluster.judging import judge, lay_out
from nas_tune.supernet import (
    AttentivePaths,
    FairPaths,
    Paths,
    Plan,
    SandwichPaths,
    SuperNet,
    SuperNetRecipe,
    SuperNetTrainer,
    UniformPaths,
    choose_split,
    split,
)
from nas_tune.supernet.paths import largest, smallest
from nas_tune.trials import Task

RECIPE = SuperNetRecipe(batch_size=64, lr=0.1, weight_decay=5e-4)
SHAPE = (1, 28, 28)
FORWARD = 1 / 3  # of the multiply-adds of a training step, which go into its forward pass


def mean_macs() -> float:
    """Return the multiply-adds of an average cell's network on one image."""
    macs, rng = SPACE.cost(SHAPE).macs, np.random.default_rng(0)
    return float(np.mean([macs(SPACE.sample(rng)) for _ in range(2_000)]))


def _sandwich_macs() -> float:
    macs = SPACE.cost(SHAPE).macs
    return macs(largest(SPACE, SHAPE)) + macs(smallest(SPACE, SHAPE)) + 2 * mean_macs()


@dataclass(frozen=True)
class Contestant:
    """A strategy and what a step of it costs.

    Args:
        name: As the table calls it.
        paths: The strategy.
        step_macs: Multiply-adds of its steps on one image, a forward pass without gradient counted as a third.
        split_after: Share of the training after which the super-net is split in two; `None` does not split.
    """

    name: str
    paths: Paths
    step_macs: Callable[[], float] = field(repr=False)
    split_after: float | None = None

    def steps(self, path_steps: int) -> int:
        """Return as many steps as cost the same as `path_steps` steps on one average cell."""
        return max(round(path_steps * mean_macs() / self.step_macs()), 1)


DEFAULT = Contestant("uniform", UniformPaths(), mean_macs)  # what a super-net is trained with if nothing is said
CONTESTANTS = (
    DEFAULT,
    Contestant("fair", FairPaths(), lambda: 5 * mean_macs()),
    Contestant("sandwich", SandwichPaths(), _sandwich_macs),
    Contestant(
        "attentive",
        AttentivePaths(),
        lambda: _sandwich_macs() + 2 * 3 * FORWARD * mean_macs(),
    ),
    Contestant("few-shot", UniformPaths(), mean_macs, split_after=1 / 3),
)


def scores(contestant: Contestant, task: Task, path_steps: int, seed: int) -> tuple[float, ...]:
    """Train a super-net as long as `path_steps` steps on one average cell take, and judge the 40 cells with it.

    Returns:
        Validation accuracies in [0, 1], in the order of `cells()`.
    """
    steps = contestant.steps(path_steps)
    trainer = _trained(contestant, task, steps, seed)
    judging = judge(task.train.inputs, task.validation.inputs, task.validation.labels, seed)
    with nullcontext() if trainer.average is None else trainer.average.applied():
        return judging.accuracies(trainer.supernet, cells())


def _trained(contestant: Contestant, task: Task, steps: int, seed: int) -> SuperNetTrainer:
    torch.manual_seed(seed)
    supernet = SPACE.supernet()
    lay_out(supernet)
    trainer = _trainer(supernet, contestant.paths, task, seed)
    trainer.plan = Plan(0, steps)
    before = steps if contestant.split_after is None else round(contestant.split_after * steps)
    _run(trainer, before)
    if before == steps:
        return trainer
    rng = np.random.default_rng(seed)
    found = choose_split(supernet, task.train.inputs, task.train.labels, rng=rng)
    after = _trainer(split(supernet, found), contestant.paths, task, seed)
    after.step_count, after.plan = before, Plan(0, steps)
    _run(after, steps - before)
    return after


def _trainer(supernet: SuperNet, paths: Paths, task: Task, seed: int) -> SuperNetTrainer:
    return SuperNetTrainer(
        supernet,
        task.train.inputs,
        task.train.labels,
        paths=paths,
        recipe=RECIPE,
        held_out=(task.validation.inputs, task.validation.labels),
        seed=seed,
    )


def _run(trainer: SuperNetTrainer, steps: int) -> None:
    for _ in range(steps):
        trainer.step()
