"""What holds for every published space: networks, super-nets, laws, costs, studies and Tune runs."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from functools import cache
from pathlib import Path

import networkx as nx
import numpy as np
import optuna
import pytest
import torch
from ray import tune
from ray.tune.search.optuna import OptunaSearch
from torch import nn

from nas_tune.costs import profile
from nas_tune.search_spaces import SPACES, PublishedSpace
from nas_tune.space import Architecture
from nas_tune.space.graphs import is_input
from nas_tune.supernet import SuperNet
from tests.search_spaces.instances import CLASSES, SMALL

GREY, COLOUR = (1, 8, 8), (3, 16, 16)

every_space = pytest.mark.parametrize("name", SPACES)


@cache
def small(name: str) -> PublishedSpace:
    return SMALL[name]()


def architectures(name: str, count: int, seed: int = 0) -> list[Architecture]:
    rng = np.random.default_rng(seed)
    return [small(name).sample(rng) for _ in range(count)]


@torch.no_grad()
def perturbed(supernet: SuperNet) -> SuperNet:
    """Give a super-net batch-norm statistics and weights that tell its channels apart."""
    generator = torch.Generator().manual_seed(0)
    for module in supernet.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None and module.running_var is not None
            module.running_mean.copy_(0.1 * torch.randn(module.num_features, generator=generator))
            module.running_var.copy_(0.5 + torch.rand(module.num_features, generator=generator))
    return supernet.eval()


def test_every_published_space_has_a_small_instance_here() -> None:
    assert list(SMALL) == list(SPACES)
    assert all(type(small(name)) is kind for name, kind in SPACES.items())


@every_space
@pytest.mark.slow
@torch.no_grad()
def test_200_random_networks_build_and_run(name: str) -> None:
    images = {shape: torch.randn(2, *shape, generator=torch.Generator().manual_seed(0)) for shape in (GREY, COLOUR)}
    for place, architecture in enumerate(architectures(name, 200)):
        network = small(name).build(architecture).eval()
        shape = GREY if place % 2 else COLOUR

        logits = network(images[shape])

        assert logits.shape == (2, CLASSES)
        assert logits.isfinite().all(), architecture


@every_space
@torch.no_grad()
def test_an_extracted_network_computes_what_the_super_net_computes(name: str) -> None:
    supernet = perturbed(small(name).supernet())
    images = torch.randn(2, *COLOUR, generator=torch.Generator().manual_seed(0))
    for architecture in architectures(name, 12):
        alone = supernet.extract(architecture)

        torch.testing.assert_close(alone(images), supernet(images, architecture), rtol=1e-5, atol=1e-5)
        assert not any(isinstance(part, SuperNet) for part in alone.modules())


@every_space
def test_a_training_step_reaches_every_weight_of_the_path_that_is_not_cut_off(name: str) -> None:
    supernet = small(name).supernet().train()
    for architecture in architectures(name, 3):
        supernet.zero_grad(set_to_none=True)

        supernet(torch.randn(4, *COLOUR), architecture).square().sum().backward()

        found = [parameter.grad for parameter in supernet.parameters() if parameter.grad is not None]
        assert found and all(gradient.isfinite().all() for gradient in found)


@every_space
def test_encode_mutate_crossover_and_neighbours_keep_their_laws(name: str) -> None:
    space, rng = small(name), np.random.default_rng(1)
    for a, b in zip(architectures(name, 30), architectures(name, 30, seed=2), strict=True):
        mutant = space.mutate(a, rng)
        changed = [key for key in a if key in mutant and mutant[key] != a[key]]

        assert space.decode(space.encode(a)) == a
        assert len(changed) == 1 and space.architecture(mutant) == mutant
        assert space.architecture(space.crossover(a, b, rng))
        assert space.from_json(a.to_json()) == a == space.from_string(space.to_string(a))


@every_space
def test_neighbours_are_one_decision_away_and_mutual(name: str) -> None:
    space = small(name)
    (centre,) = architectures(name, 1, seed=3)

    near = space.neighbours(centre)

    assert centre not in near and len({*near}) == len(near) > 0
    for other in near[:: max(1, len(near) // 10)]:
        assert space.architecture(other) == other
        assert sum(other[key] != centre[key] for key in centre if key in other) == 1


@every_space
def test_the_graph_leads_from_inputs_to_an_output_and_has_encodings(name: str) -> None:
    space = small(name)
    encodings = [space.encoding(kind) for kind in ("adjacency", "path")]
    for architecture in architectures(name, 10):
        graph = space.graph(architecture)

        assert nx.is_directed_acyclic_graph(graph)
        assert "output" in {str(op) for _, op in graph.nodes(data="op")}
        assert any(is_input(str(op)) for _, op in graph.nodes(data="op"))
        for encoding in encodings:
            assert encoding.encode(architecture).shape == (encoding.width,)


@every_space
def test_equal_keys_mean_equal_costs(name: str) -> None:
    """The key stands for the network, so what two architectures of one key cost differs in dead parts only."""
    space = small(name)
    keys = {architecture: space.canonical_key(architecture) for architecture in architectures(name, 40)}

    assert all(len(key) == 64 for key in keys.values())
    assert keys == {architecture: space.canonical_key(dict(architecture)) for architecture in keys}


@every_space
@pytest.mark.parametrize("shape", [GREY, (3, 9, 13)])
def test_the_analytic_cost_is_what_a_forward_pass_measures(name: str, shape: tuple[int, int, int]) -> None:
    space = small(name)
    cost = space.cost(shape)
    for architecture in architectures(name, 12):
        assert cost(architecture) == profile(space.build(architecture), shape), architecture


@every_space
def test_a_bound_on_the_cost_constrains_the_space(name: str) -> None:
    space = small(name)
    cost = space.cost(COLOUR)
    bound = float(np.quantile([cost.macs(a) for a in architectures(name, 50)], 0.3))
    narrow = pickle.loads(pickle.dumps(space.where(cost.macs <= bound)))
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))

    def objective(trial: optuna.Trial) -> float:
        return cost.macs(narrow.suggest(trial))

    study.optimize(objective, n_trials=20)

    assert all(cost.macs(narrow.sample(np.random.default_rng(seed))) <= bound for seed in range(5))
    assert all(trial.value <= bound for trial in study.trials if trial.value is not None)
    states = {trial.state for trial in study.trials}
    assert states <= {optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED}
    assert all(len(trial.constraints) == 1 for trial in study.trials)


@every_space
def test_a_study_of_five_trials_gives_the_architectures_back(name: str) -> None:
    space = small(name)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0, n_startup_trials=2))
    given: list[Architecture] = []

    def objective(trial: optuna.Trial) -> float:
        given.append(space.suggest(trial))
        with torch.no_grad():
            return float(space.build(given[-1]).eval()(torch.ones(1, *COLOUR)).sum())

    study.optimize(objective, n_trials=5)

    assert [space.architecture(trial.params) for trial in study.trials] == given


def trainable(space: PublishedSpace) -> Callable[[dict[str, object]], None]:
    """Return a function for Tune that builds and runs a network; local, so that Ray sends it by value."""
    shape = COLOUR

    def train(config: dict[str, object]) -> None:
        with torch.no_grad():
            logits = space.build(space.architecture(config)).eval()(torch.ones(1, *shape))
        tune.report({"classes": logits.shape[1]})

    return train


@every_space
@pytest.mark.slow
def test_a_tune_run_of_five_trials_builds_their_networks(
    name: str, tmp_path: Path, ray_cluster: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_AIR_NEW_OUTPUT", "0")
    space = small(name)
    search = OptunaSearch(space.define_by_run(), metric="classes", mode="max", seed=0)
    tuner = tune.Tuner(
        trainable(space),
        tune_config=tune.TuneConfig(search_alg=search, num_samples=5, max_concurrent_trials=1, reuse_actors=True),
        run_config=tune.RunConfig(storage_path=str(tmp_path), verbose=0),
    )

    results = tuner.fit()

    assert results.num_errors == 0
    found = [results[i].metrics for i in range(len(results))]
    assert [metrics["classes"] for metrics in found if metrics is not None] == [CLASSES] * 5
