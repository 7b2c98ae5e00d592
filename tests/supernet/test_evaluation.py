"""Judging with shared weights: when statistics are measured anew, what is left behind, and too little memory."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from nas_tune.errors import InfeasibleError, NasTuneError, TaskError
from nas_tune.space import Architecture, Categorical, Chooser, ModelSpace, Value
from nas_tune.supernet import Judge, SuperNet, SuperNetRecipe, SuperNetTrainer
from nas_tune.supernet.averaging import Average
from nas_tune.supernet.statistics import Statistics
from tests.supernet.networks import CASES, CLASSES, Case, architectures, odd

cases = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "-"))


class Watched(nn.Module):
    """Passes its input on, remembers the sizes of batches, and has room for no larger ones than `most`."""

    def __init__(self, most: Value, error: Callable[[str], Exception] = torch.OutOfMemoryError) -> None:
        super().__init__()
        self.most, self.error, self.batches = odd(most), error, list[int]()
        self.register_buffer("shift", torch.zeros(3))

    def forward(self, x: Tensor) -> Tensor:
        self.batches.append(len(x))
        if len(x) > self.most:
            raise self.error("CUDA out of memory. Tried to allocate 8.00 GiB")
        assert isinstance(self.shift, Tensor)
        return x + self.shift


class Roomy(ModelSpace):
    """Two candidates by the size of the batch that they have room for, each before a batch norm."""

    def __init__(self, *room: int, error: Callable[[str], Exception] = torch.OutOfMemoryError) -> None:
        super().__init__({"room": Categorical(*room), "op": Categorical("a", "b")})
        self.error = error

    def network(self, choose: Chooser) -> nn.Module:
        def op() -> nn.Module:
            return nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))

        return nn.Sequential(
            nn.Linear(3, 3),
            choose("room", lambda most: Watched(most, self.error)),
            nn.BatchNorm1d(3),
            choose("op", {"a": op, "b": op}),
        )


A, B = (Architecture({"room": 1_000, "op": op}) for op in "ab")
LABELS = torch.arange(60) % CLASSES


def _roomy(*room: int, error: Callable[[str], Exception] = torch.OutOfMemoryError) -> SuperNet:
    torch.manual_seed(0)
    return Roomy(*(room or (1_000,)), error=error).supernet()


def _inputs(seed: int = 0, count: int = 60) -> Tensor:
    return torch.randn(count, 3, generator=torch.Generator().manual_seed(seed)) * 3 + 1


def _batches(supernet: SuperNet) -> list[int]:
    """Return the sizes of batches since it was asked last."""
    found = [size for m in supernet.modules() if isinstance(m, Watched) for size in m.batches]
    for module in supernet.modules():
        if isinstance(module, Watched):
            module.batches.clear()
    return found


def test_an_architecture_is_measured_once_for_other_data_and_other_batches() -> None:
    supernet, statistics = _roomy(), Statistics(_inputs(1, 40), batch_size=20)
    first = Judge(statistics, _inputs(), LABELS)
    second = Judge(statistics, _inputs(2), LABELS, batch_size=30)

    assert first.accuracies(supernet, [A]) == first.accuracies(supernet, [A])
    assert [20, 20, 60, 60] == _batches(supernet)
    found = second.accuracies(supernet, [A, B, A])
    assert [30, 30, 20, 20, 30, 30, 30, 30] == _batches(supernet)
    assert Judge(Statistics(_inputs(1, 40), 20), _inputs(2), LABELS).accuracies(supernet, [A, B, A]) == found


def _train(supernet: SuperNet) -> None:
    SuperNetTrainer(supernet, _inputs(), LABELS, recipe=SuperNetRecipe(batch_size=16)).step()


def _past_autograd(supernet: SuperNet) -> None:
    next(supernet.parameters()).data.add_(0.5)


def _past_torch(supernet: SuperNet) -> None:
    next(supernet.parameters()).detach().numpy()[0, 0] += 0.5


def _load(supernet: SuperNet) -> None:
    supernet.load_state_dict({name: tensor + 1 for name, tensor in supernet.state_dict().items()})


def _shift(supernet: SuperNet) -> None:
    supernet.get_buffer("network.1.candidates.0.shift").add_(0.5)


def _replace(supernet: SuperNet) -> None:
    supernet.network[0] = nn.Linear(3, 3)  # type: ignore[operator]


CHANGES = (_train, _past_autograd, _past_torch, _load, _shift, _replace)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__.strip("_"))
def test_whatever_changes_a_weight_has_it_measured_anew(change: Callable[[SuperNet], None]) -> None:
    supernet, judge = _roomy(), Judge(_inputs(1, 40), _inputs(), LABELS)
    judge.accuracies(supernet, [A, B])
    change(supernet)
    _batches(supernet)

    found = judge.accuracies(supernet, [A, B])

    assert [40, 60, 40, 60] == _batches(supernet)
    assert Judge(_inputs(1, 40), _inputs(), LABELS).accuracies(supernet, [A, B]) == found


def test_a_weight_that_changes_between_two_scores_is_noticed() -> None:
    supernet, judge = _roomy(), Judge(_inputs(1, 40), _inputs(), LABELS)
    expected = []
    for _ in judge.each(supernet, [A, A]):
        expected.append(_batches(supernet))
        _past_autograd(supernet)

    assert [[40, 60], [40, 60]] == expected


def test_statistics_of_applied_averages_are_known_again_and_no_others() -> None:
    supernet, judge = _roomy(), Judge(_inputs(1, 40), _inputs(), LABELS)
    average = Average(dict(supernet.named_parameters()), 0.5)
    _past_autograd(supernet)
    sizes = []
    for applied in (True, True, False):
        if applied:
            with average.applied():
                judge.accuracies(supernet, [A])
        else:
            judge.accuracies(supernet, [A])
        sizes.append(_batches(supernet))

    assert [[40, 60], [60], [40, 60]] == sizes


def test_another_super_net_is_not_taken_for_the_one_before() -> None:
    judge, other = Judge(_inputs(1, 40), _inputs(), LABELS), _roomy()
    judge.accuracies(_roomy(), [A])
    judge.accuracies(other, [A])

    assert [40, 60] == _batches(other)


def test_the_latest_used_are_kept_and_no_more() -> None:
    supernet = _roomy(1_000, 2_000)
    c = Architecture({"room": 2_000, "op": "a"})
    statistics = Statistics(_inputs(1, 40), most=2)
    judge = Judge(statistics, _inputs(), LABELS)
    judge.accuracies(supernet, [A, B, A, c])  # B is the one used longest ago
    _batches(supernet)

    assert 2 == len(statistics)
    judge.accuracies(supernet, [A, c])
    assert [60, 60] == _batches(supernet)
    judge.accuracies(supernet, [B])
    assert [40, 60] == _batches(supernet)


def test_none_are_kept_where_none_are_wanted() -> None:
    supernet, judge = _roomy(), Judge(Statistics(_inputs(1, 40), most=0), _inputs(), LABELS)
    judge.accuracies(supernet, [A, A])

    assert [40, 60, 40, 60] == _batches(supernet)


@cases
def test_kept_statistics_score_as_measured_ones_and_leave_everything_as_it_was(case: Case) -> None:
    supernet = case.trained()
    chosen = architectures(supernet.space, 6)
    x, labels = case.inputs(48, seed=3), torch.arange(48) % CLASSES
    frozen = next(m for m in supernet.modules() if isinstance(m, (nn.BatchNorm1d, nn.BatchNorm2d))).eval()
    before = {name: tensor.clone() for name, tensor in supernet.state_dict().items()}
    modes = [m.training for m in supernet.modules()]
    judge = Judge(x, x, labels, batch_size=16)

    measured, kept = judge.accuracies(supernet, chosen), judge.accuracies(supernet, chosen)

    assert measured == kept == tuple(judge.each(supernet, chosen))
    assert all(torch.equal(before[name], tensor) for name, tensor in supernet.state_dict().items())
    assert modes == [m.training for m in supernet.modules()] and not frozen.training


def test_a_closed_judgement_leaves_everything_as_it_was() -> None:
    supernet = _roomy().train()
    before = {name: tensor.clone() for name, tensor in supernet.state_dict().items()}
    judged = Judge(_inputs(1, 40), _inputs(), LABELS).each(supernet, [A, B])
    next(judged)

    assert not supernet.training
    judged.close()
    assert supernet.training
    assert all(torch.equal(before[name], tensor) for name, tensor in supernet.state_dict().items())


def test_one_that_is_not_finite_is_nan_and_the_others_are_not() -> None:
    supernet = _roomy()
    with torch.no_grad():
        supernet.network.get_submodule("3.candidates.0.0").weight.fill_(math.inf)  # type: ignore[operator]
    judge = Judge(_inputs(1, 40), _inputs(), LABELS)

    first, second = judge.scores(supernet, [A, B])

    assert math.isnan(first.accuracy) and 0 <= second.accuracy <= 1


def _says(message: str) -> Callable[[str], Exception]:
    return lambda _: RuntimeError(message)


ERRORS: dict[str, Callable[[str], Exception]] = {
    "device": torch.OutOfMemoryError,
    "cpu-linux": _says("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes."),
    "cpu-windows": _says("DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes."),
    "cublas": _says("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    "python": MemoryError,
}


@pytest.mark.parametrize("error", tuple(ERRORS.values()), ids=tuple(ERRORS))
def test_a_batch_that_does_not_fit_is_halved_for_those_that_follow_too(error: Callable[[str], Exception]) -> None:
    supernet = _roomy(1_000, 16, error=error)
    small = Architecture({"room": 16, "op": "a"})
    judge = Judge(_inputs(1, 40), _inputs(), LABELS)
    unlimited = Judge(Statistics(_inputs(1, 40), batch_size=10), _inputs(), LABELS, batch_size=15)

    found = judge.accuracies(supernet, [A, small, B])

    assert [40, 60, *[10] * 4, *[15] * 4, 40, 20, *[10] * 4, 60, 30, *[15] * 4] == _batches(supernet)  # A, B; small
    assert (10, 15) == (judge.statistics.batch_size, judge.batch_size)
    assert unlimited.accuracies(supernet, [small]) == found[1:2]
    _batches(supernet)
    judge.accuracies(supernet, [A])
    assert [15] * 4 == _batches(supernet)


def test_one_input_at_a_time_is_the_last_resort() -> None:
    supernet = _roomy(2, 1_000)
    statistics = Statistics(_inputs(1, 8))
    tight = Architecture({"room": 2, "op": "a"})
    Judge(statistics, _inputs(count=5), LABELS[:5]).accuracies(supernet, [tight])
    supernet.network.get_submodule("1.candidates.0").most = 1  # type: ignore[assignment]
    judge = Judge(statistics, _inputs(count=5), LABELS[:5])

    (score,) = judge.accuracies(supernet, [tight])

    assert 0 <= score <= 1
    assert (2, 1) == (statistics.batch_size, judge.batch_size)


@pytest.mark.parametrize("most", [0, 1])
def test_one_that_never_fits_is_infeasible_and_named(most: int) -> None:
    supernet = _roomy(most, 1_000)
    before = {name: tensor.clone() for name, tensor in supernet.state_dict().items()}
    judge = Judge(_inputs(1, 40), _inputs(), LABELS)
    misfit = Architecture({"room": most, "op": "a"})

    with pytest.raises(InfeasibleError, match=rf"room={most}.*does not fit into memory.*activation_bytes"):
        judge.accuracies(supernet, [misfit])
    assert all(torch.equal(before[name], tensor) for name, tensor in supernet.state_dict().items())
    assert (512, 512) == (judge.batch_size, judge.statistics.batch_size)
    assert judge.accuracies(supernet, [A]) == Judge(_inputs(1, 40), _inputs(), LABELS).accuracies(supernet, [A])


def test_other_errors_pass() -> None:
    supernet = _roomy()

    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        Judge(torch.randn(4, 7), _inputs(), LABELS).accuracies(supernet, [A])
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        Judge(_inputs(), torch.randn(60, 7), LABELS).accuracies(supernet, [A])


def test_a_judge_without_inputs_is_refused() -> None:
    with pytest.raises(TaskError, match="60 inputs and 59 labels"):
        Judge(_inputs(), _inputs(), LABELS[1:])
    with pytest.raises(TaskError, match="`calibration` is empty"):
        Judge(_inputs()[:0], _inputs(), LABELS)
    with pytest.raises(NasTuneError, match="`batch_size` is 0"):
        Judge(_inputs(), _inputs(), LABELS, batch_size=0)
