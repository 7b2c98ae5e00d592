"""Fair paths: within a step every value of every decision is trained equally often."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from nas_tune.errors import unknown_name
from nas_tune.space import Architecture
from nas_tune.space.dice import Dice
from nas_tune.space.walks import draw_step, follow_steps
from nas_tune.supernet.paths.drawing import is_membership, redrawn
from nas_tune.supernet.paths.path import Path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.random import Generator

    from nas_tune.space import SearchSpace, Value
    from nas_tune.space.plan import Step as Decision
    from nas_tune.supernet.paths.path import Step

Fairness: TypeAlias = Literal["strict", "expectation"]


@dataclass(frozen=True)
class FairPaths:
    """As many paths per step as the largest decision has values; their gradients are summed.

    ``"strict"``: each decision deals its values to the paths from a shuffled deck, which is shuffled anew when it is
    empty. A decision with m values, m paths and always active takes every value exactly once a step; one with fewer,
    or active in fewer paths, takes them equally often but for one. Inside a `Switch` or `Repeat` fairness holds among
    the paths in which a decision is active; branches and lengths themselves are equally frequent, also where
    they hold unequally many architectures. A continuous decision is drawn, and so are the items of a `Subset` that is
    asked for item by item, each equally likely.

    ``"expectation"``: as many independent uniform paths, whose counts are equal in expectation only. The published
    expectation-fair variant steps the optimiser after each of them; here both kinds step once, so that they cost the
    same and differ in nothing but the counts.

    In a constrained space all paths of a step are dealt again until each is feasible.

    Args:
        fairness: ``"strict"`` or ``"expectation"``.

    Raises:
        UnknownNameError: `fairness` is neither.

    Reference: Chu et al., FairNAS, arXiv:1907.01845, section 3 and algorithm 1.
    """

    fairness: Fairness = "strict"

    def __post_init__(self) -> None:
        if self.fairness not in get_args(Fairness):
            raise unknown_name("`fairness` of FairPaths", str(self.fairness), get_args(Fairness))

    def select(self, step: Step, space: SearchSpace, rng: Generator) -> tuple[Path, ...]:
        """Select the paths.

        Raises:
            InfeasibleError: No feasible paths were found in a constrained space.
        """
        count = most_values(space)
        if self.fairness == "expectation":
            return tuple(Path(space.sample(rng)) for _ in range(count))
        dealt = redrawn(space, partial(_dealt, space, count, Dice(rng)), _what(count), _FIX)
        return tuple(map(Path, dealt))


_FIX = "Relax a constraint, or take FairPaths('expectation'), whose paths are drawn one by one."


def _what(count: int) -> str:
    return f"{count} paths that take every value equally often"


def most_values(space: SearchSpace) -> int:
    """Return the number of values of the decision that has the most; continuous ones do not count."""
    return max((len(parameter.values) for parameter in space.parameters().values()), default=0) or 1


def _dealt(space: SearchSpace, count: int, dice: Dice) -> tuple[Architecture, ...]:
    table = Table(dice)
    return tuple(Architecture(follow_steps(space, table.deal)) for _ in range(count))


class Table:
    """The decks of all decisions of a step.

    Args:
        dice: Shuffles them.
    """

    def __init__(self, dice: Dice) -> None:
        self._dice = dice
        self._decks: dict[str, list[Value]] = {}

    def deal(self, decision: Decision) -> Value:
        """Return the next value of a decision."""
        if not decision.values or is_membership(decision):
            return draw_step(decision, self._dice)
        deck = self._decks.get(decision.name)
        if not deck:
            deck = self._decks[decision.name] = _shuffled(decision.values, self._dice)
        return deck.pop()


def _shuffled(values: Sequence[Value], dice: Dice) -> list[Value]:
    """Return the values in a random order, every one equally likely (Fisher and Yates)."""
    deck = list(values)
    for last in range(len(deck) - 1, 0, -1):
        place = dice.below(last + 1)
        deck[last], deck[place] = deck[place], deck[last]
    return deck
