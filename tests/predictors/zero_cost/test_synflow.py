"""SynFlow against products of matrices, and what it must not depend on."""

from __future__ import annotations

import math
from functools import reduce

import pytest
import torch
from torch import nn

from nas_tune.predictors.zero_cost import synflow
from tests.predictors.zero_cost.networks import batch, normalised, seeded


def test_the_flow_through_a_linear_chain_is_a_product_counted_once_per_layer() -> None:
    chain = seeded(nn.Sequential(nn.Flatten(), *(nn.Linear(i, o, bias=False) for i, o in ((32, 5), (5, 4), (4, 3)))))
    product = reduce(torch.matmul, [weight.detach().abs() for weight in reversed(list(chain.parameters()))])

    assert synflow(chain, *batch()) == pytest.approx(math.log(3 * float(product.sum())), rel=1e-12)


def test_every_path_carries_the_product_of_its_weights() -> None:
    network = seeded(nn.Sequential(nn.Flatten(), nn.Linear(2, 2, bias=False), nn.ReLU(), nn.Linear(2, 2, bias=False)))
    first, second = (weight.detach().abs().tolist() for weight in network.parameters())
    paths = [second[o][h] * first[h][i] for i in range(2) for h in range(2) for o in range(2)]

    assert synflow(network, *batch(size=1, classes=2)) == pytest.approx(math.log(2 * sum(paths)), rel=1e-12)


def test_neither_data_nor_signs_nor_norms_change_it() -> None:
    network, (images, labels) = normalised(), batch()
    score = synflow(network, images, labels)
    others = [synflow(network, *batch(seed=7)), synflow(network, images * 1e3, labels.flip(0))]
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.mul_(-1 if parameter.ndim > 1 else 1)
            if name.startswith("1."):  # the batch norm
                parameter.add_(5)
        for buffer in network.buffers():
            buffer.add_(3)

    assert math.isfinite(score)
    assert [*others, synflow(network, images, labels)] == [score] * 3


def test_twice_the_weights_of_one_layer_are_twice_the_flow() -> None:
    network = normalised()
    before = synflow(network, *batch())
    with torch.no_grad():
        network.get_parameter("0.weight").mul_(2)
        network.get_parameter("7.bias").zero_()
    after = synflow(network, *batch())

    assert after == pytest.approx(before + math.log(2), rel=1e-12)


def test_a_norm_that_is_left_out_does_not_let_what_follows_write_into_its_input() -> None:
    class Residual(nn.Module):
        def __init__(self, inplace: bool) -> None:
            super().__init__()
            self.conv, self.norm, self.relu = nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3), nn.ReLU(inplace)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            maps = self.conv(x) - 100.0  # negative, so that a ReLU in place would show
            found: torch.Tensor = (maps + self.relu(self.norm(maps))).mean((2, 3))
            return found

    scores = [synflow(seeded(Residual(inplace)), *batch()) for inplace in (True, False)]

    assert scores[0] == scores[1]


def test_hundreds_of_layers_do_not_overflow_single_precision() -> None:
    deep = seeded(nn.Sequential(nn.Flatten(), nn.Linear(32, 8), *(nn.Linear(8, 8) for _ in range(100)))).float()

    assert 88.7 < synflow(deep, *batch()) < 709  # logarithms of the largest single and double
