"""Spaces in Ray Tune: its own domains, and Optuna inside a real run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from ray import tune
from ray.tune.search.optuna import OptunaSearch

from nas_tune.errors import ArchitectureError
from nas_tune.space import Categorical, Float, Integer, Repeat, SearchSpace, Subset, Switch


def small() -> SearchSpace:
    """A space of 108 architectures with every kind of discrete domain."""
    conv = SearchSpace({"k": Integer(3, 5, step=2)})
    return SearchSpace(
        {
            "op": Switch({"conv": conv, "skip": SearchSpace({})}),
            "ins": Subset([0, 1, 2], 2),
            "deep": Repeat(Categorical(None, True), 0, 1),
            "width": Integer(1, 2, log=True),
            "drop": Float(0, 0.2, step=0.2),
            "fixed": Categorical("only"),
        }
    )


def drawn(space: SearchSpace, draws: int) -> list[dict[str, object]]:
    np.random.seed(0)  # ray's domains draw from numpy's global state
    domains = space.param_space()
    return [{name: domain.sample() for name, domain in domains.items()} for _ in range(draws)]  # type: ignore[attr-defined]


def test_what_ray_draws_forms_every_architecture_of_the_space() -> None:
    space = small()

    found = {space.architecture(config) for config in drawn(space, 2_500)}

    assert found == set(space.enumerate())
    assert space.size() == len(found) == (2 + 1) * 3 * (1 + 2) * 2 * 2


def test_ray_draws_numbers_within_their_bounds_on_their_scale() -> None:
    space = SearchSpace(
        {"lr": Float(1e-4, 1.0, log=True), "p": Float(-1, 3), "n": Integer(-2, 2), "w": Integer(8, 512, log=True)}
    )

    configs = [space.architecture(config) for config in drawn(space, 2_000)]

    values = {name: np.array([config[name] for config in configs], dtype=float) for name in space.parameters()}
    assert abs(float(np.median(np.log10(values["lr"]))) + 2) < 0.15
    assert abs(float(np.median(values["p"])) - 1) < 0.15
    assert set(values["n"]) == {-2, -1, 0, 1, 2}
    assert values["w"].min() >= 8 and values["w"].max() <= 512 and 50 < np.median(values["w"]) < 80


def test_large_subsets_are_read_out_of_whatever_ray_draws() -> None:
    space = SearchSpace({"ins": Subset(range(10), 4)})
    subset = space["ins"]
    assert isinstance(subset, Subset)

    for config in drawn(space, 50):
        assert len(subset.chosen("ins", space.architecture(config))) == 4


def trainable(space: SearchSpace, scores: Mapping[str, float]) -> Callable[[dict[str, object]], None]:
    """Return a function for Tune that scores an architecture; local, so that Ray sends it by value."""

    def train(config: dict[str, object]) -> None:
        architecture = space.architecture(config)
        tune.report({"score": scores[str(architecture["op"])], "active": len(architecture)})

    return train


@pytest.mark.slow
def test_optuna_searches_the_space_inside_a_real_tune_run(
    ray_cluster: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_AIR_NEW_OUTPUT", "0")
    space = small()
    search = OptunaSearch(space.define_by_run(), metric="score", mode="max", seed=0)
    tuner = tune.Tuner(
        trainable(space, {"conv": 1.0, "skip": 0.0}),
        tune_config=tune.TuneConfig(search_alg=search, num_samples=5, max_concurrent_trials=2, reuse_actors=True),
        run_config=tune.RunConfig(storage_path=str(tmp_path), verbose=0),
    )

    results = tuner.fit()

    assert results.num_errors == 0
    assert len(results) == 5
    for result in (results[i] for i in range(5)):
        assert result.config is not None and result.metrics is not None
        architecture = space.architecture(result.config)
        assert architecture in set(space.enumerate())
        assert result.metrics["active"] == len(architecture)
        assert set(result.config) == set(space.distributions(architecture))


def test_a_config_of_another_space_fails_with_the_path() -> None:
    config = drawn(small(), 1)[0]
    del config["ins"]

    with pytest.raises(ArchitectureError, match="no value for `ins`: choose from '0,1', '0,2', '1,2'"):
        small().architecture(config)
