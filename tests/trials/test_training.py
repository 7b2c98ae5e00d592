"""The training loop: it learns, repeats itself under a seed, stops and fails as it says."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nas_tune.errors import DivergedError, TaskError
from nas_tune.search_spaces.darts import DARTS
from nas_tune.supernet.drop_path import DropPath
from nas_tune.trials import EpochResult, Recipe, Split, TrainingResult, evaluate, tasks, train
from tests.trials.networks import Chain, Exploding, blobs

QUICK = Recipe(epochs=3, batch_size=16, lr=0.1)


def convnet(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    space = Chain(channels=8)
    return space.build(space.architecture({"block": "conv3"}))


class Recorder(nn.Module):
    """A linear layer that remembers the sizes of its training batches."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(2, 2)
        self.sizes: list[int] = []

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.sizes.append(len(x))
        return torch.as_tensor(self.linear(x))


def test_a_small_network_learns_digits() -> None:
    task = tasks.digits()

    result = train(convnet(), task.train, replace(QUICK, lr=0.2), validation=task.validation, device="cpu")

    assert [1, 2, 3] == [epoch.epoch for epoch in result.history]
    assert result.history[-1].loss < result.history[0].loss / 2
    assert result.accuracy is not None and result.accuracy > 0.8
    assert result.best_accuracy == max(epoch.accuracy or 0 for epoch in result.history)
    assert not result.stopped_early


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_linear_network_separates_two_blobs(optimizer: str) -> None:
    network, data = nn.Linear(2, 2), blobs()

    train(network, data, QUICK.replace(optimizer=optimizer), device="cpu")

    assert 1.0 == evaluate(network, data)


def test_one_step_of_one_batch_is_torchs_own() -> None:
    data = blobs(samples=8)
    ours = nn.Linear(2, 2)
    theirs = copy.deepcopy(ours)
    recipe = Recipe(epochs=1, batch_size=8, lr=0.3, label_smoothing=0.1, clip_norm=None)

    result = train(ours, data, recipe, device="cpu")
    optimizer = torch.optim.SGD(theirs.parameters(), 0.3, momentum=0.9, weight_decay=5e-4, nesterov=True)
    loss = nn.CrossEntropyLoss(label_smoothing=0.1)(theirs(data.inputs), data.labels)
    loss.backward()
    optimizer.step()

    torch.testing.assert_close(theirs.weight, ours.weight)
    assert float(loss.detach()) == pytest.approx(result.history[0].loss)
    assert 0.3 == result.history[0].lr


def test_clipping_bounds_the_whole_step() -> None:
    network = nn.Linear(2, 2)
    before = copy.deepcopy(network)
    recipe = Recipe(epochs=1, batch_size=96, lr=1.0, momentum=0.0, weight_decay=0.0, clip_norm=0.01)

    train(network, blobs(), recipe, device="cpu")

    pairs = zip(before.parameters(), network.parameters(), strict=True)
    step = torch.cat([(old - new).detach().flatten() for old, new in pairs])
    assert 0.01 == pytest.approx(float(step.norm()), rel=1e-3)


def test_the_same_seed_gives_the_same_weights_bitwise() -> None:
    task = tasks.digits()

    def weights(seed: int) -> Tensor:
        network = convnet()
        network.insert(3, nn.Dropout(0.2))  # type: ignore[operator]
        train(network, task.train, replace(QUICK, epochs=1), seed=seed, device="cpu")
        return torch.cat([tensor.flatten() for tensor in network.parameters()]).detach()

    assert torch.equal(weights(3), weights(3))
    assert not torch.equal(weights(3), weights(4))


def test_training_leaves_torchs_generator_as_it_was() -> None:
    network = nn.Sequential(nn.Dropout(), nn.Linear(2, 2))
    before = torch.get_rng_state()

    train(network, blobs(), QUICK, device="cpu")

    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(("samples", "sizes"), [(33, [16, 16]), (34, [16, 16, 2]), (32, [16, 16]), (9, [9])])
def test_a_last_batch_of_one_is_left_out(samples: int, sizes: list[int]) -> None:
    network = Recorder()

    train(network, blobs(samples), replace(QUICK, epochs=1), device="cpu")

    assert sizes == network.sizes


