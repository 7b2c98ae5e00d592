"""Where a super-net is split: gradients whose conflict is known by hand, and partitions against all labellings."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from nas_tune.errors import InfeasibleError, NasTuneError, SpaceError
from nas_tune.space import Architecture, Categorical, Chooser, ModelSpace, SearchSpace, Switch, Value
from nas_tune.supernet.few_shot import Split, split
from nas_tune.supernet.gradient_conflict import balanced_partitions, best_partition, choose_split, gradient_similarity
from tests.supernet.elastic.networks import WIDTHS, Sized, chain_of_layers
from tests.supernet.networks import CASES, conv, odd


class Times(nn.Module):
    """Multiplies by a number."""

    def __init__(self, factor: Value) -> None:
        super().__init__()
        self.factor = float(odd(factor))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor


class Pulled(ModelSpace):
    """`logits = scale * gain * W x`: at W = 0 its gradient is `scale * gain` times the same matrix for all."""

    def __init__(self, scales: tuple[int, ...] = (1, -1, 2, -2), gains: tuple[int, ...] = (1, 2, 3)) -> None:
        super().__init__({"gain": Categorical(*gains), "scale": Categorical(*scales)})

    def network(self, choose: Chooser) -> nn.Module:
        shared = nn.Linear(3, 2, bias=False)
        nn.init.zeros_(shared.weight)
        return nn.Sequential(shared, choose("gain", Times), choose("scale", Times))


def _data(count: int = 20) -> tuple[Tensor, Tensor]:
    return torch.randn(count, 3, generator=torch.Generator().manual_seed(0)), torch.arange(count) % 2


def test_values_that_need_opposite_weights_have_cosine_minus_one() -> None:
    supernet = Pulled().supernet()
    signs = np.sign([1, -1, 2, -2])

    by_scale = gradient_similarity(supernet, *_data(), "scale", rng=np.random.default_rng(0))
    by_gain = gradient_similarity(supernet, *_data(), "gain", rng=np.random.default_rng(0))

    np.testing.assert_allclose(by_scale, np.outer(signs, signs), atol=1e-6)
    np.testing.assert_allclose(by_gain, np.ones((3, 3)), atol=1e-6)


def test_the_decision_in_conflict_is_split_between_those_that_agree() -> None:
    chosen = choose_split(Pulled().supernet(), *_data(), rng=np.random.default_rng(0))

    assert Split("scale", ((1, 2), (-1, -2))) == chosen


def test_a_part_is_split_among_the_values_that_are_left_to_it() -> None:
    divided = split(Pulled().supernet(), Split("scale", ((1, 2, -2), (-1,))))

    within = choose_split(divided, *_data(), decisions=["scale"], part=(0,), rng=np.random.default_rng(0))
    without = choose_split(divided, *_data(), part=(1,), rng=np.random.default_rng(0))

    assert Split("scale", ((1, 2), (-2,)), part=(0,)) == within
    assert without.decision == "gain"
    with pytest.raises(SpaceError, match="name one of its 2 parts"):
        choose_split(divided, *_data(), rng=np.random.default_rng(0))


class Mixed(ModelSpace):
    """One decision with batch norm in some candidates."""

    def __init__(self) -> None:
        super().__init__({"op": Categorical("conv3", "conv5", "skip")})

    def network(self, choose: Chooser) -> nn.Module:
        op = choose("op", {"conv3": lambda: conv(4, 3), "conv5": lambda: conv(4, 5), "skip": nn.Identity})
        return nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), op, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)
        )


def test_cosines_are_those_of_the_extracted_networks_over_what_is_outside_the_choice() -> None:
    torch.manual_seed(0)
    supernet = Mixed().supernet()
    x, y = torch.randn(24, 1, 6, 6), torch.arange(24) % 3
    gradients = []
    for op in ("conv3", "conv5", "skip"):
        network = supernet.extract(Architecture({"op": op})).train()
        shared = [p for name, p in network.named_parameters() if not name.startswith("2.")]
        found = torch.autograd.grad(cross_entropy(network(x), y), shared)
        gradients.append(torch.cat([g.flatten() for g in found]).double())
    expected = [[float(torch.cosine_similarity(a, b, dim=0)) for a in gradients] for b in gradients]

    similarity = gradient_similarity(supernet, x, y, "op", completions=2, rng=np.random.default_rng(0))

    np.testing.assert_allclose(similarity, expected, atol=1e-5)
    assert abs(similarity[0, 1]) < 0.999


def test_measuring_conflict_leaves_no_trace() -> None:
    case = CASES[1]
    supernet = case.trained()
    supernet.network.get_submodule("head").eval()
    before = {name: tensor.clone() for name, tensor in supernet.state_dict().items()}
    modes, state = [m.training for m in supernet.modules()], torch.get_rng_state()
    supernet.zero_grad()

    choose_split(supernet, case.inputs(16), torch.arange(16) % 3, completions=2, rng=np.random.default_rng(0))

    assert all(torch.equal(before[name], tensor) for name, tensor in supernet.state_dict().items())
    assert modes == [m.training for m in supernet.modules()]
    assert torch.equal(state, torch.get_rng_state())
    assert all(p.grad is None for p in supernet.parameters())


def test_equal_generators_choose_equally() -> None:
    case = CASES[0]
    supernet = case.trained()

    def chosen(seed: int) -> Split:
        rng = np.random.default_rng(seed)
        return choose_split(supernet, case.inputs(16), torch.arange(16) % 3, completions=2, rng=rng)

    assert chosen(3) == chosen(3)


def test_elastic_sizes_and_decisions_that_open_others_can_be_compared() -> None:
    torch.manual_seed(0)
    widths = Sized(WIDTHS, chain_of_layers).supernet()
    images, labels = torch.randn(8, 2, 9, 9), torch.arange(8) % 3
    branches = CASES[1].trained()
    rng = np.random.default_rng(0)

    for similarity in (
        gradient_similarity(widths, images, labels, "kernel", completions=2, rng=rng),
        gradient_similarity(branches, CASES[1].inputs(8), labels, "right", completions=2, rng=rng),
        gradient_similarity(branches, CASES[1].inputs(8), labels, "tail.length", completions=2, rng=rng),
    ):
        assert np.abs(similarity).max() <= 1 + 1e-12
        np.testing.assert_array_equal(similarity, similarity.T)
        np.testing.assert_array_equal(similarity.diagonal(), 1.0)


class Recorder(Times):
    """Remembers the factors that were run."""

    run: ClassVar[set[float]] = set()

    def forward(self, x: Tensor) -> Tensor:
        self.run.add(self.factor)
        return super().forward(x)


class Recorded(Pulled):
    """`Pulled`, its gains recorded."""

    def network(self, choose: Chooser) -> nn.Module:
        return nn.Sequential(nn.Linear(3, 2), choose("gain", Recorder), choose("scale", Times))


def test_only_feasible_architectures_are_compared() -> None:
    rng = np.random.default_rng(0)
    small = Recorded().where(lambda a: abs(odd(a["gain"]) * odd(a["scale"])) < 5, "small")  # no gain of 3
    never = Pulled().where(lambda a: a["scale"] != 1, "no 1")

    gradient_similarity(small.supernet(), *_data(), "scale", completions=20, rng=rng)

    assert {1.0, 2.0} == Recorder.run
    with pytest.raises(InfeasibleError, match="every value of `scale`"):
        gradient_similarity(never.supernet(), *_data(), "scale", rng=rng)


@pytest.mark.parametrize(("count", "groups"), [(2, 2), (3, 2), (5, 2), (6, 3), (7, 3), (8, 2), (8, 4)])
def test_balanced_partitions_are_counted_by_the_multinomial(count: int, groups: int) -> None:
    found = list(balanced_partitions(count, groups))
    sizes = [count // groups + (i < count % groups) for i in range(groups)]
    number = math.factorial(count)
    for size, times in Counter(sizes).items():
        number //= math.factorial(size) ** times * math.factorial(times)

    assert number == len(found) == len({frozenset(map(frozenset, partition)) for partition in found})
    assert all(sorted(sizes) == sorted(map(len, p)) and sorted(sum(p, ())) == list(range(count)) for p in found)


@pytest.mark.parametrize(("count", "groups"), [(4, 2), (5, 2), (6, 3)])
def test_the_best_partition_is_that_of_all_labellings(count: int, groups: int) -> None:
    similarity = np.random.default_rng(count).uniform(-1, 1, (count, count))
    similarity = similarity + similarity.T

    def cut(labels: tuple[int, ...]) -> float:
        return float(np.mean([similarity[i, j] for i, j in _pairs(count) if labels[i] != labels[j]]))

    balanced = [
        labels
        for labels in itertools.product(range(groups), repeat=count)
        if max(n := [labels.count(g) for g in range(groups)]) - min(n) <= 1
    ]
    cost, partition = best_partition(similarity, groups)

    assert min(map(cut, balanced)) == pytest.approx(cost)
    assert cost == pytest.approx(cut(tuple(next(g for g, p in enumerate(partition) if i in p) for i in range(count))))


def _pairs(count: int) -> list[tuple[int, int]]:
    return list(itertools.combinations(range(count), 2))


OPTIONAL: Mapping[str, SearchSpace] = {"on": SearchSpace({"scale": Categorical(1, 2)}), "off": SearchSpace({})}


class Optional(ModelSpace):
    """A decision that only some architectures have."""

    def __init__(self) -> None:
        super().__init__({"branch": Switch(OPTIONAL)})

    def network(self, choose: Chooser) -> nn.Module:
        on = {"on": lambda: choose("branch.on.scale", Times), "off": nn.Identity}
        return nn.Sequential(nn.Linear(3, 2), choose("branch", on))


def test_what_cannot_be_split_is_said() -> None:
    rng = np.random.default_rng(0)

    with pytest.raises(SpaceError, match="`branch.on.scale` is no decision that every architecture has: branch"):
        gradient_similarity(Optional().supernet(), *_data(), "branch.on.scale", rng=rng)
    with pytest.raises(SpaceError, match="No decision has 5 to 12 values"):
        choose_split(Pulled().supernet(), *_data(), groups=5, rng=rng)
    with pytest.raises(NasTuneError, match="`groups` is 1"):
        choose_split(Pulled().supernet(), *_data(), groups=1, rng=rng)
