"""Measured latency of a network."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from nas_tune.costs import Latency, latency
from nas_tune.errors import LatencyError, TaskError


class Counting(nn.Module):
    """Notes how it is run, in a list that its copies share."""

    def __init__(self, runs: list[tuple[bool, bool, tuple[int, ...], torch.dtype, int]]) -> None:
        super().__init__()
        self.runs = Shared(runs)
        self.norm = nn.BatchNorm2d(3)

    def forward(self, x: Tensor) -> Tensor:
        with_gradient = torch.is_grad_enabled()
        self.runs.noted.append((self.training, with_gradient, tuple(x.shape), x.dtype, torch.get_num_threads()))
        return torch.as_tensor(self.norm(x))


class Shared:
    """A list that is not copied with what holds it."""

    def __init__(self, noted: list[tuple[bool, bool, tuple[int, ...], torch.dtype, int]]) -> None:
        self.noted = noted

    def __deepcopy__(self, memo: object) -> Shared:
        return self


def test_every_run_is_in_evaluation_mode_without_gradients_on_the_threads_that_torch_has() -> None:
    runs: list[tuple[bool, bool, tuple[int, ...], torch.dtype, int]] = []
    threads = torch.get_num_threads()

    found = latency(Counting(runs), (3, 5, 4), device="cpu", batch=2, warmup=3, repeats=7)

    assert set(runs) == {(False, False, (2, 3, 5, 4), torch.float32, threads)}
    assert len(runs) == 1 + 3 + 7  # the first checks that the network takes the input
    assert (found.repeats, found.batch, found.device) == (7, 2, "cpu")
    assert torch.is_grad_enabled()


def test_the_module_stays_as_it_was() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout())
    network[2].eval()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    generator = torch.get_rng_state()

    latency(network, (3, 8, 8), device="cpu", repeats=2, dtype=torch.float64)

    assert [part.training for part in network] == [True, True, False]
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}
    assert all(parameter.grad is None and parameter.requires_grad for parameter in network.parameters())
    assert torch.equal(generator, torch.get_rng_state())


def test_the_median_lies_between_the_tenths_and_a_larger_network_takes_longer() -> None:
    small, large = nn.Linear(4, 4), nn.Sequential(*(nn.Linear(600, 600) for _ in range(20)))

    fast = latency(small, (4,), device="cpu", repeats=20)
    slow = latency(large, (600,), device="cpu", batch=8, repeats=20)

    for found in (fast, slow):
        assert 0 < found.low_ms <= found.median_ms <= found.high_ms
    assert fast.median_ms < slow.median_ms


def test_the_spread_is_the_width_of_the_middle_runs_as_a_share_of_the_median() -> None:
    assert Latency(10.0, 9.0, 12.0, 5, 1, "cpu").spread == pytest.approx(0.3)
    assert Latency(0.0, 0.0, 0.0, 5, 1, "cpu").spread == math.inf


def test_tokens_are_whole_numbers_and_half_precision_casts_the_network() -> None:
    assert latency(nn.Embedding(5, 2), (7,), device="cpu", repeats=1, dtype=torch.int64).median_ms > 0
    assert latency(nn.Linear(8, 2), (8,), device="cpu", repeats=1, dtype=torch.bfloat16).median_ms > 0


@pytest.mark.parametrize(
    ("argument", "value", "least"),
    [("batch", 0, 1), ("repeats", 0, 1), ("warmup", -1, 0), ("batch", 1.5, 1), ("repeats", True, 1)],
)
def test_an_impossible_number_of_runs_is_refused(argument: str, value: float, least: int) -> None:
    with pytest.raises(LatencyError, match=f"`{argument}` is {value}: give a whole number from {least} on"):
        latency(nn.Linear(2, 2), (2,), **{argument: value})  # type: ignore[arg-type]


def test_a_network_that_does_not_take_the_input_is_named() -> None:
    with pytest.raises(TaskError, match="Sequential does not take an input of shape"):
        latency(nn.Sequential(nn.Linear(2, 2)), (3,), device="cpu")
    with pytest.raises(TaskError, match="`input_shape` .* is not a shape"):
        latency(nn.Linear(2, 2), (), device="cpu")
    with pytest.raises(TaskError, match="parameters without a shape yet: weight"):
        latency(nn.LazyLinear(2), (3,), device="cpu")


def test_a_device_that_is_missing_or_computes_nothing_is_refused() -> None:
    with pytest.raises(TaskError, match="`device` 'gpu' cannot be used on this machine"):
        latency(nn.Linear(2, 2), (2,), device="gpu")
    with pytest.raises(LatencyError, match="`device` is 'meta', which computes nothing"):
        latency(nn.Linear(2, 2), (2,), device="meta")


def test_a_module_that_cannot_be_copied_is_refused() -> None:
    network = nn.Linear(2, 2)
    network.last = network(torch.zeros(1, 2))

    with pytest.raises(LatencyError, match="Linear cannot be copied: Only Tensors created explicitly"):
        latency(network, (2,), device="cpu")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_is_timed_by_events_and_the_module_stays_where_it_is() -> None:
    network = nn.Conv2d(3, 64, 3)

    found = latency(network, (3, 64, 64), device="cuda", batch=8)

    assert found.device == "cuda"
    assert 0 < found.low_ms <= found.median_ms <= found.high_ms < 1000
    assert network.weight.device.type == "cpu"
