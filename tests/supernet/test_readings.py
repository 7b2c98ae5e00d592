"""The readings of one `network`: built, shared, relaxed, extracted, searched; for three networks of users."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import cloudpickle  # type: ignore[import-untyped]  # ships no types
import numpy as np
import optuna
import pytest
import torch
from optuna.trial import Trial
from torch import Tensor, nn

from nas_tune.space import Architecture, Categorical, Chooser, Float, ModelSpace
from nas_tune.supernet import LayerChoice, SuperNet
from tests.supernet.networks import CASES, CLASSES, Case, Residual, Table, architectures, mixture, one_hot

cases = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "-"))
_TRAINED: dict[str, SuperNet] = {}


@pytest.fixture
def supernet(case: Case) -> SuperNet:
    """A trained super-net in eval mode; tests do not change it."""
    if case.name not in _TRAINED:
        _TRAINED[case.name] = case.trained().eval()
    return _TRAINED[case.name]


@cases
def test_a_built_network_holds_the_chosen_parts_and_no_more(case: Case) -> None:
    space = case.make()
    for architecture in architectures(space, 40):
        network = space.build(architecture)
        sizes = sum(p.numel() for p in network.parameters()), sum(1 for _ in network.modules())

        assert case.size(architecture) == sizes, architecture


@cases
@torch.no_grad()
def test_the_super_net_runs_every_architecture_in_training_and_in_eval_mode(case: Case) -> None:
    supernet = case.trained(steps=0)
    for architecture in architectures(supernet.space, 20):
        for mode in (True, False):
            output = supernet.train(mode)(case.inputs(4), architecture)

            assert (4, CLASSES) == output.shape
            assert output.isfinite().all()


@cases
@torch.no_grad()
def test_an_extracted_network_computes_what_the_super_net_computes(case: Case, supernet: SuperNet) -> None:
    x = case.inputs()
    outputs = []
    for architecture in architectures(supernet.space, 50):
        alone = supernet.extract(architecture)

        outputs.append(supernet(x, architecture))
        assert (outputs[-1] - alone(x)).abs().max() < 1e-5
        assert supernet.space.build(architecture).state_dict().keys() == alone.state_dict().keys()
        assert not alone.training

    assert torch.stack(outputs).std(0).max() > 0.01, "the architectures are told apart"


@cases
@torch.no_grad()
def test_a_selection_made_around_the_call_is_the_one_given_with_it(case: Case, supernet: SuperNet) -> None:
    for architecture in architectures(supernet.space, 5):
        with supernet.select(architecture):
            around = supernet(case.inputs())

        assert torch.equal(supernet(case.inputs(), architecture), around)


@cases
def test_an_extracted_network_shares_no_memory_with_the_super_net(case: Case) -> None:
    supernet = case.trained(steps=1)
    before = copy.deepcopy(supernet.state_dict())
    alone = supernet.extract(architectures(supernet.space, 1)[0])
    with torch.no_grad():
        for tensor in alone.state_dict().values():
            tensor.zero_()

    assert all(torch.equal(before[name], tensor) for name, tensor in supernet.state_dict().items())


@cases
def test_extraction_keeps_type_and_mode(case: Case) -> None:
    supernet = case.trained(steps=1).double()

    alone = supernet.train().extract(architectures(supernet.space, 1)[0])

    assert alone.training
    assert {torch.float64} == {p.dtype for p in alone.parameters()}


@cases
@torch.no_grad()
def test_one_hot_weights_run_the_architecture_they_stand_for(case: Case, supernet: SuperNet) -> None:
    x = case.inputs()
    for architecture in architectures(supernet.space, 25):
        soft = supernet(x, one_hot(supernet, architecture))

        torch.testing.assert_close(supernet(x, architecture), soft, rtol=0, atol=1e-6)


@cases
def test_one_hot_weights_that_need_a_gradient_run_the_architecture_too(case: Case, supernet: SuperNet) -> None:
    x = case.inputs()
    for architecture in architectures(supernet.space, 10):
        everything = {**mixture(supernet), **one_hot(supernet, architecture)}
        soft = supernet(x, {name: weights.requires_grad_() for name, weights in everything.items()})

        torch.testing.assert_close(supernet(x, architecture), soft, rtol=0, atol=1e-6)


@cases
def test_one_hot_weights_give_no_gradient_to_what_is_left_out(case: Case) -> None:
    supernet = case.trained(steps=0)
    for architecture in architectures(supernet.space, 5):
        touched = []
        for selection in (architecture, one_hot(supernet, architecture)):
            supernet.zero_grad(set_to_none=True)
            supernet(case.inputs(), selection).sum().backward()
            touched.append({name for name, p in supernet.named_parameters() if p.grad is not None})

        assert touched[0] == touched[1]


def _chain_by_hand(supernet: SuperNet, w: Mapping[str, Tensor], x: Tensor) -> Tensor:
    parts = list(supernet.network.children())
    y: Tensor = parts[1](parts[0](x))
    for i, choice in enumerate(parts[2:8]):
        assert isinstance(choice, LayerChoice)
        mixed = sum((w[f"blocks.{i}"][j] * op(y) for j, op in enumerate(choice.candidates)), torch.zeros(()))
        longer = w["blocks.length"][max(i - 1, 0) :].sum()  # lengths 2 to 6: copy i is there from length i + 1 on
        y = mixed if i < 2 else longer * mixed + (1 - longer) * y
    for part in parts[8:]:
        y = part(y)
    return y


def _mixed(choice: nn.Module, weights: Tensor, x: Tensor) -> Tensor:
    assert isinstance(choice, LayerChoice)
    return sum((weights[j] * op(x) for j, op in enumerate(choice.candidates)), torch.zeros(()))


def _two_branches_by_hand(supernet: SuperNet, w: Mapping[str, Tensor], x: Tensor) -> Tensor:
    network = supernet.network
    assert isinstance(network, Residual)
    x = left = network.stem(x)
    for i, copy_ in enumerate(network.left):
        block = copy_.copy
        assert isinstance(block, nn.Sequential)
        kernel, norm, activation = block
        inner = _mixed(activation, w[f"left.{i}.activation"], norm(_mixed(kernel, w[f"left.{i}.kernel"], left)))
        longer = w["left.length"][i:].sum()
        left = longer * inner + (1 - longer) * left
    assert isinstance(network.right, LayerChoice)
    normed, narrow, pool = network.right.candidates
    assert isinstance(normed, nn.Sequential)
    parts = (
        _mixed(normed[1], w["right.conv.norm"], _mixed(normed[0], w["right.conv.kernel"], x)),
        _mixed(narrow, w["right.bottleneck.width"], x),
        pool(x),
    )
    right = sum((weight * term for weight, term in zip(w["right"], parts, strict=True)), torch.zeros(()))
    y = torch.relu(x + left + right)
    for i, choice in enumerate(network.tail):
        assert isinstance(choice, LayerChoice)
        longer = w["tail.length"][i + 1 :].sum()
        convs = _mixed(choice.candidates[0], w[f"tail.{i}.conv.kernel"], y)
        y = longer * (w[f"tail.{i}"][0] * convs + w[f"tail.{i}"][1] * y) + (1 - longer) * y
    logits: Tensor = network.head(y)
    return logits


def _table_by_hand(supernet: SuperNet, w: Mapping[str, Tensor], x: Tensor) -> Tensor:
    network = supernet.network
    assert isinstance(network, Table)
    columns = [w["inputs"][i] * embed(x[:, i : i + 1]) for i, embed in enumerate(network.embeddings)]
    y = network.norm(torch.stack(columns).sum(0))
    for name, choice in zip(("first", "second"), network.hidden, strict=True):
        y = _mixed(choice, w[name], y)
    logits: Tensor = network.head(y)
    return logits


BY_HAND = {
    "chain": _chain_by_hand,
    "two branches": _two_branches_by_hand,
    "table": _table_by_hand,
    "wide table": _table_by_hand,
}


@cases
@torch.no_grad()
def test_a_mixture_is_the_weighted_sum_written_out(case: Case, supernet: SuperNet) -> None:
    for seed in range(5):
        weights = mixture(supernet, seed)
        by_hand = BY_HAND[case.name](supernet, weights, case.inputs())

        torch.testing.assert_close(by_hand, supernet(case.inputs(), weights), rtol=1e-5, atol=1e-5)


@cases
def test_gradients_of_the_weights_are_those_of_finite_differences(case: Case, supernet: SuperNet) -> None:
    exact = copy.deepcopy(supernet).double()
    x = case.inputs(3).double()
    weights = mixture(exact, dtype=torch.float64)

    def output(*values: Tensor) -> Tensor:
        logits: Tensor = exact(x, dict(zip(weights, values, strict=True)))
        return logits

    assert torch.autograd.gradcheck(output, tuple(w.requires_grad_() for w in weights.values()), fast_mode=True)


@torch.no_grad()
def test_mixed_lengths_weigh_a_copy_by_the_lengths_that_hold_it() -> None:
    """Blocks that double their input: after `n` of them it is 2 ** n, so each copy multiplies by 1 + P(length > i)."""

    class Doubling(ModelSpace):
        def __init__(self) -> None:
            from nas_tune.space import Repeat

            super().__init__({"n": Repeat(Categorical("double"), 1, 4)})

        def network(self, choose: Chooser) -> nn.Module:
            return nn.Sequential(*[choose(name, {"double": Double}) for name in choose.items("n")])

    lengths = torch.tensor([0.1, 0.2, 0.3, 0.4])
    output = Doubling().supernet()(torch.ones(1), {"n.length": lengths})

    assert pytest.approx(2 * 1.9 * 1.7 * 1.4) == output.item()


class Double(nn.Module):
    """Two times its input."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * x


