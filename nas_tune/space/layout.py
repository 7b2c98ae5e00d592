"""How each kind of node lays out its decisions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from itertools import chain

from nas_tune.space.node import Node, Value, join
from nas_tune.space.nodes import Repeat, Subset, Switch
from nas_tune.space.parameters import Parameter
from nas_tune.space.plan import Plan, Step, Walked
from nas_tune.space.search_space import SearchSpace


class Opens(dict[Value, "Plan"]):
    """The steps that follow from each value of a decision, laid out when they are first needed.

    Args:
        parts: Path and node of everything that can follow.
        places: Which of the parts follow, by value.
    """

    def __init__(self, parts: Iterable[tuple[str, Node]], places: Mapping[Value, Sequence[int]]) -> None:
        super().__init__()
        self._parts, self._places = tuple(parts), places

    @cached_property
    def _plans(self) -> tuple[Plan, ...]:
        return tuple(lay_out(node, name) for name, node in self._parts)

    def __missing__(self, value: Value) -> Plan:
        plan = tuple(chain.from_iterable(self._plans[place] for place in self._places[value]))
        self[value] = plan
        return plan


def lay_out(node: Node, name: str = "") -> Plan:
    """Return the steps of a node at the path `name`; a node that walks in a way of its own is left to walk."""
    lay = _LAYOUTS.get(type(node).walk)
    return lay(node, name) if lay is not None else (Walked(name, node),)


def _parameter(node: Node, name: str) -> Plan:
    assert isinstance(node, Parameter)
    return (Step(name, node),)


def _space(node: Node, name: str) -> Plan:
    assert isinstance(node, SearchSpace)
    return tuple(chain.from_iterable(lay_out(part, join(name, key)) for key, part in node.nodes.items()))


def _switch(node: Node, name: str) -> Plan:
    assert isinstance(node, Switch)
    branches = [(join(name, key), branch) for key, branch in node.branches.items()]
    opens = Opens(branches, {key: (place,) for place, key in enumerate(node.branches)})
    return (Step(name, node.choice, node._weights, opens),)


def _repeat(node: Node, name: str) -> Plan:
    assert isinstance(node, Repeat)
    copies = [(item, node.node) for item in node.items(name, node.high)]
    opens = Opens(copies, {length: range(length) for length in range(node.low, node.high + 1)})
    return (Step(join(name, "length"), node.length, node._weights, opens),)


def _subset(node: Node, name: str) -> Plan:
    assert isinstance(node, Subset)
    if node.choice is None:
        return (Walked(name, node),)
    if node.each is None:
        return (Step(name, node.choice),)
    labels = list(map(str, node.items))
    places = {value: tuple(map(labels.index, taken)) for value, taken in node._taken.items()}
    return (Step(name, node.choice, None, Opens(((join(name, label), node.each) for label in labels), places)),)


_LAYOUTS: Mapping[object, Callable[[Node, str], Plan]] = {
    Parameter.walk: _parameter,
    SearchSpace.walk: _space,
    Switch.walk: _switch,
    Repeat.walk: _repeat,
    Subset.walk: _subset,
}
