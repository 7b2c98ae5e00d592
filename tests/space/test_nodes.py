"""Branches, repetitions and subsets."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest

from nas_tune.errors import SpaceError
from nas_tune.space import Categorical, Integer, Node, Repeat, SearchSpace, Subset, Switch, Value
from nas_tune.space.node import find


def leaves(space: SearchSpace) -> list[dict[str, Value]]:
    return [dict(architecture) for architecture in space.enumerate()]


def test_only_the_parameters_of_the_chosen_branch_are_active() -> None:
    space = SearchSpace({"op": Switch({"conv": SearchSpace({"k": Categorical(3, 5)}), "skip": SearchSpace({})})})

    assert leaves(space) == [{"op": "conv", "op.conv.k": 3}, {"op": "conv", "op.conv.k": 5}, {"op": "skip"}]


def test_only_the_copies_within_the_length_are_active() -> None:
    space = SearchSpace({"deep": Repeat(Categorical("a", "b"), 0, 2)})

    assert leaves(space)[:4] == [
        {"deep.length": 0},
        {"deep.length": 1, "deep.0": "a"},
        {"deep.length": 1, "deep.0": "b"},
        {"deep.length": 2, "deep.0": "a", "deep.1": "a"},
    ]
    assert len(leaves(space)) == 1 + 2 + 4


def test_a_length_without_a_choice_is_there_but_not_asked_for() -> None:
    space = SearchSpace({"deep": Repeat(Categorical("a", "b"), 2, 2)})
    first = next(space.enumerate())

    assert dict(first) == {"deep.length": 2, "deep.0": "a", "deep.1": "a"}
    assert list(space.distributions(first)) == ["deep.0", "deep.1"]


def test_copies_of_branches_and_of_spaces_have_values_of_their_own() -> None:
    switch = Switch({"x": SearchSpace({"n": Integer(1, 2)}), "y": SearchSpace({})})
    space = SearchSpace({"a": Repeat(switch, 1, 2), "b": Repeat(SearchSpace({"k": Categorical(1, 2)}), 0, 1)})

    assert space.size() == (3 + 9) * (1 + 2) == len({tuple(leaf.items()) for leaf in leaves(space)})
    assert {"a.length": 2, "a.0": "x", "a.0.x.n": 2, "a.1": "y", "b.length": 1, "b.0.k": 2} in leaves(space)


@pytest.mark.parametrize(("n", "k"), [(0, 0), (4, 0), (4, 4), (5, 2), (9, 4), (10, 4), (9, 5), (11, 6)])
def test_a_subset_has_every_combination_once(n: int, k: int) -> None:
    subset = Subset(list(range(n)), k)
    space = SearchSpace({"ins": subset})

    chosen = [subset.chosen("ins", leaf) for leaf in leaves(space)]

    assert sorted(chosen) == list(itertools.combinations(range(n), k))
    assert space.size() == len(chosen)
    assert set().union(*leaves(space)) <= set(space.parameters())


def test_a_subset_gives_the_items_back_as_they_were() -> None:
    subset = Subset([None, True, 2, "x"], 2)

    assert subset.chosen("ins", {"ins": "None,2"}) == (None, 2)
    assert subset.choice is not None
    assert subset.choice.values[0] == "None,True"


@pytest.mark.parametrize(("n", "k"), [(3, 0), (3, 2), (3, 3), (10, 4), (10, 5)])
def test_every_chosen_item_has_values_of_its_own(n: int, k: int) -> None:
    subset = Subset(list(range(n)), k, Categorical("a", "b") if n < 10 else Categorical("a"))
    space = SearchSpace({"ins": subset})

    found = leaves(space)
    inside = [{name for name in leaf if name.count(".") == 1} for leaf in found]

    assert math.comb(n, k) * (2**k if n < 10 else 1) == len(found)
    assert space.size() == len(found) == len({tuple(leaf.items()) for leaf in found})
    assert [{f"ins.{item}" for item in subset.chosen("ins", leaf)} for leaf in found] == inside
    assert set().union(*found) <= set(space.parameters())


def test_memberships_of_many_items_leave_the_items_names_to_what_they_have() -> None:
    space = SearchSpace({"ins": Subset(list(range(10)), 4, Categorical("a", "b"))})
    first = next(space.enumerate())

    assert {"ins.9", "ins.0", "ins.0.taken"} <= set(space.parameters())
    assert "ins.9.taken" not in space.parameters(), "the last item follows from the others"
    assert dict.fromkeys((f"ins.{i}.taken" for i in range(6)), False) == {
        name: value for name, value in first.items() if name.endswith("taken")
    }
    assert ["a"] * 4 == [first[f"ins.{i}"] for i in range(6, 10)]


def test_a_nested_item_is_found_and_constrained_only_where_it_is_chosen() -> None:
    odd = SearchSpace({"k": Integer(1, 3)}).where(lambda a: a["k"] != 2, "an odd kernel")
    space = SearchSpace({"ins": Subset(("x", "y", "z"), 2, odd)})
    values = {"ins": "x,z", "ins.x.k": 1, "ins.y.k": 2, "ins.z.k": 3}

    assert find(space, "ins.z") is odd
    assert 3 * 2**2 == len(leaves(space))
    assert {"ins": "x,z", "ins.x.k": 1, "ins.z.k": 3} == dict(space.architecture(values))
    with pytest.raises(SpaceError, match="an odd kernel"):
        space.architecture({**values, "ins.z.k": 2})
    with pytest.raises(SpaceError, match="`ins` has no part 'w'"):
        find(space, "ins.w")


def test_items_with_values_of_their_own_are_drawn_equally_often() -> None:
    space = SearchSpace({"ins": Subset(list(range(10)), 4, Categorical("a", "b"))})
    rng = np.random.default_rng(0)
    drawn = [space.sample(rng) for _ in range(2_000)]

    counts = [sum(f"ins.{i}" in architecture for architecture in drawn) for i in range(10)]

    assert 4 * 2_000 == sum(counts)
    assert all(abs(count - 800) < 100 for count in counts), counts  # 4.6 standard deviations


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Subset([1, 2], 1, "conv"), "Subset: `each` is 'conv'; give a node"),  # type: ignore[arg-type]
        (
            lambda: Subset(range(10), 4, SearchSpace({"taken": Categorical(1, 2)})),
            "Subset: the name 'taken' in `each` is that of an item's membership; choose another",
        ),
        (lambda: Switch({}), "Switch: give a mapping from name to part, with at least one part; got {}"),
        (lambda: Switch({"a.b": SearchSpace({})}), "Switch: the name 'a.b' cannot be used"),
        (
            lambda: Switch({"a": Categorical(1)}),  # type: ignore[dict-item]
            r"Switch: branch 'a' is Categorical\(1\); give a SearchSpace, empty if nothing varies",
        ),
        (lambda: Repeat("conv", 1, 2), "Repeat: 'conv' is no part of a space; give a node"),  # type: ignore[arg-type]
        (lambda: Repeat(Categorical(1), 3, 2), "Repeat: 3 to 2 copies is no range: 0 <= `low` <= `high`"),
        (lambda: Repeat(Categorical(1), -1, 2), "Repeat: -1 to 2 copies is no range"),
        (lambda: Repeat(Categorical(1), 0, 1.5), "Repeat: `high` is 1.5; give a whole number"),  # type: ignore[arg-type]
        (lambda: Repeat(Categorical(1), "0", 1), "Repeat: `low` is '0'; give a finite number"),  # type: ignore[arg-type]
        (lambda: Subset([1, 2], 3), "Subset: `k` is 3, but there are 2 items"),
        (lambda: Subset([1, 2], -1), "Subset: `k` is -1, but there are 2 items"),
        (lambda: Subset([1, 2], 1.5), "Subset: `k` is 1.5; give a whole number"),  # type: ignore[arg-type]
        (lambda: Subset([1, "1"], 1), "Subset: the items .* need different names without"),
        (lambda: Subset(["a,b", "c"], 1), "Subset: the items .* need different names without"),
        (lambda: Subset([0.5], 1), "Subset: the items .* need different names without"),
        (lambda: Subset(["", "c"], 1), "Subset: the items .* need different names without"),
    ],
)
def test_what_cannot_be_a_node_is_refused(make: Callable[[], Node], message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        make()


def test_a_path_leads_to_the_node_or_says_how_far_it_goes() -> None:
    conv = SearchSpace({"k": Categorical(3, 5)})
    space = SearchSpace({"deep": Repeat(Switch({"conv": conv}), 0, 2)})

    assert find(space, "deep.1.conv") is conv
    for path, message in (
        ("stem", "The path `stem` leads nowhere: the space has no part 'stem'"),
        ("deep.2", "The path `deep.2` leads nowhere: `deep` has no part '2'"),
        ("deep.0.conv.k.x", "`deep.0.conv.k` has no part 'x'"),
        ("deep.x", "`deep` has no part 'x'"),
    ):
        with pytest.raises(SpaceError, match=message):
            find(space, path)
