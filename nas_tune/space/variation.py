"""How one architecture becomes another: mutation, crossover, the neighbourhood."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from nas_tune.errors import SpaceError
from nas_tune.space.dice import Dice
from nas_tune.space.node import Node, Value
from nas_tune.space.plan import Step
from nas_tune.space.walks import decided, draw_step, enumerate_values, follow_steps

if TYPE_CHECKING:
    from numpy.random import Generator

MOST_COMPLETIONS = 1_000  # of one edit that opens new decisions; beyond it the first completion stands for all


def mutate(node: Node, parent: Mapping[str, Value], rng: Generator) -> dict[str, Value]:
    """Change one decision of the parent, drawn uniformly; decisions that thereby open are drawn, the others stay.

    Raises:
        SpaceError: The architecture has no decision with a second value.
    """
    values, open_steps = decided(node, parent)
    if not open_steps:
        raise SpaceError("Nothing can be mutated: every active parameter of the architecture has a single value.")
    edit = open_steps[int(rng.integers(len(open_steps)))]
    value = edit.parameter.mutate(values[edit.name], rng)
    if edit.closed:
        values[edit.name] = value
        return values
    dice = Dice(rng)

    def answer(step: Step) -> Value:
        if step.name == edit.name:
            return value
        return values[step.name] if step.name in values else draw_step(step, dice)

    return follow_steps(node, answer)


def mutants(node: Node, parent: Mapping[str, Value], rng: Generator) -> Iterator[dict[str, Value]]:
    """Yield mutants without end; every hundredth is the parent of those after it, so that they get further away."""
    for count in itertools.count(1):
        child = mutate(node, parent, rng)
        yield child
        if count % 100 == 0:
            parent = child


def crossover(node: Node, a: Mapping[str, Value], b: Mapping[str, Value], rng: Generator) -> dict[str, Value]:
    """Take every decision from either parent with equal chance, where both have made it; else from the one that has."""
    dice = Dice(rng)

    def answer(step: Step) -> Value:
        name = step.name
        if name in a and name in b:
            return a[name] if dice.below(2) else b[name]
        if name in a:
            return a[name]
        return b[name] if name in b else draw_step(step, dice)

    return follow_steps(node, answer)


def neighbours(node: Node, centre: Mapping[str, Value]) -> Iterator[dict[str, Value]]:
    """Yield what one edit makes of the centre, with every completion of the decisions that the edit opens."""
    values, open_steps = decided(node, centre)
    for edit in open_steps:
        for value in edit.parameter.neighbours(values[edit.name]):
            near = {**values, edit.name: value}
            if edit.closed:
                yield near
            else:
                completions = list(itertools.islice(enumerate_values(node, near.__getitem__), MOST_COMPLETIONS + 1))
                yield from completions if len(completions) <= MOST_COMPLETIONS else completions[:1]
