"""EvoNet: the space of edit sequences, its networks and super-net, their costs, and how evolution goes through it."""

from __future__ import annotations

import copy
import math

import cloudpickle  # type: ignore[import-untyped]  # ships no types
import optuna
import pytest
import torch
from torch import nn

from nas_tune.costs import profile
from nas_tune.errors import ArchitectureError, SpaceError
from nas_tune.search_spaces.evo_actions import ARGUMENTS, Layer, Phenotype
from nas_tune.search_spaces.evo_net import EvoNet
from nas_tune.search_spaces.operations.evolved import EvolvedNetwork, aligned
from nas_tune.supernet import SuperNet
from nas_tune.supernet.elastic.sorting import sort_channels
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


# The space.


def test_its_size_is_the_number_of_sequences(space: EvoNet, tiny: EvoNet) -> None:
    insert, layer, nothing = 17 * 2 * 2, 16, 1
    actions = insert + layer + layer * 4 + layer * 3 + layer + layer + layer * 4 + layer + nothing + nothing

    assert 310 == actions
    assert sum(actions**length for length in range(31)) == space.size()
    assert 1 + 32 + 32**2 == tiny.size()


def test_enumeration_gives_every_sequence_once(tiny: EvoNet) -> None:
    assert 1057 == len(set(tiny.enumerate()))


@pytest.mark.slow
def test_the_canonical_key_tells_networks_apart_and_sequences_not(tiny: EvoNet) -> None:
    keys: dict[Phenotype, set[str]] = {}
    for architecture in tiny.enumerate():
        keys.setdefault(tiny.phenotype(architecture), set()).add(tiny.canonical_key(architecture))

    assert all(len(own) == 1 for own in keys.values())
    assert len(keys) == len(set.union(*keys.values()))
    assert len(keys) < 1057


def test_the_canonical_key_tells_skips_at_linear_layers_apart(small: EvoNet) -> None:
    layers = " ".join(f"insert_convolution({i},1,linear)" for i in range(3))
    ways = ("add_skip(0,1)", "add_skip(0,2)", "add_skip(0,3)", "add_skip(1,1)", "add_skip(1,2)", "add_skip(2,1)")
    keys = {small.canonical_key(small.from_string(f"{layers} {one} {other}")) for one in ways for other in ways}

    assert len(ways) * (len(ways) + 1) // 2 == len(keys)


def test_the_graph_joins_skips_behind_the_convolution(small: EvoNet) -> None:
    graph = small.graph(small.from_string(RESIDUAL))

    assert {
        "input": "input",
        "layer_0": "conv_3x3",
        "layer_0.bn_relu": "bn_relu",
        "layer_1": "conv_5x5",
        "layer_1.linear": "sum",
        "layer_2": "conv_3x3",
        "layer_2.bn_relu": "bn_relu",
        "output": "output",
    } == {node: attributes["op"] for node, attributes in graph.nodes(data=True)}
    assert {"stride": 2, "channels": 4} == graph.nodes["layer_1"]["parameters"]
    assert {"stride": 1, "channels": 8} == graph.nodes["layer_2"]["parameters"]
    chain = ["input", "layer_0", "layer_0.bn_relu", "layer_1", "layer_1.linear", "layer_2", "layer_2.bn_relu", "output"]
    skips = {("input", "layer_1.linear"), ("layer_0.bn_relu", "layer_2.bn_relu")}
    assert {*zip(chain, chain[1:], strict=False), *skips} == set(graph.edges)


def test_the_ops_of_the_graph_are_values_of_the_space(small: EvoNet) -> None:
    for architecture in some(small, 3):
        assert small.encode(architecture, "adjacency").any()


def test_the_initial_individual_is_a_linear_model(space: EvoNet) -> None:
    initial = space.named("initial")

    assert 0 == initial["actions.length"]
    assert 10 * 3 + 10 == profile(space.build(initial), (3, 32, 32)).parameters


# Notation.


def test_text_gives_its_architecture_back(space: EvoNet) -> None:
    for architecture in [space.named("initial"), *some(space, 50)]:
        assert architecture == space.from_string(space.to_string(architecture))


