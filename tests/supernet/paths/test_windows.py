"""Uniform paths inside cost windows."""

from __future__ import annotations

import pickle
from collections import Counter

import numpy as np
import pytest
from scipy.stats import chisquare

from nas_tune.errors import InfeasibleError, NasTuneError, SpaceError
from nas_tune.search_spaces import NASBench201
from nas_tune.space import Architecture, Categorical, Measure, SearchSpace
from nas_tune.supernet.paths import UniformPaths
from nas_tune.supernet.paths.pricing import macs_of
from tests.supernet.networks import Tabular, moment

TABLE = Tabular()
MACS = macs_of(TABLE, (4,))


def _drawn(paths: UniformPaths, space: SearchSpace, seed: int = 0, shape: tuple[int, ...] = (4,)) -> Architecture:
    (path,) = paths.select(moment(seed, input_shape=shape), space, np.random.default_rng((11, seed)))
    return path.architecture


def test_paths_are_uniform_within_each_window_and_windows_are_equally_likely() -> None:
    costs = {a: MACS(a) for a in TABLE.enumerate()}
    low, middle, high = np.quantile(sorted(costs.values()), [0.1, 0.3, 0.9])
    windows = ((low, middle), (middle, high))  # what lies on their common bound is in both
    counts = Counter(_drawn(UniformPaths(windows), TABLE, seed) for seed in range(4_000))

    expected: Counter[Architecture] = Counter()
    for least, most in windows:
        inside = [a for a, cost in costs.items() if least <= cost <= most]
        expected.update({a: 2_000 / len(inside) for a in inside})
    assert counts.keys() == expected.keys()
    assert chisquare([counts[a] for a in expected], list(expected.values())).pvalue > 0.01


def test_a_measure_of_ones_own_takes_the_place_of_multiply_adds() -> None:
    measure = Measure("width", lambda a: float(a["first"]))  # type: ignore[arg-type]  # a whole number
    paths = UniformPaths([(8, 8)], measure)

    assert {8} == {_drawn(paths, TABLE, seed)["first"] for seed in range(50)}


def test_a_window_that_draws_hardly_ever_hit_is_reached_all_the_same() -> None:
    space = SearchSpace({f"bit{i}": Categorical(0, 1) for i in range(24)})
    ones = Measure("ones", lambda a: float(sum(map(int, a.values()))))  # type: ignore[arg-type]  # whole numbers

    assert {1} == {*_drawn(UniformPaths([(24, 24)], ones), space).values()}  # one of 16,777,216


def test_a_window_without_architectures_is_an_error_that_says_what_there_is() -> None:
    costs = [MACS(a) for a in TABLE.enumerate()]

    with pytest.raises(InfeasibleError, match=rf"MACs from 1 M to 2 M: 10,000 draws have {min(costs)} to {max(costs)}"):
        _drawn(UniformPaths([(1e6, 2e6)]), TABLE)


def test_a_window_in_a_space_of_one_architecture_is_an_error_too() -> None:
    with pytest.raises(InfeasibleError, match="ones from 2 to 3"):
        _drawn(UniformPaths([(2, 3)], Measure("ones", len)), SearchSpace({"only": Categorical("a")}))


def test_windows_hold_in_a_constrained_space_as_well() -> None:
    space = NASBench201(4, 1).where(lambda a: a["edge_0_3"] == "none", "no shortcut")
    macs = macs_of(space, (3, 8, 8))
    window = (40e3, 60e3)
    chosen = [_drawn(UniformPaths([window]), space, seed, (3, 8, 8)) for seed in range(20)]

    assert all("none" == a["edge_0_3"] and 40e3 <= macs(a) <= 60e3 for a in chosen)


def test_the_costs_of_a_space_are_traced_once() -> None:
    assert macs_of(TABLE, (4,)) is macs_of(TABLE, (4,))
    with pytest.raises(SpaceError, match="SearchSpace builds no networks"):
        macs_of(SearchSpace({"a": Categorical(1, 2)}), (4,))


def test_the_text_of_a_strategy_is_the_same_in_every_process() -> None:
    paths = UniformPaths([(1, 2.5)], TABLE.cost((4,)).macs)

    assert "UniformPaths(windows=((1, 2.5),), measure='MACs')" == repr(paths) == repr(pickle.loads(pickle.dumps(paths)))
    assert "UniformPaths()" == repr(UniformPaths())
    assert UniformPaths([(1, 2)]) == UniformPaths(((1, 2),)) != UniformPaths()


@pytest.mark.parametrize("window", [(2, 1), (1, float("nan")), (1, 2, 3)], ids=["descending", "nan", "three"])
def test_a_window_is_a_pair_of_ascending_numbers(window: tuple[float, float]) -> None:
    with pytest.raises(NasTuneError, match="give pairs"):
        UniformPaths([window])


def test_a_measure_needs_windows() -> None:
    with pytest.raises(NasTuneError, match="no `windows`"):
        UniformPaths(measure=MACS)
