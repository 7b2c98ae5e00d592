"""Proxies of how a network tells images apart, against numpy and counting."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nas_tune.predictors.zero_cost import jacob_cov, naswot
from nas_tune.predictors.zero_cost.naswot import agreements
from tests.predictors.zero_cost.networks import batch, normalised, seeded, smooth


def test_jacob_cov_is_the_published_formula_in_numpy() -> None:
    network, (images, labels) = smooth(), batch()
    inputs = images.clone().requires_grad_()
    network(inputs).sum().backward()
    assert inputs.grad is not None
    eigenvalues = np.linalg.eigvalsh(np.corrcoef(inputs.grad.flatten(1).numpy()))

    expected = -np.sum(np.log(eigenvalues + 1e-5) + 1 / (eigenvalues + 1e-5))
    assert jacob_cov(network, images, labels) == pytest.approx(float(expected), rel=1e-9)


def test_jacob_cov_of_a_linear_network_is_the_lowest_that_is_defined() -> None:
    """Every image has the same derivative: eigenvalues N, 0, ..., 0."""
    network = seeded(nn.Sequential(nn.Flatten(), nn.Linear(32, 3)))
    expected = -(math.log(6 + 1e-5) + 1 / (6 + 1e-5)) - 5 * (math.log(1e-5) + 1e5)

    assert jacob_cov(network, *batch(images=6)) == pytest.approx(expected, rel=1e-6)


def test_agreements_are_what_counting_gives() -> None:
    codes = torch.rand(5, 17, generator=torch.Generator().manual_seed(0)) > 0.4
    counted = [[sum(bool(a == b) for a, b in zip(left, right, strict=True)) for right in codes] for left in codes]

    assert agreements(codes).tolist() == counted


def test_naswot_counts_the_units_of_all_rectifiers() -> None:
    network = seeded(nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 5), nn.SiLU()))
    network.append(seeded(nn.Linear(5, 3), 1))
    images, labels = batch()
    first = network[:1](images).flatten(1)
    second = network[:4](images)
    codes = torch.cat([first, second], 1) > 0
    counted = [[sum(bool(a == b) for a, b in zip(left, right, strict=True)) for right in codes] for left in codes]

    expected = np.linalg.slogdet(np.array(counted, dtype=float)).logabsdet
    assert naswot(network, images, labels) == pytest.approx(float(expected), rel=1e-12)


def test_naswot_sees_batch_norm_with_the_statistics_of_the_batch() -> None:
    network, (images, labels) = normalised(), batch()
    maps = network[0](images)
    centred = (maps - maps.mean((0, 2, 3), keepdim=True)) / (maps.var((0, 2, 3), False, keepdim=True) + 1e-5).sqrt()
    scale, shift = (network.get_parameter(f"1.{name}")[:, None, None] for name in ("weight", "bias"))
    inputs = centred * scale + shift
    codes = (inputs > 0).flatten(1).double()
    kernel = codes @ codes.T + (1 - codes) @ (1 - codes).T

    # the rectifier of the dead branch is not in it
    assert naswot(network, images, labels) == pytest.approx(float(torch.linalg.slogdet(kernel)[1].detach()), rel=1e-12)


def test_a_rectifier_that_works_in_place_has_the_same_units() -> None:
    def network(inplace: bool) -> nn.Module:
        return seeded(
            nn.Sequential(nn.ReLU(inplace), nn.Conv2d(2, 3, 3), nn.ReLU(inplace), nn.Flatten(), nn.Linear(12, 3))
        )

    assert naswot(network(True), *batch()) == naswot(network(False), *batch())


def test_two_equal_images_cannot_be_told_apart() -> None:
    images, labels = batch()
    images[1] = images[0]

    assert naswot(seeded(nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.Flatten())), images, labels) == -math.inf


def test_a_network_without_rectifiers_has_the_lowest_score() -> None:
    assert naswot(smooth(), *batch()) == -math.inf


def test_the_images_that_are_given_stay_as_they_are() -> None:
    network = seeded(nn.Sequential(nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(32, 3)))
    images, labels = batch()
    before: Tensor = images.clone()
    for proxy in (jacob_cov, naswot):
        proxy(network, images, labels)

    assert torch.equal(images, before)
    assert not images.requires_grad
