"""Training elastic layers: gradients and batch-norm statistics belong to the slice that runs."""

from __future__ import annotations

from typing import cast

import pytest
import torch
from torch import Tensor, nn

from nas_tune.space import Chooser, Integer
from nas_tune.supernet import SuperNet, elastic, recalibrate_batch_norm
from nas_tune.supernet.elastic import ElasticBatchNorm2d

from .networks import WIDTHS, at, chain_of_layers, images, supernet, weight_of


@pytest.fixture
def chain() -> SuperNet:
    return supernet(WIDTHS, chain_of_layers)


def test_only_the_slice_gets_a_gradient(chain: SuperNet) -> None:
    a, b, kernel = 3, 2, 3
    chain.zero_grad(set_to_none=True)
    chain(images(2, 2, 9, 9), at(chain, a=a, b=b, kernel=kernel)).square().sum().backward()
    slices: dict[str, tuple[slice, ...]] = {
        "0.weight": (slice(a), slice(None), slice(2, 5), slice(2, 5)),
        "0.bias": (slice(a),),
        "1.weight": (slice(a),),
        "1.bias": (slice(a),),
        "2.weight": (slice(b), slice(a), slice(2, 5), slice(None)),
        "5.weight": (slice(None), slice(b)),
        "5.bias": (slice(None),),
    }

    assert slices.keys() == {name for name, _ in chain.network.named_parameters()}
    for name, inside in slices.items():
        grad = weight_of(chain, name).grad
        assert grad is not None
        outside = grad.clone()
        outside[inside] = 0

        assert (grad[inside] != 0).any(), name
        assert not outside.any(), name


def test_gradients_are_those_of_the_network_alone(chain: SuperNet) -> None:
    architecture = at(chain, a=4, b=3, kernel=5)
    alone = chain.extract(architecture)
    for network in (chain, alone):
        network.zero_grad(set_to_none=True)
    chain(images(2, 2, 9, 9), architecture).square().sum().backward()
    alone(images(2, 2, 9, 9)).square().sum().backward()
    shared, own = weight_of(chain, "2.weight").grad, alone.get_parameter("2.weight").grad
    assert shared is not None
    assert own is not None

    torch.testing.assert_close(shared[:3, :4, 1:6], own)


@torch.no_grad()
def test_training_moves_the_statistics_of_the_slice_alone(chain: SuperNet) -> None:
    norm = cast(ElasticBatchNorm2d, chain.network.get_submodule("1"))
    assert norm.running_mean is not None
    assert norm.running_var is not None
    before = norm.running_mean.clone(), norm.running_var.clone()
    architecture = at(chain, a=4, b=1, kernel=1)
    alone = chain.extract(architecture).train()
    chain.train()(images(8, 2, 5, 5), architecture)
    alone(images(8, 2, 5, 5))

    for old, new, name in zip(before, (norm.running_mean, norm.running_var), ("mean", "var"), strict=True):
        assert torch.equal(old[4:], new[4:])
        torch.testing.assert_close(new[:4], cast(Tensor, getattr(alone.get_submodule("1"), f"running_{name}")))
        assert (old[:4] != new[:4]).all()


@torch.no_grad()
def test_recalibration_measures_the_slice_of_the_selection(chain: SuperNet) -> None:
    batches = [images(8, 2, 5, 5, seed=seed) for seed in range(3)]
    architecture = at(chain, a=4, b=2, kernel=3)
    alone = chain.extract(architecture)
    with chain.select(architecture):
        recalibrate_batch_norm(chain, batches)
    recalibrate_batch_norm(alone, batches)

    torch.testing.assert_close(chain(batches[0], architecture), alone(batches[0]))
    assert not chain.training


@torch.no_grad()
def test_batch_norm_without_scale_and_shift_is_elastic_too() -> None:
    def made(choose: Chooser) -> nn.Module:
        a = choose.value("a")
        return nn.Sequential(elastic.conv2d(1, a, 1), elastic.batch_norm2d(a, affine=False))

    network = supernet({"a": Integer(1, 3)}, made)
    for a in (1, 2, 3):
        alone = network.extract({"a": a})

        assert {"0.weight", "1.running_mean", "1.running_var", "1.num_batches_tracked"} == {*alone.state_dict()}
        torch.testing.assert_close(network(images(2, 1, 3, 3), at(network, a=a)), alone(images(2, 1, 3, 3)))
