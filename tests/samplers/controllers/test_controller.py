"""Laws of every controller, on a conditional space that is enumerated."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from numpy.random import default_rng
from numpy.testing import assert_allclose

from nas_tune.samplers.controllers.controller import Controller, Vector
from nas_tune.samplers.controllers.decisions import Batch, Decisions
from nas_tune.samplers.controllers.drawing import draw
from tests.samplers.controllers.policies import KINDS, conditional_space, slope, some_weights, unit, whole

SPACE = conditional_space()
DECISIONS = Decisions(SPACE)
EVERY = whole(SPACE, DECISIONS)


@pytest.fixture(params=list(KINDS))
def controller(request: pytest.FixtureRequest) -> Controller:
    return KINDS[request.param](DECISIONS)


def test_the_probabilities_of_all_architectures_sum_to_one(controller: Controller) -> None:
    for weights in (controller.initial(default_rng(0)), some_weights(controller)):
        assert math.fsum(np.exp(controller.log_probabilities(weights, EVERY))) == pytest.approx(1.0, abs=1e-5)


def test_a_draw_knows_its_log_probability(controller: Controller) -> None:
    weights, rng = some_weights(controller), default_rng(0)
    policy = controller.policy(weights)

    drawn = [draw(SPACE, DECISIONS, policy, {}, 0.0, rng) for _ in range(50)]

    batch = Batch([DECISIONS.path(one.architecture) for one in drawn])
    expected: list[float] = controller.log_probabilities(weights, batch).tolist()
    assert [one.log_probability for one in drawn] == pytest.approx(expected, abs=1e-9)


def test_architectures_are_drawn_as_often_as_their_probability_says(controller: Controller) -> None:
    weights, rng, draws = some_weights(controller), default_rng(1), 3_000
    policy = controller.policy(weights)

    counts = Counter(draw(SPACE, DECISIONS, policy, {}, 0.0, rng).architecture for _ in range(draws))

    expected = draws * np.exp(controller.log_probabilities(weights, EVERY))
    found = np.array([counts[architecture] for architecture in SPACE.enumerate()])
    often = expected > 5
    statistic = ((found - expected)[often] ** 2 / expected[often]).sum()
    assert statistic < often.sum() + 4 * math.sqrt(2 * often.sum())


@pytest.mark.parametrize("entropy_weight", [0.0, 0.3])
def test_the_gradient_is_that_of_the_credited_log_probability_and_the_entropy(
    entropy_weight: float, controller: Controller
) -> None:
    weights, batch = some_weights(controller), Batch(EVERY.paths[::9])
    credit = default_rng(0).standard_normal(len(batch))

    def objective(at: Vector) -> float:
        return float(credit @ controller.log_probabilities(at, batch)) + entropy_weight * entropy(controller, at, batch)

    gradient = controller.gradient(weights, batch, lambda _: credit, entropy_weight)

    for seed in range(5):
        direction = unit(len(weights), seed)
        assert gradient @ direction == pytest.approx(slope(objective, weights, direction), rel=1e-5, abs=1e-8)


def entropy(controller: Controller, weights: Vector, batch: Batch) -> float:
    """Walk every path and add up the entropies of the distributions on the way, in nats."""
    total, policy = 0.0, controller.policy(weights)
    for path in batch.paths:
        drawing = policy.begin()
        for row, place in zip(path.rows, path.places, strict=True):
            total -= sum(p * math.log(p) for p in drawing.probabilities(row) if p > 0)
            drawing.take(row, place)
    return total / len(batch)


def test_credit_is_given_for_the_log_probabilities(controller: Controller) -> None:
    weights, given = some_weights(controller), list[Vector]()

    def credit(log_probabilities: Vector) -> Vector:
        given.append(log_probabilities)
        return np.ones(len(EVERY))

    controller.gradient(weights, EVERY, credit, 0.0)

    assert_allclose(given, [controller.log_probabilities(weights, EVERY)], rtol=1e-12)


def test_a_batch_of_paths_of_any_length_is_each_path_alone(controller: Controller) -> None:
    weights, paths = some_weights(controller), EVERY.paths[::7]
    assert len({len(path.rows) for path in paths}) > 2

    alone = [controller.gradient(weights, Batch([path]), lambda _: np.ones(1), 0.0) for path in paths]

    together = controller.gradient(weights, Batch(paths), lambda _: np.ones(len(paths)), 0.0)
    assert_allclose(np.sum(alone, axis=0), together, atol=1e-12)


def test_weights_of_decisions_that_are_never_active_do_not_learn(controller: Controller) -> None:
    batch = Batch([path for path in EVERY.paths if path.places[0] == 1])  # "skip" opens no decision
    rows = sorted({row for path in batch.paths for row in path.rows})

    gradient = controller.gradient(some_weights(controller), batch, lambda _: np.ones(len(batch)), 0.1)

    most = DECISIONS.open.shape[1]
    last = len(DECISIONS.rows) * most  # the logits of the tabular controller, the output biases of an LSTM
    learned = np.abs(gradient[-last:]).reshape(-1, most).sum(axis=1) > 0
    assert np.flatnonzero(learned).tolist() == rows
