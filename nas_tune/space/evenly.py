"""Architectures drawn decision by decision, every value of a decision as likely as the others."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from nas_tune.space.architecture import Architecture
from nas_tune.space.dice import Dice
from nas_tune.space.walks import follow_steps

if TYPE_CHECKING:
    from numpy.random import Generator

    from nas_tune.space.node import Value
    from nas_tune.space.plan import Step
    from nas_tune.space.search_space import SearchSpace

MOST_TRIES = 100  # draws that break a constraint, before one is drawn uniformly


def draw_evenly(space: SearchSpace, rng: Generator) -> Architecture:
    """Draw every active decision uniformly from its values; without conditions it is what `space.sample` draws.

    Uniformly drawn architectures have the branches with the most inside of them nearly always, and the greatest
    lengths. What is rare there has to be seen, too, before a search can say whether it is good.

    Args:
        space: Its constraints hold.
        rng: Source of randomness.

    Raises:
        InfeasibleError: As `space.sample`.
    """
    for _ in range(MOST_TRIES):
        architecture = Architecture(follow_steps(space, partial(_draw, Dice(rng))))
        if not space.constrained() or not any(space.violations("", architecture)):
            return architecture
    return space.sample(rng)


def _draw(dice: Dice, step: Step) -> Value:
    return step.values[dice.below(len(step.values))] if step.values else step.parameter.draw(dice.rng)
