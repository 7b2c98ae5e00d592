"""Mistakes in what a trainer is given are named where they are made, and change nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nas_tune.errors import CheckpointError, NasTuneError, TaskError
from nas_tune.space import Architecture, SearchSpace
from nas_tune.supernet import (
    FairPaths,
    GreedyPaths,
    Path,
    Plan,
    Step,
    SuperNet,
    SuperNetRecipe,
    SuperNetTrainer,
    UniformPaths,
)
from tests.supernet.networks import CASES, CLASSES, Chain, architectures, fixed

CASE = CASES[0]
RECIPE = SuperNetRecipe(batch_size=8, lr=0.1)
INPUTS, LABELS = CASE.inputs(40), torch.arange(40) % CLASSES


def _trainer(**arguments: object) -> SuperNetTrainer:
    torch.manual_seed(0)
    given = {"supernet": CASE.make().supernet(), "inputs": INPUTS, "labels": LABELS, "recipe": RECIPE, **arguments}
    return SuperNetTrainer(**given)  # type: ignore[arg-type]


def _copy(trainer: SuperNetTrainer) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in trainer.tensors().items()}


def test_training_for_epochs_lets_the_rate_fall_to_the_end_of_each_call() -> None:
    trainer, losses = _trainer(), list[float]()
    last = trainer.train(2, on_step=losses.append)
    first_plan = trainer.plan
    trainer.train(3)

    assert 10 == len(losses)
    assert pytest.approx(sum(losses[5:]) / 5) == last
    assert (Plan(0, 10), Plan(10, 25), 25) == (first_plan, trainer.plan, trainer.step_count)
    assert 0 == trainer.lr(25) < trainer.lr(24)


@pytest.mark.parametrize("epochs", [0, -1, 1.5, True, "2"], ids=str)
def test_an_impossible_number_of_epochs_is_refused(epochs: object) -> None:
    with pytest.raises(NasTuneError, match=r"`epochs` is .*: give a whole number of at least 1"):
        _trainer().train(epochs)  # type: ignore[arg-type]


def test_averaged_weights_are_there_inside_and_without_an_average_nothing_changes() -> None:
    plain, averaging = _trainer(), _trainer(recipe=replace(RECIPE, averaging=0.9))
    for trainer in (plain, averaging):
        trainer.train(1)
    before = [_copy(trainer) for trainer in (plain, averaging)]
    with plain.averaged(), averaging.averaged():
        inside = [_copy(trainer) for trainer in (plain, averaging)]
    names = [name for name in before[0] if name.startswith("supernet.")]

    assert [0, True] == [
        sum(not torch.equal(a[n], b[n]) for n in names) > 0 for a, b in zip(before, inside, strict=True)
    ]


class Own:
    """A strategy whose answer is given.

    Args:
        answer: Makes what `select` returns.
    """

    def __init__(self, answer: Callable[[Architecture], object]) -> None:
        self.answer = answer

    def select(self, step: Step, space: SearchSpace, rng: np.random.Generator) -> tuple[Path, ...]:
        return self.answer(space.sample(rng))  # type: ignore[return-value]  # the point of it


def test_a_strategy_may_yield_its_paths() -> None:
    def both(architecture: Architecture) -> Iterator[Path]:
        yield Path(architecture)
        yield Path(architecture)

    yielding, whole = _trainer(paths=Own(both)), _trainer(paths=Own(lambda a: (Path(a), Path(a))))

    assert 0 < yielding.step() == whole.step()
    assert all(torch.equal(a, b) for a, b in zip(_copy(yielding).values(), _copy(whole).values(), strict=True))


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda a: None, r"selects None at step 0; a step takes a tuple of `Path`s"),
        (lambda a: a, r"selects .* at step 0; a step takes a tuple of `Path`s"),
        (lambda a: (a,), r"selects .* at step 0; a step takes a tuple of `Path`s"),
        (lambda a: (Path(a, math.inf),), r"selects paths of the weights \[inf\] at step 0"),
        (lambda a: (Path(a, math.nan),), r"selects paths of the weights \[nan\] at step 0"),
        (lambda a: (Path(a, 2.0), Path(a, -1.0)), r"selects paths of the weights \[2\.0, -1\.0\] at step 0"),
    ],
    ids=["none", "architecture", "architectures", "infinite", "nan", "negative"],
)
def test_what_is_no_selection_is_named(answer: Callable[[Architecture], object], message: str) -> None:
    trainer = _trainer(paths=Own(answer))
    before = _copy(trainer)

    with pytest.raises(NasTuneError, match=message):
        trainer.step()
    assert all(torch.equal(before[name], tensor) for name, tensor in trainer.tensors().items())


def test_given_paths_are_not_blamed_on_the_strategy() -> None:
    with pytest.raises(NasTuneError, match="It is given no path of positive weight at step 0"):
        _trainer().step_on([])


def test_a_path_that_breaks_a_constraint_of_the_space_is_not_trained() -> None:
    space = Chain()
    allowed = space.where(lambda a: a["blocks.length"] == 2, "two blocks")
    assert isinstance(allowed, Chain)
    free = next(a for a in architectures(space, 20) if a["blocks.length"] != 2)
    trainer = _trainer(supernet=allowed.supernet(), paths=fixed(free))

    with pytest.raises(NasTuneError, match="selects an architecture that breaks 'two blocks' at step 0"):
        trainer.step()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"supernet": nn.Linear(2, 2)}, "This is a Linear, no super-net: give `space.supernet\\(\\)`"),
        ({"paths": FairPaths}, "give a path strategy, for example `UniformPaths\\(\\)`"),
        ({"paths": "fair"}, "`paths` is 'fair': give a path strategy"),
        ({"inputs": INPUTS.numpy()}, "`inputs` is a ndarray: give a torch tensor"),
        ({"inputs": INPUTS[:0], "labels": LABELS[:0]}, "`inputs` has 0 samples"),
        ({"labels": LABELS[:5]}, r"`inputs` has 40 samples and `labels` the shape \(5,\)"),
        ({"labels": LABELS.float()}, r"`labels` is of torch\.float32"),
        ({"labels": LABELS - 1}, "`labels` is of torch.int64, from -1 on"),
        ({"inputs": torch.full_like(INPUTS, math.nan)}, "`inputs` holds numbers that are not finite"),
        ({"held_out": INPUTS}, "`held_out` is a Tensor: give a pair of inputs and labels"),
        ({"held_out": (INPUTS, LABELS[:3])}, "`held_out` has 40 samples"),
    ],
    ids=["network", "class", "name", "numpy", "empty", "few", "float", "negative", "nan", "no-pair", "uneven"],
)
def test_what_cannot_be_trained_is_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(NasTuneError, match=message):
        _trainer(**arguments)


def test_data_errors_are_task_errors() -> None:
    with pytest.raises(TaskError):
        _trainer(labels=LABELS[:5])


def test_a_strategy_that_learns_is_of_one_trainer() -> None:
    greedy = GreedyPaths(candidates=2, kept=1)
    first = _trainer(paths=greedy, held_out=(INPUTS, LABELS))
    first.step()
    learned = first.facts()["paths"]

    with pytest.raises(NasTuneError, match="learns for another trainer: give each a strategy of its own"):
        _trainer(paths=greedy, held_out=(INPUTS, LABELS))
    assert learned == first.facts()["paths"]
    first.paths = UniformPaths()
    again = _trainer(paths=greedy, held_out=(INPUTS, LABELS))
    assert learned != again.facts()["paths"]


@pytest.mark.parametrize(
    ("other", "name"),
    [
        ({"recipe": replace(RECIPE, optimizer="adamw")}, "optimizer"),
        ({"recipe": replace(RECIPE, averaging=0.5)}, "averaging"),
        ({"seed": 1}, "seed"),
    ],
    ids=["optimizer", "averaging", "seed"],
)
def test_the_state_of_another_training_is_refused_and_changes_nothing(other: dict[str, object], name: str) -> None:
    ours, theirs = _trainer(), _trainer(**other)
    theirs.step()
    before, facts = _copy(ours), ours.facts()

    with pytest.raises(CheckpointError, match=f"of another training: its `{name}` is"):
        ours.load(theirs.tensors(), theirs.facts())
    assert facts == ours.facts()
    assert all(torch.equal(before[n], tensor) for n, tensor in ours.tensors().items())


def test_what_a_learning_strategy_remembers_is_not_given_to_another() -> None:
    greedy = _trainer(paths=GreedyPaths(candidates=2, kept=1), held_out=(INPUTS, LABELS))
    greedy.step()

    with pytest.raises(CheckpointError, match="its `strategy` is 'GreedyPaths', here 'UniformPaths'"):
        _trainer().load(greedy.tensors(), greedy.facts())
    with pytest.raises(CheckpointError, match="no facts of a trainer, they have no `step`"):
        _trainer().load(greedy.tensors(), {})


class Broken(nn.Module):
    """Passes its input on as nan."""

    def forward(self, x: Tensor) -> Tensor:
        return x * math.nan


def test_held_out_accuracy_is_nan_where_logits_are_not_finite() -> None:
    trainer = _trainer(held_out=(INPUTS, LABELS))
    network = trainer.supernet.network
    assert isinstance(network, nn.Sequential) and isinstance(trainer.supernet, SuperNet)
    network.append(Broken())

    assert all(map(math.isnan, trainer._accuracies(architectures(CASE.make(), 2))))
