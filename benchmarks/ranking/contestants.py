"""Super-nets trained at equal cost, each by another strategy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch

from benchmarks.ranking.contests import Contest
from nas_tune.cluster.judging import judge, lay_out
from nas_tune.search_spaces.nas_bench_201 import OPERATIONS
from nas_tune.space import Measure
from nas_tune.supernet import (
    AttentivePaths,
    FairPaths,
    Paths,
    Plan,
    SandwichPaths,
    SuperNet,
    SuperNetTrainer,
    UniformPaths,
    choose_split,
    split,
)
from nas_tune.supernet.paths import largest, smallest
from nas_tune.trials import Task

FORWARD = 1 / 3  # of the multiply-adds of a training step, which go into its forward pass
SHAPES = {"noisy_digits": (1, 8, 8), "fashion_mnist": (1, 28, 28)}


def mean_macs(contest: Contest) -> float:
    """Return the multiply-adds of an average cell's network on one image."""
    macs, rng = _macs(contest), np.random.default_rng(0)
    return float(np.mean([macs(contest.space.sample(rng)) for _ in range(2_000)]))


def _macs(contest: Contest) -> Measure:
    return contest.space.cost(SHAPES[contest.name]).macs


def _fair_macs(contest: Contest) -> float:
    return len(OPERATIONS) * mean_macs(contest)


def _sandwich_macs(contest: Contest) -> float:
    macs, shape = _macs(contest), SHAPES[contest.name]
    return macs(largest(contest.space, shape)) + macs(smallest(contest.space, shape)) + 2 * mean_macs(contest)


def _attentive_macs(contest: Contest) -> float:
    return _sandwich_macs(contest) + 2 * 3 * FORWARD * mean_macs(contest)


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
    step_macs: Callable[[Contest], float] = field(repr=False)
    split_after: float | None = None

    def steps(self, contest: Contest, path_steps: int) -> int:
        """Return as many steps as cost the same as `path_steps` steps on one average cell."""
        return max(round(path_steps * mean_macs(contest) / self.step_macs(contest)), 1)


DEFAULT = Contestant("uniform", UniformPaths(), mean_macs)  # what a super-net is trained with if nothing is said
FAIR = Contestant("fair", FairPaths(), _fair_macs)
CONTESTANTS = (
    DEFAULT,
    FAIR,
    Contestant("sandwich", SandwichPaths(), _sandwich_macs),
    Contestant("attentive", AttentivePaths(), _attentive_macs),
    Contestant("few-shot", UniformPaths(), mean_macs, split_after=1 / 3),
)


def scores(contest: Contest, contestant: Contestant, path_steps: int, seed: int) -> tuple[float, ...]:
    """Train a super-net as long as `path_steps` steps on one average cell take, and judge the cells with it.

    Returns:
        Validation accuracies in [0, 1], in the order of `contest.cells()`.
    """
    data = contest.task()
    trainer = _trained(contest, contestant, data, contestant.steps(contest, path_steps), seed)
    judging = judge(data.train.inputs, data.validation.inputs, data.validation.labels, seed)
    with trainer.averaged():
        return judging.accuracies(trainer.supernet, contest.cells())


def _trained(contest: Contest, contestant: Contestant, data: Task, steps: int, seed: int) -> SuperNetTrainer:
    torch.manual_seed(seed)
    supernet = contest.space.supernet()
    lay_out(supernet)
    trainer = _trainer(contest, supernet, contestant.paths, data, seed)
    trainer.plan = Plan(0, steps)
    before = steps if contestant.split_after is None else round(contestant.split_after * steps)
    _run(trainer, before)
    if before == steps:
        return trainer
    rng = np.random.default_rng(seed)
    found = choose_split(supernet, data.train.inputs, data.train.labels, rng=rng)
    after = _trainer(contest, split(supernet, found), contestant.paths, data, seed)
    after.step_count, after.plan = before, Plan(0, steps)
    _run(after, steps - before)
    return after


def _trainer(contest: Contest, supernet: SuperNet, paths: Paths, data: Task, seed: int) -> SuperNetTrainer:
    return SuperNetTrainer(
        supernet,
        data.train.inputs,
        data.train.labels,
        paths=paths,
        recipe=contest.together,
        held_out=(data.validation.inputs, data.validation.labels),
        seed=seed,
    )


def _run(trainer: SuperNetTrainer, steps: int) -> None:
    for _ in range(steps):
        trainer.step()
