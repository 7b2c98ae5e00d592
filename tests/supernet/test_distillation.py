"""Losses of in-place distillation against their equations."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import cross_entropy, kl_div, log_softmax, softmax

from nas_tune.errors import NasTuneError
from nas_tune.supernet import AlphaDivergence, SoftTargets


def _logits(seed: int, scale: float = 1.0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    student, teacher = (scale * torch.randn(6, 5, generator=generator, dtype=torch.float64) for _ in range(2))
    return student.requires_grad_(), teacher


def _divergence(student: Tensor, teacher: Tensor, order: float) -> Tensor:
    """The alpha-divergence of each sample, as it is defined."""
    p, q = softmax(teacher, -1), softmax(student, -1)
    if order == 1.0:
        return (p * (p / q).log()).sum(-1)
    if order == 0.0:
        return (q * (q / p).log()).sum(-1)
    return ((q * (p / q) ** order).sum(-1) - 1) / (order * (order - 1))


def _gradient(loss: Tensor, logits: Tensor) -> Tensor:
    (gradient,) = torch.autograd.grad(loss, logits)
    return gradient


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_soft_targets_are_a_cross_entropy_with_the_teachers_probabilities(temperature: float) -> None:
    student, teacher = _logits(0)
    expected = temperature**2 * cross_entropy(student / temperature, softmax(teacher / temperature, -1))

    torch.testing.assert_close(expected, SoftTargets(temperature)(student, teacher))


def test_soft_targets_have_the_gradient_of_the_kullback_leibler_divergence() -> None:
    student, teacher = _logits(1)
    expected = kl_div(log_softmax(student, -1), softmax(teacher, -1), reduction="batchmean")

    torch.testing.assert_close(_gradient(expected, student), _gradient(SoftTargets()(student, teacher), student))


@settings(deadline=None, max_examples=40)
@given(order=st.sampled_from([-1.0, -0.5, 0.0, 0.5, 1.0, 2.0]), seed=st.integers(0, 10_000))
def test_one_order_without_clipping_is_the_alpha_divergence_with_its_gradient(order: float, seed: int) -> None:
    student, teacher = _logits(seed)
    ours = AlphaDivergence(order, order, clip=math.inf)(student, teacher)
    expected = _divergence(student, teacher, order).mean()

    torch.testing.assert_close(expected, ours)
    torch.testing.assert_close(_gradient(expected, student), _gradient(ours, student))


def test_the_larger_of_the_two_divergences_counts_for_each_sample() -> None:
    student, teacher = _logits(2, scale=2.0)
    low, high = (_divergence(student, teacher, order) for order in (-1.0, 1.0))
    assert 0 < int((low > high).sum()) < len(low)
    expected = torch.maximum(low, high).mean()
    ours = AlphaDivergence(clip=math.inf)(student, teacher)

    torch.testing.assert_close(expected, ours)
    torch.testing.assert_close(_gradient(expected, student), _gradient(ours, student))


def test_clipping_bounds_the_gradient_where_the_teacher_rules_a_class_out() -> None:
    student = torch.zeros(1, 2, dtype=torch.float64, requires_grad=True)
    teacher = torch.tensor([[-9.0, 9.0]], dtype=torch.float64)
    free, clipped = (
        float(_gradient(AlphaDivergence(-1.0, -1.0, clip=clip)(student, teacher), student).norm())
        for clip in (math.inf, 5.0)
    )

    assert free > 1e4
    assert clipped <= 5 * math.sqrt(2)


@pytest.mark.parametrize("loss", [SoftTargets(), AlphaDivergence()], ids=["soft-targets", "alpha-divergence"])
def test_a_student_that_equals_its_teacher_learns_nothing(loss: SoftTargets | AlphaDivergence) -> None:
    student, teacher = _logits(3)
    still = _gradient(loss(student, student.detach()), student)
    moved = _gradient(loss(student, teacher), student)

    torch.testing.assert_close(torch.zeros_like(still), still)
    assert moved.abs().max() > 0.01


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.inf])
def test_an_impossible_temperature_is_refused(temperature: float) -> None:
    with pytest.raises(NasTuneError, match=r"SoftTargets: `temperature` is .*; give a number above 0"):
        SoftTargets(temperature)


def test_impossible_orders_and_clips_are_refused() -> None:
    with pytest.raises(NasTuneError, match=r"the orders are 1\.0 and -1\.0"):
        AlphaDivergence(1.0, -1.0)
    with pytest.raises(NasTuneError, match=r"`clip` is 0\.5; give a number of at least 1"):
        AlphaDivergence(clip=0.5)
