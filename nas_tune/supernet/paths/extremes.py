"""The largest and the smallest architecture of a space, by multiply-adds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from itertools import islice
from typing import TYPE_CHECKING, TypeAlias, cast

import networkx as nx
import numpy as np

from nas_tune.errors import InfeasibleError
from nas_tune.space import Architecture
from nas_tune.space.graphs import cell_of, draws_graphs, is_input
from nas_tune.space.parameters import Numeric
from nas_tune.space.variation import MOST_COMPLETIONS
from nas_tune.space.walks import decided, enumerate_values, follow_steps
from nas_tune.supernet.paths.drawing import is_ordered
from nas_tune.supernet.paths.pricing import MOST_KEPT, cost_of

if TYPE_CHECKING:
    from nas_tune.costs.model import Price
    from nas_tune.space import SearchSpace, Value
    from nas_tune.space.plan import Step as Decision

RANDOM_STARTS = 2  # of the search, beside the one where every number is at its end
MOST_TRIES = 1_000  # draws without a way from input to output after which the space counts as having none

Size: TypeAlias = "tuple[int, int, int]"
"""Multiply-adds, parameters, bytes of activations; negative where less is better."""


@lru_cache(maxsize=MOST_KEPT)
def largest(space: SearchSpace, input_shape: tuple[int, ...]) -> Architecture:
    """Return the architecture with the most multiply-adds; of equals, that with the most parameters.

    It is found by giving one decision after another its best value, from where every number is at its maximum and from
    two random architectures. That is exact where what a decision adds does not depend on the others, and where every
    number adds the more the larger it is; elsewhere it is the largest one that was found.

    Args:
        space: A `ModelSpace`.
        input_shape: Shape of one sample without the batch.

    Raises:
        SpaceError: The space builds no networks.
        InfeasibleError: No architecture has a way from input to output.
    """
    return _best(space, partial(_size, cost_of(space, input_shape).price, 1), 1)


@lru_cache(maxsize=MOST_KEPT)
def smallest(space: SearchSpace, input_shape: tuple[int, ...]) -> Architecture:
    """Return the architecture with the fewest multiply-adds that has a way from input to output; see `largest`.

    The way is one in `space.graph(architecture)`, through every cell of a network of several kinds of cells.
    """
    return _best(space, partial(_size, cost_of(space, input_shape).price, -1), -1)


def _size(price: Callable[[Architecture], Price], sign: int, architecture: Architecture) -> Size:
    parameters, macs, activation = price(architecture)
    return sign * macs, sign * parameters, sign * activation


def _best(space: SearchSpace, size: Callable[[Architecture], Size], sign: int) -> Architecture:
    ends = [_climbed(space, start, size) for start in _starts(space, sign)]
    return max(ends, key=size)  # of equals the first


def _climbed(space: SearchSpace, architecture: Architecture, size: Callable[[Architecture], Size]) -> Architecture:
    """Give one decision after another its best value, until no value of any decision is better."""
    while True:
        here = size(architecture)
        for name in [decision.name for decision in decided(space, architecture)[1]]:
            architecture = _improved(space, architecture, name, size)
        if size(architecture) == here:
            return architecture


def _improved(
    space: SearchSpace, architecture: Architecture, name: str, size: Callable[[Architecture], Size]
) -> Architecture:
    """Return the best connected architecture with another value of the decision `name`, or the same one."""
    here = size(architecture)
    edits = (edit for edit in _edits(space, architecture, name) if not any(space.violations("", edit)))
    better = sorted(((size(edit), edit) for edit in edits), key=lambda pair: pair[0], reverse=True)
    larger = (edit for found, edit in better if found > here and is_connected(space, edit))
    return next(larger, architecture)


def _edits(space: SearchSpace, architecture: Architecture, name: str) -> Iterator[Architecture]:
    """Yield the architectures with another value of a decision, completed in every way where that opens others."""
    edit = next((decision for decision in decided(space, architecture)[1] if decision.name == name), None)
    if edit is None:  # what was decided before has closed it
        return
    parameter = edit.parameter
    for value in parameter.values or tuple(parameter.neighbours(architecture[name])):
        near = {**architecture, name: value}
        if value == architecture[name]:
            continue
        if edit.closed:
            yield Architecture(near)
        else:
            ways = list(islice(enumerate_values(space, near.__getitem__), MOST_COMPLETIONS + 1))
            yield from map(Architecture, ways if len(ways) <= MOST_COMPLETIONS else ways[:1])


def _starts(space: SearchSpace, sign: int) -> Iterator[Architecture]:
    ends = Architecture(follow_steps(space, partial(_end, sign)))
    if not any(space.violations("", ends)) and is_connected(space, ends):
        yield ends
    rng = np.random.default_rng(0)
    yield from (_connected(space, rng) for _ in range(RANDOM_STARTS))


def _end(sign: int, decision: Decision) -> Value:
    """Return the largest or smallest number of a decision, the first of other values."""
    parameter = decision.parameter
    if isinstance(parameter, Numeric) and not parameter.values:
        return parameter.high if sign > 0 else parameter.low
    if not is_ordered(parameter):
        return parameter.values[0]
    return sorted(cast("list[float]", list(parameter.values)))[-1 if sign > 0 else 0]


def _connected(space: SearchSpace, rng: np.random.Generator) -> Architecture:
    for _ in range(MOST_TRIES):
        architecture = space.sample(rng)
        if is_connected(space, architecture):
            return architecture
    raise InfeasibleError(
        f"None of {MOST_TRIES:,} architectures has a way from input to output in `{type(space).__name__}.graph`: give "
        "the strategy its largest and smallest architecture, or mend the graph."
    )


def is_connected(space: SearchSpace, architecture: Architecture) -> bool:
    """Say whether the graph of an architecture leads from an input to the output, and to the end of every cell."""
    if not draws_graphs(space):  # a chain
        return True
    graph = space.graph(architecture)
    reached: set[str] = set()
    for node, op in graph.nodes(data="op"):
        if is_input(str(op)):
            reached |= {node, *nx.descendants(graph, node)}
    ends = (n for n, data in graph.nodes(data=True) if data["op"] == "output" or cell_of(data) is not None)
    return all(end in reached for end in ends)
