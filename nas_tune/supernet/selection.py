"""Selections: which candidate, or which mixture of candidates, every choice of a super-net runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeAlias

from torch import Tensor

from nas_tune.errors import ArchitectureError
from nas_tune.space import Parameter, Value

Selection: TypeAlias = "Mapping[str, int | Tensor]"
"""An index (hard) or a weight vector (soft) by the dotted name of the choice."""

_CURRENT: ContextVar[Selection | None] = ContextVar("nas_tune_selection", default=None)


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


def hard(parameters: Mapping[str, Parameter], architecture: Mapping[str, Value]) -> Selection:
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
    return places
