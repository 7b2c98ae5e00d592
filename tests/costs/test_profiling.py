"""Costs against closed forms; the network is left as it was."""

from __future__ import annotations

import threading

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nas_tune.costs import Cost, profile
from nas_tune.errors import TaskError

FLOAT = 4


class Residual(nn.Module):
    """conv 3 -> 8, a residual pair of convs with batch norm, average pool, linear to 5."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.first = nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.second = nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = x + self.second(F.relu(self.norm(self.first(x))))
        return torch.as_tensor(self.head(x.mean((2, 3))))


class FunctionalMLP(nn.Module):
    """Two matrix products that no module computes."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(6, 4))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(F.linear(x, self.weight), self.weight.T)


class CountingNorm(nn.Module):
    """Changes a buffer whenever it runs, also in evaluation mode."""

    calls: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return x * self.calls


@pytest.mark.parametrize(
    ("layer", "shape", "parameters", "macs", "outputs"),
    [
        (nn.Conv2d(3, 8, 3, padding=1, bias=False), (3, 9, 7), 8 * 3 * 9, 63 * 8 * 27, 63 * 8),
        (nn.Conv2d(3, 8, 3, stride=2), (3, 9, 7), 8 * 27 + 8, 4 * 3 * 8 * 27, 4 * 3 * 8),
        (nn.Conv2d(8, 16, 3, groups=4), (8, 5, 5), 16 * 2 * 9 + 16, 9 * 16 * 2 * 9, 9 * 16),
        (nn.Conv2d(8, 8, 5, groups=8, padding=2), (8, 6, 6), 8 * 25 + 8, 36 * 8 * 25, 36 * 8),
        (nn.Conv2d(4, 4, 3, dilation=2), (4, 7, 7), 4 * 36 + 4, 9 * 4 * 36, 9 * 4),
        (nn.ConvTranspose2d(4, 6, 2, stride=2), (4, 3, 3), 4 * 6 * 4 + 6, 9 * 4 * 24, 36 * 6),
        (nn.Conv1d(2, 3, 3), (2, 10), 21, 8 * 18, 24),
        (nn.Linear(7, 11), (7,), 88, 77, 11),
        (nn.Linear(7, 11, bias=False), (7,), 77, 77, 11),
        (nn.BatchNorm2d(4), (4, 3, 3), 8, 0, 36),
        (nn.AvgPool2d(2), (4, 4, 4), 0, 0, 16),
    ],
)
def test_a_layer_costs_its_closed_form(
    layer: nn.Module, shape: tuple[int, ...], parameters: int, macs: int, outputs: int
) -> None:
    cost = profile(layer, shape)

    assert Cost(parameters, macs, outputs * FLOAT) == cost


def test_a_residual_network_costs_its_closed_form() -> None:
    image = 10 * 6

    cost = profile(Residual(), (3, 10, 6))

    assert 8 * 27 + 2 * 8 * 72 + 16 + 45 == cost.parameters
    assert image * (8 * 27 + 2 * 8 * 72) + 40 == cost.macs
    assert (4 * 8 * image + 5) * FLOAT == cost.activation_bytes


def test_an_mlp_on_a_table_costs_its_closed_form() -> None:
    mlp = nn.Sequential(nn.Linear(13, 32), nn.ReLU(), nn.Linear(32, 3))

    assert Cost(13 * 32 + 32 + 96 + 3, 13 * 32 + 96, (64 + 3) * FLOAT) == profile(mlp, (13,))


def test_products_outside_modules_are_counted() -> None:
    assert 48 == profile(FunctionalMLP(), (4,)).macs


@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_recurrent_layer_costs_its_closed_form(bidirectional: bool) -> None:
    layer = nn.LSTM(8, 16, batch_first=True, bidirectional=bidirectional)

    assert (1 + bidirectional) * 5 * 4 * 16 * (8 + 16) == profile(layer, (5, 8)).macs


def test_a_transformer_layer_costs_its_closed_form() -> None:
    layer = nn.TransformerEncoderLayer(16, nhead=4, dim_feedforward=32, batch_first=True)
    projections, attention, feed_forward = 4 * 5 * 16 * 16, 2 * 5 * 5 * 16, 2 * 5 * 16 * 32

    assert projections + attention + feed_forward == profile(layer, (5, 16)).macs


def test_a_shared_parameter_counts_once_and_its_use_twice() -> None:
    shared = nn.Linear(4, 4, bias=False)

    assert Cost(16, 32, 2 * 4 * FLOAT) == profile(nn.Sequential(shared, shared), (4,))


def test_outputs_in_the_memory_of_their_inputs_are_not_counted() -> None:
    layers = nn.Sequential(nn.Conv2d(1, 2, 1), nn.Identity(), nn.ReLU(inplace=True), nn.Dropout(), nn.Flatten())

    assert 2 * 4 * FLOAT == profile(layers, (1, 2, 2)).activation_bytes


def test_the_type_of_the_input_sets_the_bytes() -> None:
    layer = nn.Linear(4, 3)

    assert 3 * 8 == profile(layer, (4,), torch.float64).activation_bytes
    assert torch.float32 == layer.weight.dtype


def test_a_network_on_the_meta_device_costs_the_same() -> None:
    with torch.device("meta"):
        abstract = Residual()

    assert profile(Residual(), (3, 8, 8)) == profile(abstract, (3, 8, 8))


def test_the_network_is_left_as_it_was() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), CountingNorm())
    network[1].eval()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}

    profile(network, (3, 1, 1))

    assert [True, True, False, True] == [part.training for part in network.modules()]
    assert not any(part._forward_hooks for part in network.modules())
    assert all(parameter.requires_grad for parameter in network.parameters())
    for name, tensor in network.state_dict().items():
        torch.testing.assert_close(before[name], tensor, rtol=0, atol=0)


def test_another_thread_that_trains_is_not_counted() -> None:
    layer, busy = nn.Linear(64, 64), nn.Linear(32, 32)
    stop = threading.Event()

    def train() -> None:
        while not stop.is_set():
            busy(torch.ones(8, 32)).sum().backward()

    thread = threading.Thread(target=train)
    thread.start()
    costs = {profile(layer, (64,)).macs for _ in range(50)}
    stop.set()
    thread.join()

    assert {64 * 64} == costs


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 2, 2), (3,)])
def test_an_input_that_does_not_fit_names_network_and_shape(shape: tuple[int, ...]) -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 5), nn.Flatten())

    with pytest.raises(TaskError, match="Sequential does not take an input of shape") as caught:
        profile(network, shape)

    assert str((1, *shape)) in str(caught.value)
    assert network.training


@pytest.mark.parametrize("shape", [(), (3, 0, 8), (3.5,)])
def test_a_shape_that_is_none_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(TaskError, match="is not a shape"):
        profile(nn.Identity(), shape)


def test_a_lazy_layer_is_refused_by_name() -> None:
    with pytest.raises(TaskError, match="0.weight"):
        profile(nn.Sequential(nn.LazyLinear(3)), (4,))
