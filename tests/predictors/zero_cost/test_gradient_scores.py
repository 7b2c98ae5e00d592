"""Proxies of the loss against derivatives that are written out or taken in another way."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from nas_tune.errors import PredictorError
from nas_tune.predictors.zero_cost import fisher, grad_norm, grasp, snip
from tests.predictors.zero_cost.networks import batch, normalised, seeded, smooth


def linear_classifier() -> nn.Module:
    return seeded(nn.Sequential(nn.Flatten(), nn.Linear(32, 3)))


def closed_gradient(network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Derivative of the cross-entropy by the weight of a linear classifier: (softmax - one-hot)^T x / N."""
    errors: Tensor = network(images).detach().softmax(1) - functional.one_hot(labels, 3)
    return errors.T @ images.flatten(1) / len(images)


def test_grad_norm_of_a_linear_classifier_has_a_closed_form() -> None:
    network, (images, labels) = linear_classifier(), batch()

    assert grad_norm(network, images, labels) == pytest.approx(
        float(closed_gradient(network, images, labels).norm()), rel=1e-12
    )


def test_grad_norm_adds_the_norms_of_the_layers() -> None:
    network, (images, labels) = smooth(), batch()
    functional.cross_entropy(network(images), labels).backward()  # type: ignore[no-untyped-call]
    weights = [parameter for name, parameter in network.named_parameters() if name.endswith("weight")]

    expected = sum(float(weight.grad.norm()) for weight in weights if weight.grad is not None)
    assert grad_norm(network, images, labels) == pytest.approx(expected, rel=1e-12)


def test_snip_of_a_linear_classifier_has_a_closed_form() -> None:
    network, (images, labels) = linear_classifier(), batch()
    weight = next(network.parameters()).detach()

    expected = float((weight * closed_gradient(network, images, labels)).abs().sum())
    assert snip(network, images, labels) == pytest.approx(expected, rel=1e-12)


def test_snip_is_the_derivative_by_masks_of_ones() -> None:
    network, (images, labels) = smooth(), batch()
    parameters = dict(network.named_parameters())
    masks = {name: torch.ones_like(p, requires_grad=True) for name, p in parameters.items() if p.ndim > 1}
    masked = {name: p * masks[name] if name in masks else p for name, p in parameters.items()}
    loss = functional.cross_entropy(functional_call(network, masked, (images,)), labels)
    derivatives = torch.autograd.grad(loss, list(masks.values()))

    expected = sum(float(derivative.abs().sum()) for derivative in derivatives)
    assert snip(network, images, labels) == pytest.approx(expected, rel=1e-12)


def test_grasp_is_minus_the_weights_times_the_hessian_times_the_gradient() -> None:
    network, (images, labels) = smooth(), batch()
    parameters = dict(network.named_parameters())
    names = [name for name, parameter in parameters.items() if parameter.ndim > 1]
    sizes = [parameters[name].numel() for name in names]

    def loss(flat: Tensor) -> Tensor:
        pieces = zip(names, torch.split(flat, sizes), strict=True)
        given = parameters | {name: piece.view(parameters[name].shape) for name, piece in pieces}
        return functional.cross_entropy(functional_call(network, given, (images,)), labels)

    flat = torch.cat([parameters[name].detach().flatten() for name in names])
    flat.requires_grad_()
    (gradient,) = torch.autograd.grad(loss(flat), flat, create_graph=True)
    hessian = torch.stack([torch.autograd.grad(entry, flat, retain_graph=True)[0] for entry in gradient])
    expected = float((-flat @ (hessian @ gradient)).detach())

    assert grasp(network, images, labels) == pytest.approx(expected, rel=1e-10)


