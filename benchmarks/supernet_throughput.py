"""Time of super-net training and scoring beside the same networks alone; gains of bf16 and of channels-last."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import median

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from benchmarks.contract import Claim, Measurement, Options, Row, main
from nas_tune.cluster import SharedSuperNet, ray_session
from nas_tune.cluster.judging import judge, lay_out
from nas_tune.cluster.memory import keep_freed_memory
from nas_tune.device import resolve_device
from nas_tune.search_spaces import AttentiveNAS, NASBench201
from nas_tune.space import SearchSpace
from nas_tune.supernet import AttentivePaths, FairPaths, Path, Plan, Step, SuperNet, SuperNetRecipe, SuperNetTrainer
from nas_tune.trials import tasks

RECIPE = SuperNetRecipe(batch_size=64)
SMALL = NASBench201(channels=16, cells_per_stage=1, in_channels=1)
PUBLISHED = NASBench201(channels=16, cells_per_stage=5, in_channels=3)
WARM_UP = 30  # steps after which nearly every candidate has momentum
SCORED = 64


def measure(options: Options) -> Measurement:
    """Time both sides of every ratio on one thread, the sides taking turns."""
    torch.set_num_threads(1)
    keep_freed_memory()  # on both sides, as actors do
    seeds, count = range(options.seeds), 60 if options.quick else 200
    rows = [_steps("8x8, 1 cell a stage", SMALL, (1, 8, 8), count, seed) for seed in seeds]
    rows += [_steps("32x32, 5 cells a stage", PUBLISHED, (3, 32, 32), 4 if options.quick else 60, seed=0)]
    rows += [_fair_steps(count // 4, seed) for seed in seeds]
    rows += [_evaluation(rounds=2 if options.quick else 5, seed=seed) for seed in seeds]
    rows += [_through_the_actor(rounds=4 if options.quick else 20)]
    claims = [_claim(rows, setting, bound) for setting, bound in BOUNDS.items()]
    rows += [_gain(gain, 10 if options.quick else 40) for gain in ("channels-last", "bf16")]
    if torch.cuda.is_available():
        rows += [_attentive_step(batch_size=64, count=5 if options.quick else 20)]
    return Measurement(rows, claims)


BOUNDS = {
    "step / same network alone, 8x8, 1 cell a stage": 1.10,
    "step / same network alone, 32x32, 5 cells a stage": 1.10,
    "strict-fair step / 5 separate steps": 1.0,
    f"{SCORED} architectures judged / their plain forward passes": 0.8 if torch.cuda.is_available() else 1.1,
    "32 scores through the actor / direct loop": 1.15,
}


def _trainer(space: NASBench201, shape: tuple[int, ...], recipe: SuperNetRecipe, seed: int) -> SuperNetTrainer:
    """Return a trainer on noise, after so many steps that the optimiser knows nearly every candidate."""
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(512, *shape, generator=generator)
    labels = torch.randint(0, 10, (512,), generator=generator)
    trainer = SuperNetTrainer(space.supernet(), inputs, labels, recipe=recipe, seed=seed)
    for _ in range(WARM_UP):
        trainer.step()
    return trainer


def _steps(setting: str, space: NASBench201, shape: tuple[int, ...], count: int, seed: int) -> Row:
    """Alternate a whole training step of a drawn path with one of the same network built alone."""
    rng, trainer = np.random.default_rng(seed), _trainer(space, shape, RECIPE, seed)
    shared, alone = [], []
    for _ in range(count):
        drawn = space.sample(rng)
        shared.append(_seconds(lambda drawn=drawn: trainer.step_on([Path(drawn)])))  # type: ignore[misc]
        step = _step_alone(space.build(drawn), trainer.inputs[:64], trainer.labels[:64])
        step()  # makes the momentum, which the super-net has
        alone.append(_seconds(step))
    return _row(f"step / same network alone, {setting}", seed, shared, alone)


def _step_alone(network: nn.Module, inputs: Tensor, labels: Tensor) -> Callable[[], None]:
    """Return the step that a user would write, with the recipe of the super-net."""
    optimizer = RECIPE.make_optimizer(network.train())
    parameters, order = list(network.parameters()), torch.randperm(len(inputs))

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        loss = cross_entropy(network(inputs[order]), labels[order])
        loss.backward()  # type: ignore[no-untyped-call]
        norm = float(nn.utils.clip_grad_norm_(parameters, RECIPE.clip_norm or np.inf))
        assert np.isfinite(norm) and np.isfinite(float(loss.detach()))
        optimizer.step()

    return step


def _fair_steps(count: int, seed: int) -> Row:
    """Alternate one strict-fair step with a step of the super-net for each of its paths."""
    trainer = _trainer(SMALL, (1, 8, 8), RECIPE, seed)
    trainer.paths = FairPaths()
    together, apart = [], []
    for _ in range(count):
        chosen = trainer.select()
        together.append(_seconds(lambda chosen=chosen: trainer.step_on(chosen)))  # type: ignore[misc]
        apart.append(_seconds(lambda chosen=chosen: [trainer.step_on([path]) for path in chosen]))  # type: ignore[misc]
    return _row("strict-fair step / 5 separate steps", seed, together, apart)


def _evaluation(rounds: int, seed: int) -> Row:
    """Alternate one call that judges 64 architectures with the forward passes of the same extracted networks."""
    rng, task = np.random.default_rng(seed), tasks.digits()
    device = resolve_device()
    supernet = SMALL.supernet().to(device)
    lay_out(supernet)
    moved = task.to(device)
    validation = moved.validation
    judging = judge(moved.train.inputs, validation.inputs, validation.labels, seed)
    batched, plain = [], []
    for _ in range(rounds + 1):
        chosen = [SMALL.sample(rng) for _ in range(SCORED)]
        alone = [supernet.extract(architecture).eval() for architecture in chosen]
        for network in alone:
            lay_out(network)
        judging.accuracies(supernet, chosen)  # measures batch norm, which the plain networks have
        batched.append(_seconds(lambda chosen=chosen: judging.accuracies(supernet, chosen)))  # type: ignore[misc]
        plain.append(_seconds(lambda alone=alone: _forward(alone, validation.inputs)))  # type: ignore[misc]
    return _row(f"{SCORED} architectures judged / their plain forward passes", seed, batched[1:], plain[1:])


@torch.no_grad()
def _forward(networks: Sequence[nn.Module], inputs: Tensor) -> None:
    for network in networks:
        network(inputs)
        _synchronise()


def _through_the_actor(rounds: int) -> Row:
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
    return _row("32 scores through the actor / direct loop", 0, through[1:], here[1:])


def _gain(gain: str, count: int) -> Row:
    """Alternate steps of one path with and without a gain; it differs by machine, so nothing is claimed."""
    with_gain = _trainer(SMALL, (1, 28, 28), replace(RECIPE, precision="bf16" if gain == "bf16" else "fp32"), seed=0)
    without = _trainer(SMALL, (1, 28, 28), replace(RECIPE, precision="fp32"), seed=0)
    if gain == "channels-last":
        lay_out(with_gain.supernet)
    rng, ours, plain = np.random.default_rng(0), [], []
    for _ in range(count):
        path = Path(SMALL.sample(rng))
        ours.append(_seconds(lambda path=path: with_gain.step_on([path])))  # type: ignore[misc]
        plain.append(_seconds(lambda path=path: without.step_on([path])))  # type: ignore[misc]
    return _row(f"step with {gain} / without", 0, ours, plain)


def _attentive_step(batch_size: int, count: int) -> Row:
    """Time the step of AttentiveNAS at its own size beside forward and backward of its sub-networks alone."""
    device, space = resolve_device("cuda"), AttentiveNAS()
    inputs = torch.randn(2 * batch_size, 3, 224, 224, device=device)
    labels = torch.randint(0, 1000, (2 * batch_size,), device=device)
    supernet: SuperNet = space.supernet().to(device)
    lay_out(supernet)
    paths = Remembered(AttentivePaths(samples=20_000))
    trainer = SuperNetTrainer(supernet, inputs, labels, paths=paths, recipe=SuperNetRecipe(batch_size=batch_size))
    trainer.plan = Plan(0, 10 * count)
    ours, plain = [], []
    for _ in range(count):
        ours.append(_seconds(trainer.step))
        alone = [supernet.extract(path.architecture).train() for path in paths.last]
        plain.append(_seconds(lambda alone=alone: _forward_backward(alone, inputs[:batch_size], labels[:batch_size])))  # type: ignore[misc]
    row = _row(f"AttentiveNAS step, batch {batch_size} at 224x224 / its sub-networks alone", 0, ours[1:], plain[1:])
    return {**row, "images/s": batch_size / median(ours[1:])}


class Remembered:
    """A strategy that remembers what it selected last.

    Args:
        paths: The strategy.
    """

    def __init__(self, paths: AttentivePaths) -> None:
        self.paths, self.last = paths, tuple[Path, ...]()

    def select(self, step: Step, space: SearchSpace, rng: np.random.Generator) -> tuple[Path, ...]:
        self.last = self.paths.select(step, space, rng)
        return self.last


def _forward_backward(networks: Sequence[nn.Module], inputs: Tensor, labels: Tensor) -> None:
    for network in networks:
        with torch.autocast("cuda", torch.bfloat16):
            loss = cross_entropy(network(inputs), labels)
        loss.backward()  # type: ignore[no-untyped-call]


def _seconds(call: Callable[[], object]) -> float:
    _synchronise()
    started = time.perf_counter()
    call()
    _synchronise()
    return time.perf_counter() - started


def _synchronise() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _row(setting: str, seed: int, ours: list[float], plain: list[float]) -> Row:
    """Compare pairs of times; the claim is the median ratio, since paths cost from one to ten times as much."""
    ratios = [a / b for a, b in zip(ours, plain, strict=True)]
    low, high = np.quantile(ratios, [0.25, 0.75])
    return {
        "ratio of": setting,
        "seed": seed,
        "pairs": len(ratios),
        "ours (ms)": 1e3 * median(ours),
        "plain (ms)": 1e3 * median(plain),
        "median ratio": median(ratios),
        "quartiles": f"{low:.3f} to {high:.3f}",
        "ratio of sums": sum(ours) / sum(plain),
    }


def _claim(rows: Sequence[Row], setting: str, bound: float) -> Claim:
    found = [row["median ratio"] for row in rows if row["ratio of"] == setting]
    return Claim(setting, median(ratio for ratio in found if isinstance(ratio, float)), "x", bound, "lower")


if __name__ == "__main__":
    raise SystemExit(main(measure))
