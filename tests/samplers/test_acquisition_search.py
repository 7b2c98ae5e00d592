"""The search for what is worth most: held against enumeration."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.random import default_rng
from numpy.typing import NDArray

from nas_tune.samplers.acquisition_search import Effort, maximise
from nas_tune.space import Architecture, Categorical, Float, Integer, Repeat, SearchSpace, Switch, Value

SEEDS = 40


class Landscape:
    """A worth of every architecture, as smooth as models are: numbers have one peak, choices interact a little."""

    def __init__(self, space: SearchSpace) -> None:
        self.architectures = tuple(space.enumerate())
        self._places = {architecture: i for i, architecture in enumerate(self.architectures)}
        items = dict.fromkeys(item for a in self.architectures for item in a.items())
        places = {item: i for i, item in enumerate(items)}
        self._columns = np.zeros((len(self.architectures), len(items)))
        for row, architecture in enumerate(self.architectures):
            self._columns[row, [places[item] for item in architecture.items()]] = 1.0
        numbers = {name: p for name, p in space.parameters().items() if isinstance(p, (Integer, Float))}
        self._units = [numbers[n].to_unit(float(str(v))) if n in numbers else math.nan for n, v in items]
        self._names = [name for name, _ in items]
        self.values = np.zeros(len(self.architectures))

    def draw(self, seed: int) -> None:
        rng, width = default_rng((seed, 1)), len(self._names)
        peaks = {name: rng.uniform() for name in dict.fromkeys(self._names)}
        smooth = [-4.0 * abs(unit - peaks[name]) for unit, name in zip(self._units, self._names, strict=True)]
        single = np.where(np.isnan(smooth), rng.standard_normal(width), smooth)
        chosen = np.isnan(self._units)
        pairs = 0.2 * rng.standard_normal((width, width)) * np.outer(chosen, chosen)
        self.values = self._columns @ single + ((self._columns @ pairs) * self._columns).sum(axis=1)

    def __call__(self, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        return self.values[[self._places[architecture] for architecture in architectures]]

    def best(self) -> list[Architecture]:
        return [self.architectures[i] for i in np.argsort(-self.values).tolist()]


@pytest.fixture(scope="module")
def finite_joint_space() -> SearchSpace:
    """22,500 architectures with conditional branches, a variable length and numbers."""
    convolution = SearchSpace({"kernel": Categorical(3, 5, 7), "width": Integer(8, 64, step=8)})
    return SearchSpace(
        {
            "op": Switch({"conv": convolution, "skip": SearchSpace({})}),
            "blocks": Repeat(Categorical("a", "b"), 0, 3),
            "rate": Integer(1, 10),
            "dropout": Float(0.0, 0.5, step=0.1),
        }
    )


@pytest.fixture(scope="module")
def cells(cell_space: SearchSpace) -> Landscape:
    return Landscape(cell_space)


@pytest.fixture(scope="module")
def joint(finite_joint_space: SearchSpace) -> Landscape:
    return Landscape(finite_joint_space)


def nothing(architecture: Architecture) -> bool:
    return False


def parents(landscape: Landscape, seed: int) -> list[Architecture]:
    drawn = default_rng((seed, 2)).choice(len(landscape.architectures), 20, replace=False)
    return sorted((landscape.architectures[i] for i in drawn), key=lambda a: -float(landscape([a])[0]))


def found(space: SearchSpace, landscape: Landscape, seed: int) -> bool:
    """Whether the search finds the best of what was not evaluated."""
    landscape.draw(seed)
    evaluated = parents(landscape, seed)
    proposed = maximise(space, landscape, evaluated, nothing, default_rng(seed), effort=Effort(), fixed={})
    return proposed == next(a for a in landscape.best() if a not in evaluated)


def test_the_best_of_15625_cells_is_found_nearly_always(cell_space: SearchSpace, cells: Landscape) -> None:
    assert sum(found(cell_space, cells, seed) for seed in range(SEEDS)) >= 0.95 * SEEDS


def test_the_best_of_a_conditional_space_is_found_nearly_always(
    finite_joint_space: SearchSpace, joint: Landscape
) -> None:
    assert sum(found(finite_joint_space, joint, seed) for seed in range(SEEDS)) >= 0.95 * SEEDS


def test_a_constraint_holds_for_every_candidate(cell_space: SearchSpace, cells: Landscape) -> None:
    space = cell_space.where(lambda a: list(a.values()).count("none") >= 3, "three of nothing")
    cells.draw(0)
    asked: list[Architecture] = []

    def worth(architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        asked.extend(architectures)
        return cells(architectures)

    proposed = maximise(space, worth, [], nothing, default_rng(0), effort=Effort(), fixed={})

    feasible = [a for a in cells.best() if list(a.values()).count("none") >= 3]
    assert proposed == feasible[0]
    assert set(asked) <= set(feasible)


def test_fixed_values_hold_for_every_candidate(finite_joint_space: SearchSpace, joint: Landscape) -> None:
    fixed: dict[str, Value] = {"op": "conv", "op.conv.kernel": 5, "rate": 3}
    joint.draw(1)

    proposed = maximise(
        finite_joint_space, joint, parents(joint, 1), nothing, default_rng(1), effort=Effort(), fixed=fixed
    )

    assert proposed == next(a for a in joint.best() if fixed.items() <= a.items())


def test_what_is_taken_is_passed_over(cell_space: SearchSpace, cells: Landscape) -> None:
    cells.draw(2)
    taken = cells.best()[:3]

    proposed = maximise(cell_space, cells, taken, taken.__contains__, default_rng(2), effort=Effort(), fixed={})

    assert proposed not in taken
    assert proposed in cells.best()[:8]


def test_where_everything_is_taken_the_best_is_repeated() -> None:
    space = SearchSpace({"a": Categorical(*range(6))})
    everything = list(space.enumerate())

    def worth(architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        return np.array([float(str(a["a"])) for a in architectures])

    proposed = maximise(space, worth, everything, lambda _: True, default_rng(0), effort=Effort(), fixed={})

    assert proposed["a"] == 5


@pytest.mark.parametrize("seed", range(5))
def test_continuous_parameters_are_refined(seed: int) -> None:
    branch = SearchSpace({"momentum": Float(0.0, 1.0)})
    space = SearchSpace(
        {"optimiser": Switch({"sgd": branch, "adam": SearchSpace({})}), "lr": Float(1e-4, 1e-1, log=True)}
    )

    def worth(architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        return np.array([_bowl(a) for a in architectures])

    proposed = maximise(space, worth, [], nothing, default_rng(seed), effort=Effort(), fixed={})

    assert proposed["optimiser"] == "sgd"
    assert float(str(proposed["optimiser.sgd.momentum"])) == pytest.approx(0.9, abs=0.05)
    assert math.log10(float(str(proposed["lr"]))) == pytest.approx(-2.5, abs=0.15)  # 5 % of the range, too


def _bowl(architecture: Architecture) -> float:
    momentum = architecture.get("optimiser.sgd.momentum")
    miss = 0.5 if momentum is None else abs(float(str(momentum)) - 0.9)
    return -miss - abs(math.log10(float(str(architecture["lr"]))) + 2.5)


def test_worths_that_are_no_numbers_are_the_least(cell_space: SearchSpace, cells: Landscape) -> None:
    def worth(architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        return np.array([1.0 if a["edge_0_1"] == "none" else math.nan for a in architectures])

    proposed = maximise(cell_space, worth, [], nothing, default_rng(0), effort=Effort(), fixed={})

    assert proposed["edge_0_1"] == "none"


def test_no_more_candidates_are_scored_than_the_effort_allows(cell_space: SearchSpace, cells: Landscape) -> None:
    cells.draw(3)
    scored: list[Architecture] = []

    def worth(architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        scored.extend(architectures)
        return cells(architectures)

    effort = Effort(random=5, mutants=6, beam=2, steps=12, rounds=3)
    maximise(cell_space, worth, parents(cells, 3), nothing, default_rng(0), effort=effort, fixed={})

    assert (
        len(scored) == len(set(scored)) <= 5 + 6 + 3 * 2 * 24
    )  # with up to twice the steps all neighbours are looked at
