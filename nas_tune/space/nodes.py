"""The structure of a space: one of several branches (`Switch`), a variable length (`Repeat`), k of n (`Subset`)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from nas_tune.errors import SpaceError
from nas_tune.space.node import Choose, Node, Value, check_keys, join, whole
from nas_tune.space.parameters import Categorical, Integer, Parameter

if TYPE_CHECKING:
    from nas_tune.space.search_space import SearchSpace

MOST_COMBINATIONS = 128  # above that a subset is asked for item by item: a categorical of thousands helps nobody


class Switch(Node):
    """One branch out of several, each with a sub-space of its own that is active only when it is chosen.

    The branch is a categorical parameter under the node's name; parameters of branch `conv` are named
    `<name>.conv.<key>`.

    Args:
        branches: Sub-space of each branch; `SearchSpace({})` for a branch without parameters.

    Raises:
        SpaceError: No branch, a name with a dot or slash, or a branch that is no search space.
    """

    def __init__(self, branches: Mapping[str, SearchSpace]) -> None:
        from nas_tune.space.search_space import SearchSpace

        check_keys("Switch", branches)
        for key, branch in branches.items():
            if not isinstance(branch, SearchSpace):
                raise SpaceError(f"Switch: branch '{key}' is {branch!r}; give a SearchSpace, empty if nothing varies.")
        self.branches = dict(branches)
        self.choice = Categorical(*self.branches)

    def __repr__(self) -> str:
        return f"Switch({self.branches!r})"

    @cached_property
    def _weights(self) -> tuple[int, ...]:
        return tuple(branch.weight() for branch in self.branches.values())

    def walk(self, name: str, choose: Choose) -> None:
        chosen = str(choose(name, self.choice, self._weights))
        self.branches[chosen].walk(join(name, chosen), choose)

    def weight(self) -> int:
        return sum(self._weights)

    def declared(self, name: str) -> Iterator[tuple[str, Parameter]]:
        yield name, self.choice
        for key, branch in self.branches.items():
            yield from branch.declared(join(name, key))

    def child(self, key: str) -> Node:
        return self.branches[key]

    def constrained(self) -> bool:
        return any(branch.constrained() for branch in self.branches.values())

    def reasons(self) -> Iterator[str]:
        return itertools.chain.from_iterable(branch.reasons() for branch in self.branches.values())

    def excesses(self, name: str, values: Mapping[str, Value]) -> Iterator[tuple[str, float]]:
        chosen = str(values[name])
        return self.branches[chosen].excesses(join(name, chosen), values)

    def canonical(self, name: str, values: Mapping[str, Value]) -> object:
        chosen = str(values[name])
        return [chosen, self.branches[chosen].canonical(join(name, chosen), values)]


class Repeat(Node):
    """Between `low` and `high` copies of a node, each with values of its own.

    The number of copies is an integer parameter `<name>.length`; the copies are `<name>.0`, `<name>.1`, ...

    Args:
        node: What is repeated.
        low: Fewest copies, at least 0.
        high: Most copies.

    Raises:
        SpaceError: `low` below 0 or above `high`, or `node` is no node.
    """

    def __init__(self, node: Node, low: int, high: int) -> None:
        if not isinstance(node, Node):
            raise SpaceError(f"Repeat: {node!r} is no part of a space; give a node such as Categorical(...).")
        self.node, self.low, self.high = node, whole("Repeat", "low", low), whole("Repeat", "high", high)
        if not 0 <= low <= high:
            raise SpaceError(f"Repeat: {low} to {high} copies is no range: 0 <= `low` <= `high`.")
        self.length = Integer(self.low, self.high)

    def __repr__(self) -> str:
        return f"Repeat({self.node!r}, {self.low}, {self.high})"

    @cached_property
    def _weights(self) -> tuple[int, ...]:
        weight = self.node.weight()
        return tuple(weight**length for length in range(self.low, self.high + 1))

    def walk(self, name: str, choose: Choose) -> None:
        length = choose(join(name, "length"), self.length, self._weights)
        for item in self.items(name, length):
            self.node.walk(item, choose)

    @staticmethod
    def items(name: str, length: Value) -> Iterator[str]:
        """Yield the paths of the first `length` copies."""
        assert isinstance(length, int)
        return (join(name, i) for i in range(length))

    def weight(self) -> int:
        return sum(self._weights)

    def declared(self, name: str) -> Iterator[tuple[str, Parameter]]:
        yield join(name, "length"), self.length
        for item in self.items(name, self.high):
            yield from self.node.declared(item)

    def child(self, key: str) -> Node:
        if not key.isdecimal() or int(key) >= self.high:
            raise KeyError(key)
        return self.node

    def constrained(self) -> bool:
        return self.node.constrained()

    def reasons(self) -> Iterator[str]:
        return self.node.reasons()

    def excesses(self, name: str, values: Mapping[str, Value]) -> Iterator[tuple[str, float]]:
        for item in self.items(name, values[join(name, "length")]):
            yield from self.node.excesses(item, values)

    def canonical(self, name: str, values: Mapping[str, Value]) -> object:
        return [self.node.canonical(item, values) for item in self.items(name, values[join(name, "length")])]


class Subset(Node):
    """`k` of the `items`, for example the inputs of a cell's node.

    Up to 128 combinations it is one categorical parameter whose values read like ``"0,2"``. With more it is asked for
    item by item, a boolean `<name>.<item>` for each item whose membership is still open (`<name>.<item>.taken` when
    there is `each`). `chosen` reads either form.

    Args:
        items: What is chosen from; their `str` forms are all different and hold no ``, . /``.
        k: How many are chosen.
        each: What every chosen item has of its own, under `<name>.<item>`, such as the operation on its edge.

    Raises:
        SpaceError: `k` is not between 0 and the number of items, the items have no distinct names, or with more than
            128 combinations `each` has a part named `taken`.
    """

    def __init__(self, items: Sequence[Value], k: int, each: Node | None = None) -> None:
        self.items, self.k, self.each = tuple(items), whole("Subset", "k", k), each
        self._names = tuple(map(str, self.items))
        if len(set(self._names)) != len(self._names) or any(not n or set(n) & set(",./") for n in self._names):
            raise SpaceError(f"Subset: the items {self.items} need different names without ',', '.' and '/'.")
        if not 0 <= k <= len(self.items):
            raise SpaceError(f"Subset: `k` is {k}, but there are {len(self.items)} items.")
        if each is not None and not isinstance(each, Node):
            raise SpaceError(f"Subset: `each` is {each!r}; give a node such as Categorical(...).")
        self.choice: Categorical | None = None
        self._taken: dict[Value, tuple[str, ...]] = {}
        if math.comb(len(self.items), self.k) <= MOST_COMBINATIONS:
            self._taken = {",".join(taken): taken for taken in itertools.combinations(self._names, k)}
            self.choice = Categorical(*self._taken)
        elif each is not None and any(name.split(".")[1:2] == ["taken"] for name, _ in each.declared("item")):
            raise SpaceError("Subset: the name 'taken' in `each` is that of an item's membership; choose another.")
        self.membership = Categorical(False, True)

    def __repr__(self) -> str:
        each = f", {self.each!r}" if self.each is not None else ""
        return f"Subset({list(self.items)}, {self.k}{each})"

    def walk(self, name: str, choose: Choose) -> None:
        taken = self._walk_items(name, choose)
        if self.each is not None:
            for item in taken:
                self.each.walk(join(name, item), choose)

    def _walk_items(self, name: str, choose: Choose) -> Sequence[str]:
        if self.choice is not None:
            return self._taken[choose(name, self.choice, None)]
        taken: list[str] = []
        for i, item in enumerate(self._names):
            left, open_places = len(self._names) - i, self.k - len(taken)
            if open_places == left:
                return [*taken, *self._names[i:]]
            # of C(left, open) subsets the share open / left holds this item
            if open_places and choose(self._member(name, item), self.membership, (left - open_places, open_places)):
                taken.append(item)
        return taken

    def _member(self, name: str, item: str) -> str:
        return join(name, item) if self.each is None else join(join(name, item), "taken")

    def chosen(self, name: str, values: Mapping[str, Value]) -> tuple[Value, ...]:
        """Return the chosen items in their order, given the values of an architecture."""
        if self.choice is not None:
            taken = self._taken[values[name]]
            return tuple(item for item, label in zip(self.items, self._names, strict=True) if label in taken)
        found: list[Value] = []
        for i, (item, label) in enumerate(zip(self.items, self._names, strict=True)):
            forced = self.k - len(found) == len(self.items) - i
            if forced or (len(found) < self.k and values[self._member(name, label)]):
                found.append(item)
        return tuple(found)

    def weight(self) -> int:
        inside = 1 if self.each is None else self.each.weight()
        return int(math.comb(len(self.items), self.k) * inside**self.k)

    def declared(self, name: str) -> Iterator[tuple[str, Parameter]]:
        if self.choice is not None:
            yield name, self.choice
        for place, item in enumerate(self._names):
            if self.choice is None and place < len(self._names) - 1:
                yield self._member(name, item), self.membership
            if self.each is not None and self.k:
                yield from self.each.declared(join(name, item))

    def child(self, key: str) -> Node:
        if self.each is None or key not in self._names:
            raise KeyError(key)
        return self.each

    def constrained(self) -> bool:
        return self.each is not None and self.each.constrained()

    def reasons(self) -> Iterator[str]:
        return self.each.reasons() if self.each is not None else iter(())

    def excesses(self, name: str, values: Mapping[str, Value]) -> Iterator[tuple[str, float]]:
        if self.each is not None and self.each.constrained():
            for item in self.chosen(name, values):
                yield from self.each.excesses(join(name, item), values)

    def canonical(self, name: str, values: Mapping[str, Value]) -> object:
        chosen = self.chosen(name, values)
        if self.each is None:
            return list(chosen)
        return [[item, self.each.canonical(join(name, item), values)] for item in chosen]
