"""Trainings of a tiny elastic super-net under a strategy, and what is left when one is resumed."""

from __future__ import annotations

import json
from collections.abc import Callable

import torch
from torch import Tensor

from nas_tune.supernet import Paths, SuperNetRecipe, SuperNetTrainer
from tests.supernet.elastic.networks import WIDTHS, Sized, chain_of_layers, images

INPUT_SHAPE = (2, 6, 6)
RECIPE = SuperNetRecipe(batch_size=8, lr=0.05)


def space() -> Sized:
    """Return a space of 100 elastic networks."""
    return Sized(WIDTHS, chain_of_layers)


def trainer_of(
    paths: Paths, own: Sized | None = None, *, recipe: SuperNetRecipe = RECIPE, held_out: bool = True
) -> SuperNetTrainer:
    """Return a trainer of 4 steps per epoch whose inputs, labels and weights are always the same."""
    torch.manual_seed(0)
    supernet = (own or space()).supernet()
    labels = torch.arange(32) % 3
    inputs = images(32, *INPUT_SHAPE) + labels[:, None, None, None] / 2
    return SuperNetTrainer(
        supernet, inputs, labels, paths=paths, recipe=recipe, held_out=(inputs[:24], labels[:24]) if held_out else None
    )


def trained(trainer: SuperNetTrainer, steps: int) -> SuperNetTrainer:
    for _ in range(steps):
        trainer.step()
    return trainer


def assert_resumes_bitwise(make: Callable[[Sized], Paths], before: int, after: int) -> None:
    """Compare a training with one that another process, which knows the checkpoint alone, ends."""
    own = space()
    undisturbed = trained(trainer_of(make(own), own), before + after)
    first = trained(trainer_of(make(own), own), before)
    other = space()
    second = trainer_of(make(other), other)
    second.load(first.tensors(), json.loads(json.dumps(first.facts())))
    trained(second, after)

    assert undisturbed.facts() == second.facts()
    _assert_equal(undisturbed.tensors(), second.tensors())


def _assert_equal(expected: dict[str, Tensor], actual: dict[str, Tensor]) -> None:
    assert expected.keys() == actual.keys()
    assert [] == [name for name, tensor in expected.items() if not torch.equal(tensor, actual[name])]
