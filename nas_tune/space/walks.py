"""Ways through a space: follow given answers, read a mapping, enumerate, draw."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

from nas_tune.errors import ArchitectureError, SpaceError
from nas_tune.space.node import Choose, Node, Value

if TYPE_CHECKING:
    from numpy.random import Generator

    from nas_tune.space.parameters import Parameter


def follow(node: Node, answer: Choose) -> dict[str, Value]:
    """Return the values of all active decisions of `node`; `answer` is asked where there is a choice."""
    values: dict[str, Value] = {}

    def choose(name: str, parameter: Parameter, weights: Sequence[int] | None) -> Value:
        value = parameter.values[0] if parameter.fixed else answer(name, parameter, weights)
        values[name] = value
        return value

    node.walk("", choose)
    return values


def decisions(node: Node, values: Mapping[str, Value]) -> dict[str, Parameter]:
    """Return the active decisions of an architecture that have a choice, by name."""
    found: dict[str, Parameter] = {}

    def answer(name: str, parameter: Parameter, weights: Sequence[int] | None) -> Value:
        found[name] = parameter
        if name not in values:
            raise _missing(name, parameter)
        return values[name]

    follow(node, answer)
    return found


def read(node: Node, mapping: Mapping[str, object]) -> dict[str, Value]:
    """Check a flat mapping and return the values of the active parameters; other keys are ignored.

    Raises:
        ArchitectureError: An active parameter has no value, or one that is impossible.
    """

    values: dict[str, Value] = {}

    def choose(name: str, parameter: Parameter, weights: Sequence[int] | None) -> Value:
        if name in mapping:
            value = parameter.parse(mapping[name], name)
        elif parameter.fixed:
            value = parameter.values[0]
        else:
            raise _missing(name, parameter)
        values[name] = value
        return value

    node.walk("", choose)
    return values


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
    """Draw a value in proportion to the number of architectures below it."""
    if weights is None:
        return parameter.draw(rng)
    cumulative = list(accumulate(weights))
    return parameter.values[bisect_right(cumulative, random_below(cumulative[-1], rng))]


def random_below(limit: int, rng: Generator) -> int:
    """Draw an integer uniformly from [0, `limit`), exactly, however large `limit` is."""
    if limit <= 1 << 62:
        return int(rng.integers(limit))
    bits = limit.bit_length()
    while True:
        number = int.from_bytes(rng.bytes((bits + 7) // 8), "big") >> (-bits % 8)
        if number < limit:
            return number
