"""Ways through a space: follow given answers, read a mapping, enumerate, draw."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

from nas_tune.errors import ArchitectureError, SpaceError
from nas_tune.space.dice import Dice, random_below
from nas_tune.space.node import Choose, Node, Value
from nas_tune.space.plan import Step, Walked

if TYPE_CHECKING:
    from numpy.random import Generator

    from nas_tune.space.parameters import Parameter
    from nas_tune.space.plan import Plan


def follow(node: Node, answer: Choose) -> dict[str, Value]:
    """Return the values of all active decisions of `node`; `answer` is asked where there is a choice."""
    return follow_steps(
        node,
        lambda step: step.values[0] if step.single else answer(step.name, step.parameter, step.weights),
    )


def follow_steps(node: Node, answer: Callable[[Step], Value]) -> dict[str, Value]:
    """Return the values of all active decisions of `node`; `answer` is asked for each, also one without a choice."""
    values: dict[str, Value] = {}
    _go(node.plan, answer, values)
    return values


def _go(plan: Plan, answer: Callable[[Step], Value], values: dict[str, Value]) -> None:
    for step in plan:
        if isinstance(step, Walked):
            _walk(step, answer, values)
            continue
        value = values[step.name] = answer(step)
        if step.opens is not None:
            _go(step.opens[value], answer, values)


def _walk(walked: Walked, answer: Callable[[Step], Value], values: dict[str, Value]) -> None:
    def choose(name: str, parameter: Parameter, weights: Sequence[int] | None) -> Value:
        value = values[name] = answer(Step(name, parameter, weights, closed=False))
        return value

    walked.node.walk(walked.name, choose)


def decided(node: Node, values: Mapping[str, Value]) -> tuple[dict[str, Value], list[Step]]:
    """Return the values of an architecture that are of `node`, and its active decisions that have a choice.

    Raises:
        ArchitectureError: One of them has no value.
    """
    found: list[Step] = []

    def answer(step: Step) -> Value:
        if step.single:
            return step.values[0]
        found.append(step)
        try:
            return values[step.name]
        except KeyError:
            raise _missing(step.name, step.parameter) from None

    return follow_steps(node, answer), found


def decisions(node: Node, values: Mapping[str, Value]) -> dict[str, Parameter]:
    """Return the active decisions of an architecture that have a choice, by name.

    Raises:
        ArchitectureError: One of them has no value.
    """
    return {step.name: step.parameter for step in decided(node, values)[1]}


def read(node: Node, mapping: Mapping[str, object]) -> dict[str, Value]:
    """Check a flat mapping and return the values of the active parameters; other keys are ignored.

    Raises:
        ArchitectureError: An active parameter has no value, or one that is impossible.
    """

    def answer(step: Step) -> Value:
        if step.name in mapping:
            return step.parameter.parse(mapping[step.name], step.name)
        if step.single:
            return step.values[0]
        raise _missing(step.name, step.parameter)

    return follow_steps(node, answer)


def sample(node: Node, rng: Generator) -> dict[str, Value]:
    """Draw every active decision in proportion to the number of architectures below its values."""
    dice = Dice(rng)
    return follow_steps(node, lambda step: draw_step(step, dice))


def draw_step(step: Step, dice: Dice) -> Value:
    """Draw a value in proportion to the number of architectures below it."""
    if step.totals is not None:
        return step.values[dice.place(step.totals)]
    return step.values[dice.below(len(step.values))] if step.values else step.parameter.draw(dice.rng)


def _missing(name: str, parameter: Parameter) -> ArchitectureError:
    return ArchitectureError(f"The architecture has no value for `{name}`: {parameter.expects()}.")


def flatten(mapping: Mapping[str, object], path: str = "") -> Iterator[tuple[str, object]]:
    """Yield the dotted names and values of a flat or nested mapping."""
    for key, value in mapping.items():
        if isinstance(value, Mapping):
            yield from flatten(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", value


def enumerate_values(node: Node, answered: Callable[[str], Value] | None = None) -> Iterator[dict[str, Value]]:
    """Yield every architecture's values, depth first.

    Args:
        node: What to enumerate.
        answered: Returns the value of a decision that stays as it is, raises `KeyError` for one to enumerate.
            With it, a continuous decision takes the middle of its range; without it, it is an error.

    Raises:
        SpaceError: A parameter is continuous.
    """
    path: list[int] = []  # position of the value taken at each open decision
    counts: list[int] = []

    def answer(name: str, parameter: Parameter, weights: Sequence[int] | None) -> Value:
        if answered is not None:
            try:
                return answered(name)
            except KeyError:
                pass
        options = _options(name, parameter, middle=answered is not None)
        place = len(counts)
        counts.append(len(options))
        if place == len(path):
            path.append(0)
        return options[path[place]]

    while True:
        counts.clear()
        yield follow(node, answer)
        while path and path[-1] + 1 == counts[len(path) - 1]:
            path.pop()
        if not path:
            return
        path[-1] += 1


def _options(name: str, parameter: Parameter, middle: bool) -> Sequence[Value]:
    if not math.isinf(parameter.count):
        return parameter.values
    if middle:
        return (parameter.middle(),)
    raise SpaceError(f"`{name}` is continuous, so the space cannot be enumerated: give it a step, or sample.")


def draw(parameter: Parameter, weights: Sequence[int] | None, rng: Generator) -> Value:
    """Draw one value in proportion to the number of architectures below it."""
    if weights is None:
        return parameter.draw(rng)
    cumulative = list(accumulate(weights))
    return parameter.values[bisect_right(cumulative, random_below(cumulative[-1], rng))]
