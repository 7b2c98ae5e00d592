"""Time of a super-net's training step beside its path alone, and of scoring through the actor beside a direct loop."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from statistics import median

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from benchmarks.contract import Claim, Measurement, Options, Row, main
from nas_tune.cluster import SharedSuperNet, ray_session
from nas_tune.cluster.hosted import judge, lay_out
from nas_tune.search_spaces import NASBench201
from nas_tune.space import Architecture
from nas_tune.supernet import Path, Plan, Step, SuperNetRecipe, SuperNetTrainer
from nas_tune.trials import tasks

RECIPE = SuperNetRecipe(batch_size=64)
SMALL = NASBench201(channels=16, cells_per_stage=1, in_channels=1)
PUBLISHED = NASBench201(channels=16, cells_per_stage=5, in_channels=3)
WARM_UP = 30  # steps after which nearly every candidate has momentum


class Remembered:
    """Uniform paths that remember the architecture they drew last."""

    last: Architecture

    def select(self, step: Step, space: NASBench201, rng: np.random.Generator) -> tuple[Path, ...]:
        self.last = space.sample(rng)
        return (Path(self.last),)


def measure(options: Options) -> Measurement:
    """Time both on one thread, the sides taking turns."""
    torch.set_num_threads(1)
    rows = []
    for seed in range(options.seeds):
        rows.append(_steps("8x8, 1 cell a stage", SMALL, (1, 8, 8), 100 if options.quick else 300, seed))
    if not options.quick:
        rows.append(_steps("32x32, 5 cells a stage", PUBLISHED, (3, 32, 32), 60, seed=0))
    settings = dict.fromkeys(str(row["setting"]) for row in rows)
    claims = [
        Claim(f"super-net step / same network alone, {setting}", _median(rows, setting), "x", 1.10, "lower")
        for setting in settings
    ]
    scored = _scores(rounds=6 if options.quick else 20)
    rows.append(scored)
    claims.append(
        Claim("32 scores through the actor / direct loop", _median(rows, str(scored["setting"])), "x", 1.15, "lower")
    )
    return Measurement(rows, claims)


def _steps(setting: str, space: NASBench201, shape: tuple[int, ...], count: int, seed: int) -> Row:
    """Alternate a whole training step of a drawn path with one of the same network built alone."""
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(512, *shape, generator=generator)
    labels = torch.randint(0, 10, (512,), generator=generator)
    paths = Remembered()
    trainer = SuperNetTrainer(space.supernet(), inputs, labels, paths=paths, recipe=RECIPE, seed=seed)  # type: ignore[arg-type]
    trainer.plan = Plan(0, WARM_UP + count)
    for _ in range(min(WARM_UP, count)):
        trainer.step()
    shared, alone = [], []
    for _ in range(count):
        shared.append(_seconds(trainer.step))
        step = _step_alone(space.build(paths.last), inputs, labels, generator)
        step()  # makes the momentum, which the super-net has
        alone.append(_seconds(step))
    return _row(setting, seed, shared, alone)


def _step_alone(network: nn.Module, inputs: Tensor, labels: Tensor, generator: torch.Generator) -> Callable[[], None]:
    """Return the step that a user would write, with the recipe of the super-net."""
    parameters = list(network.parameters())
    optimizer = torch.optim.SGD(
        parameters,
        lr=RECIPE.lr,
        momentum=RECIPE.momentum,
        nesterov=True,
        weight_decay=RECIPE.weight_decay,
    )
    chosen = torch.randperm(len(inputs), generator=generator)[: RECIPE.batch_size]
    network.train()

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        loss = cross_entropy(network(inputs[chosen]), labels[chosen])
        loss.backward()  # type: ignore[no-untyped-call]
        norm = float(nn.utils.clip_grad_norm_(parameters, RECIPE.clip_norm or np.inf))
        assert np.isfinite(norm) and np.isfinite(float(loss.detach()))
        optimizer.step()

    return step


def _scores(rounds: int) -> Row:
    """Score 32 new architectures a round, by the actor and by the same judge in this process."""
    task, rng = tasks.digits(), np.random.default_rng(0)
    supernet = SMALL.supernet()
    lay_out(supernet)
    direct = judge(task.train.inputs, task.validation.inputs, task.validation.labels, seed=0)
    through, here = [], []
    with (
        tempfile.TemporaryDirectory() as folder,
        ray_session(),
        SharedSuperNet.start(SMALL, task, threads=1, checkpoint_dir=folder) as shared,
    ):
        for _ in range(rounds + 1):
            chosen = [SMALL.sample(rng) for _ in range(32)]
            through.append(_seconds(lambda chosen=chosen: shared.evaluate(chosen)))  # type: ignore[misc]
            here.append(_seconds(lambda chosen=chosen: direct.accuracies(supernet, chosen)))  # type: ignore[misc]
    return _row("32 scores of digits", 0, through[1:], here[1:])


def _seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def _row(setting: str, seed: int, ours: list[float], plain: list[float]) -> Row:
    """Compare pairs of times; the claim is the median ratio, since paths cost from one to ten times as much."""
    ratios = [a / b for a, b in zip(ours, plain, strict=True)]
    low, high = np.quantile(ratios, [0.25, 0.75])
    return {
        "setting": setting,
        "seed": seed,
        "pairs": len(ratios),
        "ours (ms)": 1e3 * median(ours),
        "plain (ms)": 1e3 * median(plain),
        "median ratio": median(ratios),
        "quartiles": f"{low:.3f} to {high:.3f}",
        "ratio of medians": median(ours) / median(plain),
        "ratio of sums": sum(ours) / sum(plain),
    }


def _median(rows: list[Row], setting: str) -> float:
    found = [row["median ratio"] for row in rows if row["setting"] == setting]
    return median(ratio for ratio in found if isinstance(ratio, float))


if __name__ == "__main__":
    raise SystemExit(main(measure))
