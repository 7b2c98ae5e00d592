"""Joint spaces come apart into one network and its training hyperparameters."""

from __future__ import annotations

import numpy as np
import pytest

from nas_tune.errors import ArchitectureError, SpaceError
from nas_tune.space import Architecture, Categorical, Float, SearchSpace, Switch
from nas_tune.trials import Recipe, split_joint
from tests.trials.networks import Chain


def test_a_model_space_alone_has_no_hyperparameters() -> None:
    space = Chain()
    architecture = space.architecture({"block": "skip"})

    assert (space, architecture, {}) == split_joint(space, architecture)


def test_hyperparameters_are_called_by_the_last_part_of_their_name() -> None:
    chain = Chain()
    space = SearchSpace({"cell": chain, "lr": Float(0.1, 1.0), "training": SearchSpace({"weight_decay": Float(0, 1)})})
    joint = space.architecture({"cell.block": "conv1", "lr": 0.5, "training.weight_decay": 0.25})

    model, architecture, hyperparameters = split_joint(space, joint)

    assert model is chain
    assert chain.architecture({"block": "conv1"}) == architecture
    assert {"lr": 0.5, "weight_decay": 0.25} == hyperparameters


def test_a_branch_gives_the_name_of_the_branch_and_its_values() -> None:
    branches = Switch({"sgd": SearchSpace({"lr": Float(0.1, 1.0)}), "adamw": SearchSpace({"lr": Float(1e-4, 1e-2)})})
    space = SearchSpace({"net": Chain(), "optimizer": branches})
    joint = space.architecture({"net.block": "skip", "optimizer": "adamw", "optimizer.adamw.lr": 1e-3})

    _, _, hyperparameters = split_joint(space, joint)

    assert {"optimizer": "adamw", "lr": 1e-3} == hyperparameters


@pytest.mark.parametrize(
    ("space", "found"),
    [
        (Recipe.search_space(), "these are: none"),
        (SearchSpace({"a": Chain(), "b": Chain()}), "these are: `a`, `b`"),
    ],
)
def test_none_or_several_networks_are_refused(space: SearchSpace, found: str) -> None:
    with pytest.raises(SpaceError, match="exactly one ModelSpace") as caught:
        split_joint(space, space.sample(np.random.default_rng(0)))

    assert found in str(caught.value)


def test_two_hyperparameters_of_one_name_are_refused() -> None:
    space = SearchSpace({"net": Chain(), "lr": Categorical(1, 2), "head": SearchSpace({"lr": Categorical(1, 2)})})

    with pytest.raises(SpaceError, match="two hyperparameters called 'lr'"):
        split_joint(space, space.architecture({"net.block": "skip", "lr": 1, "head.lr": 2}))


def test_a_missing_hyperparameter_is_named() -> None:
    space = SearchSpace({"net": Chain(), "lr": Float(0.1, 1.0)})

    with pytest.raises(ArchitectureError, match="`lr`"):
        split_joint(space, Architecture({"net.block": "skip"}))
