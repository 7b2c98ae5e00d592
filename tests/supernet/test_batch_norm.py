"""Recalibration of batch norm: closed forms, and what is left alone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from nas_tune.errors import ArchitectureError, TaskError
from nas_tune.search_spaces import NASBench201
from nas_tune.space import Architecture, Categorical, Chooser, ModelSpace
from nas_tune.supernet import Judge, SuperNet, SuperNetRecipe, SuperNetTrainer, recalibrate_batch_norm
from tests.supernet.networks import CASES, Case, Chain, architectures, fixed

cases = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "-"))


def _batches(count: int = 4) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(6 + i, 3, generator=generator) * (i + 1) + i for i in range(count)]


def test_statistics_are_the_mean_over_the_batches_of_their_mean_and_variance() -> None:
    norm = nn.BatchNorm1d(3, momentum=0.3)
    norm.running_mean = torch.full((3,), 77.0)
    batches = _batches()
    recalibrate_batch_norm(norm, iter(batches))

    assert norm.running_mean is not None and norm.running_var is not None
    torch.testing.assert_close(torch.stack([b.mean(0) for b in batches]).mean(0), norm.running_mean)
    torch.testing.assert_close(torch.stack([b.var(0, unbiased=True) for b in batches]).mean(0), norm.running_var)


def test_a_norm_behind_another_sees_what_the_batch_statistics_make_of_it() -> None:
    network = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 2), nn.BatchNorm1d(2))
    batches = _batches()
    recalibrate_batch_norm(network, batches)
    second = network[2]

    normed = [(b - b.mean(0)) / (b.var(0, unbiased=False) + 1e-5).sqrt() for b in batches]
    means = torch.stack([network[1](b).mean(0) for b in normed]).mean(0)
    assert isinstance(second, nn.BatchNorm1d) and second.running_mean is not None
    torch.testing.assert_close(means, second.running_mean)


@cases
def test_only_the_norms_of_the_selection_are_measured(case: Case) -> None:
    supernet = case.trained()
    for seed, architecture in enumerate(architectures(supernet.space, 4, seed=2), start=5):
        before = {name: tensor.clone() for name, tensor in supernet.state_dict().items()}
        with supernet.select(architecture):
            recalibrate_batch_norm(supernet, [case.inputs(16, seed=seed)])
            active = {id(m) for m in supernet.active_modules(supernet.selection(architecture))}
        changed = {name for name, tensor in supernet.state_dict().items() if not torch.equal(before[name], tensor)}

        norms = {
            name: id(m) in active
            for name, m in supernet.named_modules()
            if isinstance(m, (nn.BatchNorm1d, nn.BatchNorm2d))
        }
        measured = {f"{name}.{own}" for name, on in norms.items() if on for own in ("running_mean", "running_var")}
        assert measured <= changed
        assert changed <= measured | {f"{name}.num_batches_tracked" for name, on in norms.items() if on}


@cases
def test_a_recalibrated_path_is_the_extracted_network_recalibrated(case: Case) -> None:
    supernet = case.trained()
    batches = [case.inputs(16, seed=5), case.inputs(16, seed=6)]
    for architecture in architectures(supernet.space, 4, seed=3):
        alone = supernet.extract(architecture)
        recalibrate_batch_norm(alone, batches)
        with supernet.select(architecture):
            recalibrate_batch_norm(supernet, batches)
        x = case.inputs(4)

        torch.testing.assert_close(alone.eval()(x), supernet.eval()(x, architecture), rtol=0, atol=1e-5)


@pytest.mark.parametrize("fails", [False, True])
def test_modes_and_momenta_come_back_as_they_were(fails: bool) -> None:
    network = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3, momentum=0.7), nn.Dropout(), nn.BatchNorm1d(3))
    network.train()
    network[1].eval()  # frozen by its user
    before = [(m.training, getattr(m, "momentum", None)) for m in network.modules()]
    batches = [torch.randn(4, 5 if fails else 3)]

    if fails:
        with pytest.raises(RuntimeError):
            recalibrate_batch_norm(network, batches)
    else:
        recalibrate_batch_norm(network, batches)

    assert before == [(m.training, getattr(m, "momentum", None)) for m in network.modules()]


def test_dropout_rests_and_weights_have_no_gradient() -> None:
    network = nn.Sequential(nn.Dropout(0.9), nn.Linear(3, 3), nn.BatchNorm1d(3)).train()
    batches = _batches(1)
    recalibrate_batch_norm(network, batches)
    norm = network[2]

    assert isinstance(norm, nn.BatchNorm1d) and norm.running_mean is not None
    torch.testing.assert_close(network[1](batches[0]).mean(0).detach(), norm.running_mean)
    assert all(p.grad is None for p in network.parameters())


def test_a_super_net_inside_another_module_has_its_selection_measured_alone() -> None:
    space = NASBench201(channels=2, cells_per_stage=1)
    supernet = space.supernet()
    around = nn.Sequential(nn.BatchNorm2d(3), supernet)
    before = {name: tensor.clone() for name, tensor in around.state_dict().items()}
    with supernet.select(space.from_index(0)):  # every edge `none`
        recalibrate_batch_norm(around, [torch.randn(4, 3, 8, 8)])
    changed = {name for name, tensor in around.state_dict().items() if not torch.equal(before[name], tensor)}

    assert "0.running_mean" in changed
    assert not any("candidates" in name for name in changed)


def test_no_batches_are_refused_and_change_nothing() -> None:
    norm = nn.BatchNorm1d(3)
    norm.running_mean = torch.full((3,), 5.0)

    with pytest.raises(TaskError, match="`batches` is empty"):
        recalibrate_batch_norm(norm, [])
    assert torch.equal(torch.full((3,), 5.0), norm.running_mean)


def test_a_super_net_without_a_selection_is_refused() -> None:
    with pytest.raises(ArchitectureError, match=r"with supernet.select\(architecture\)"):
        recalibrate_batch_norm(NASBench201(channels=2, cells_per_stage=1).supernet(), [torch.randn(2, 3, 8, 8)])


class Shift(nn.Module):
    """Adds a number."""

    def __init__(self, by: float) -> None:
        super().__init__()
        self.by = by

    def forward(self, x: Tensor) -> Tensor:
        return x + self.by


class Shifted(ModelSpace):
    """Two candidates that differ by an offset only; the class is the sign of the normalised input."""

    def __init__(self) -> None:
        super().__init__({"op": Categorical("low", "high")})

    def network(self, choose: Chooser) -> nn.Module:
        op = choose("op", {"low": lambda: Shift(-10.0), "high": lambda: Shift(10.0)})
        head = nn.Linear(1, 2, bias=False)
        with torch.no_grad():
            head.weight.copy_(torch.tensor([[-1.0], [1.0]]))
        return nn.Sequential(op, nn.BatchNorm1d(1, affine=False), head)


def _signs() -> tuple[Tensor, Tensor]:
    x = torch.randn(400, 1, generator=torch.Generator().manual_seed(0))
    x = x - x.mean()
    return x, (x[:, 0] > 0).long()


def _shared() -> SuperNet:
    supernet = Shifted().supernet()
    x, _ = _signs()
    for i in range(200):
        supernet.train()(x, {"op": i % 2})
    return supernet.eval()


@pytest.mark.parametrize("op", ["low", "high"])
def test_without_recalibration_accuracy_is_chance_and_with_it_perfect(op: str) -> None:
    supernet = _shared()
    x, y = _signs()
    architecture = Architecture({"op": op})

    stale = (supernet(x, architecture).argmax(1) == y).float().mean().item()
    judged = Judge(calibration=x, inputs=x, labels=y).accuracies(supernet, [architecture])

    assert 0.4 < stale < 0.6
    assert (1.0,) == judged


@pytest.mark.slow
def test_a_deep_path_has_its_accuracy_back_once_other_paths_have_spoilt_its_statistics() -> None:
    torch.manual_seed(2)
    labels = torch.arange(240) % 3
    x = torch.randn(240, 1, 6, 6) + (labels - 1)[:, None, None, None]
    deep = Architecture({"blocks.length": 6, **{f"blocks.{i}": "conv3" for i in range(6)}})
    trainer = SuperNetTrainer(Chain().supernet(), x, labels, recipe=SuperNetRecipe(lr=0.1), paths=fixed(deep))
    for _ in range(40):
        trainer.step()
    with torch.no_grad():
        for i in range(6):
            shallow = {**deep, **{f"blocks.{j}": "skip" for j in range(6) if j != i}}
            for _ in range(20):
                trainer.supernet.train()(x, Architecture(shallow))

    stale = (trainer.supernet.eval()(x, deep).argmax(1) == labels).float().mean().item()
    (judged,) = Judge(x, x, labels).accuracies(trainer.supernet, [deep])

    assert stale < 0.8 < 0.9 < judged


def test_a_judge_scores_as_the_extracted_network_does() -> None:
    case = CASES[1]
    supernet = case.trained()
    chosen = architectures(supernet.space, 6)
    x, calibration = case.inputs(50, seed=3), case.inputs(33, seed=4)
    labels = torch.arange(50) % 3
    supernet.train()

    expected = list(_alone(supernet, chosen, x, labels, calibration))
    scores = Judge(calibration, x, labels, batch_size=16).accuracies(supernet, chosen)

    assert expected == pytest.approx(scores)
    assert supernet.training


def test_a_norm_that_is_called_twice_averages_over_all_calls() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.BatchNorm1d(3, affine=False)

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.norm(x) + self.norm(2 * x + 1)
            return y

    network, batches = Twice(), _batches()
    recalibrate_batch_norm(network, batches)

    seen = torch.stack([mean for b in batches for mean in (b.mean(0), 2 * b.mean(0) + 1)]).mean(0)
    assert network.norm.running_mean is not None
    torch.testing.assert_close(seen, network.norm.running_mean)
    assert not network.norm._forward_pre_hooks


def _alone(
    supernet: SuperNet, chosen: list[Architecture], x: Tensor, labels: Tensor, calibration: Tensor
) -> Iterator[float]:
    for architecture in chosen:
        network = supernet.extract(architecture)
        recalibrate_batch_norm(network, [calibration[:11], calibration[11:22], calibration[22:]])
        yield (network.eval()(x).argmax(1) == labels).float().mean().item()


@pytest.mark.parametrize("count", [16, 17, 31, 33])
def test_a_judge_measures_batches_of_like_size(count: int) -> None:
    case = CASES[2]  # a table: a batch of one row has no variance
    supernet = case.trained()
    judge = Judge(case.inputs(count), case.inputs(5), torch.zeros(5, dtype=torch.long), batch_size=16)

    (score,) = judge.accuracies(supernet, architectures(supernet.space, 1))

    assert 0 <= score <= 1
