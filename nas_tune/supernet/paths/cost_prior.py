"""Architectures of a wanted cost: a prior over targets, and for each target one over every decision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

import numpy as np

from nas_tune.errors import NasTuneError, unknown_name
from nas_tune.space import Architecture
from nas_tune.space.dice import Dice
from nas_tune.space.walks import draw_step, follow_steps
from nas_tune.supernet.paths.arguments import check_whole
from nas_tune.supernet.paths.column_costs import costs_of
from nas_tune.supernet.paths.columns import draw_columns
from nas_tune.supernet.paths.pricing import macs_of

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from nas_tune.space import Measure, SearchSpace, Value
    from nas_tune.space.plan import Step
    from nas_tune.supernet.paths.columns import Columns

TargetName: TypeAlias = Literal["prior", "uniform"]
SAMPLES = 1_000_000  # the paper has more than a million
WIDTH = 25e6  # multiply-adds between two targets
LEAST_TARGETS = 20  # that the sampled costs span, unless a width is given
MOST_TRIES = 101  # draws for a target, the last of which is accepted whatever it costs
MOST_COUNTED = 1024  # values of a decision; one with more is drawn as the space draws it
MOST_KEPT = 8  # priors that are kept


@dataclass(frozen=True)
class CostPrior:
    """What a uniform sample of a space says about its costs, rounded to targets `round(cost / width)`.

    `pi(target)` is the share of the sample that has the target, `pi(architecture | target)` the product over the
    decisions of the share of a value among those of the target; a decision counts where it is active.

    Args:
        space: The sampled space.
        cost: What architectures cost.
        width: Of the costs that share a target, in the unit of `cost`.
        counts: Sampled architectures of each target, in ascending order of the targets.
        totals: Of each decision, for each target in that order: running totals of how often each value was sampled.
            A decision of more than 1,024 values, or a continuous one, has none and is drawn as the space draws it.

    Reference: Wang et al., AttentiveNAS, arXiv:2011.09011, section 3.3 (eq. 6 and 7).
    """

    space: SearchSpace
    cost: Measure
    width: float
    counts: Mapping[int, int]
    totals: Mapping[str, Sequence[Sequence[int]]] = field(repr=False)

    @property
    def targets(self) -> tuple[int, ...]:
        """The targets that were sampled, ascending."""
        return tuple(self.counts)

    def share(self, target: int) -> float:
        """Return pi(target); 0 for one that was not sampled."""
        return self.counts.get(target, 0) / sum(self.counts.values())

    def conditional(self, name: str, target: int) -> NDArray[np.float64]:
        """Return pi(value | target) for the values of a decision, shape `(values,)`; 0 where it was never active."""
        counts = np.diff(self.totals[name][self._row(target)], prepend=0)
        found: NDArray[np.float64] = counts / max(counts.sum(), 1)
        return found

    def target_of(self, architecture: Architecture) -> int:
        """Return the target whose cost an architecture has."""
        return round(self.cost(architecture) / self.width)

    def draw_target(self, targets: TargetName, rng: Generator) -> int:
        """Draw a target: from the prior, or uniformly from those that were sampled.

        Raises:
            UnknownNameError: There is no such way.
        """
        check_targets("CostPrior", targets)
        if targets == "uniform":
            return self.targets[int(rng.integers(len(self.targets)))]
        return self.targets[Dice(rng).place(np.cumsum([*self.counts.values()]).tolist())]

    def draw(self, target: int, rng: Generator) -> Architecture:
        """Draw an architecture of a target.

        It is drawn from the product of the decisions' priors until it has the target and meets the constraints of the
        space, at most 101 times; the last draw that meets the constraints is accepted although its cost is another one,
        as in the published code. Where none meets them, it is drawn from the space.

        Raises:
            NasTuneError: The target was not sampled.
        """
        row, last = self._row(target), None
        constrained = self.space.constrained()
        for _ in range(MOST_TRIES):
            drawn = self._drawn(row, rng)
            if constrained and any(self.space.violations("", drawn)):
                continue
            if self.target_of(drawn) == target:
                return drawn
            last = drawn
        return self.space.sample(rng) if last is None else last

    def _drawn(self, row: int, rng: Generator) -> Architecture:
        dice, totals = Dice(rng), self.totals

        def answer(step: Step) -> Value:
            known = totals.get(step.name)
            if known is None or not known[row][-1]:  # never active among the samples of this target
                return draw_step(step, dice)
            return step.values[dice.place(known[row])]

        return Architecture(follow_steps(self.space, answer))

    def _row(self, target: int) -> int:
        try:
            return self.targets.index(target)
        except ValueError:
            raise NasTuneError(
                f"No sampled architecture costs about {target} times {self.width:,.0f}: the targets are "
                f"{self.targets}. Take one of these, or more samples."
            ) from None


def count_prior(space: SearchSpace, cost: Measure, samples: int, width: float | None, rng: Generator) -> CostPrior:
    """Sample a space uniformly and count targets and values.

    A million samples of AttentiveNAS take about two seconds; a space with constraints, or a network with sizes that the
    whole architecture decides, is drawn or priced one by one, at some 20 us each.

    Args:
        space: What to sample.
        cost: What architectures cost.
        samples: How many to draw.
        width: Of the costs that share a target, in the unit of `cost`; `None` is 25 million, or a twentieth of the span
            of the sampled costs where that is less.
        rng: Source of randomness.

    Raises:
        NasTuneError: `samples` or `width` is not above 0.
    """
    check_counting("count_prior", samples, width)
    drawn = draw_columns(space, samples, rng)
    costs = costs_of(drawn, cost)
    if width is None:
        width = min(WIDTH, float(np.ptp(costs)) / LEAST_TARGETS or WIDTH)
    targets, rows, counts = np.unique(np.rint(costs / width).astype(np.int64), return_inverse=True, return_counts=True)
    totals = {
        name: _totals(drawn, name, rows, len(targets))
        for name in drawn.columns
        if 0 < len(drawn.parameters[name].values) <= MOST_COUNTED
    }
    return CostPrior(space, cost, width, dict(zip(targets.tolist(), counts.tolist(), strict=True)), totals)


def _totals(drawn: Columns, name: str, rows: NDArray[np.intp], targets: int) -> list[list[int]]:
    """Count the values of a decision by target, where it is active, and return their running totals."""
    room = len(drawn.parameters[name].values) + 1
    codes = rows * room + (drawn.columns[name].astype(np.int64) + 1)
    counts = np.bincount(codes, minlength=targets * room).reshape(targets, room)
    found: list[list[int]] = counts[:, 1:].cumsum(axis=1).tolist()
    return found


@lru_cache(maxsize=MOST_KEPT)
def prior_of(
    space: SearchSpace, input_shape: tuple[int, ...], samples: int = SAMPLES, width: float | None = None, seed: int = 0
) -> CostPrior:
    """Return the prior over the multiply-adds of a space's networks: counted once, the same in every process.

    Args:
        space: A `ModelSpace`.
        input_shape: Shape of one sample without the batch.
        samples: Architectures that are sampled.
        width: Multiply-adds between two targets; `None` is the published 25 million, or a twentieth of the span of the
            sampled costs where that is less, as in a space of small networks.
        seed: Of the samples.

    Raises:
        NasTuneError: `samples` or `width` is not above 0.
        SpaceError: The space builds no networks.
    """
    check_counting("prior_of", samples, width)
    return count_prior(space, macs_of(space, input_shape), samples, width, np.random.default_rng(seed))


def check_counting(owner: str, samples: int, width: float | None) -> None:
    """Check the numbers that a prior is counted with.

    Raises:
        NasTuneError: One of them is out of its range; the message names `owner`.
    """
    check_whole(owner, "samples", samples)
    if width is not None and not 0 < width < np.inf:
        raise NasTuneError(f"{owner}: `width` is {width}; give a number of multiply-adds above 0.")


def check_targets(owner: str, targets: str) -> None:
    """Check how targets are drawn.

    Raises:
        UnknownNameError: There is no such way.
    """
    if targets not in get_args(TargetName):
        raise unknown_name(f"way of {owner} to draw `targets`", str(targets), get_args(TargetName))