def test_fisher_of_two_layers_by_hand() -> None:
    network, (images, labels) = smooth(), batch()
    conv, activation, flatten, classifier = network.children()
    maps = conv(images).detach().requires_grad_()
    logits = network(images).detach()
    functional.cross_entropy(classifier(flatten(activation(maps))), labels).backward()  # type: ignore[no-untyped-call]
    errors = (logits.softmax(1) - functional.one_hot(labels, 3)) / len(images)
    assert maps.grad is not None
    maps, slopes = maps.detach(), maps.grad

    expected = 0.0
    for c in range(3):
        per_image = [sum(float(p) for p in (maps[n, c] * slopes[n, c]).flatten()) for n in range(len(images))]
        expected += sum(s**2 for s in per_image) / len(images) / 2
    for c in range(3):
        expected += sum(float(logits[n, c] * errors[n, c]) ** 2 for n in range(len(images))) / len(images) / 2
    assert fisher(network, images, labels) == pytest.approx(expected, rel=1e-10)


def test_fisher_takes_the_last_axis_of_a_linear_layer_for_its_channels() -> None:
    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(16, 3)

        def forward(self, x: Tensor) -> Tensor:
            answer: Tensor = self.layer(x.flatten(2)).sum(1)
            return answer

    class Convolution(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Conv1d(16, 3, 1)

        def forward(self, x: Tensor) -> Tensor:
            answer: Tensor = self.layer(x.flatten(2).transpose(1, 2)).sum(2)
            return answer

    linear, convolution = seeded(Tokens()), seeded(Convolution())  # the same numbers in the same order

    assert fisher(linear, *batch()) == pytest.approx(fisher(convolution, *batch()), rel=1e-12)


def test_an_operation_in_place_after_a_layer_does_not_change_fisher() -> None:
    def network(inplace: bool) -> nn.Module:
        return seeded(nn.Sequential(nn.Conv2d(2, 3, 3), nn.SiLU(inplace), nn.Flatten(), nn.Linear(12, 3)))

    assert fisher(network(True), *batch()) == fisher(network(False), *batch())


def test_layers_that_nothing_reads_count_nothing() -> None:
    """The norm makes the loss blind to the scale of a convolution before it, and dead layers have no gradient."""
    network, (images, labels) = normalised(), batch()
    scores = [proxy(network, images, labels) for proxy in (grad_norm, snip, fisher)]
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if ".un" in name:  # the layers `unread` and `unused`
                parameter.mul_(100)

    assert all(math.isfinite(score) and score > 0 for score in scores)
    assert [proxy(network, images, labels) for proxy in (grad_norm, snip, fisher)] == scores


def test_a_shared_weight_counts_once() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Linear(3, 3)
            self.second = self.first

        def forward(self, x: Tensor) -> Tensor:
            answer: Tensor = self.second(self.first(x.flatten(1)[:, :3]))
            return answer

    network, (images, labels) = seeded(Twice()), batch()
    functional.cross_entropy(network(images), labels).backward()  # type: ignore[no-untyped-call]
    weight = next(network.parameters())
    assert weight.grad is not None

    assert snip(network, images, labels) == pytest.approx(float((weight * weight.grad).abs().sum().detach()))


def test_grasp_derives_hard_sigmoids_twice() -> None:
    """Between its corners a hard sigmoid is x / 6 + 1 / 2."""

    class Line(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x / 6 + 0.5

    def network(activation: nn.Module) -> nn.Module:
        layers = nn.Sequential(nn.Conv2d(2, 3, 3), nn.Tanh(), activation, nn.Flatten(), nn.Linear(12, 3))
        return seeded(layers)

    expected = grasp(network(Line()), *batch())
    found = [grasp(network(nn.Hardsigmoid(inplace)), *batch()) for inplace in (False, True)]

    assert found == pytest.approx([expected] * 2, rel=1e-12)


def test_an_operation_that_cannot_be_derived_twice_is_an_error_that_says_so() -> None:
    class Distances(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.cdist(x, torch.eye(3, x.shape[1]).to(x))

    network = seeded(nn.Sequential(nn.Conv2d(2, 3, 3), nn.Flatten(), Distances()))

    with pytest.raises(PredictorError, match="cannot be derived: .*_cdist_backward"):
        grasp(network, *batch())
    assert math.isfinite(snip(network, *batch()))
