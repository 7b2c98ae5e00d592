"""Progressive shrinking: what each phase opens, and how its paths are drawn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from scipy.stats import chisquare
from torch import nn

from nas_tune.errors import InfeasibleError, NasTuneError, SpaceError, UnknownNameError
from nas_tune.search_spaces import AttentiveNAS
from nas_tune.space import (
    Architecture,
    Categorical,
    Chooser,
    Float,
    Integer,
    ModelSpace,
    Repeat,
    SearchSpace,
    Switch,
)
from nas_tune.supernet import SoftTargets
from nas_tune.supernet.paths import Path, Phase, ProgressiveShrinking, largest
from tests.supernet.networks import Chain, moment

SPACE = AttentiveNAS()
LENGTHS = (180, 120, 25, 120, 25, 120)
MIDDLES = tuple(sum(LENGTHS[:place]) + length // 2 for place, length in enumerate(LENGTHS))
SMALL = SearchSpace({"kernel": Integer(3, 7, step=2), "depth": Integer(1, 4), "width": Categorical(8, 32, 16)})


def _drawn(
    paths: ProgressiveShrinking, space: SearchSpace, done: int, steps: int = 60, end: int = sum(LENGTHS)
) -> Iterator[Architecture]:
    for seed in range(steps):
        for path in paths.select(moment(done, end=end, input_shape=(1, 6, 6)), space, np.random.default_rng(seed)):
            assert Path(path.architecture) == path
            yield path.architecture


def _open(name: str, values: list[int], phase: int) -> set[int]:
    """Return which values the published curriculum opens in a phase."""
    kind = name.rpartition(".")[2]
    if kind == "resolution":
        return {*values}
    first = {"kernel": 1, "depth": 2, "width": 4, "expand": 4}[kind]
    if phase < first:
        return {max(values)}
    return {*sorted(values)[-2:]} if phase == first > 1 else {*values}


@pytest.mark.parametrize("phase", range(6), ids=["full", "kernel", "depth-1", "depth-2", "width-1", "width-2"])
def test_the_published_phases_open_kernels_then_depths_then_widths(phase: int) -> None:
    chosen = list(_drawn(ProgressiveShrinking(), SPACE, MIDDLES[phase]))

    for name, parameter in SPACE.parameters().items():
        values: list[Any] = list(parameter.values)
        assert _open(name, values, phase) == {a[name] for a in chosen}, name


def test_the_published_phases_have_one_path_then_two_then_four() -> None:
    counts = [len(list(_drawn(ProgressiveShrinking(), SPACE, middle, steps=1))) for middle in MIDDLES]

    assert [1, 1, 2, 2, 4, 4] == counts


def test_lengths_are_shares_of_the_schedule_or_epochs() -> None:
    phases = (Phase((), 1), Phase(("*",), 3))
    shares, epochs = ProgressiveShrinking(phases), ProgressiveShrinking(phases, unit="epochs")
    steps = [moment(number, end=100, steps_per_epoch=10) for number in (0, 9, 10, 24, 25, 99, 100)]

    assert [0, 0, 0, 0, 1, 1, 1] == [shares.phase(step) for step in steps]
    assert [0, 0, 1, 1, 1, 1, 1] == [epochs.phase(step) for step in steps]
    assert 0 == shares.phase(moment(50, end=0))  # there is no schedule
    assert 1 == epochs.phase(moment(5_000, end=0))


def test_open_decisions_are_drawn_uniformly_and_independently() -> None:
    chosen = list(_drawn(ProgressiveShrinking(), SMALL, MIDDLES[3], steps=1_500))
    counts = Counter((a["kernel"], a["depth"]) for a in chosen)

    assert {32} == {a["width"] for a in chosen}
    assert 12 == len(counts)
    assert chisquare(list(counts.values())).pvalue > 0.01


def test_lengths_of_a_repeat_are_equally_likely_whatever_lies_below_them() -> None:
    space = SearchSpace({"blocks": Repeat(Integer(1, 9), 1, 4)})
    paths = ProgressiveShrinking((Phase(("blocks.length",), 1), Phase(("*",), 1)))
    chosen = list(_drawn(paths, space, 0, steps=2_000, end=10))
    counts = Counter(a["blocks.length"] for a in chosen)

    assert {9} == {value for a in chosen for name, value in a.items() if name != "blocks.length"}
    assert chisquare([counts[length] for length in (1, 2, 3, 4)]).pvalue > 0.01


def test_a_closed_decision_without_order_is_as_in_the_largest_network() -> None:
    paths = ProgressiveShrinking((Phase(("*.length",), 1), Phase(("*",), 1)))
    closed = list(_drawn(paths, Chain(), 0, end=10))
    opened = list(_drawn(paths, Chain(), 9, end=10))

    assert {2, 3, 4, 5, 6} == {a["blocks.length"] for a in closed}
    assert {"conv5"} == {value for a in closed for name, value in a.items() if name != "blocks.length"}
    assert {"conv3", "conv5", "skip"} == {value for a in opened for value in a.values() if isinstance(value, str)}


class Forked(ModelSpace):
    """One of two branches, of which the smaller has an activation to choose."""

    def __init__(self) -> None:
        small = SearchSpace({"act": Categorical("relu", "tanh")})
        super().__init__({"kind": Switch({"small": small, "large": SearchSpace({})})})

    def network(self, choose: Chooser) -> nn.Module:
        acts = {"relu": nn.ReLU, "tanh": nn.Tanh}
        branches = {
            "small": lambda: nn.Sequential(nn.Linear(4, 4), choose("kind.small.act", acts)),
            "large": lambda: nn.Sequential(nn.Linear(4, 9), nn.Linear(9, 4)),
        }
        return choose("kind", branches)


def test_in_a_branch_that_the_largest_network_lacks_it_is_drawn() -> None:
    paths = ProgressiveShrinking((Phase(("kind",), 1), Phase(("*",), 1)))
    chosen = [
        path.architecture
        for seed in range(60)
        for path in paths.select(moment(input_shape=(4,)), Forked(), np.random.default_rng(seed))
    ]

    assert {"small", "large"} == {a["kind"] for a in chosen}
    assert {"relu", "tanh"} == {a["kind.small.act"] for a in chosen if a["kind"] == "small"}


def test_a_closed_number_without_a_grid_is_at_its_end() -> None:
    space = SearchSpace({"rate": Float(0.0, 0.5), "depth": Integer(1, 2)})
    paths = ProgressiveShrinking((Phase(("depth",), 1), Phase(("rate",), 1)))

    assert {0.5} == {a["rate"] for a in _drawn(paths, space, 0, end=10)}
    assert 60 == len({a["rate"] for a in _drawn(paths, space, 9, end=10)})


def test_the_largest_network_teaches_from_the_phase_on_that_opens_something() -> None:
    paths = ProgressiveShrinking((Phase((), 1), Phase(("*",), 1, paths=2)), distillation=SoftTargets())
    before, after = (
        paths.select(moment(done, end=10, input_shape=(1, 6, 6)), Chain(), np.random.default_rng(0)) for done in (0, 9)
    )

    most = largest(Chain(), (1, 6, 6))
    assert {"conv5", 6} == {*most.values()}
    assert (Path(most),) == before
    assert Path(most) == after[0]
    assert [SoftTargets()] * 2 == [path.distillation for path in after[1:]]


def test_paths_meet_the_constraints_of_the_space() -> None:
    space = SMALL.where(lambda a: a["kernel"] != 5, "no kernel of 5")
    paths = ProgressiveShrinking((Phase(("kernel",), 1), Phase(("*",), 1)))
    none = SMALL.where(lambda a: a["width"] != 32, "no width of 32")

    assert {3, 7} == {a["kernel"] for a in _drawn(paths, space, 0, end=10)}
    with pytest.raises(InfeasibleError, match=r"phase 0 .* 'no width of 32' refused 1,000"):
        list(_drawn(paths, none, 0, end=10))


@pytest.mark.parametrize(
    ("phases", "message"),
    [
        ((Phase(("*kernl",), 1), Phase(("*",), 1)), "opens no parameter"),
        ((Phase(("kernel", "depth"), 1),), "No phase .* opens `width`"),
    ],
    ids=["misspelt", "forgotten"],
)
def test_a_curriculum_that_does_not_fit_the_space_is_refused(phases: tuple[Phase, ...], message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        next(_drawn(ProgressiveShrinking(phases), SMALL, 0))


def test_values_without_an_order_are_not_counted() -> None:
    paths = ProgressiveShrinking((Phase(("*",), 1, values=2),))

    with pytest.raises(SpaceError, match=r"`blocks\.0`, which have no order"):
        next(_drawn(paths, Chain(), 0))


def test_arguments_are_checked() -> None:
    for wrong in ({"length": 0}, {"length": float("inf")}, {"values": 0}, {"paths": True}, {"opens": "*"}):
        with pytest.raises(NasTuneError, match="Phase"):
            Phase(**{"opens": ("*",), "length": 1, **wrong})  # type: ignore[arg-type]  # one of them is a mistake
    with pytest.raises(NasTuneError, match="`phases` is empty"):
        ProgressiveShrinking(())
    with pytest.raises(UnknownNameError, match="epochs"):
        ProgressiveShrinking(unit="epoch")  # type: ignore[arg-type]  # the mistake


def test_equal_curricula_have_equal_texts() -> None:
    assert repr(ProgressiveShrinking()) == repr(ProgressiveShrinking())
    assert "Phase(opens=('*kernel',), length=120, values=None, paths=1)" in repr(ProgressiveShrinking())
    assert ProgressiveShrinking() == ProgressiveShrinking() != ProgressiveShrinking(unit="epochs")
