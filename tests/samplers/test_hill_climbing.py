"""Local search, without a study."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis.strategies import integers
from numpy.random import Generator, default_rng

from nas_tune.samplers.aging_evolution import Member
from nas_tune.samplers.hill_climbing import Climb, Step, neighbourhood, propose
from nas_tune.space import Architecture, Categorical, Float, Integer, SearchSpace


@dataclass
class Search:
    """A search that runs one evaluation after the other."""

    space: SearchSpace
    value: Callable[[Architecture], float]
    draws: int = 5
    climbs: list[Climb] = field(default_factory=list)
    found: dict[Architecture, float] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)

    def run(self, budget: int, seed: int) -> Search:
        for number in range(budget):
            rng = default_rng((seed, number))
            step = propose(self.space, self.climbs, self.draws, self.near, {}, self.found.__contains__, rng)
            self.found[step.architecture] = self.value(step.architecture)
            if step.climb == len(self.climbs):
                self.climbs.append(Climb())
            member = Member(number, step.architecture, self.found[step.architecture])
            self.climbs[step.climb] = self.climbs[step.climb].after(member, drawn=step.centre is None)
            self.steps.append(step)
        return self

    def near(self, centre: Member) -> tuple[Architecture, ...]:
        return neighbourhood(self.space, centre, most=200)


@pytest.fixture(scope="module")
def grid() -> SearchSpace:
    return SearchSpace({f"edge_{i}": Categorical(*range(4)) for i in range(5)})


def total(architecture: Architecture) -> float:
    return float(sum(map(int, map(str, architecture.values()))))


def test_a_climb_starts_at_the_best_draw_and_moves_to_the_first_better_neighbour(grid: SearchSpace) -> None:
    steps = Search(grid, total).run(60, seed=0).steps

    assert [step.centre for step in steps[:5]] == [None] * 5
    best = max(range(5), key=lambda i: total(steps[i].architecture))
    climbed = [(number, step) for number, step in enumerate(steps[5:], start=5) if step.climb == 0]
    assert len(climbed) >= 15
    for number, step in climbed:
        assert step.centre == best
        assert step.architecture in grid.neighbours(steps[best].architecture)
        if total(step.architecture) > total(steps[best].architecture):
            best = number


def test_a_smooth_hill_is_climbed_and_then_another_begins(grid: SearchSpace) -> None:
    search = Search(grid, total).run(120, seed=1)
    top = search.climbs[0].centre

    assert top is not None and top.value == 15
    assert set(grid.neighbours(top.architecture)) <= set(search.found)
    restart = next(i for i, step in enumerate(search.steps) if step.climb == 1)
    assert [step.centre for step in search.steps[restart : restart + 5]] == [None] * 5


def test_no_architecture_is_tried_twice_over_many_climbs(grid: SearchSpace) -> None:
    landscape = dict(zip(grid.enumerate(), default_rng(0).permutation(4**5).tolist(), strict=True))
    search = Search(grid, landscape.__getitem__).run(300, seed=0)

    assert len(search.climbs) > 5
    assert len(search.found) == 300
    assert max(search.found.values()) == max(climb.centre.value for climb in search.climbs if climb.centre)


def test_equally_good_neighbours_are_no_reason_to_move() -> None:
    first = Member(3, Architecture({"a": 0}), 1.0)
    climb = Climb(1, first).after(Member(4, Architecture({"a": 1}), 1.0), drawn=False)

    assert climb == Climb(1, first)
    assert climb.after(Member(2, Architecture({"a": 2}), 1.0), drawn=False).centre != first


def test_the_centre_breaks_constraints_least_whatever_its_value() -> None:
    feasible = Member(0, Architecture({"a": 0}), -5.0)

    assert Climb(1, feasible).after(Member(1, Architecture({"a": 1}), 9.0, excess=0.1), drawn=True) == Climb(
        2, feasible
    )


def test_a_climb_without_a_value_draws_on(grid: SearchSpace) -> None:
    pruned = Climb().after(None, drawn=True).after(None, drawn=True)

    step = propose(grid, [pruned], 2, lambda centre: (), {}, lambda architecture: False, default_rng(0))
    assert (step.climb, step.centre) == (0, None)


def test_an_optimum_is_climbed_on_from_when_a_late_neighbour_is_better(grid: SearchSpace) -> None:
    low, high = (Member(i, grid.architecture({f"edge_{k}": i for k in range(5)}), float(i)) for i in (0, 1))
    taken = {*grid.neighbours(low.architecture)}
    climbs = [Climb(1, low), Climb(0)]

    def step(climbs: list[Climb]) -> Step:
        near = {m.number: grid.neighbours(m.architecture) for m in (low, high)}
        return propose(grid, climbs, 1, lambda m: near[m.number], {}, taken.__contains__, default_rng(0))

    assert (step(climbs).climb, step(climbs).centre) == (1, None)
    climbs[0] = climbs[0].after(high, drawn=False)
    assert (step(climbs).climb, step(climbs).centre) == (0, 1)


def test_numbers_move_by_steps() -> None:
    space = SearchSpace({"width": Integer(8, 64, step=8), "lr": Float(1e-4, 1e-1, log=True)})
    centre = Member(0, space.architecture({"width": 16, "lr": 1e-2}), 0.0)

    near = neighbourhood(space, centre, most=200)
    assert sorted(int(str(a["width"])) for a in near if a["lr"] == 1e-2) == [8, 24]
    assert len(near) == 4


def test_of_a_large_neighbourhood_a_choice_is_tried() -> None:
    space = SearchSpace({f"op_{i}": Categorical(*range(9)) for i in range(10)})
    centres = [Member(number, space.sample(default_rng(0)), 0.0) for number in (1, 1, 2)]

    first, again, other = (neighbourhood(space, centre, most=20) for centre in centres)
    assert len(set(first)) == 20
    assert set(first) <= set(space.neighbours(centres[0].architecture))
    assert first == again != other


@given(seed=integers(0, 2**32 - 1))
def test_a_proposal_holds_fixed_values_and_is_of_the_space(seed: int, joint_space: SearchSpace) -> None:
    rng = default_rng(seed)
    climbs = [Climb(2, Member(1, joint_space.sample(rng), 1.0))] if rng.random() < 0.5 else []
    fixed = {name: value for name, value in joint_space.sample(rng).items() if rng.random() < 0.3}

    def near(centre: Member) -> tuple[Architecture, ...]:
        return neighbourhood(joint_space, centre, 50)

    found = propose(joint_space, climbs, 2, near, fixed, lambda architecture: False, rng).architecture
    assert joint_space.architecture(found) == found
    assert all(found[name] == fixed[name] for name in fixed.keys() & found.keys())


def best_rank(space: SearchSpace, ranks: dict[Architecture, int], budget: int, rng: Generator) -> int:
    search = Search(space, lambda a: -ranks[a], draws=10)
    return -int(max(search.run(budget, int(rng.integers(2**32))).found.values()))


def test_with_permuted_rewards_local_search_is_random_search(grid: SearchSpace) -> None:
    cells, budget, runs = list(grid.enumerate()), 40, 40
    smooth = dict(zip(sorted(cells, key=total, reverse=True), range(1, len(cells) + 1), strict=True))
    best, permuted = [], []
    for seed in range(runs):
        rng = default_rng(seed)
        shuffled = dict(zip(cells, (rng.permutation(len(cells)) + 1).tolist(), strict=True))
        permuted.append(best_rank(grid, shuffled, budget, rng))
        best.append(best_rank(grid, smooth, budget, rng))

    # the best of n drawn without replacement from N has the mean rank (N + 1) / (n + 1)
    expected = (len(cells) + 1) / (budget + 1)
    assert abs(np.mean(permuted) - expected) < 2 * np.std(permuted, ddof=1) / np.sqrt(runs)
    assert np.mean(best) < expected / 3
