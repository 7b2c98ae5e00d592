"""Recipes of a super-net: schedules, optimisers, published numbers, impossible values."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from nas_tune.errors import NasTuneError, UnknownNameError
from nas_tune.supernet import Plan, SuperNetRecipe, SuperNetTrainer, published
from tests.supernet.networks import CASES, CLASSES


def _trainer(recipe: SuperNetRecipe) -> SuperNetTrainer:
    case = CASES[0]
    return SuperNetTrainer(case.make().supernet(), case.inputs(40), torch.arange(40) % CLASSES, recipe=recipe)


def test_the_learning_rate_falls_along_a_cosine_over_the_plan() -> None:
    trainer = _trainer(SuperNetRecipe(batch_size=8, lr=0.1))
    trainer.plan = Plan(2, 12)

    expected = [0.1 * (1 + math.cos(math.pi * (step - 2) / 10)) / 2 for step in range(2, 13)]
    assert expected == pytest.approx([trainer.lr(step) for step in range(2, 13)])
    assert 0.1 == trainer.lr(2) == trainer.lr(0)
    assert pytest.approx(0.05) == trainer.lr(7)
    assert 0 == trainer.lr(12) == trainer.lr(99)


def test_the_learning_rate_stays_while_there_is_no_plan() -> None:
    trainer = _trainer(SuperNetRecipe(batch_size=8, lr=0.1, warmup_epochs=2))

    assert 0.1 == trainer.lr(0) == trainer.lr(1_000)


def test_a_linear_schedule_falls_by_equal_steps_and_a_constant_one_stays() -> None:
    linear = _trainer(SuperNetRecipe(batch_size=8, lr=0.1, schedule="linear"))
    constant = _trainer(SuperNetRecipe(batch_size=8, lr=0.1, schedule="constant"))
    linear.plan = constant.plan = Plan(0, 10)

    assert [0.1 - 0.01 * step for step in range(11)] == pytest.approx([linear.lr(step) for step in range(11)])
    assert {0.1} == {constant.lr(step) for step in range(11)}


def test_the_rate_rises_linearly_over_the_warm_up_and_falls_over_the_rest() -> None:
    trainer = _trainer(SuperNetRecipe(batch_size=8, lr=0.1, warmup_epochs=2))  # of 5 steps
    trainer.plan = Plan(0, 30)

    assert [0.01 * step for step in range(11)] == pytest.approx([trainer.lr(step) for step in range(11)])
    assert pytest.approx(0.05) == trainer.lr(20)
    assert pytest.approx(0.0) == trainer.lr(30)


def test_a_warm_up_longer_than_the_plan_ends_with_it() -> None:
    trainer = _trainer(SuperNetRecipe(batch_size=8, lr=0.1, warmup_epochs=9))
    trainer.plan = Plan(0, 10)

    assert pytest.approx(0.05) == trainer.lr(5)


def test_biases_and_norms_may_be_left_out_of_weight_decay() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    weight, *rest = network.parameters()
    one = SuperNetRecipe(weight_decay=0.1).make_optimizer(network)
    two = SuperNetRecipe(weight_decay=0.1, decay_all=False).make_optimizer(network)

    assert [0.1] == [group["weight_decay"] for group in one.param_groups]
    assert [(0.1, [weight]), (0.0, rest)] == [(group["weight_decay"], group["params"]) for group in two.param_groups]


def test_the_published_recipes_are_those_of_the_papers() -> None:
    spos, attentive = published("SPOS"), published("AttentiveNAS")

    assert (1024, 0.5, 4e-5, 0.1, "linear") == (
        spos.batch_size,
        spos.lr,
        spos.weight_decay,
        spos.label_smoothing,
        spos.schedule,
    )
    assert (0.1, 1e-5, False, 1.0, 5.0) == (
        attentive.lr,
        attentive.weight_decay,
        attentive.decay_all,
        attentive.clip_value,
        attentive.warmup_epochs,
    )
    with pytest.raises(UnknownNameError, match="no published super-net recipe 'spos'"):
        published("spos")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"lr": -1.0}, "`lr` is -1.0"),
        ({"lr": math.nan}, "`lr` is nan"),
        ({"lr": 0.0}, "`lr` is 0; give a number above 0"),
        ({"clip_norm": 0.0}, "`clip_norm` is 0; give a number above 0"),
        ({"batch_size": 1}, "`batch_size` is 1; it is a whole number of at least 2"),
        ({"batch_size": 8.5}, "`batch_size` is 8.5; it is a whole number of at least 2"),
        ({"momentum": 1.0}, "`momentum` is 1.0; give a number below 1"),
        ({"label_smoothing": 1.5}, "`label_smoothing` is 1.5; give a number below 1"),
        ({"clip_value": 0.0}, "`clip_value` is 0; give a number above 0"),
        ({"averaging": 1.0}, "`averaging` is 1.0; give a number below 1"),
        ({"drop_path": 1.0}, "`drop_path` is 1.0; give a number below 1"),
        ({"most_skipped": 0}, "`most_skipped` is 0; it is a whole number of at least 1"),
        ({"optimizer": "adam"}, r"no `optimizer` of a SuperNetRecipe 'adam'\. Did you mean 'adamw'\?"),
        ({"schedule": "cosin"}, r"no `schedule` of a SuperNetRecipe 'cosin'\. Did you mean 'cosine'\?"),
        ({"precision": "fp16"}, "no `precision` of a SuperNetRecipe 'fp16'"),
        ({"weight_decay": "much"}, "`weight_decay` is 'much'; give a finite number"),
    ],
)
def test_impossible_recipes_are_refused(setting: dict[str, object], message: str) -> None:
    with pytest.raises(NasTuneError, match=message):
        SuperNetRecipe(**setting)  # type: ignore[arg-type]
