"""The tabular controller beside what enumeration and automatic differentiation say."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.random import default_rng
from numpy.testing import assert_allclose

from nas_tune.samplers.controllers.controller import Vector
from nas_tune.samplers.controllers.decisions import Batch, Decisions
from nas_tune.samplers.controllers.drawing import draw
from nas_tune.samplers.controllers.tabular import TabularController
from nas_tune.space import Categorical, SearchSpace
from tests.samplers.controllers.policies import some_weights, whole

LENGTH, VOCABULARY = 6, 5
SPACE = SearchSpace({f"position_{i}": Categorical(*range(VOCABULARY)) for i in range(LENGTH)})
DECISIONS = Decisions(SPACE)
CONTROLLER = TabularController(DECISIONS)
EVERY = whole(SPACE, DECISIONS)
PLACES = EVERY.places.reshape(-1, LENGTH)
TABLE = default_rng(6).standard_normal((LENGTH, VOCABULARY))  # what each value adds
REWARDS = TABLE[np.arange(LENGTH), PLACES].sum(axis=1) + default_rng(7).standard_normal(len(PLACES))  # of all 15,625


def exact_gradient(weights: Vector, baseline: float) -> Vector:
    """Differentiate the expected reward, summed over all architectures."""
    logits = torch.tensor(weights.reshape(LENGTH, VOCABULARY), requires_grad=True)
    log = logits.log_softmax(dim=1)[torch.arange(LENGTH), torch.from_numpy(PLACES)].sum(dim=1)
    (gradient,) = torch.autograd.grad((log.exp() * torch.from_numpy(REWARDS - baseline)).sum(), logits)
    return np.asarray(gradient.numpy().ravel())


def test_reinforce_estimates_the_exact_gradient_without_bias() -> None:
    weights, baseline, draws = 0.5 * some_weights(CONTROLLER), 0.2, 3_000
    policy, rng = CONTROLLER.policy(weights), default_rng(0)
    drawn = [DECISIONS.path(draw(SPACE, DECISIONS, policy, {}, 0.0, rng).architecture) for _ in range(draws)]
    worth = np.array([REWARDS[int(np.ravel_multi_index(path.places, (VOCABULARY,) * LENGTH))] for path in drawn])

    estimate = CONTROLLER.gradient(weights, Batch(drawn), lambda _: (worth - baseline) / draws, 0.0)

    exact = exact_gradient(weights, baseline)
    probabilities = np.exp(CONTROLLER.log_probabilities(weights, EVERY))
    table = np.array([policy.begin().probabilities(row) for row in range(LENGTH)])
    score = np.eye(VOCABULARY)[PLACES] - table  # gradient of each architecture's log-probability
    squares = (REWARDS - baseline) ** 2 * (score**2).sum(axis=(1, 2))
    sigma = math.sqrt(probabilities @ squares - exact @ exact)  # of the estimate from one architecture
    assert np.linalg.norm(estimate - exact) < 3 * sigma / math.sqrt(draws)
    assert np.linalg.norm(exact) > 3 * sigma / math.sqrt(draws)  # so that zero would not pass


def test_the_gradient_summed_over_all_architectures_is_exact() -> None:
    weights = some_weights(CONTROLLER)

    gradient = CONTROLLER.gradient(weights, EVERY, lambda log: np.exp(log) * (REWARDS - 0.2), 0.0)

    assert_allclose(gradient, exact_gradient(weights, 0.2), atol=1e-12)
    assert_allclose(gradient, exact_gradient(weights, 0.0), atol=1e-12)  # a baseline moves no expectation


def test_the_entropy_is_that_of_independent_decisions() -> None:
    weights = some_weights(CONTROLLER)
    logits = torch.tensor(weights.reshape(LENGTH, VOCABULARY), requires_grad=True)
    log = logits.log_softmax(dim=1)
    (expected,) = torch.autograd.grad(-(log.exp() * log).sum(), logits)

    gradient = CONTROLLER.gradient(weights, Batch(EVERY.paths[:3]), lambda _: np.zeros(3), 0.5)

    assert_allclose(gradient, 0.5 * expected.numpy().ravel(), atol=1e-12)


def test_the_first_logits_are_a_thousandth_of_a_normal() -> None:
    drawn = CONTROLLER.initial(default_rng(3))

    assert_allclose(drawn, default_rng(3).standard_normal(LENGTH * VOCABULARY) / 1_000, rtol=1e-12)
