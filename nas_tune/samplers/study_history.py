"""What a sampler knows of one study, brought up to date at the cost of the trials that are new."""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from optuna.study import StudyDirection
from optuna.trial import TrialState

from nas_tune.errors import SpaceError
from nas_tune.samplers import study_records

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from nas_tune.space import Architecture, SearchSpace

MOST_REMEMBERED = 4096  # architectures whose canonical key is at hand
CANONICAL_KEY = "canonical_key"  # note of every sampler: of the architecture of a trial, before it is all suggested


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A finished trial.

    Attributes:
        number: Number of the trial: the smaller, the earlier it was asked for.
        architecture: What was evaluated.
        state: `COMPLETE`, `PRUNED` or `FAIL`.
        values: A value for each objective, larger is better; empty unless complete.
        reports: What the trial reported on its way, by step; larger is better. Empty with several objectives.
        constraints: What `trial.set_constraint` recorded, above 0 where broken.
        notes: What the sampler wrote into the trial when it proposed it.
    """

    number: int
    architecture: Architecture
    state: TrialState
    values: tuple[float, ...] = ()
    reports: Mapping[int, float] = field(default_factory=dict)
    constraints: Mapping[str, float] = field(default_factory=dict)
    notes: Mapping[str, object] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether the trial came to its end."""
        return self.state == TrialState.COMPLETE

    @property
    def value(self) -> float:
        """The value of a complete trial of one objective."""
        return self.values[0]

    @property
    def excess(self) -> float:
        """By how much the trial broke its constraints in all; 0 where it is feasible."""
        return sum(max(excess, 0.0) for excess in self.constraints.values())


@dataclass(frozen=True, slots=True)
class Claim:
    """What a trial that is not finished is at.

    Attributes:
        number: Number of the trial.
        key: Canonical key of the network; `None` while nothing is known.
        settled: Whether it keeps the network: it was enqueued, or has begun to suggest it.
    """

    number: int
    key: str | None
    settled: bool


class StudyHistory:
    """The trials of a study that hold an architecture of the space, each read once, when it is finished.

    Args:
        space: Space of the architectures.
        prefix: Stands before the name of every parameter in the trials.
        directions: Of the study.
        owner: Name of the sampler, under which its notes stand in the trials.

    Attributes:
        finished: Every finished trial by number.
        complete: The complete ones of these.
        evaluated: How many are complete or pruned.
        running: Architectures of the trials that are not finished, as far as they are known, by number.
        signs: 1 for each objective that is maximised, -1 for each that is minimised.
    """

    def __init__(self, space: SearchSpace, prefix: str, directions: Sequence[StudyDirection], owner: str) -> None:
        self._space, self._prefix, self._owner = space, prefix, f"{owner}:"
        self.signs = tuple(1.0 if direction == StudyDirection.MAXIMIZE else -1.0 for direction in directions)
        self.key: Callable[[Architecture], str] = lru_cache(MOST_REMEMBERED)(space.canonical_key)
        self.pending: dict[int, Architecture] = {}  # proposals on their way, by trial number
        self._reset()

    def _reset(self) -> None:
        self.finished: list[Evaluation] = []
        self.complete: list[Evaluation] = []
        self.evaluated = 0
        self.running: dict[int, Architecture] = {}
        self._taken: set[str] = set()
        self._seen = 0
        self._open: dict[int, Claim] = {}  # of the trials that are not finished, by place

    def update(self, trials: Sequence[FrozenTrial]) -> None:
        """Read what is new in `trials`, all trials of the study by number; fewer than before are another history."""
        if len(trials) < self._seen:
            self._reset()
        places = [*self._open, *range(self._seen, len(trials))]
        self._seen = len(trials)
        for place in places:
            trial = trials[place]
            claim = self._open.pop(place, None)
            if trial.state.is_finished():
                self.running.pop(trial.number, None)
                self._finish(trial)
            else:
                self._open[place] = claim if trial.number in self.running and claim else self._claim(trial)

    def _finish(self, trial: FrozenTrial) -> None:
        architecture = self._read(trial.params)
        if architecture is None:
            return
        evaluation = self._evaluation(trial, architecture)
        insort(self.finished, evaluation, key=_number)
        if evaluation.complete:
            insort(self.complete, evaluation, key=_number)
        if trial.state != TrialState.FAIL:
            self.evaluated += 1
            self._taken.add(self.key(architecture))

    def _evaluation(self, trial: FrozenTrial, architecture: Architecture) -> Evaluation:
        values: tuple[float, ...] = ()
        if trial.state == TrialState.COMPLETE:
            assert trial.values is not None  # nor NaN: Optuna makes such a trial a failed one
            values = tuple(sign * value for sign, value in zip(self.signs, trial.values, strict=True))
        reports = {}
        if len(self.signs) == 1 and trial.intermediate_values:
            reports = {step: self.signs[0] * value for step, value in trial.intermediate_values.items()}
        start = len(self._owner)
        notes = {name[start:]: note for name, note in trial.system_attrs.items() if name.startswith(self._owner)}
        return Evaluation(trial.number, architecture, trial.state, values, reports, trial.constraints, notes)

    def _claim(self, trial: FrozenTrial) -> Claim:
        architecture = self._read({**study_records.enqueued_params(trial), **trial.params})
        key = study_records.recorded_key(trial, CANONICAL_KEY)
        if architecture is None:
            return Claim(trial.number, key, settled=bool(trial.params))
        self.running[trial.number] = architecture
        return Claim(trial.number, key or self.key(architecture), settled=True)

    def _read(self, params: Mapping[str, object]) -> Architecture | None:
        try:
            return self._space.architecture(params, self._prefix)
        except SpaceError:
            return None

    def is_taken(self, architecture: Architecture, number: int) -> bool:
        """Whether a trial other than `number` has evaluated the network, is at it, or waits for it."""
        return self._is_known(architecture) or any(self._others(architecture, number))

    def is_contested(self, architecture: Architecture, number: int) -> bool:
        """Whether a trial of a larger number, and none that goes before, claims a network that `number` claims."""
        return not self.is_lost(architecture, number) and any(self._others(architecture, number))

    def is_lost(self, architecture: Architecture, number: int) -> bool:
        """Whether a network that trial `number` claims belongs to another trial.

        Of trials that claim a network at the same moment, one keeps it: that which has begun to suggest it, before it
        saw the others, else that of the smallest number.
        """
        others = self._others(architecture, number)
        return self._is_known(architecture) or any(claim.settled or claim.number < number for claim in others)

    def _is_known(self, architecture: Architecture) -> bool:
        return self.key(architecture) in self._taken

    def _others(self, architecture: Architecture, number: int) -> Iterator[Claim]:
        key = self.key(architecture)
        return (claim for claim in self._open.values() if claim.key == key and claim.number != number)


def _number(evaluation: Evaluation) -> int:
    return evaluation.number
