"""Samples that PPO and REINFORCE need on `Sequence(20, 7)` until the mean of the policy is good.

A controller has learned the task when the mean reward of its policy, which is known exactly, has come 90 % of the way
from the mean of all sequences to the best one. Both algorithms have the tabular controller, 20 samples for each update
and a baseline of decay 0.95; PPO takes 10 steps with each of its batches. Each is run with rewards as they are
(``"value"``, as published) and with our default, their rank, at every learning rate of one grid. Every seed is a table
of rewards of its own. A run that has not learned after 6,000 samples counts as 6,000.

Ratios of mean samples are claimed: beside REINFORCE as published, each at its best rate; and with equal rewards, both
at the same rate and each at its best rate. In the last PPO does not reach one half, as a REINFORCE of large steps
learns nearly as much from each sample; there it is only claimed to need fewer.
"""

from __future__ import annotations

from collections.abc import Sequence as Several
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go
from optuna.trial import TrialState

from benchmarks.contract import Claim, Measurement, Options, Row, main
from nas_tune.samplers.controllers.adam import Adam
from nas_tune.samplers.controllers.baseline import Baseline
from nas_tune.samplers.controllers.decisions import Batch, Decisions
from nas_tune.samplers.controllers.drawing import draw
from nas_tune.samplers.controllers.learning import ALGORITHMS, AlgorithmName
from nas_tune.samplers.controllers.ppo import Ppo
from nas_tune.samplers.controllers.reinforce import Reinforce
from nas_tune.samplers.controllers.rewards import SCALES, Scale, rewards
from nas_tune.samplers.controllers.tabular import TabularController
from nas_tune.samplers.study_history import Evaluation
from nas_tune.search_spaces import Sequence

if TYPE_CHECKING:
    from nas_tune.samplers.controllers.algorithm import Algorithm
    from nas_tune.samplers.controllers.controller import Vector

RATES = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4)
BATCH, DECAY, MOST, LEARNED = 20, 0.95, 6_000, 0.9
SEEDS_EACH = 4  # tables for each seed of the command line; half of them when quick


def samples_needed(algorithm: Algorithm, scale: Scale, seed: int) -> int:
    """Return how many sequences are drawn until the mean of the policy has come 90 % of the way."""
    space, rng = Sequence(20, 7, seed=1_000 + seed), np.random.default_rng(seed)
    decisions = Decisions(space)
    controller = TabularController(decisions)
    state, baseline, found = Adam.start(controller.initial(rng)), Baseline(DECAY), list[Evaluation]()
    while len(found) < MOST and progress(space, controller, state.weights) < LEARNED:
        policy, start = controller.policy(state.weights), len(found)
        for number in range(start, start + BATCH):
            architecture = draw(space, decisions, policy, {}, 0.0, rng).architecture
            found.append(Evaluation(number, architecture, TrialState.COMPLETE, (space.reward(architecture),)))
        worth = rewards(found, start, len(found), scale)
        baseline = baseline.updated(worth)
        batch = Batch([decisions.path(evaluation.architecture) for evaluation in found[start:]])
        drawn = controller.log_probabilities(state.weights, batch)
        state = algorithm.step(controller, state, batch, worth - baseline.value, drawn)
    return len(found)


def progress(space: Sequence, controller: TabularController, weights: Vector) -> float:
    """Return how far the mean of the policy is from the mean of all sequences (0) to the best one (1), exactly."""
    policy = controller.policy(weights).begin()
    table = np.array([policy.probabilities(row) for row in range(space.length)])
    return space.progress(float((table * space.rewards).sum() / space.length))


def measure_one(name: AlgorithmName, scale: Scale, rate: float, seeds: int) -> Row:
    """Run one algorithm at one rate."""
    algorithm: Algorithm = Ppo(rate) if name == "ppo" else Reinforce(rate)
    needed = [samples_needed(algorithm, scale, seed) for seed in range(seeds)]
    return {
        "algorithm": name,
        "rewards": scale,
        "rate": rate,
        "seeds": seeds,
        "samples": float(np.mean(needed)),
        "least": min(needed),
        "most": max(needed),
    }


def samples(rows: Several[Row], name: AlgorithmName, scale: Scale, rates: Several[float] = RATES) -> float:
    """Return the mean samples of an algorithm at the best of some rates."""
    of_it = [r for r in rows if r["algorithm"] == name and r["rewards"] == scale and r["rate"] in rates]
    return min(float(str(row["samples"])) for row in of_it)


def claims(rows: Several[Row]) -> list[Claim]:
    """Claim the ratios of PPO to REINFORCE."""

    def ratio(name: str, theirs: Scale, target: float, rates: Several[float] = RATES) -> Claim:
        value = samples(rows, "ppo", "rank", rates) / samples(rows, "reinforce", theirs, rates)
        return Claim(f"samples of PPO / REINFORCE, {name}", value, "x", target=target, better="lower")

    return [
        ratio("ours beside the published one, each at its best rate", "value", 0.5),
        ratio("rewards by rank, both at rate 0.05", "rank", 0.5, [0.05]),
        ratio("rewards by rank, both at rate 0.1", "rank", 0.5, [0.1]),
        ratio("rewards by rank, each at its best rate", "rank", 0.9),
    ]


def figure(rows: Several[Row]) -> go.Figure:
    """Plot samples over learning rate."""
    plot = go.Figure(layout={"title": "Samples until the policy's mean is at 90 %", "template": "plotly_white"})
    plot.update_xaxes(title="learning rate", type="log")
    plot.update_yaxes(title="samples, mean over tables", type="log")
    for name in ALGORITHMS:
        for scale in SCALES:
            means = [samples(rows, name, scale, [rate]) for rate in RATES]
            plot.add_scatter(x=list(RATES), y=means, name=f"{name}, rewards by {scale}", mode="lines+markers")
    return plot


def measure(options: Options) -> Measurement:
    """Run both algorithms with both rewards at every rate."""
    seeds = options.seeds * (SEEDS_EACH // 2 if options.quick else SEEDS_EACH)
    rows = [measure_one(name, scale, rate, seeds) for name in ALGORITHMS for scale in SCALES for rate in RATES]
    return Measurement(rows, claims(rows), figure(rows))


if __name__ == "__main__":
    raise SystemExit(main(measure))
