"""Recipes: checked fields, torch's optimisers and schedules."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from nas_tune.errors import TaskError, UnknownNameError
from nas_tune.trials import Recipe


def rates(recipe: Recipe, steps_per_epoch: int) -> list[float]:
    optimizer = recipe.make_optimizer([nn.Parameter(torch.zeros(1))])
    schedule = recipe.make_schedule(optimizer, steps_per_epoch)
    found = []
    for _ in range(recipe.epochs * steps_per_epoch):
        found.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        schedule.step()
    return found


def test_a_cosine_falls_from_the_peak_to_zero() -> None:
    expected = [0.1 * (1 + math.cos(math.pi * step / 8)) / 2 for step in range(8)]

    assert expected == pytest.approx(rates(Recipe(epochs=4, lr=0.1), steps_per_epoch=2))


def test_a_warm_up_rises_linearly_before_the_cosine() -> None:
    expected = [0.001, 0.0505] + [0.1 * (1 + math.cos(math.pi * step / 6)) / 2 for step in range(6)]

    assert expected == pytest.approx(rates(Recipe(epochs=4, lr=0.1, warmup_epochs=1), steps_per_epoch=2))


def test_a_constant_schedule_stays() -> None:
    assert [0.2] * 6 == rates(Recipe(epochs=3, lr=0.2, schedule="constant"), steps_per_epoch=2)


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_one_step_decays_weights_without_gradient(name: str) -> None:
    recipe = Recipe().replace(optimizer=name, lr=0.1, weight_decay=0.5, momentum=0.0)
    weight = nn.Parameter(torch.ones(2))
    weight.grad = torch.zeros(2)

    recipe.make_optimizer([weight]).step()

    assert [0.95, 0.95] == pytest.approx(weight.tolist())


def test_replace_makes_a_new_recipe() -> None:
    recipe = Recipe()

    assert 0.3 == recipe.replace(lr=0.3).lr
    assert Recipe() == recipe


def test_an_unknown_hyperparameter_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'weight_decay'"):
        Recipe().replace(weightdecay=0.1)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0),
        ("epochs", 2.5),
        ("epochs", True),
        ("batch_size", 1),
        ("lr", 0.0),
        ("lr", math.nan),
        ("lr", "fast"),
        ("momentum", 1.0),
        ("weight_decay", -1e-4),
        ("label_smoothing", 1.0),
        ("warmup_epochs", 20),
        ("clip_norm", 0.0),
        ("auxiliary_weight", -0.1),
        ("drop_path", 1.0),
    ],
)
def test_an_impossible_value_names_field_and_value(name: str, value: object) -> None:
    with pytest.raises(TaskError, match=f"`{name}` is {value!r}"):
        Recipe().replace(**{name: value})


@pytest.mark.parametrize("name", ["optimizer", "schedule", "precision"])
def test_an_unknown_choice_lists_the_known(name: str) -> None:
    with pytest.raises(UnknownNameError, match=f"There is no {name} 'other'"):
        Recipe().replace(**{name: "other"})


def test_every_point_of_its_search_space_is_a_recipe() -> None:
    space = Recipe.search_space()
    rng = np.random.default_rng(0)

    for _ in range(50):
        Recipe().replace(**space.sample(rng))


def test_precision_is_full_on_the_cpu_unless_asked() -> None:
    cpu = torch.device("cpu")

    assert Recipe().autocast_dtype(cpu) is None
    assert torch.bfloat16 == Recipe(precision="bf16").autocast_dtype(cpu)