def test_text_reads_as_the_actions(small: EvoNet) -> None:
    architecture = small.from_string(RESIDUAL)

    assert RESIDUAL == small.to_string(architecture)
    assert "conv_5x5" == architecture["actions.4.kernel.kernel"]
    assert (
        Layer(3, 1, 4, "bn_relu"),
        Layer(5, 2, 4, "linear"),
        Layer(3, 1, 8, "bn_relu"),
    ) == small.phenotype(architecture).layers
    assert ((0, 2), (1, 3)) == small.phenotype(architecture).skips


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'' is no action of EvoNet: write it like 'widen\\(0\\)'"),
        ("widen(0)  widen(1)", "'' is no action"),
        ("grow(1)", "'grow\\(1\\)' is no action of EvoNet.*insert_convolution"),
        ("widen[0]", "is no action"),
        ("widen(0)\n", "is no action"),
        ("widen", "'widen' has 0 arguments: write 'widen\\(position\\)'"),
        ("kernel(0)", "write 'kernel\\(position,kernel\\)'"),
        ("identity(0)", "'identity\\(0\\)' has 1 arguments: write 'identity'"),
        ("widen(6)", "`actions.0.widen.position` has the impossible value '6'"),
        ("identity kernel(0,conv_2x2)", "`actions.1.kernel.kernel` has the impossible value 'conv_2x2'.*conv_7x7"),
        (" ".join(["identity"] * 31), "31 actions; this EvoNet has at most 30"),
    ],
)
def test_text_of_another_form_is_refused(small: EvoNet, text: str, message: str) -> None:
    with pytest.raises(ArchitectureError, match=message):
        small.from_string(text)


# Arguments.


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"max_actions": 0}, "EvoNet: `max_actions` is 0; it is at least 1"),
        ({"num_classes": 2.5}, "`num_classes` is 2.5; give a whole number"),
        ({"kernels": (3, 4)}, "`kernels` is \\(3, 4\\); kernels are odd"),
        ({"kernels": (5,)}, "inserted ones are 3"),
        ({"strides": (1, 3)}, "`strides` is \\(1, 3\\); strides are powers of two"),
        ({"strides": ()}, "`strides` is empty"),
        ({"spans": (0,)}, "`spans` is 0; it is at least 1"),
        ({"channels": 4}, "`channels` is 4; it lies within `min_channels` 8 and `max_channels` 256"),
        ({"max_channels": 8}, "`channels` is 16; it lies within"),
    ],
)
def test_an_impossible_argument_is_refused_by_name(arguments: dict[str, int], message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        EvoNet(**arguments)  # type: ignore[arg-type]


def test_the_repr_makes_the_space_again(tiny: EvoNet) -> None:
    again = eval(repr(tiny), {"EvoNet": EvoNet})

    assert repr(tiny) == repr(again)
    assert tiny.signature() == again.signature()
    assert tiny.bounds == again.bounds


# Networks.


@torch.no_grad()
@pytest.mark.parametrize("shape", [(3, 1, 1), (1, 8, 8), (3, 9, 13), (3, 64, 64)])
def test_networks_run_on_images_of_any_size(small: EvoNet, shape: tuple[int, int, int]) -> None:
    for architecture in some(small, 10):
        output = small.build(architecture).eval()(torch.randn(2, *shape))

        assert (2, 5) == output.shape
        assert output.isfinite().all()


@pytest.mark.slow
@torch.no_grad()
def test_two_hundred_networks_run(space: EvoNet) -> None:
    for architecture in some(space, 200, seed=3):
        assert (2, 10) == space.build(architecture)(torch.randn(2, 3, 16, 16)).shape


@torch.no_grad()
def test_a_tensor_takes_the_shape_of_what_it_is_added_to() -> None:
    x = torch.arange(2 * 4 * 4.0).reshape(1, 2, 4, 4)

    wider = aligned(x, torch.empty(1, 3, 2, 2))
    assert torch.equal(x[:, :, ::2, ::2], wider[:, :2])
    assert 0 == wider[:, 2].abs().sum()
    assert torch.equal(x[:, :1], aligned(x, torch.empty(1, 1, 4, 4)))
    assert x is aligned(x, x)


@torch.no_grad()
def test_a_network_adds_skips_between_convolution_and_activation(small: EvoNet) -> None:
    network = small.build(small.from_string(RESIDUAL)).eval()
    assert isinstance(network, EvolvedNetwork)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias)
    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    x = torch.randn(2, 3, 8, 8)

    one = norms[0](convolutions[0](x)).relu()
    two = convolutions[1](one)
    two[:, :3] += x[:, :, ::2, ::2]
    three = convolutions[2](two)
    three[:, :4] += one[:, :, ::2, ::2]
    pooled = norms[1](three).relu().mean((2, 3))
    assert (network.head[2](pooled) - network(x)).abs().max() < 1e-5


