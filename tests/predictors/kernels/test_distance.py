"""Any distance as a kernel."""

from __future__ import annotations

import numpy as np
import pytest

from nas_tune.predictors.kernels import DistanceKernel
from nas_tune.space import Architecture, Categorical, Integer, SearchSpace
from tests.predictors.kernels.grams import drawn, gram, squared_distances

# The shortest ways in the complete bipartite graph of {0, 1} and {2, 3, 4}: a metric whose exp(-d^2) is indefinite.
SIDES = (0, 0, 1, 1, 1)


def ways(a: Architecture, b: Architecture) -> float:
    i, j = int(str(a["node"])), int(str(b["node"]))
    return 0.0 if i == j else 1.0 if SIDES[i] != SIDES[j] else 2.0


def nodes() -> tuple[SearchSpace, list[Architecture]]:
    space = SearchSpace({"node": Categorical(*range(5))})
    return space, [space.architecture({"node": i}) for i in range(5)]


def apart(a: Architecture, b: Architecture) -> float:
    return abs(float(str(a["x"])) - float(str(b["x"])))


def test_it_is_positive_semi_definite_where_the_distance_alone_is_not() -> None:
    _, architectures = nodes()
    raw = np.array([[np.exp(-0.2 * ways(a, b) ** 2) for b in architectures] for a in architectures])
    kernel = DistanceKernel(ways).fit(architectures)

    assert np.linalg.eigvalsh(raw).min() < -0.05
    for weight in (0.1, 0.4, 1.0, 4.0):
        assert np.linalg.eigvalsh(gram(kernel, architectures, [weight])).min() > -1e-8


def test_columns_are_distances_to_sets_of_what_was_learned() -> None:
    space = SearchSpace({"x": Integer(0, 1_000)})
    learned = drawn(space, 6)
    kernel = DistanceKernel(apart).fit(learned)
    columns = kernel.encode(learned) * np.sqrt(len(kernel.groups))
    others = {apart(a, b) for a in learned for b in learned}
    members = (columns == 0.0).sum(axis=0)

    # two sets of each size, 1, 2, 4, as log(6) is 1.8 and log2(6) - 1 is 1.6; a set's members are at distance 0
    assert kernel.groups == (0,) * 6
    assert sorted(members.tolist()) == [1, 1, 2, 2, 4, 4]
    assert {round(value) for value in columns.ravel()} <= {round(value) for value in others}
    for column, count in zip(columns.T, members, strict=True):
        own = [a for a, value in zip(learned, column, strict=True) if value == 0.0]
        assert len(own) == count
        assert column == pytest.approx([min(apart(a, b) for b in own) for a in learned])


def test_no_pair_lies_further_apart_than_by_the_distance() -> None:
    space = SearchSpace({"x": Integer(0, 1_000)})
    architectures = drawn(space, 20)
    kernel = DistanceKernel(apart).fit(architectures[:10])
    exact = np.array([[apart(a, b) for b in architectures] for a in architectures])

    assert (np.sqrt(squared_distances(kernel, architectures)[0]) <= exact + 1e-9).all()


def test_the_seed_draws_the_sets() -> None:
    space = SearchSpace({"x": Integer(0, 1_000)})
    architectures = drawn(space, 200)
    one, same, other = (DistanceKernel(apart, seed=seed).fit(architectures) for seed in (0, 0, 1))

    assert one.encode(architectures).tolist() == same.encode(architectures).tolist()
    assert one.encode(architectures).tolist() != other.encode(architectures).tolist()


def test_every_distance_is_asked_for_once() -> None:
    asked: list[tuple[Architecture, Architecture]] = []

    def counted(a: Architecture, b: Architecture) -> float:
        asked.append((a, b))
        return ways(a, b)

    _, architectures = nodes()
    kernel = DistanceKernel(counted).fit(architectures)
    kernel.encode(architectures)
    kernel.fit([*architectures, *architectures]).encode(architectures)

    assert len(asked) == len(set(asked)) == 25


def test_before_it_learned_all_are_alike() -> None:
    _, architectures = nodes()

    assert not DistanceKernel(ways).encode(architectures).any()
    assert DistanceKernel(ways).fit(architectures[:1]).encode([]).shape == (0, 1)
