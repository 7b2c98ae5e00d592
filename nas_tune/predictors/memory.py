"""What was computed of architectures, kept because a search asks for the same ones again and again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Generic, TypeVar

from nas_tune.errors import ArchitectureError, PredictorError
from nas_tune.space.architecture import Architecture
from nas_tune.space.walks import read

if TYPE_CHECKING:
    from nas_tune.space import SearchSpace

Row = TypeVar("Row")


class Memory(Generic[Row]):
    """Computes something of every architecture once, checks that it is of the space, and keeps the result.

    It forgets everything when it is full, and is pickled empty.

    Args:
        owner: Who asks, for errors.
        space: The space that every architecture is of.
        compute: Returns one result for each of several different architectures.
        room: Most architectures to remember.
    """

    def __init__(
        self, owner: str, space: SearchSpace, compute: Callable[[Sequence[Architecture]], Sequence[Row]], room: int
    ) -> None:
        self._owner, self._space, self._compute, self._room = owner, space, compute, room
        self._known: dict[Architecture, Row] = {}

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_known": {}}

    def __call__(self, architectures: Sequence[Architecture]) -> list[Row]:
        """Return what was computed of each architecture, in their order.

        Raises:
            PredictorError: One is no `Architecture`.
            ArchitectureError: One is of another space; the message names the parameter.
        """
        for architecture in architectures:
            if not isinstance(architecture, Architecture):
                raise PredictorError(
                    f"{self._owner}: {architecture!r} is no Architecture. Make one by space.architecture(mapping)."
                )
        known = self._known
        missing = [a for a in dict.fromkeys(architectures) if a not in known]
        if missing:
            if len(known) + len(missing) > self._room:
                known = {a: known[a] for a in architectures if a in known}
            for architecture in missing:
                check_own(self._owner, self._space, architecture)
            known.update(zip(missing, self._compute(missing), strict=True))
            self._known = known if len(known) <= self._room else {}
        return [known[a] for a in architectures]


def check_own(owner: str, space: SearchSpace, architecture: Architecture) -> None:
    """Check that an architecture is of a space; whether it satisfies the constraints is of no account.

    Raises:
        ArchitectureError: A value is missing or impossible, or belongs to no active parameter.
    """
    try:
        values = read(space, architecture)
    except ArchitectureError as error:
        raise ArchitectureError(f"{owner}: the architecture is of another space. {error}") from None
    if foreign := [name for name in architecture if name not in values]:
        raise ArchitectureError(
            f"{owner}: the architecture is of another space: `{foreign[0]}` is no active parameter of this one. "
            "Read it by space.architecture(mapping), which leaves out what is foreign."
        )
