"""What a sampler derives from a history, brought up to date with the evaluations that are new."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from nas_tune.samplers.study_history import Evaluation, StudyHistory

State = TypeVar("State")


@dataclass
class _Reading(Generic[State]):
    state: State
    source: list[Evaluation]  # of the history that was read; another list is another history
    read: set[int] = field(default_factory=set)


class Derived(Generic[State]):
    """A state for each history. It is forgotten with the history, and when it is pickled: it can be read again.

    Args:
        begin: Makes the state of an empty history.
        add: Adds a finished trial to a state. Trials do not come by number, and the state is the same in any order.
    """

    def __init__(self, begin: Callable[[], State], add: Callable[[State, Evaluation], None]) -> None:
        self._begin, self._add = begin, add
        self._readings: WeakKeyDictionary[StudyHistory, _Reading[State]] = WeakKeyDictionary()

    def __reduce__(self) -> tuple[type[Derived[State]], tuple[object, ...]]:
        return Derived, (self._begin, self._add)

    def of(self, history: StudyHistory) -> State:
        """Return the state of a history as it is now."""
        reading = self._readings.get(history)
        if reading is None or reading.source is not history.finished:
            reading = self._readings[history] = _Reading(self._begin(), history.finished)
        for evaluation in reversed(history.finished):  # what is new is mostly the last
            if len(reading.read) == len(history.finished):
                break
            if evaluation.number not in reading.read:
                reading.read.add(evaluation.number)
                self._add(reading.state, evaluation)
        return reading.state
