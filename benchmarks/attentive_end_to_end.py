"""AttentiveNAS on Fashion-MNIST: three networks used as one super-net has trained them, beside them trained alone."""

from __future__ import annotations

import multiprocessing
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np
import optuna
import torch

from benchmarks.contract import Claim, Measurement, Options, Row, main
from nas_tune.analysis import ParetoEntry, study_pareto_table
from nas_tune.cluster import SharedSuperNet, ray_session
from nas_tune.samplers import ParetoEvolutionSampler
from nas_tune.search_spaces import AttentiveNAS
from nas_tune.search_spaces.attentive_stage import Stage
from nas_tune.space import Architecture
from nas_tune.supernet import AttentivePaths, SandwichPaths, SuperNetRecipe, WarmUp
from nas_tune.trials import Recipe, SharedWeights, Task, evaluate, tasks, train

BIN = 1e5  # multiply-adds of a bin of the Pareto table
TARGETS = (0.25, 0.5, 0.75)  # quantiles of the multiply-adds of the space
SPACE = AttentiveNAS(
    num_classes=10,
    in_channels=1,
    resolutions=(20, 24, 28),
    first=(8, 16),
    last=(96, 128),
    dropout=0.0,
    drop_connect=0.0,
    stages=(
        Stage("mb1", (8, 16), (1, 2), (3, 5), (1,)),
        Stage("mb2", (16, 24), (1, 2, 3), (3, 5), (3, 4, 5), stride=2),
        Stage("mb3", (24, 32), (1, 2, 3), (3, 5), (3, 4, 5), stride=2, squeeze_excitation=True),
    ),
)


@dataclass(frozen=True)
class Size:
    """How much is trained and searched."""

    images: int
    epochs: int
    trials: int


def measure(options: Options) -> Measurement:
    """Train, search and compare on one thread, once for each seed."""
    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    size = Size(images=2_500, epochs=10, trials=40) if options.quick else Size(images=10_000, epochs=15, trials=200)
    data = tasks.fashion_mnist(train_size=size.images)
    rows = [row for seed in range(1 if options.quick else options.seeds) for row in _compared(data, size, seed)]
    worst = max(float(str(row["alone"])) - float(str(row["inherited"])) for row in rows)
    mean = float(np.mean([float(str(row["alone"])) - float(str(row["inherited"])) for row in rows]))
    claims = [
        Claim("mean accuracy lost without retraining", 100 * mean, "%", 1.0, "lower"),
        Claim("most accuracy lost without retraining", 100 * worst, "%", 1.0, "lower"),
    ]
    return Measurement(rows, claims)


def _compared(data: Task, size: Size, seed: int) -> list[Row]:
    """Train the super-net, search it, and test three networks of it as they are and trained alone."""
    paths = WarmUp(AttentivePaths(), epochs=size.epochs / 3, first=SandwichPaths())
    recipe = SuperNetRecipe(batch_size=64, lr=0.1, weight_decay=1e-5, label_smoothing=0.1, clip_norm=5.0)
    with (
        tempfile.TemporaryDirectory() as folder,
        ray_session(),
        SharedSuperNet.start(SPACE, data, paths=paths, recipe=recipe, checkpoint_dir=folder, seed=seed) as shared,
    ):
        shared.train(epochs=size.epochs)
        found = [_nearest(_searched(shared, data, size.trials, seed), target) for target in _targets(data)]
        inherited = [evaluate(shared.extract(entry.architecture), data.test) for entry in found]
    spawning = multiprocessing.get_context("spawn")  # a forked torch may hang
    with ProcessPoolExecutor(2, mp_context=spawning) as pool:
        alone = list(pool.map(_alone, [(entry.architecture, size, seed) for entry in found]))
    return [
        {
            "seed": seed,
            "MACs": entry.cost,
            "architecture": SPACE.to_string(entry.architecture),
            "validation": entry.score,
            "inherited": ours,
            "alone": theirs,
        }
        for entry, ours, theirs in zip(found, inherited, alone, strict=True)
    ]


def _searched(shared: SharedSuperNet, data: Task, trials: int, seed: int) -> Sequence[ParetoEntry]:
    """Search accuracy against multiply-adds with the shared weights; return the best network of every bin."""
    macs = SPACE.cost(data.input_shape).macs
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=ParetoEvolutionSampler(SPACE, seed=seed))
    scoring = SharedWeights(shared, data)

    def objective(trial: optuna.Trial) -> tuple[float, float]:
        architecture = SPACE.suggest(trial)
        return scoring.score(SPACE, architecture, trial=trial), macs(architecture)

    study.optimize(objective, n_trials=trials)
    return study_pareto_table(study, SPACE, width=BIN)


def _targets(data: Task) -> list[float]:
    macs, rng = SPACE.cost(data.input_shape).macs, np.random.default_rng(0)
    return [float(target) for target in np.quantile([macs(SPACE.sample(rng)) for _ in range(1_000)], TARGETS)]


def _nearest(entries: Sequence[ParetoEntry], target: float) -> ParetoEntry:
    return min(entries, key=lambda entry: abs(entry.cost - target))


def _alone(training: tuple[Architecture, Size, int]) -> float:
    """Train an architecture alone, on one thread, for as many epochs; return its test accuracy."""
    architecture, size, seed = training
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    data, network = tasks.fashion_mnist(train_size=size.images), SPACE.build(architecture)
    recipe = Recipe(epochs=size.epochs, batch_size=64, lr=0.1, weight_decay=1e-5, label_smoothing=0.1)
    train(network, data.train, recipe, seed=seed)
    return evaluate(network, data.test)


if __name__ == "__main__":
    raise SystemExit(main(measure))
