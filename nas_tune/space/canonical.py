"""The canonical form of a graph: equal exactly when two graphs are the same network.

What is the same network: an operation whose input is empty contributes nothing, nor does one that no path leads on
from (dead edges); an identity is what it passes on; two sums of the same terms are one; the order of nodes is of no
account. An operation *instance* that is used twice is not two instances with the same input: those have weights of
their own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from nas_tune.errors import ArchitectureError
from nas_tune.space.graphs import is_input
from nas_tune.space.labelling import canonical_order

if TYPE_CHECKING:
    import networkx as nx

IDENTITIES = frozenset({"identity", "skip", "skip_connect", "sum"})
ZEROS = frozenset({"none", "zero"})

Terms: TypeAlias = dict[int, int]
"""What is summed (or concatenated): how often each node enters."""

_text = json.JSONEncoder(sort_keys=True, default=str).encode


class _Read(NamedTuple):
    """A graph by places: operation and label of each node, its inputs, and the places in an order of computation."""

    ops: list[str]
    labels: list[str]
    inputs: list[Terms]
    order: list[int]


def canonical_form(graph: nx.DiGraph[str]) -> list[list[object]]:
    """Return a JSON-able form: a row `[label, [[input row, count], ...]]` for every live node, after the graph's own.

    Two graphs with the same form compute the same function for suitably matched weights, with the same operations
    live. Zeros are absorbed, identities contracted, dead nodes removed; the rest is labelled canonically.

    Raises:
        ArchitectureError: The graph has a cycle.
    """
    read = _read(graph)
    inputs = _resolved(read)
    alive = _alive(read.ops, inputs)
    labels = {i: read.labels[i] if i < len(read.labels) else "sum" for i in alive}
    order = canonical_order(labels, {i: inputs[i] for i in alive})
    row = {node: place for place, node in enumerate(order)}
    form: list[list[object]] = [[_text(graph.graph), []]] if graph.graph else []
    form += [[labels[i], sorted([row[s], count] for s, count in inputs[i].items())] for i in order]
    return form


def _read(graph: nx.DiGraph[str]) -> _Read:
    place: dict[str, int] = {}
    ops: list[str] = []
    labels: list[str] = []
    inputs: list[Terms] = []
    for name, attributes in graph.nodes(data=True):
        place[name] = len(ops)
        op = str(attributes["op"])
        # an identity that has `parameters`, such as a stride, is an operation
        ops.append("operation" if op in IDENTITIES and attributes.get("parameters") else op)
        labels.append(_label(attributes) if len(attributes) > 1 else op)
        inputs.append({})
    users: list[list[int]] = [[] for _ in ops]
    for source, targets in graph.adjacency():
        above = place[source]
        for target, edge in targets.items():
            below = place[target]
            inputs[below][above] = edge.get("count", 1)
            users[above].append(below)
    return _Read(ops, labels, inputs, _order(inputs, users))


def _label(attributes: Mapping[str, object]) -> str:
    """Write down the attributes of a node; what only has an op and parameters, as most do, is written faster."""
    parameters = attributes.get("parameters")
    if len(attributes) > 2 or not isinstance(parameters, Mapping):
        return _text(attributes)
    return f"{attributes['op']} {sorted(parameters.items())}" if parameters else str(attributes["op"])


def _order(inputs: Sequence[Terms], users: Sequence[Sequence[int]]) -> list[int]:
    waiting = list(map(len, inputs))
    order = [i for i, count in enumerate(waiting) if not count]
    for i in order:
        for user in users[i]:
            waiting[user] -= 1
            if not waiting[user]:
                order.append(user)
    if len(order) < len(inputs):
        raise ArchitectureError(
            "The graph has a cycle, so nothing in it can be computed first. Remove one of its edges."
        )
    return order


def _resolved(read: _Read) -> list[Terms]:
    """Return the inputs of every node with zeros absorbed and identities passed through.

    A sum of several that enters a concatenation stays, as a new node beyond those of the graph.
    """
    inputs: list[Terms] = [{} for _ in read.ops]
    passed: list[Terms] = [{} for _ in read.ops]  # what a user of the node sums
    sums: dict[frozenset[tuple[int, int]], int] = {}
    for i in read.order:
        op = read.ops[i]
        if op in ZEROS:
            continue
        mine = inputs[i]
        for source, times in read.inputs[i].items():
            terms = passed[source]
            if op == "concat" and sum(terms.values()) > 1:
                terms = {_sum_of(terms, sums, inputs): 1}
            for term, count in terms.items():
                mine[term] = mine.get(term, 0) + times * count
        if op in IDENTITIES:
            passed[i] = mine
        elif mine or is_input(op):
            passed[i] = {i: 1}
    return inputs


def _sum_of(terms: Terms, sums: dict[frozenset[tuple[int, int]], int], inputs: list[Terms]) -> int:
    """Return the node that sums `terms`, made where there is none."""
    key = frozenset(terms.items())
    if key not in sums:
        sums[key] = len(inputs)
        inputs.append(terms)
    return sums[key]


def _alive(ops: Sequence[str], inputs: Sequence[Terms]) -> list[int]:
    """Return the inputs of the graph and what its outputs are made of."""
    stack = [i for i, op in enumerate(ops) if op == "output" or is_input(op)]
    alive = set(stack)
    while stack:
        for source in inputs[stack.pop()]:
            if source not in alive:
                alive.add(source)
                stack.append(source)
    return sorted(alive)
