"""Known architectures as the next trials of a study."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

from nas_tune.errors import ArchitectureError, SpaceError
from nas_tune.samplers.study_history import StudyHistory

if TYPE_CHECKING:
    from optuna.study import Study

    from nas_tune.space import Architecture, SearchSpace

Known: TypeAlias = "Mapping[str, object] | str"
NOBODY = -1  # number of no trial


@runtime_checkable
class NamingSpace(Protocol):
    """A space that knows published architectures by name, as those of `nas_tune.search_spaces` do."""

    def named(self, name: str) -> Architecture:
        """Return a published architecture."""


def enqueue(
    study: Study,
    space: SearchSpace,
    architectures: Known | Iterable[Known],
    *,
    prefix: str = "",
    skip_known: bool = True,
) -> int:
    """Have a study try architectures that are known before it: published ones, or the best of another search.

    They are checked first; if one of them is wrong, none is enqueued. Samplers of `nas_tune` learn from these trials as
    from their own.

    Args:
        study: Study that tries them, in the order given.
        space: Space that the objective suggests.
        architectures: An `Architecture`, a mapping that `space.architecture` reads, the name of a published
            architecture of the space, or any number of these.
        prefix: What `space.suggest` is given.
        skip_known: Leave out a network (compared by `space.canonical_key`) that the study has evaluated, is at or has
            enqueued, or that comes twice; one whose trial failed is tried again. Two processes that enqueue at the same
            moment do not see each other.

    Returns:
        How many were enqueued.

    Raises:
        ArchitectureError: One is not of the space, or breaks a constraint of it; the message says which and why.
        UnknownNameError: The space has no published architecture of a name.
    """
    several = (architectures,) if isinstance(architectures, (Mapping, str)) else architectures
    wanted = [_read(space, place, given) for place, given in enumerate(several)]
    history = StudyHistory(space, prefix, study.directions, "enqueue")
    history.update(study.get_trials(deepcopy=False))
    enqueued: set[str] = set()
    count = 0
    for architecture in wanted:
        key = history.key(architecture)
        if skip_known and (key in enqueued or history.is_taken(architecture, NOBODY)):
            continue
        study.enqueue_trial({prefix + name: architecture[name] for name in space.distributions(architecture)})
        enqueued.add(key)
        count += 1
    return count


def _read(space: SearchSpace, place: int, given: Known) -> Architecture:
    if isinstance(given, str):
        if isinstance(space, NamingSpace):
            return space.named(given)
        raise ArchitectureError(
            f"enqueue: architecture {place} is '{given}', but {type(space).__name__} has no architectures with names. "
            "Give an Architecture or a mapping of its values."
        )
    try:
        return space.architecture(given)
    except SpaceError as error:
        raise ArchitectureError(f"enqueue: architecture {place}, {given!r}, is not of the space. {error}") from error