@cases
def test_different_architectures_have_different_canonical_keys(case: Case) -> None:
    space = case.make()
    distinct = set(architectures(space, 300))

    keys = {space.canonical_key(a): a for a in distinct}

    assert len(distinct) == len(keys)
    assert all(space.canonical_key(dict(a)) == key for key, a in keys.items())
    assert all(case.make().canonical_key(a) == key for key, a in list(keys.items())[:10])


@cases
def test_a_study_searches_a_users_network(case: Case) -> None:
    space = case.make()
    x, y = case.inputs(16), torch.arange(16) % CLASSES

    def objective(trial: Trial) -> float:
        torch.manual_seed(trial.number)
        network = space.build(space.suggest(trial))
        optimizer = torch.optim.SGD(network.parameters(), lr=trial.suggest_float("lr", 1e-3, 1e-1, log=True))
        for _ in range(2):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(network(x), y)
            loss.backward()  # type: ignore[no-untyped-call]  # torch has no type for it
            optimizer.step()
        return loss.item()

    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(objective, n_trials=5)

    assert 5 == len(study.trials)
    for trial in study.trials:
        architecture = space.architecture(trial.params)
        assert {*architecture, "lr"} >= set(trial.params)
        assert case.size(architecture)[0] == sum(p.numel() for p in space.build(architecture).parameters())
    assert np.isfinite(study.best_value)


