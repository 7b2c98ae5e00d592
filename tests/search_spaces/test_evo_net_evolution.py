"""EvoNet: what its networks cost, how they are edited, and what they inherit."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import cloudpickle  # type: ignore[import-untyped]  # ships no types
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nas_tune.costs import profile
from nas_tune.costs.operation import Operation, operation_of
from nas_tune.errors import ArchitectureError, TaskError
from nas_tune.search_spaces.evo_actions import actions_of
from nas_tune.search_spaces.evo_costs import phenotype_cost
from nas_tune.search_spaces.evo_net import EvoNet
from nas_tune.search_spaces.operations.evolved import AddSkips, EvolvedNetwork, inherit
from tests.search_spaces.evo_spaces import RESIDUAL, published, small_space, some, tiny_space


@pytest.fixture(scope="module")
def space() -> EvoNet:
    return published()


@pytest.fixture(scope="module")
def small() -> EvoNet:
    return small_space()


@pytest.fixture(scope="module")
def tiny() -> EvoNet:
    return tiny_space()


@contextmanager
def _layers_run(network: nn.Module, found: Counter[Operation]) -> Iterator[None]:
    """Count the layers that run: the parts without parts that make a tensor of one."""

    def record(module: nn.Module, inputs: tuple[object, ...], output: object) -> None:
        if isinstance(inputs[0], Tensor):
            found[operation_of(module, tuple(inputs[0].shape[1:]))] += 1

    leaves = [m for m in network.modules() if not list(m.children()) and not isinstance(m, (nn.Sequential, AddSkips))]
    handles = [leaf.register_forward_hook(record) for leaf in leaves]
    yield
    for handle in handles:
        handle.remove()


def _check_costs(space: EvoNet, count: int) -> None:
    shapes = [(3, 16, 16), (1, 9, 14), (3, 1, 1)]
    models = [space.cost(shape) for shape in shapes]
    for i, architecture in enumerate([space.named("initial"), *some(space, count, seed=2)]):
        assert profile(space.build(architecture), shapes[i % 3]) == models[i % 3](architecture)


def test_costs_are_those_of_the_built_network(small: EvoNet) -> None:
    _check_costs(small, 20)


@pytest.mark.slow
def test_costs_of_two_hundred_networks_are_those_of_the_built_ones(small: EvoNet, space: EvoNet) -> None:
    _check_costs(small, 200)
    _check_costs(space, 10)


def test_costs_in_closed_form(small: EvoNet) -> None:
    cost = phenotype_cost(small.phenotype(small.from_string(RESIDUAL)), (3, 8, 8), num_classes=5, in_channels=3)

    weights = (3 * 4 * 9, 4 * 4 * 25, 4 * 8 * 9)
    assert sum(weights) + 2 * 4 + 2 * 8 + 8 * 5 + 5 == cost.parameters
    assert weights[0] * 64 + (weights[1] + weights[2]) * 16 + 8 * 5 == cost.macs
    assert 4 * (3 * 4 * 64 + 2 * 4 * 16 + 4 * 8 * 16 + 8 + 5) == cost.activation_bytes


def test_the_listed_layers_are_those_that_run(small: EvoNet) -> None:
    model = small.cost((3, 9, 8))
    for architecture in some(small, 10):
        found: Counter[Operation] = Counter()
        network = small.build(architecture).eval()
        with _layers_run(network, found):
            network(torch.zeros(1, 3, 9, 8))

        assert found == model.operations(architecture)
        assert all(isinstance(operation.module(), nn.Module) for operation in found)


def test_a_space_is_bounded_by_cost(small: EvoNet) -> None:
    cost = small.cost((3, 16, 16))
    bounded = small.where(cost.macs < 50e3)
    rng = np.random.default_rng(0)

    assert all(cost(bounded.sample(rng)).macs < 50e3 for _ in range(20))
    assert not all(cost(small.sample(rng)).macs < 50e3 for _ in range(20))


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((3, 32), "`input_shape` \\(3, 32\\) is not a shape"),
        ((3, 0, 32), "is not a shape"),
        ((4, 32, 32), "do not take an input of shape \\(4, 32, 32\\): give it 3 channels, or 1"),
    ],
)
def test_a_shape_that_fits_no_network_has_no_costs(space: EvoNet, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(TaskError, match=message):
        space.cost(shape)


def test_costs_can_be_sent_elsewhere(small: EvoNet) -> None:
    model, architecture = small.cost((3, 8, 8)), small.from_string(RESIDUAL)

    assert model(architecture) == cloudpickle.loads(cloudpickle.dumps(model))(architecture)


# Evolution.


def test_every_appended_action_changes_the_network_or_is_meant_not_to(small: EvoNet) -> None:
    rng, architecture, kinds = np.random.default_rng(0), small.named("initial"), set()
    for length in range(1, 31):
        child = small.append(architecture, rng)
        last = actions_of(child)[-1]
        kinds.add(last.kind)

        assert actions_of(architecture) == actions_of(child)[:-1]
        assert length == child["actions.length"]
        changed = small.phenotype(child) != small.phenotype(architecture)
        assert changed == (last.kind not in ("identity", "reset_weights"))
        architecture = child
    assert len(kinds) > 6


def test_a_full_sequence_has_an_action_replaced(small: EvoNet) -> None:
    full, rng = (
        EvoNet(max_actions=5, max_layers=6, channels=4, min_channels=2, max_channels=8),
        np.random.default_rng(0),
    )
    parent = full.from_string(" ".join(["insert_convolution(0,1,linear)"] * 5))
    for _ in range(20):
        child = full.append(parent, rng)
        pairs = zip(actions_of(parent), actions_of(child), strict=True)

        assert 1 == sum(one != other for one, other in pairs)


def test_equal_seeds_append_equal_actions(space: EvoNet) -> None:
    one, other = (space.append(space.named("initial"), np.random.default_rng(7)) for _ in range(2))

    assert one == other


def test_appending_keeps_to_constraints(small: EvoNet) -> None:
    bounded = small.where(lambda a: len(small.phenotype(a).layers) <= 2, "at most two layers")
    rng, architecture = np.random.default_rng(0), bounded.named("initial")
    for _ in range(20):
        architecture = bounded.append(architecture, rng)

        assert len(bounded.phenotype(architecture).layers) <= 2


@torch.no_grad()
def test_a_child_inherits_what_keeps_its_shape(small: EvoNet) -> None:
    text = "insert_convolution(0,1,bn_relu) insert_convolution(1,1,bn_relu) insert_convolution(2,1,linear)"
    parent = small.build(small.from_string(text))
    wider = small.build(small.from_string(f"{text} widen(1)"))
    before = copy.deepcopy(wider.state_dict())

    inherited = inherit(wider, parent)
    theirs = parent.state_dict()
    assert {name for name in theirs if theirs[name].shape == before[name].shape} == set(inherited)
    assert {"layers.1.convolution.weight", "layers.2.convolution.weight"} <= theirs.keys() - set(inherited)
    for name, tensor in wider.state_dict().items():
        assert torch.equal(tensor, theirs[name] if name in inherited else before[name])


@torch.no_grad()
def test_a_layer_inherits_from_the_one_the_same_action_made(small: EvoNet) -> None:
    text = "insert_convolution(0,1,linear) insert_convolution(1,1,linear)"
    parent, child = (small.build(small.from_string(t)) for t in (text, f"{text} insert_convolution(1,1,linear)"))
    inherited = inherit(child, parent)

    assert {"layers.0.convolution.weight", "layers.2.convolution.weight", "head.2.weight", "head.2.bias"} == set(
        inherited
    )
    x = torch.randn(1, 4, 5, 5)
    assert isinstance(parent, EvolvedNetwork) and isinstance(child, EvolvedNetwork)
    assert torch.equal(parent.layers[1].convolution(x), child.layers[2].convolution(x))  # type: ignore[operator]
    assert not torch.equal(parent.layers[1].convolution(x), child.layers[1].convolution(x))  # type: ignore[operator]


@torch.no_grad()
def test_identity_keeps_the_whole_network_and_reset_nothing(small: EvoNet) -> None:
    parent = small.build(small.from_string(RESIDUAL)).eval()
    same, reset, after = (
        small.build(small.from_string(f"{RESIDUAL} {more}")).eval()
        for more in ("identity", "reset_weights", "reset_weights identity")
    )
    x = torch.randn(2, 3, 8, 8)

    assert set(same.state_dict()) == set(inherit(same, parent))
    assert torch.equal(parent(x), same(x))
    assert () == inherit(reset, parent)
    assert set(after.state_dict()) == set(inherit(after, reset))


def test_an_extracted_network_inherits_too(small: EvoNet) -> None:
    architecture = small.from_string(RESIDUAL)
    parent = small.supernet().extract(architecture)

    assert set(parent.state_dict()) == set(inherit(small.build(architecture), parent))


def test_weights_come_from_evolved_networks_alone(small: EvoNet) -> None:
    network = small.build(small.named("initial"))
    for child, parent in ((network, nn.Linear(1, 1)), (nn.Linear(1, 1), network), (network, small.supernet().network)):
        with pytest.raises(ArchitectureError, match="Weights are inherited between networks that EvoNet built"):
            inherit(child, parent)
