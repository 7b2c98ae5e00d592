"""Warm-up: when it ends, and whose memory it keeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch

from nas_tune.errors import NasTuneError
from nas_tune.space import SearchSpace
from nas_tune.supernet import SuperNetRecipe, SuperNetTrainer
from nas_tune.supernet.paths import FairPaths, LearningPaths, Path, Paths, SandwichPaths, Step, UniformPaths, WarmUp
from tests.supernet.networks import CLASSES, Chain, fixed, moment

CHAIN = Chain()
ONE, OTHER = (CHAIN.sample(np.random.default_rng(seed)) for seed in (1, 2))


@dataclass(frozen=True)
class Counting:
    """Selects one architecture and remembers the steps at which it was asked."""

    seen: list[int] = field(default_factory=list, compare=False, repr=False)

    def select(self, step: Step, space: SearchSpace, rng: np.random.Generator) -> tuple[Path, ...]:
        self.seen.append(step.number)
        return (Path(OTHER),)

    def memory(self) -> Mapping[str, object]:
        return {"seen": list(self.seen)} if self.seen else {}

    def remember(self, memory: Mapping[str, object]) -> None:
        self.seen[:] = memory.get("seen", [])  # type: ignore[call-overload]  # as `memory` returns it


def _turns(paths: Paths, steps: int) -> list[bool]:
    """Say for each step whether it is warmed up."""
    rng = np.random.default_rng(0)
    return [(Path(OTHER),) == paths.select(moment(number, steps_per_epoch=4), CHAIN, rng) for number in range(steps)]


def test_it_ends_after_a_number_of_steps_or_epochs() -> None:
    assert [False] * 3 + [True] * 5 == _turns(WarmUp(fixed(OTHER), steps=3, first=fixed(ONE)), 8)
    assert [False] * 6 + [True] * 2 == _turns(WarmUp(fixed(OTHER), epochs=1.5, first=fixed(ONE)), 8)
    assert [True] * 3 == _turns(WarmUp(fixed(OTHER), steps=0, first=fixed(ONE)), 3)


def test_it_is_uniform_by_default_and_the_strategy_afterwards_sees_the_true_step() -> None:
    counting = Counting()
    paths = WarmUp(counting, steps=2)
    (first,) = paths.select(moment(0), CHAIN, np.random.default_rng(4))
    for number in (1, 2, 3):
        paths.select(moment(number), CHAIN, np.random.default_rng(4))

    assert CHAIN.sample(np.random.default_rng(4)) == first.architecture
    assert [2, 3] == counting.seen


def test_it_keeps_the_memory_of_a_strategy_that_learns() -> None:
    paths, again = WarmUp(Counting(), steps=1), WarmUp(Counting(), steps=1)
    _turns(paths, 4)
    again.remember(paths.memory())

    assert isinstance(paths, LearningPaths)
    assert {"paths": {"seen": [1, 2, 3]}} == paths.memory() == again.memory()
    again.remember({})
    assert {} == again.memory()


def test_both_strategies_may_learn_and_warm_ups_may_be_nested() -> None:
    inner = WarmUp(Counting(), steps=4, first=Counting())
    paths = WarmUp(inner, steps=2, first=fixed(ONE))
    _turns(paths, 6)
    again = WarmUp(WarmUp(Counting(), steps=4, first=Counting()), steps=2, first=fixed(ONE))
    again.remember(paths.memory())

    assert {"paths": {"paths": {"seen": [4, 5]}, "first": {"seen": [2, 3]}}} == again.memory()


def test_what_learns_nothing_has_no_memory() -> None:
    paths = WarmUp(SandwichPaths(), epochs=1, first=FairPaths())
    paths.remember({})

    assert {} == paths.memory()


def test_a_trainer_keeps_the_memory_in_its_facts() -> None:
    recipe = SuperNetRecipe(batch_size=8)
    inputs, labels = torch.randn(16, 1, 6, 6), torch.arange(16) % CLASSES
    trainer, again = (
        SuperNetTrainer(Chain().supernet(), inputs, labels, paths=WarmUp(Counting(), steps=1), recipe=recipe)
        for _ in range(2)
    )
    for _ in range(3):
        trainer.step()
    again.load(trainer.tensors(), trainer.facts())

    assert {"paths": {"seen": [1, 2]}} == trainer.facts()["paths"] == again.facts()["paths"]


@pytest.mark.parametrize("length", [{}, {"steps": 1, "epochs": 1.0}, {"steps": -1}, {"epochs": float("nan")}], ids=str)
def test_exactly_one_length_is_given(length: dict[str, float]) -> None:
    with pytest.raises(NasTuneError, match="WarmUp"):
        WarmUp(UniformPaths(), **length)  # type: ignore[arg-type]  # one of them is a mistake


def test_equal_warm_ups_have_equal_texts() -> None:
    assert "WarmUp(paths=FairPaths(fairness='strict'), steps=5, epochs=None, first=UniformPaths())" == repr(
        WarmUp(FairPaths(), steps=5)
    )
    assert WarmUp(FairPaths(), steps=5) == WarmUp(FairPaths(), steps=5) != WarmUp(FairPaths(), epochs=5)