@torch.no_grad()
def test_grey_images_are_repeated_over_the_colours(small: EvoNet) -> None:
    network = small.build(small.from_string(RESIDUAL)).eval()
    grey = torch.randn(2, 1, 8, 8)

    assert torch.equal(network(grey.repeat(1, 3, 1, 1)), network(grey))


# The super-net.


@torch.no_grad()
def _lived_in(space: EvoNet) -> SuperNet:
    """Return a super-net whose weights and statistics are not those of its making."""
    torch.manual_seed(0)
    supernet = space.supernet()
    for p in supernet.parameters():
        p.add_(torch.randn_like(p) * 0.1)
    for architecture in some(space, 20, seed=1):
        supernet.train()(torch.randn(4, 3, 8, 8) + 0.5, architecture)
    return supernet.eval()


@pytest.mark.slow
@torch.no_grad()
def test_fifty_extracted_networks_compute_what_the_super_net_computes(small: EvoNet) -> None:
    supernet = _lived_in(small)
    x, outputs = torch.randn(2, 3, 9, 8), []
    for architecture in [small.named("initial"), small.from_string(RESIDUAL), *some(small, 50)]:
        alone = supernet.extract(architecture)
        outputs.append(supernet(x, architecture))

        assert (outputs[-1] - alone(x)).abs().max() < 1e-5
        assert small.build(architecture).state_dict().keys() == alone.state_dict().keys()
    assert torch.stack(outputs).std(0).min() > 0.01


@pytest.mark.slow
@torch.no_grad()
def test_the_default_super_net_runs_the_same_networks(space: EvoNet) -> None:
    supernet = space.supernet().eval()
    architecture, x = space.from_string(RESIDUAL), torch.randn(1, 3, 8, 8)

    assert (supernet(x, architecture) - supernet.extract(architecture)(x)).abs().max() < 1e-5


@torch.no_grad()
def test_an_extracted_network_computes_what_the_super_net_computes(tiny: EvoNet) -> None:
    supernet, x = tiny.supernet().eval(), torch.randn(2, 3, 5, 4)
    for architecture in some(tiny, 20):
        assert (supernet(x, architecture) - supernet.extract(architecture)(x)).abs().max() < 1e-5


def test_a_training_step_touches_the_layers_of_the_network_alone(small: EvoNet) -> None:
    supernet = small.supernet()
    supernet(torch.randn(2, 3, 8, 8), small.from_string(RESIDUAL)).sum().backward()
    touched = {name for name, p in supernet.named_parameters() if p.grad is not None}

    layers = [f"network.layers.{i}." for i in range(3)]
    assert all(any(name.startswith(layer) for name in touched) for layer in layers)
    assert all(name.startswith(("network.head.", *layers)) for name in touched)
    assert not any(name.startswith("network.layers.1.copy.activation") for name in touched)


def test_channels_that_every_layer_counts_anew_are_not_sorted(tiny: EvoNet) -> None:
    assert () == sort_channels(tiny.supernet())


@torch.no_grad()
def test_copies_compute_the_same(small: EvoNet) -> None:
    supernet, x = small.supernet().eval(), torch.randn(2, 3, 8, 8)
    for other in (copy.deepcopy(supernet), cloudpickle.loads(cloudpickle.dumps(supernet))):
        for architecture in some(small, 3):
            assert torch.equal(supernet(x, architecture), other(x, architecture))


# Costs.


def test_a_study_suggests_sequences(small: EvoNet) -> None:
    study = optuna.create_study(direction="minimize", sampler=optuna.samplers.RandomSampler(seed=0))
    cost = small.cost((3, 8, 8))
    study.optimize(lambda trial: cost(small.suggest(trial)).macs, n_trials=5)

    best = small.architecture(study.best_params)
    assert cost(best).macs == study.best_value
    assert all(math.isfinite(trial.values[0]) for trial in study.trials)


def test_every_kind_of_action_is_a_branch(space: EvoNet) -> None:
    assert tuple(ARGUMENTS) == space.parameters()["actions.0"].values
