"""Sizes that depend on the architecture: what a super-net holds where a built network has a plain number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar, cast

if TYPE_CHECKING:
    from nas_tune.space.architecture import Architecture

T_co = TypeVar("T_co", covariant=True)
R = TypeVar("R")


class Elastic(Generic[T_co]):
    """A value that depends on the architecture, such as a width.

    One object stands for one dimension: layers that share a channel dimension share the object.

    Args:
        function: Returns the value for an architecture; pure.
        largest: The value that needs the most room; the weights are made for it.
        label: How it reads in a printed network.
        name: The parameter whose value it is, where it is one's.
        sources: The ones it is computed from, where it is computed from others.
        mixed: Whether plain numbers enter beside the sources.
    """

    def __init__(
        self,
        function: Callable[[Architecture], T_co],
        largest: T_co,
        label: str = "derived",
        name: str | None = None,
        sources: tuple[Elastic[Any], ...] = (),
        mixed: bool = False,
    ) -> None:
        self.of, self.largest, self.label, self.name = function, largest, label, name
        self.sources, self.mixed = sources, mixed

    def __repr__(self) -> str:
        return f"Elastic({self.label}, largest={self.largest!r})"


def combine(function: Callable[..., R], *sizes: object, most: R | None = None) -> R | Elastic[R]:
    """Return `function(*sizes)`: plain when every size is, else an `Elastic` of it.

    Args:
        function: Pure; non-decreasing where `most` is not given, so that its value at the largest sizes is the largest.
        *sizes: Plain values or `Elastic` ones.
        most: The largest value of a function that is not non-decreasing.
    """
    if not any(isinstance(size, Elastic) for size in sizes):
        return function(*sizes)
    largest = most
    if largest is None:
        largest = function(*(size.largest if isinstance(size, Elastic) else size for size in sizes))
    labels = ", ".join(size.label if isinstance(size, Elastic) else repr(size) for size in sizes)

    def of(architecture: Architecture) -> R:
        return function(*(size.of(architecture) if isinstance(size, Elastic) else size for size in sizes))

    sources = tuple(size for size in sizes if isinstance(size, Elastic))
    return Elastic(
        of,
        largest,
        f"{getattr(function, '__name__', 'combine')}({labels})",
        sources=sources,
        mixed=len(sources) < len(sizes),
    )


@dataclass(frozen=True)
class Blocks:
    """Channels that are blocks of equal width: the concatenation of some of several tensors.

    Attributes:
        places: Which blocks, in ascending order.
        width: Channels of each.
    """

    places: tuple[int, ...]
    width: int

    def __len__(self) -> int:
        return len(self.places) * self.width

    @cached_property
    def indices(self) -> tuple[int, ...]:
        """The channels among those of all blocks."""
        return tuple(place * self.width + i for place in self.places for i in range(self.width))


@dataclass(frozen=True)
class Spans:
    """Channels that are ranges of different width: the concatenation of the first channels of some of several tensors.

    Attributes:
        ranges: First channel of each range and the one behind its last, in ascending order.
    """

    ranges: tuple[tuple[int, int], ...]

    def __len__(self) -> int:
        return sum(stop - start for start, stop in self.ranges)

    @cached_property
    def indices(self) -> tuple[int, ...]:
        """The channels among those of all tensors at their widest."""
        return tuple(i for start, stop in self.ranges for i in range(start, stop))


Size: TypeAlias = "int | Elastic[int]"
Channels: TypeAlias = "int | Blocks | Spans | Elastic[int] | Elastic[Blocks] | Elastic[Spans]"


def largest(size: object) -> int:
    """Return the largest number of channels, or the largest value, that a size can take."""
    most = size.largest if isinstance(size, Elastic) else size
    return most if isinstance(most, int) else len(cast("Blocks | Spans", most))
