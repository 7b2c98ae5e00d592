"""A step of the optimiser leaves alone what no path has used, also within a sliced weight."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nas_tune.search_spaces import NASRL, AttentiveNAS
from nas_tune.space import Architecture, ModelSpace
from nas_tune.supernet import SuperNetRecipe, SuperNetTrainer
from nas_tune.supernet.isolation import Isolation
from tests.supernet.elastic.networks import WIDTHS, Sized, chain_of_layers
from tests.supernet.networks import fixed

RECIPES = {
    "sgd": SuperNetRecipe(batch_size=4, lr=0.1, weight_decay=0.1, clip_norm=None),
    "adamw": SuperNetRecipe(batch_size=4, lr=0.1, weight_decay=0.1, clip_norm=None, optimizer="adamw"),
}
recipes = pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)


def _trainer(recipe: SuperNetRecipe) -> SuperNetTrainer:
    torch.manual_seed(0)
    supernet = Sized(WIDTHS, chain_of_layers).supernet()
    return SuperNetTrainer(supernet, torch.randn(8, 2, 9, 9), torch.arange(8) % 3, recipe=recipe)


def _largest(space: ModelSpace) -> Architecture:
    return max(space.enumerate(), key=lambda a: [float(str(v)) for v in a.values()])


def _everything(trainer: SuperNetTrainer) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in trainer.tensors().items()}


def _changed(before: dict[str, Tensor], after: dict[str, Tensor], name: str) -> Tensor:
    return before[name] != after[name]


@recipes
def test_a_narrow_path_leaves_the_rest_of_each_weight_and_its_momentum(recipe: SuperNetRecipe) -> None:
    trainer = _trainer(recipe)
    space = trainer.supernet.space
    trainer.paths = fixed(_largest(space))
    for _ in range(3):  # momentum everywhere, so that a leak would show
        trainer.step()
    trainer.paths = fixed(space.architecture({**_largest(space), "a": 3, "b": 2, "kernel": 3}))
    before = _everything(trainer)
    trainer.step()
    after = _everything(trainer)

    kinds = {name.partition(".")[0] for name in after} - {"step"}
    inside = {
        "network.0.weight": (slice(3), slice(None), slice(2, 5), slice(2, 5)),
        "network.0.bias": (slice(3),),
        "network.2.weight": (slice(2), slice(3), slice(2, 5)),
    }
    for kind, (name, places) in product(kinds, inside.items()):
        changed = _changed(before, after, f"{kind}.{name}")
        assert changed[places].any(), (kind, name)
        changed[places] = False
        assert not changed.any(), (kind, name)


@recipes
def test_a_step_on_a_slice_is_the_step_of_the_network_alone(recipe: SuperNetRecipe) -> None:
    trainer = _trainer(recipe)
    space = trainer.supernet.space
    small = space.architecture({**_largest(space), "a": 3, "b": 2, "kernel": 3})
    trainer.paths = fixed(small)
    alone = trainer.supernet.extract(small).train()
    optimizer = recipe.make_optimizer(alone)
    optimizer.param_groups[0]["lr"] = trainer.lr(0)
    for _ in range(4):
        inputs, labels = trainer._batch()
        trainer.step()
        optimizer.zero_grad()
        nn.functional.cross_entropy(alone(inputs), labels).backward()  # type: ignore[no-untyped-call]  # torch
        optimizer.step()
    inherited = trainer.supernet.extract(small)

    for (name, own), shared in zip(alone.named_parameters(), inherited.parameters(), strict=True):
        torch.testing.assert_close(own, shared, msg=name)


def test_of_several_paths_the_union_of_their_slices_is_used() -> None:
    trainer = _trainer(RECIPES["sgd"])
    space = trainer.supernet.space
    trainer.paths = fixed(_largest(space))
    trainer.step()
    base = dict(_largest(space))
    trainer.paths = fixed(*(space.architecture({**base, **change}) for change in ({"a": 2}, {"b": 1})))
    before = _everything(trainer)
    trainer.step()
    changed = _changed(before, _everything(trainer), "momentum_buffer.network.2.weight")

    outputs, inputs = changed.shape[:2]
    expected = torch.zeros(outputs, inputs, dtype=torch.bool)
    expected[:, :2] = expected[:1, :] = True
    assert torch.equal(expected, changed.flatten(2).any(-1))


def test_a_step_that_holds_the_largest_network_is_not_slowed() -> None:
    trainer = _trainer(RECIPES["sgd"])
    space = trainer.supernet.space
    trainer.paths = fixed(_largest(space))
    trainer.step()
    isolation = Isolation(trainer.supernet.network)

    assert {} == isolation.partly_used([trainer.supernet.selection(_largest(space))])


SPACES = {"AttentiveNAS": AttentiveNAS(num_classes=3), "NASRL": NASRL(num_classes=3, in_channels=3)}


@pytest.mark.slow
@pytest.mark.parametrize("name", SPACES)
def test_a_mask_is_where_a_published_network_has_a_gradient(name: str) -> None:
    torch.manual_seed(0)
    space = SPACES[name]
    supernet = space.supernet()
    architecture = space.sample(np.random.default_rng(0))
    with supernet.select(architecture):
        supernet.train()(torch.randn(2, 3, 32, 32)).square().sum().backward()
    names = {weight: label for label, weight in supernet.named_parameters()}
    masks = Isolation(supernet.network).partly_used([supernet.selection(architecture)])

    assert len(masks) > 10
    for weight, mask in masks.items():
        assert weight.grad is not None
        assert not weight.grad[~mask].any(), names[weight]
    used = torch.cat([weight.grad[mask] for weight, mask in masks.items() if weight.grad is not None])
    assert (used != 0).double().mean() > 0.5  # the others are behind a ReLU that is off
