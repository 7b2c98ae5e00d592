"""What everything in a space is: a node, which can be walked from decision to decision."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Protocol, Self, TypeAlias

from nas_tune.errors import SpaceError

if TYPE_CHECKING:
    from nas_tune.space.parameters import Parameter
    from nas_tune.space.plan import Plan

Value: TypeAlias = None | bool | int | float | str


class Choose(Protocol):
    """Answers one decision of a walk.

    A walk asks for `parameter` under the dotted `name`. `weights`, when given, holds for each of the parameter's
    values the number of architectures that remain below it; `None` means equally many.
    """

    def __call__(self, name: str, parameter: Parameter, weights: Sequence[int] | None) -> Value: ...


class Node(ABC):
    """A part of a search space. Walking it asks for the decisions that are active, in their fixed order."""

    def __deepcopy__(self, memo: Mapping[int, object]) -> Self:
        """Return the node itself: it never changes."""
        return self

    @abstractmethod
    def walk(self, name: str, choose: Choose) -> None:
        """Ask `choose` for every decision that is active given the answers so far."""

    @cached_property
    def plan(self) -> Plan:
        """The decisions of this node as the root of a space, laid out ahead; what walks take instead of `walk`."""
        from nas_tune.space.layout import lay_out

        return lay_out(self)

    @abstractmethod
    def weight(self) -> int:
        """Number of architectures with each continuous parameter counted as one, constraints ignored."""

    @abstractmethod
    def declared(self, name: str) -> Iterator[tuple[str, Parameter]]:
        """Yield name and parameter of every decision that can ever be active."""

    def child(self, key: str) -> Node:
        """Return the part under `key`, one step down the dotted path.

        Raises:
            KeyError: There is no such part.
        """
        raise KeyError(key)

    def constrained(self) -> bool:
        """Say whether a constraint stands anywhere in this part."""
        return False

    def reasons(self) -> Iterator[str]:
        """Yield the reason of every constraint that stands anywhere in this part."""
        return iter(())

    def excesses(self, name: str, values: Mapping[str, Value]) -> Iterator[tuple[str, float]]:
        """Yield reason and excess (above 0: broken) of every constraint that stands in the active part of `values`."""
        return iter(())

    def violations(self, name: str, values: Mapping[str, Value]) -> Iterator[str]:
        """Yield the reason of every constraint that the active part of `values` breaks."""
        return (reason for reason, excess in self.excesses(name, values) if excess > 0)

    def canonical(self, name: str, values: Mapping[str, Value]) -> object:
        """Return a JSON-able form, equal for values that mean the same network."""
        return values[name]


def find(node: Node, path: str) -> Node:
    """Return the part of a space at a dotted path.

    Raises:
        SpaceError: There is no such part; the message says how far the path leads.
    """
    walked: list[str] = []
    for key in path.split("."):
        try:
            node = node.child(key)
        except KeyError:
            where = f"`{'.'.join(walked)}`" if walked else "the space"
            raise SpaceError(f"The path `{path}` leads nowhere: {where} has no part '{key}'.") from None
        walked.append(key)
    return node


def join(name: str, key: object) -> str:
    """Join the path of a node and the key of its child by a dot."""
    return f"{name}.{key}" if name else str(key)


def plain(value: object) -> object:
    """Turn a numpy scalar into the Python value it stands for."""
    item = getattr(value, "item", None)
    return item() if callable(item) and getattr(value, "ndim", None) == 0 else value


def number(owner: str, argument: str, value: object) -> float:
    """Return a finite number, as it is.

    Raises:
        SpaceError: It is none; the message names `owner` and `argument`.
    """
    given = plain(value)
    if isinstance(given, bool) or not isinstance(given, (int, float)) or not math.isfinite(given):
        raise SpaceError(f"{owner}: `{argument}` is {value!r}; give a finite number.")
    return given


def whole(owner: str, argument: str, value: object) -> int:
    """Return a whole number as an `int`.

    Raises:
        SpaceError: It is none; the message names `owner` and `argument`.
    """
    given = number(owner, argument, value)
    if int(given) != given:
        raise SpaceError(f"{owner}: `{argument}` is {value!r}; give a whole number.")
    return int(given)


def check_keys(owner: str, parts: Mapping[str, object], empty: bool = False) -> None:
    """Check that the keys can be part of a dotted name.

    Raises:
        SpaceError: No part, or a key that is no text, empty, or holds a dot or slash.
    """
    if not isinstance(parts, Mapping) or (not parts and not empty):
        raise SpaceError(f"{owner}: give a mapping from name to part, with at least one part; got {parts!r}.")
    for key in parts:
        if not isinstance(key, str) or not key or "." in key or "/" in key:
            raise SpaceError(f"{owner}: the name {key!r} cannot be used; a name is text without '.' and '/'.")
