"""Selections: which candidate, or which mixture of candidates, every choice of a super-net runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeAlias, TypeVar, cast, overload

from torch import Tensor

from nas_tune.errors import ArchitectureError
from nas_tune.space import Architecture, Parameter, Value
from nas_tune.space.elastic import Blocks, Channels, Elastic, Size

Selection: TypeAlias = "Mapping[str, int | Tensor]"
"""An index (hard) or a weight vector (soft) by the dotted name of the choice."""

T = TypeVar("T")

_CURRENT: ContextVar[Selection | None] = ContextVar("nas_tune_selection", default=None)


class Choices(dict[str, "int | Tensor"]):
    """A selection together with the architecture that its indices stand for, from which sizes follow.

    Args:
        choices: Index or weights by name.
        architecture: The values behind the indices.
    """

    def __init__(self, choices: Mapping[str, int | Tensor], architecture: Architecture) -> None:
        super().__init__(choices)
        self.architecture = architecture
        self._sizes: dict[Elastic[object], object] = {}

    def size(self, elastic: Elastic[T]) -> T:
        """Return the value that an elastic size has under this selection.

        Raises:
            ArchitectureError: It depends on a decision that has weights instead of an index, or nothing at all.
        """
        key = cast("Elastic[object]", elastic)
        if key not in self._sizes:
            try:
                self._sizes[key] = elastic.of(self.architecture)
            except KeyError as error:
                raise ArchitectureError(
                    f"The size {elastic.label} needs an index for `{error.args[0]}`: elastic sizes have no mixtures."
                ) from None
        return cast(T, self._sizes[key])


class Everything(dict[str, "int | Tensor"]):
    """The selection of a run that visits every candidate once, every size as large as it gets; it mixes nothing.

    Args:
        fixed: Sizes that have another value in this run.
    """

    def __init__(self, fixed: Mapping[Elastic[object], object]) -> None:
        super().__init__()
        self._fixed = fixed

    def size(self, elastic: Elastic[T]) -> T:
        """Return the value of a size in this run."""
        return cast(T, self._fixed.get(cast("Elastic[object]", elastic), elastic.largest))


@contextmanager
def selecting(selection: Selection) -> Iterator[None]:
    """Make `selection` the current one of this thread or task; super-nets inside run it."""
    token = _CURRENT.set(selection)
    try:
        yield
    finally:
        _CURRENT.reset(token)


def current() -> Selection:
    """Return the current selection.

    Raises:
        ArchitectureError: There is none.
    """
    selection = _CURRENT.get()
    if selection is None:
        raise ArchitectureError(
            "A super-net runs one selection at a time and none is made: call `supernet(x, architecture)`, "
            "or run inside `with supernet.select(architecture):`."
        )
    return selection


@overload
def resolved(size: Size, selection: Selection | None = None) -> int: ...
@overload
def resolved(size: Channels, selection: Selection | None = None) -> int | Blocks: ...
@overload
def resolved(
    size: tuple[int, ...] | Elastic[tuple[int, ...]], selection: Selection | None = None
) -> tuple[int, ...]: ...
def resolved(size: object, selection: Selection | None = None) -> object:
    """Return a size as a plain value, under a selection or the current one."""
    if not isinstance(size, Elastic):
        return size
    choices = cast("Choices | Everything", current() if selection is None else selection)
    return choices.size(size)


def hard(parameters: Mapping[str, Parameter], architecture: Architecture) -> Choices:
    """Return the place of every value of an architecture among its parameter's values; continuous ones have none.

    Raises:
        ArchitectureError: A value is impossible.
    """
    places: dict[str, int] = {}
    for name, value in architecture.items():
        parameter = parameters.get(name)
        if parameter is None or not parameter.values:
            continue
        try:
            places[name] = parameter.values.index(value)
        except ValueError:
            raise parameter.impossible(value, name) from None
    return Choices(places, architecture)


def mixed(parameters: Mapping[str, Parameter], choices: Mapping[str, int | Tensor]) -> Choices:
    """Return a selection of indices and weights; its architecture holds the values of the indices alone."""
    values: dict[str, Value] = {
        name: parameters[name].values[place]
        for name, place in choices.items()
        if name in parameters and isinstance(place, int)
    }
    return Choices(choices, Architecture(values))