class OrderSpy(nn.Module):
    """A linear layer that remembers its inputs, one number each."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(1, 2)
        self.seen: list[float] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen += x.flatten().tolist()
        return torch.as_tensor(self.linear(x))


def order(seed: int) -> list[float]:
    """The samples 0..9 as two epochs of training show them."""
    network = OrderSpy()
    data = Split(torch.arange(10.0)[:, None], torch.arange(10) % 2)
    train(network, data, Recipe(epochs=2, batch_size=5, lr=1e-3), seed=seed, device="cpu")
    return network.seen


def test_every_epoch_sees_every_sample_in_another_order() -> None:
    first, second = order(seed=0)[:10], order(seed=0)[10:]

    assert list(range(10)) == sorted(first) == sorted(second)
    assert first != second


def test_the_seed_decides_the_order_of_the_samples() -> None:
    assert order(seed=0) == order(seed=0)
    assert order(seed=0) != order(seed=1)


def test_a_loss_that_is_not_finite_names_step_and_learning_rate() -> None:
    network = Exploding(calls=8)  # six batches an epoch: breaks in step 3 of epoch 2

    with pytest.raises(DivergedError, match="in step 3 of epoch 2, at learning rate 0.1") as caught:
        train(network, blobs(), QUICK.replace(schedule="constant"), device="cpu")

    assert "Lower the learning rate" in str(caught.value)


def test_a_learning_rate_beyond_reason_is_reported_as_divergence() -> None:
    recipe = Recipe(epochs=3, batch_size=16, lr=1e30, clip_norm=None)

    with pytest.raises(DivergedError):
        train(nn.Sequential(nn.Linear(2, 9), nn.Linear(9, 2)), blobs(), recipe, validation=blobs(), device="cpu")


def test_logits_that_are_not_finite_have_no_accuracy() -> None:
    network = nn.Linear(2, 2)
    with torch.no_grad():
        network.bias.fill_(torch.nan)

    with pytest.raises(DivergedError, match="logits that are not finite"):
        evaluate(network, blobs())


def test_patience_ends_a_training_that_does_not_get_better() -> None:
    network, data = nn.Linear(2, 2), blobs()

    result = train(network, data, Recipe(epochs=50, lr=0.3), validation=data, patience=2, device="cpu")

    assert result.stopped_early
    assert result.best_epoch is not None and result.best_epoch + 2 == len(result.history)
    assert result.best_accuracy == result.accuracy


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"patience": 2}, "needs a validation split"),
        ({"patience": 0, "validation": blobs()}, "`patience` is 0"),
        ({"device": "cuda:99"}, "'cuda:99' cannot be used"),
        ({"device": "abacus"}, "'abacus' cannot be used"),
    ],
)
def test_impossible_arguments_get_a_clear_error(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(TaskError, match=message):
        train(nn.Linear(2, 2), blobs(), QUICK, **arguments)  # type: ignore[arg-type]


def test_a_single_sample_or_no_parameter_cannot_be_trained() -> None:
    with pytest.raises(TaskError, match="at least 2 samples"):
        train(nn.Linear(2, 2), blobs(samples=1), QUICK, device="cpu")
    with pytest.raises(TaskError, match="Identity has no parameters"):
        train(nn.Identity(), blobs(), QUICK, device="cpu")


def test_each_epoch_is_told_and_may_end_the_training() -> None:
    told: list[EpochResult] = []

    class Enough(Exception):
        pass

    def on_epoch(result: EpochResult) -> None:
        told.append(result)
        if result.epoch == 2:
            raise Enough

    with pytest.raises(Enough):
        train(nn.Linear(2, 2), blobs(), QUICK, device="cpu", on_epoch=on_epoch)

    assert [1, 2] == [result.epoch for result in told]
    assert [None, None] == [result.accuracy for result in told]


def test_accuracy_is_the_share_of_correct_samples() -> None:
    network = nn.Linear(2, 2, bias=False)
    network.weight.data = torch.eye(2)
    inputs = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 0.0]])
    split = Split(inputs, torch.tensor([0, 1, 1, 0]))

    assert 0.75 == evaluate(network, split) == evaluate(network, split, batch_size=3)


def test_evaluation_leaves_modes_and_batch_norm_as_they_were() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.BatchNorm1d(2))
    network[2].eval()
    before = copy.deepcopy(network.state_dict())

    evaluate(network, blobs())

    assert [True, True, True, False] == [part.training for part in network.modules()]
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


def test_bf16_on_the_cpu_learns_too() -> None:
    network, data = nn.Linear(2, 2), blobs()

    result = train(network, data, replace(QUICK, precision="bf16"), validation=data, device="cpu")

    assert 1.0 == result.accuracy
    assert torch.float32 == network.weight.dtype


def test_convolutions_are_laid_out_channels_last_unless_told_otherwise() -> None:
    data = Split(torch.randn(8, 1, 8, 8), torch.arange(8) % 2)
    ours, plain = convnet(), convnet()

    train(ours, data, replace(QUICK, epochs=1), device="cpu")
    train(plain, data, replace(QUICK, epochs=1), device="cpu", channels_last=False)

    assert ours[3].weight.is_contiguous(memory_format=torch.channels_last)  # type: ignore[index]
    assert plain[3].weight.is_contiguous()  # type: ignore[index]
    torch.testing.assert_close(plain[3].weight, ours[3].weight, rtol=1e-4, atol=1e-5)  # type: ignore[index]


def test_a_network_with_volumes_trains() -> None:
    data = Split(torch.randn(8, 1, 4, 4, 4), torch.arange(8) % 2)
    network = nn.Sequential(nn.Conv3d(1, 2, 3), nn.Flatten(), nn.Linear(16, 2))

    train(network, data, replace(QUICK, epochs=1), device="cpu")


@pytest.mark.parametrize(("stopped", "score"), [(False, 0.6), (True, 0.8)])
def test_the_score_is_the_last_epoch_or_after_an_early_stop_the_best(stopped: bool, score: float) -> None:
    history = tuple(EpochResult(i, 1.0, a, 0.5, 0.1) for i, a in enumerate((0.5, 0.8, 0.8, 0.6), start=1))

    result = TrainingResult.of(history, stopped_early=stopped)

    assert (score, 0.8, 2, 2.0) == (result.accuracy, result.best_accuracy, result.best_epoch, result.seconds)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA here")
def test_cuda_trains_in_bf16_with_the_data_on_the_device() -> None:
    task = tasks.digits()
    network = convnet()

    result = train(network, task.train, replace(QUICK, lr=0.2), validation=task.validation, device="cuda")

    assert result.accuracy is not None and result.accuracy > 0.8
    assert {"cuda"} == {parameter.device.type for parameter in network.parameters()}


class TwoHeads(nn.Module):
    """Two linear layers on the same inputs; in training both answer."""

    def __init__(self) -> None:
        super().__init__()
        self.main, self.auxiliary = nn.Linear(2, 2), nn.Linear(2, 2)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        logits: Tensor = self.main(x)
        return (logits, self.auxiliary(x)) if self.training else logits


@pytest.mark.parametrize("weight", [0.4, 0.0])
def test_the_loss_of_an_auxiliary_head_is_added_by_its_weight(weight: float) -> None:
    data, network = blobs(samples=8), TwoHeads()
    losses = [
        nn.functional.cross_entropy(head(data.inputs), data.labels, label_smoothing=0.1)
        for head in (network.main, network.auxiliary)
    ]
    expected = float((losses[0] + weight * losses[1]).detach())
    recipe = Recipe(epochs=1, batch_size=8, label_smoothing=0.1, auxiliary_weight=weight)

    result = train(network, data, recipe, validation=data, device="cpu")

    assert expected == pytest.approx(result.history[0].loss)
    assert result.accuracy == evaluate(network, data)


def test_drop_path_rises_linearly_over_the_epochs() -> None:
    path = DropPath()
    network = nn.Sequential(nn.Linear(2, 2), nn.Unflatten(1, (2, 1, 1)), path, nn.Flatten())
    rates: list[float] = []

    train(
        network,
        blobs(),
        replace(QUICK, epochs=4, drop_path=0.2),
        device="cpu",
        on_epoch=lambda _: rates.append(path.rate),
    )

    assert [0.0, 0.05, 0.1, 0.15] == pytest.approx(rates)


def test_a_recipe_without_drop_path_leaves_the_rates_as_they_are() -> None:
    path = DropPath(0.3)
    network = nn.Sequential(nn.Linear(2, 2), nn.Unflatten(1, (2, 1, 1)), path, nn.Flatten())

    train(network, blobs(), QUICK, device="cpu")

    assert 0.3 == path.rate


@pytest.mark.slow
def test_a_cell_network_with_auxiliary_head_and_drop_path_learns_digits() -> None:
    task = tasks.digits()
    space = DARTS(channels=8, cells=3, nodes=2, auxiliary=True)
    recipe = Recipe(epochs=4, lr=0.1, drop_path=0.1)
    torch.manual_seed(0)
    network = space.build(space.sample(np.random.default_rng(0)))

    result = train(network, task.train, recipe, validation=task.validation, device="cpu")

    assert result.accuracy is not None and result.accuracy > 0.8