@cases
@torch.no_grad()
def test_copies_of_a_space_and_its_super_net_compute_the_same(case: Case, supernet: SuperNet) -> None:
    x = case.inputs()
    for other in (copy.deepcopy(supernet), cloudpickle.loads(cloudpickle.dumps(supernet))):
        for architecture in architectures(other.space, 5):
            assert torch.equal(supernet(x, architecture), other(x, architecture))
            assert torch.equal(supernet(x, architecture), other.extract(architecture)(x))
    space = cloudpickle.loads(cloudpickle.dumps(case.make()))
    assert architectures(case.make(), 5) == architectures(space, 5)


def test_a_hyperparameter_beside_the_choices_does_not_disturb_the_super_net() -> None:
    class Joint(ModelSpace):
        def __init__(self) -> None:
            super().__init__({"op": Categorical("a", "b"), "lr": Float(1e-3, 1e-1, log=True)})

        def network(self, choose: Chooser) -> nn.Module:
            return choose("op", {"a": lambda: nn.Linear(2, 2), "b": nn.Identity})

    supernet = Joint().supernet()
    x = torch.randn(3, 2)

    output = supernet(x, supernet.space.architecture({"op": "a", "lr": 0.01}))

    assert torch.equal(supernet.extract({"op": "a", "lr": 0.01})(x), output)


def test_weights_tied_by_the_user_stay_tied() -> None:
    class Tied(ModelSpace):
        def __init__(self) -> None:
            super().__init__({"op": Categorical("shared", "own")})

        def network(self, choose: Chooser) -> nn.Module:
            linear = nn.Linear(2, 2)
            return nn.Sequential(linear, choose("op", {"shared": lambda: linear, "own": lambda: nn.Linear(2, 2)}))

    supernet = Tied().supernet()
    x = torch.randn(3, 2)
    for op, parameters in (("shared", 6), ("own", 12)):
        architecture = Architecture({"op": op})
        alone = supernet.extract(architecture)

        assert torch.equal(supernet(x, architecture), alone(x))
        assert parameters == sum(p.numel() for p in alone.parameters())


def test_making_a_super_net_draws_its_own_weights_and_no_more() -> None:
    class Pair(ModelSpace):
        def __init__(self) -> None:
            super().__init__({"op": Categorical("a", "b")})

        def network(self, choose: Chooser) -> nn.Module:
            return choose("op", {"a": lambda: nn.Linear(2, 2), "b": lambda: nn.Linear(2, 3)})

    torch.manual_seed(3)
    by_hand = [*nn.Linear(2, 2).parameters(), *nn.Linear(2, 3).parameters(), torch.rand(1)]
    torch.manual_seed(3)
    made = [*Pair().supernet().parameters(), torch.rand(1)]

    assert all(torch.equal(p, q) for p, q in zip(by_hand, made, strict=True))
