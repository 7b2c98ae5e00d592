"""How an architecture is drawn from a policy."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nas_tune.samplers.fixing import completed
from nas_tune.space import Architecture, walks

if TYPE_CHECKING:
    from numpy.random import Generator

    from nas_tune.samplers.controllers.controller import Policy
    from nas_tune.samplers.controllers.decisions import Decisions
    from nas_tune.space import SearchSpace, Value
    from nas_tune.space.plan import Step

MOST_TRIES = 32  # draws that are taken already before the first of them is accepted
TRIES_PER_WIDENING, WIDENING = 8, 0.1
MOST_REFUSED = 200  # draws that break a constraint before the architecture is drawn from the space instead
LEAST = 1e-300  # probability, so that its logarithm is finite


@dataclass(frozen=True)
class Drawn:
    """An architecture, and the logarithm of the probability with which it was drawn, in nats.

    The probability is that of the choices, before any draw is rejected; `None` where not all of them were drawn.
    """

    architecture: Architecture
    log_probability: float | None


def draw(
    space: SearchSpace,
    decisions: Decisions,
    policy: Policy,
    fixed: Mapping[str, Value],
    uniform: float,
    rng: Generator,
) -> Drawn:
    """Draw an architecture decision by decision; its constraints are not looked at.

    Args:
        space: Space of the architecture.
        decisions: Its decisions.
        policy: What is drawn from.
        fixed: Values that the architecture has to have.
        uniform: Probability with which a decision is drawn uniformly instead.
        rng: Source of randomness.
    """
    drawing = policy.begin()
    dice = iter(rng.random(len(decisions.choices)).tolist())
    probability: list[float] = []

    def answer(step: Step) -> Value:
        name = step.name
        if step.single:
            return step.values[0]
        row = decisions.rows[name]
        choices = decisions.choices[row]
        if name in fixed:
            drawing.take(row, choices.place(fixed[name]))
            return fixed[name]
        chances = drawing.probabilities(row)
        if uniform:
            chances = [(1.0 - uniform) * chance + uniform / choices.count for chance in chances[: choices.count]]
        left = next(dice)
        for place, chance in enumerate(chances):  # noqa: B007  # the last one is taken where rounding leaves a rest
            left -= chance
            if left < 0.0:
                break
        drawing.take(row, place)
        probability.append(chance)
        return choices.value(place, rng)

    architecture = Architecture(walks.follow_steps(space, answer))
    return Drawn(architecture, None if fixed else sum((math.log(max(chance, LEAST)) for chance in probability), 0.0))


def propose(
    space: SearchSpace,
    decisions: Decisions,
    policy: Policy,
    fixed: Mapping[str, Value],
    is_taken: Callable[[Architecture], bool],
    rng: Generator,
) -> Drawn:
    """Draw the next architecture to evaluate.

    A draw that breaks a constraint of the space is drawn again; after 200 of them the architecture is drawn from the
    space, uniformly. A draw that is taken is drawn again as well, and after every 8 of them each decision is drawn
    uniformly with a probability that is 0.1 higher, so that a policy that has settled finds new architectures near its
    best; after 32 of them the first is accepted.

    Args:
        space: What is searched.
        decisions: Its decisions.
        policy: What is drawn from.
        fixed: Values that the proposal has to have.
        is_taken: Says that an architecture is evaluated already, or being evaluated.
        rng: Source of randomness.

    Returns:
        The proposal. It breaks a constraint of the space only if the `fixed` values do.
    """
    constrained = space.constrained()
    known: list[Drawn] = []
    for _ in range(MOST_REFUSED):
        drawn = draw(space, decisions, policy, fixed, len(known) // TRIES_PER_WIDENING * WIDENING, rng)
        if constrained and any(space.violations("", drawn.architecture)):
            continue
        if not is_taken(drawn.architecture):
            return drawn
        known.append(drawn)
        if len(known) == MOST_TRIES:
            break
    return known[0] if known else Drawn(completed(space, space.sample(rng), fixed, rng), None)
