"""What a sampler knows of one study, brought up to date at the cost of the trials that are new."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from optuna.trial import TrialState

from nas_tune.errors import SpaceError
from nas_tune.samplers import study_records
from nas_tune.samplers.aging_evolution import Member, admit

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from nas_tune.space import Architecture, SearchSpace

MOST_REMEMBERED = 4096  # architectures whose canonical key is at hand


class StudyHistory:
    """The population and the architectures that are taken, read from the trials of a study.

    Trials that failed, and those that hold no architecture of the space, are as if they had never been. A pruned trial
    is no member: its value is of a lower fidelity than theirs, and it was stopped because it was worse. It does count
    as evaluated, so that a pruner does not prolong the random beginning.

    Args:
        space: Space of the architectures.
        prefix: Stands before the name of every parameter in the trials.
        population_size: Most members of the population.
        maximize: Whether a larger value of a trial is better.
        key_attribute: System attribute under which a running trial has the canonical key of its architecture.
    """

    def __init__(
        self, space: SearchSpace, prefix: str, population_size: int, maximize: bool, key_attribute: str
    ) -> None:
        self._space, self._prefix, self._size = space, prefix, population_size
        self._sign = 1.0 if maximize else -1.0
        self._key_attribute = key_attribute
        self.key: Callable[[Architecture], str] = lru_cache(MOST_REMEMBERED)(space.canonical_key)
        self.pending: dict[int, Architecture] = {}  # proposals on their way, by trial number
        self._reset()

    def _reset(self) -> None:
        self._members: tuple[Member, ...] = ()
        self._evaluated = 0
        self._taken: set[str] = set()
        self._seen = 0
        self._open: dict[int, tuple[int, str | None]] = {}  # number and key of unfinished trials, by place

    def update(self, trials: Sequence[FrozenTrial]) -> None:
        """Read what is new in `trials`, all trials of the study by number; fewer than before are another history."""
        if len(trials) < self._seen:
            self._reset()
        places = [*self._open, *range(self._seen, len(trials))]
        self._seen = len(trials)
        for place in places:
            trial = trials[place]
            _, key = self._open.pop(place, (trial.number, None))
            if trial.state.is_finished():
                self._finish(trial)
            else:
                self._open[place] = trial.number, key or self._running_key(trial)

    def _finish(self, trial: FrozenTrial) -> None:
        if trial.state == TrialState.FAIL:
            return
        architecture = self._read(trial.params)
        if architecture is None:
            return
        self._taken.add(self.key(architecture))
        self._evaluated += 1
        if trial.state == TrialState.COMPLETE:
            assert trial.value is not None  # nor NaN: Optuna makes such a trial a failed one
            member = Member(trial.number, architecture, self._sign * trial.value)
            self._members = admit(self._members, member, self._size)

    def _running_key(self, trial: FrozenTrial) -> str | None:
        recorded = study_records.recorded(trial, self._key_attribute)
        if isinstance(recorded, str):
            return recorded
        architecture = self._read({**study_records.enqueued_params(trial), **trial.params})
        return None if architecture is None else self.key(architecture)

    def _read(self, params: dict[str, object]) -> Architecture | None:
        try:
            return self._space.architecture(params, self._prefix)
        except SpaceError:
            return None

    @property
    def population(self) -> tuple[Member, ...]:
        """The last members by trial number; none before as many trials are evaluated as the population has places."""
        return self._members if self._evaluated >= self._size else ()

    def is_taken(self, architecture: Architecture, number: int) -> bool:
        """Whether a trial other than `number` has evaluated the network, is at it, or waits for it."""
        key = self.key(architecture)
        if key in self._taken:
            return True
        return any(other == key and other_number != number for other_number, other in self._open.values())
