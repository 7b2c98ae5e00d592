"""The plan of a space: the same decisions, in the same order, as a walk from node to node."""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

import numpy as np
from hypothesis import given, settings

from nas_tune.space import Categorical, Node, Parameter, Repeat, SearchSpace, Subset, Switch, Value
from nas_tune.space.layout import lay_out
from nas_tune.space.node import Choose, join
from nas_tune.space.plan import Walked
from nas_tune.space.walks import follow
from tests.space.strategies import nested, seeds, spaces

Asked: TypeAlias = list[tuple[str, Parameter, Sequence[int] | None]]


def asked(space: SearchSpace, go: Callable[[Choose], object], seed: int) -> Asked:
    """Return what is asked on the way to a drawn architecture; what leaves no choice is left out."""
    values = space.sample(np.random.default_rng(seed))
    found: Asked = []

    def choose(name: str, parameter: Parameter, weights: Sequence[int] | None) -> Value:
        if not parameter.fixed:
            found.append((name, parameter, weights))
        return values[name]

    go(choose)
    return found


@given(spaces(), seeds)
@settings(max_examples=60)
def test_a_plan_asks_what_a_walk_asks(space: SearchSpace, seed: int) -> None:
    walked = asked(space, lambda choose: space.walk("", choose), seed)
    planned = asked(space, lambda choose: follow(space, choose), seed)

    assert planned == walked


def test_subsets_with_parts_of_their_own_are_laid_out() -> None:
    space = SearchSpace({"node": Subset(("a", "b", "c"), 2, Categorical("conv", "pool"))})

    plan = space.plan

    assert len(plan) == 1 and not isinstance(plan[0], Walked)
    values = follow(space, lambda name, parameter, weights: parameter.values[-1])
    assert values == {"node": "b,c", "node.b": "pool", "node.c": "pool"}
    counts = Counter(space.sample(np.random.default_rng(i)) for i in range(1200))
    assert len(counts) == 12 and min(counts.values()) > 60


def test_a_kind_of_node_that_walks_in_its_own_way_is_walked() -> None:
    class Pair(Node):
        """Two numbers, the second not below the first."""

        def walk(self, name: str, choose: Choose) -> None:
            first = choose(join(name, "first"), Categorical(0, 1, 2), (3, 2, 1))
            assert isinstance(first, int)
            choose(join(name, "second"), Categorical(*range(first, 3)), None)

        def weight(self) -> int:
            return 6

        def declared(self, name: str) -> Iterator[tuple[str, Parameter]]:
            yield join(name, "first"), Categorical(0, 1, 2)
            yield join(name, "second"), Categorical(0, 1, 2)

    class Backwards(Repeat):
        """Copies that are asked for last first."""

        def walk(self, name: str, choose: Choose) -> None:
            length = choose(join(name, "length"), self.length, None)
            for item in reversed(list(self.items(name, length))):
                self.node.walk(item, choose)

    space = SearchSpace({"pair": Pair(), "back": Backwards(Categorical("a", "b"), 2, 2)})
    rng = np.random.default_rng(0)

    drawn = [space.sample(rng) for _ in range(600)]

    assert len(set(drawn)) == 6 * 4
    assert list(drawn[0]) == ["pair.first", "pair.second", "back.length", "back.1", "back.0"]
    parent = space.architecture({"pair.first": 0, "pair.second": 0, "back.0": "a", "back.1": "a"})
    assert {tuple(space.mutate(parent, rng).values())[3:] for _ in range(100)} == {("a", "a"), ("a", "b"), ("b", "a")}


def test_a_plan_is_laid_out_as_far_as_it_is_needed() -> None:
    wide = Repeat(Switch({"a": SearchSpace({"k": Categorical(1, 2)}), "b": SearchSpace({})}), 0, 400)

    plan = lay_out(wide, "deep")

    assert len(plan) == 1 and not isinstance(plan[0], Walked)
    assert plan[0].opens is not None and len(plan[0].opens) == 0
    assert len(plan[0].opens[3]) == 3


def test_pickling_keeps_a_space_that_has_been_used() -> None:
    space = nested()
    drawn = space.sample(np.random.default_rng(1))

    copied: SearchSpace = pickle.loads(pickle.dumps(space))

    assert copied.sample(np.random.default_rng(1)) == drawn
    assert copied.architecture(drawn) == drawn
