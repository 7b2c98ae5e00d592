"""How strategies draw decisions one by one, and architectures until they meet the constraints of a space."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

from nas_tune.errors import InfeasibleError
from nas_tune.space.walks import draw_step

if TYPE_CHECKING:
    from nas_tune.space import Architecture, Parameter, SearchSpace, Value
    from nas_tune.space.dice import Dice
    from nas_tune.space.plan import Step as Decision

MOST_REDRAWN = 1_000  # draws of all paths of a step after which the constraints of the space count as infeasible


def is_ordered(parameter: Parameter) -> bool:
    """Say whether the values of a parameter are numbers, so that one of them is the largest."""
    return all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in parameter.values)


def is_membership(decision: Decision) -> bool:
    """Say whether a decision is that on one item of a `Subset` which is asked for item by item."""
    return decision.weights is not None and tuple(decision.values) == (False, True)


def draw_evenly(decision: Decision, dice: Dice) -> Value:
    """Draw a value uniformly, however many architectures lie below each; every item of a subset is equally likely."""
    if is_membership(decision) or not decision.values:
        return draw_step(decision, dice)
    return decision.values[dice.below(len(decision.values))]


def redrawn(
    space: SearchSpace, draw: Callable[[], tuple[Architecture, ...]], what: str, fix: str
) -> tuple[Architecture, ...]:
    """Return the first draw whose architectures all meet the constraints of the space.

    Args:
        space: The space.
        draw: Draws the architectures of a step.
        what: What is drawn, for the error.
        fix: What to do about it.

    Raises:
        InfeasibleError: 1,000 draws in a row broke a constraint.
    """
    if not space.constrained():
        return draw()
    refused: Counter[str] = Counter()
    for _ in range(MOST_REDRAWN):
        drawn = draw()
        broken = {reason for architecture in drawn for reason in space.violations("", architecture)}
        if not broken:
            return drawn
        refused.update(broken)
    reasons = ", ".join(f"'{reason}' refused {count:,}" for reason, count in refused.most_common())
    raise InfeasibleError(f"{what}: none in {MOST_REDRAWN:,} draws meets the constraints, {reasons}. {fix}")
