"""The decisions of a space laid out ahead, so that a way through it joins no names and asks no node again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from nas_tune.space.node import Node, Value
    from nas_tune.space.parameters import Parameter

Plan: TypeAlias = "tuple[Step | Walked, ...]"


class Step:
    """One decision.

    Args:
        name: Dotted name.
        parameter: What is decided.
        weights: Architectures below each value; `None` where they are equally many.
        opens: The steps that follow from each value, before those after this one; `None` where none ever do.
        closed: Whether the other active decisions are the same whatever is decided here.
    """

    __slots__ = ("closed", "name", "opens", "parameter", "single", "totals", "values", "weights")

    def __init__(
        self,
        name: str,
        parameter: Parameter,
        weights: Sequence[int] | None = None,
        opens: Mapping[Value, Plan] | None = None,
        closed: bool | None = None,
    ) -> None:
        self.name, self.parameter, self.weights, self.opens = name, parameter, weights, opens
        self.closed = opens is None if closed is None else closed
        self.values, self.single = parameter.values, parameter.fixed
        self.totals = None if weights is None else tuple(accumulate(weights))


class Walked:
    """A node that is walked decision by decision: what it asks next depends on more than one answer."""

    __slots__ = ("name", "node")

    def __init__(self, name: str, node: Node) -> None:
        self.name, self.node = name, node
