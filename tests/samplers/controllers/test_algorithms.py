"""REINFORCE and PPO: what they have in common, and what PPO clips."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.random import default_rng
from numpy.testing import assert_allclose, assert_array_equal

from nas_tune.samplers.controllers.adam import Adam
from nas_tune.samplers.controllers.baseline import Baseline
from nas_tune.samplers.controllers.controller import Controller
from nas_tune.samplers.controllers.decisions import Batch, Decisions
from nas_tune.samplers.controllers.ppo import Ppo, surrogate_slope
from nas_tune.samplers.controllers.reinforce import Reinforce
from tests.samplers.controllers.policies import KINDS, conditional_space, some_weights, whole

SPACE = conditional_space()
DECISIONS = Decisions(SPACE)
BATCH = Batch(whole(SPACE, DECISIONS).paths[::6])
ADVANTAGES = default_rng(5).standard_normal(len(BATCH))
UNKNOWN = np.full(len(BATCH), math.nan)


@pytest.fixture(params=list(KINDS))
def controller(request: pytest.FixtureRequest) -> Controller:
    return KINDS[request.param](DECISIONS)


@pytest.mark.parametrize("entropy_weight", [0.0, 0.1])
def test_the_first_epoch_of_ppo_is_the_step_of_reinforce(entropy_weight: float, controller: Controller) -> None:
    state = Adam.start(some_weights(controller))
    drawn = controller.log_probabilities(state.weights, BATCH)

    reinforced = Reinforce(0.01, entropy_weight).step(controller, state, BATCH, ADVANTAGES, drawn)

    for old in (drawn, UNKNOWN):
        proximal = Ppo(0.01, entropy_weight, epochs=1).step(controller, state, BATCH, ADVANTAGES, old)
        assert_array_equal(proximal.weights, reinforced.weights)
        assert_array_equal(proximal.first, reinforced.first)


def test_ppo_weighs_an_architecture_by_the_ratio_to_the_policy_that_drew_it(controller: Controller) -> None:
    state = Adam.start(some_weights(controller))
    ratios = np.linspace(0.85, 1.15, len(BATCH))
    drawn = controller.log_probabilities(state.weights, BATCH) - np.log(ratios)

    proximal = Ppo(0.01, epochs=1).step(controller, state, BATCH, ADVANTAGES, drawn)

    weighted = Reinforce(0.01).step(controller, state, BATCH, ratios * ADVANTAGES, UNKNOWN)
    assert_allclose(proximal.first, weighted.first, atol=1e-12)


def test_the_slope_of_the_surrogate_is_its_derivative_by_autograd() -> None:
    log_ratios = torch.tensor(default_rng(0).normal(0.0, 0.4, 200), requires_grad=True)
    advantages = torch.tensor(default_rng(1).standard_normal(200))
    ratios = log_ratios.exp()
    surrogate = torch.minimum(ratios * advantages, ratios.clamp(0.8, 1.2) * advantages)
    (expected,) = torch.autograd.grad(surrogate.sum(), log_ratios)

    found = surrogate_slope(log_ratios.detach().numpy(), advantages.numpy(), 0.2)

    assert_allclose(found, expected.numpy(), atol=1e-12)
    assert 20 < (found == 0).sum() < 180


def test_clipping_stops_the_gradient_where_the_policy_has_gone_far_enough(controller: Controller) -> None:
    state = Adam.start(some_weights(controller))
    gone = np.where(ADVANTAGES > 0, math.log(1.3), math.log(0.7))
    drawn = controller.log_probabilities(state.weights, BATCH) - gone

    stopped = Ppo(0.01, clip=0.2).step(controller, state, BATCH, ADVANTAGES, drawn)
    free = Ppo(0.01, clip=0.4).step(controller, state, BATCH, ADVANTAGES, drawn)

    assert_array_equal(stopped.weights, state.weights)
    assert (free.weights != state.weights).any()


def test_a_path_that_had_no_probability_teaches_a_finite_lesson() -> None:
    assert np.isfinite(surrogate_slope(np.array([1_000.0, -1_000.0]), np.array([-1.0, -1.0]), 0.2)).all()


@pytest.mark.slow  # torch loads its optimisers
def test_adam_steps_as_torch_does() -> None:
    weights, gradients = default_rng(0).standard_normal(7), default_rng(1).standard_normal((30, 7))
    variable = torch.tensor(weights, requires_grad=True)
    theirs = torch.optim.Adam([variable], lr=0.05, maximize=True)
    ours = Adam.start(weights)

    for gradient in gradients:
        ours = ours.ascend(gradient, 0.05)
        variable.grad = torch.tensor(gradient)
        theirs.step()

    assert_allclose(ours.weights, variable.detach().numpy(), atol=1e-12)
    assert ours.steps == 30


@pytest.mark.parametrize("sizes", [[1] * 6, [2, 4], [6]])
def test_the_baseline_is_a_weighted_mean_of_all_rewards_however_they_come(sizes: list[int]) -> None:
    rewards = default_rng(0).random(6)
    weights = 0.9 ** np.arange(5, -1, -1)

    baseline = Baseline(0.9)
    for block in np.split(rewards, np.cumsum(sizes)[:-1]):
        baseline = baseline.updated(block)

    assert baseline.value == pytest.approx((weights @ rewards) / weights.sum(), rel=1e-12)


def test_the_baseline_begins_at_the_first_reward_and_without_decay_follows_the_last() -> None:
    assert Baseline(0.99).value == 0.0
    assert Baseline(0.99).updated(np.array([0.7])).value == pytest.approx(0.7)
    assert Baseline(0.0).updated(np.array([0.7, 0.1, 0.4])).value == 0.4
