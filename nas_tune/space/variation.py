"""How one architecture becomes another: mutation, crossover, the neighbourhood."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from nas_tune.errors import SpaceError
from nas_tune.space.node import Node, Value
from nas_tune.space.walks import decisions, draw, enumerate_values, follow

if TYPE_CHECKING:
    from numpy.random import Generator

    from nas_tune.space.parameters import Parameter

MOST_COMPLETIONS = 1_000  # of one edit that opens new decisions; beyond it the first completion stands for all


def mutate(node: Node, parent: Mapping[str, Value], rng: Generator) -> dict[str, Value]:
    """Change one decision of the parent, drawn uniformly; decisions that thereby open are drawn, the others stay.

    Raises:
        SpaceError: The architecture has no decision with a second value.
    """
    active = list(decisions(node, parent).items())
    if not active:
        raise SpaceError("Nothing can be mutated: every active parameter of the architecture has a single value.")
    name, parameter = active[int(rng.integers(len(active)))]
    return _edited(node, parent, name, parameter.mutate(parent[name], rng), rng)


def _edited(node: Node, parent: Mapping[str, Value], edit: str, value: Value, rng: Generator) -> dict[str, Value]:
    def answer(name: str, parameter: Parameter, weights: Sequence[int] | None) -> Value:
        if name == edit:
            return value
        return parent[name] if name in parent else draw(parameter, weights, rng)

    return follow(node, answer)


def crossover(node: Node, a: Mapping[str, Value], b: Mapping[str, Value], rng: Generator) -> dict[str, Value]:
    """Take every decision from either parent with equal chance, where both have made it; else from the one that has."""

    def answer(name: str, parameter: Parameter, weights: Sequence[int] | None) -> Value:
        parents = [parent for parent in (a, b) if name in parent]
        if not parents:
            return draw(parameter, weights, rng)
        return parents[int(rng.integers(len(parents)))][name]

    return follow(node, answer)


def neighbours(node: Node, centre: Mapping[str, Value]) -> Iterator[dict[str, Value]]:
    """Yield what one edit makes of the centre, with every completion of the decisions that the edit opens."""
    for edit, parameter in decisions(node, centre).items():
        for value in parameter.neighbours(centre[edit]):
            known = {**centre, edit: value}
            completions = list(itertools.islice(enumerate_values(node, known.__getitem__), MOST_COMPLETIONS + 1))
            yield from completions if len(completions) <= MOST_COMPLETIONS else completions[:1]
