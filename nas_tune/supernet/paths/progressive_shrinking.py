"""Progressive shrinking: a curriculum from the largest network to all of them, one kind of decision after another."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache, partial
from itertools import accumulate
from typing import TYPE_CHECKING, Literal, TypeAlias, cast, get_args

from nas_tune.errors import NasTuneError, SpaceError, unknown_name
from nas_tune.space import Architecture
from nas_tune.space.dice import Dice
from nas_tune.space.parameters import Numeric
from nas_tune.space.walks import follow_steps
from nas_tune.supernet.paths import extremes
from nas_tune.supernet.paths.drawing import draw_evenly, is_ordered, redrawn
from nas_tune.supernet.paths.path import Path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from numpy.random import Generator

    from nas_tune.space import Parameter, SearchSpace, Value
    from nas_tune.space.plan import Step as Decision
    from nas_tune.supernet.distillation import Distillation
    from nas_tune.supernet.paths.path import Step

Unit: TypeAlias = Literal["schedule", "epochs"]
MOST_KEPT = 64  # pairs of phase and space whose open decisions are kept


@dataclass(frozen=True)
class Phase:
    """A part of the curriculum; what earlier phases opened stays open.

    Args:
        opens: Patterns of the names of the parameters that it opens, such as ``"*.kernel"``; none opens nothing.
        length: How long it is, in epochs or in relation to the other phases.
        values: How many values it opens, counted from the largest; `None` is all.
        paths: Architectures per step.

    Raises:
        NasTuneError: `length` is not above 0, `values` or `paths` is no whole number of at least 1, or `opens` a text.
    """

    opens: tuple[str, ...]
    length: float
    values: int | None = None
    paths: int = 1

    def __post_init__(self) -> None:
        if isinstance(self.opens, str):
            raise NasTuneError(f"Phase: `opens` is the text {self.opens!r}; give a tuple of patterns.")
        if not (math.isfinite(self.length) and self.length > 0):
            raise NasTuneError(f"Phase: `length` is {self.length}; give a finite number above 0.")
        for name, count in (("values", 1 if self.values is None else self.values), ("paths", self.paths)):
            if isinstance(count, bool) or not isinstance(count, int) or count < 1:
                raise NasTuneError(f"Phase: `{name}` is {count!r}; give a whole number of at least 1.")

    def holds(self, name: str) -> bool:
        """Say whether it opens the parameter of a name."""
        return _matches(self.opens, name)


_KERNEL, _DEPTH, _WIDTH = ("*kernel",), ("*depth", "*length"), ("*width", "*expand")
PUBLISHED = (
    Phase((), 180),
    Phase(_KERNEL, 120),
    Phase(_DEPTH, 25, values=2, paths=2),
    Phase(_DEPTH, 120, paths=2),
    Phase(_WIDTH, 25, values=2, paths=4),
    Phase(_WIDTH, 120, paths=4),
)
"""Once-for-All: the largest network, then kernels, depths, and widths with expansions; lengths in epochs."""


@dataclass(frozen=True)
class ProgressiveShrinking:
    """Architectures drawn from what is open, which grows phase by phase from the largest network alone.

    An open decision takes each of its open values equally often, whatever lies below them; a closed one takes its
    largest. A closed decision without an order takes the value that it has in the network with the most multiply-adds,
    and is drawn where that network does not have it.

    Deviations: the published training has a schedule of the learning rate for each phase and all paths of a step see
    images of one resolution. It adds a distillation from the trained largest network to the labels' loss; here the
    largest network is the first path of the step while it is still trained, and its logits replace the labels.

    Args:
        phases: The curriculum; the published one by default, for parameters named like those of `AttentiveNAS`.
        unit: ``"schedule"``, where the lengths are shares of the learning rate's schedule and every schedule goes
            through all phases, or ``"epochs"``, where they count from the first step of the training; the last phase
            goes on.
        always: Patterns of the names of parameters that are open from the start.
        distillation: Loss of the drawn paths against the logits of the largest network, which is put before them from
            the first phase on that opens something; `None` is the labels' loss, without it.

    Raises:
        NasTuneError: There is no phase.
        UnknownNameError: There is no such unit.

    Reference: Cai et al., Once-for-All, arXiv:1908.09791, section 3.3 and the released code.
    """

    phases: tuple[Phase, ...] = PUBLISHED
    unit: Unit = "schedule"
    always: tuple[str, ...] = ("*resolution",)
    distillation: Distillation | None = None

    def __post_init__(self) -> None:
        if not self.phases:
            raise NasTuneError("ProgressiveShrinking: `phases` is empty; give at least one `Phase`.")
        if self.unit not in get_args(Unit):
            raise unknown_name("`unit` of ProgressiveShrinking", str(self.unit), get_args(Unit))

    def phase(self, step: Step) -> int:
        """Return the place of the phase that a step belongs to."""
        ends = list(accumulate(phase.length for phase in self.phases))
        done = step.epoch if self.unit == "epochs" else step.progress * ends[-1]
        return min(bisect_right(ends, done), len(ends) - 1)

    def select(self, step: Step, space: SearchSpace, rng: Generator) -> tuple[Path, ...]:
        """Select the paths.

        Raises:
            SpaceError: A phase opens no parameter of the space, no phase opens one of them, or a number of values is
                to be opened of one whose values have no order.
            InfeasibleError: No feasible architecture was found among those that are open.
        """
        place = self.phase(step)
        answer = partial(_answer, self._open(space, place), partial(extremes.largest, space, step.input_shape))
        drawn = self._drawn(space, place, partial(answer, Dice(rng)))
        if self.distillation is None or not any(phase.opens for phase in self.phases[: place + 1]):
            return tuple(map(Path, drawn))
        first = Path(extremes.largest(space, step.input_shape))
        return first, *(Path(architecture, distillation=self.distillation) for architecture in drawn)

    def _open(self, space: SearchSpace, place: int) -> Mapping[str, int | None]:
        return _opened(space, self.phases, self.always, place)

    def _drawn(self, space: SearchSpace, place: int, answer: Callable[[Decision], Value]) -> tuple[Architecture, ...]:
        def draw() -> tuple[Architecture, ...]:
            return (Architecture(follow_steps(space, answer)),)

        what = f"Paths of phase {place} of progressive shrinking"
        fix = "Relax a constraint, or leave out the phases in which too little is open."
        found = (redrawn(space, draw, what, fix) for _ in range(self.phases[place].paths))
        return tuple(architecture for (architecture,) in found)


def _answer(
    opened: Mapping[str, int | None], largest: Callable[[], Architecture], dice: Dice, decision: Decision
) -> Value:
    """Decide one decision: draw it from its open values, or take the largest."""
    if decision.single:
        return decision.values[0]
    count = opened.get(decision.name, 0)
    if count is None:
        return draw_evenly(decision, dice)
    parameter = decision.parameter
    if isinstance(parameter, Numeric) and not parameter.values:
        return parameter.high
    if is_ordered(parameter):
        values = _descending(parameter)[: max(count, 1)]
        return values[dice.below(len(values))]
    known = largest()
    return known[decision.name] if decision.name in known else draw_evenly(decision, dice)


def _descending(parameter: Parameter) -> Sequence[Value]:
    return sorted(cast("Sequence[float]", parameter.values), reverse=True)


@lru_cache(maxsize=MOST_KEPT)
def _opened(
    space: SearchSpace, phases: tuple[Phase, ...], always: tuple[str, ...], place: int
) -> Mapping[str, int | None]:
    """Return how many values the parameters have that are open in the phase at a place, `None` for all of them."""
    parameters = {name: p for name, p in space.parameters().items() if not p.fixed}
    _check(parameters, phases, always)
    opened: dict[str, int | None] = {}
    for phase in phases[: place + 1]:
        opened.update((name, phase.values) for name in parameters if phase.holds(name))
    return {**opened, **{name: None for name in parameters if _matches(always, name)}}


def _check(parameters: Mapping[str, Parameter], phases: Iterable[Phase], always: tuple[str, ...]) -> None:
    found: set[str] = set()
    for phase in phases:
        held = {name: p for name, p in parameters.items() if phase.holds(name)}
        if phase.opens and not held:
            raise SpaceError(f"{phase} opens no parameter of the space, which has {', '.join(parameters)}.")
        for name, parameter in held.items():
            if phase.values is not None and not (parameter.values and is_ordered(parameter)):
                raise SpaceError(f"{phase} counts the values of `{name}`, which have no order: open all of them.")
        found |= held.keys()
    if missing := [name for name in parameters if name not in found and not _matches(always, name)]:
        raise SpaceError(
            f"No phase of progressive shrinking opens {', '.join(f'`{name}`' for name in missing)}: add a phase for "
            "them, or name them in `always`."
        )


def _matches(patterns: Iterable[str], name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
