"""The moving average of the weights, and what else a step may do: clip values, drop paths, run in bf16."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path as FilePath

import pytest
import torch
from torch import Tensor, nn

from nas_tune.search_spaces import DARTS
from nas_tune.supernet import Path, Plan, SoftTargets, SuperNetRecipe, SuperNetTrainer
from nas_tune.supernet.averaging import Average
from nas_tune.supernet.checkpoint import read_checkpoint, write_checkpoint
from nas_tune.supernet.drop_path import DropPath
from tests.supernet.networks import CASES, CLASSES, FixedPaths, architectures

CASE = CASES[1]
RECIPE = SuperNetRecipe(batch_size=8, lr=0.1, averaging=0.9)


def _trainer(recipe: SuperNetRecipe, weights: int = 0) -> SuperNetTrainer:
    torch.manual_seed(weights)
    return SuperNetTrainer(CASE.make().supernet(), CASE.inputs(40), torch.arange(40) % CLASSES, recipe=recipe)


def _weights(trainer: SuperNetTrainer) -> dict[str, Tensor]:
    return {name: weight.detach().clone() for name, weight in trainer.supernet.named_parameters()}


def test_the_average_is_the_recursion_of_its_definition() -> None:
    weight = nn.Parameter(torch.tensor([1.0, 2.0]))
    average, expected = Average({"w": weight}, 0.5), weight.detach().clone()
    for step in range(30):
        with torch.no_grad():
            weight.add_(1.0)
        average.update()
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * weight.detach()

        torch.testing.assert_close(expected, average.tensors["w"])


def test_the_average_is_applied_inside_and_gone_afterwards() -> None:
    trainer = _trainer(RECIPE)
    for _ in range(5):
        trainer.step()
    before = _weights(trainer)
    assert trainer.average is not None
    with pytest.raises(RuntimeError, match="an evaluation that fails"), trainer.average.applied():
        inside = _weights(trainer)
        raise RuntimeError("an evaluation that fails")

    assert all(torch.equal(before[name], weight) for name, weight in _weights(trainer).items())
    averages = trainer.average.tensors
    assert all(torch.equal(averages[name], weight) for name, weight in inside.items())
    assert any(not torch.equal(before[name], inside[name]) for name in before)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_trainer_with_an_average_goes_on_bitwise(optimizer: str, tmp_path: FilePath) -> None:
    recipe = replace(RECIPE, optimizer=optimizer)  # type: ignore[arg-type]  # a parameter of the test
    whole, resumed = _trainer(recipe), _trainer(recipe, weights=1)
    for _ in range(4):
        whole.step()
    write_checkpoint(tmp_path, whole.step_count, whole.tensors(), whole.facts())
    checkpoint = read_checkpoint(tmp_path)
    assert checkpoint is not None
    resumed.load(checkpoint.tensors, checkpoint.facts)
    losses = [whole.step() for _ in range(4)]
    rest = [resumed.step() for _ in range(4)]
    ours, theirs = whole.tensors(), resumed.tensors()

    assert losses == rest
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert any(name.startswith("average.") for name in ours)


def test_every_number_of_the_gradient_is_cut_to_the_largest_value() -> None:
    trainer = _trainer(SuperNetRecipe(batch_size=8, lr=0.1, clip_norm=None, clip_value=1e-3))
    trainer.step()
    sizes = torch.cat([p.grad.flatten().abs() for p in trainer.supernet.parameters() if p.grad is not None])

    assert pytest.approx(1e-3) == float(sizes.max())


def test_drop_path_rises_to_its_rate_over_the_plan() -> None:
    space = DARTS(channels=4, cells=2, nodes=2)
    supernet = space.supernet()
    recipe = SuperNetRecipe(batch_size=2, lr=0.01, drop_path=0.2)
    trainer = SuperNetTrainer(supernet, torch.randn(4, 3, 16, 16), torch.arange(4) % 2, recipe=recipe)
    trainer.plan = Plan(0, 4)
    seen = []
    for _ in range(4):
        trainer.step()
        seen.append({round(module.rate, 9) for module in supernet.modules() if isinstance(module, DropPath)})

    assert [{0.0}, {0.05}, {0.1}, {0.15}] == seen


def test_training_in_bf16_keeps_the_weights_in_float32_and_learns() -> None:
    trainer = _trainer(SuperNetRecipe(batch_size=8, lr=0.1, precision="bf16"))
    losses = [trainer.step() for _ in range(30)]

    assert {torch.float32} == {weight.dtype for weight in trainer.supernet.parameters()}
    assert sum(losses[-5:]) < sum(losses[:5])


def test_a_path_may_distil_from_the_first_one_of_its_step() -> None:
    trainer = _trainer(SuperNetRecipe(batch_size=8, lr=0.1, momentum=0, weight_decay=0, clip_norm=None))
    trainer.supernet.double()
    trainer.inputs = trainer.inputs.double()
    teacher, student = architectures(CASE.make(), 2)
    inputs, labels = trainer._batch()
    trainer.supernet.train()
    trainer.supernet.zero_grad()
    first = trainer.supernet(inputs, teacher)
    loss = nn.functional.cross_entropy(first.float(), labels)
    second = trainer.supernet(inputs, student)
    loss = loss + 0.5 * SoftTargets()(second.float(), first.float().detach())
    loss.backward()  # type: ignore[no-untyped-call]  # torch has no type for it
    expected = {n: p.grad.clone() for n, p in trainer.supernet.named_parameters() if p.grad is not None}
    trainer.step_on([Path(teacher), Path(student, 0.5, SoftTargets())])
    found = {n: p.grad for n, p in trainer.supernet.named_parameters() if p.grad is not None}

    assert expected.keys() == found.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(gradient, found[name], rtol=1e-6, atol=1e-9)


def test_a_first_path_that_distils_has_no_teacher() -> None:
    trainer = _trainer(RECIPE)
    trainer.paths = FixedPaths((Path(architectures(CASE.make(), 1)[0], 1.0, SoftTargets()),))

    with pytest.raises(Exception, match="distils into the first path of a step, which has no teacher before it"):
        trainer.step()
