"""The Pareto table of a super-net: its best, or its worst, architecture for each level of cost."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from optuna.study import StudyDirection
from optuna.trial import TrialState

from nas_tune.analysis.evaluations import EVALUATION
from nas_tune.analysis.frame import trial_architecture

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

    from nas_tune.space import Architecture, SearchSpace


@dataclass(frozen=True)
class ParetoEntry:
    """One architecture of a Pareto table.

    Attributes:
        bin: `round(cost / width)`.
        architecture: The architecture.
        score: In the unit given.
        cost: In the unit given, for example multiply-adds.
    """

    bin: int
    architecture: Architecture
    score: float
    cost: float


@dataclass(frozen=True)
class FiveNumbers:
    """Minimum, quartiles and maximum of a sample, in its unit; quartiles are interpolated linearly."""

    minimum: float
    lower_quartile: float
    median: float
    upper_quartile: float
    maximum: float


def pareto_table(
    architectures: Sequence[Architecture],
    scores: Sequence[float],
    costs: Sequence[float],
    *,
    width: float,
    worst: bool = False,
    maximize: bool = True,
) -> tuple[ParetoEntry, ...]:
    """Keep the best architecture of each bin of cost, then remove the dominated ones.

    An entry is dominated where another has a score at least as good at a cost at most as high, and is strictly better
    in one of the two. The worst table is the mirror image: it keeps the worst of each bin, and removes an entry where
    another costs at least as much and still scores no better. Of equal scores in a bin the cheaper is kept, in the
    worst table the dearer, then the first. An architecture of which a value is NaN or infinite is left out.

    Args:
        architectures: Candidates.
        scores: Of each candidate, for example accuracy with shared weights.
        costs: Of each candidate, for example multiply-adds.
        width: Width of a bin in the unit of the costs: 25e6 multiply-adds in AttentiveNAS, 10e6 in the evolution of
            AlphaNet.
        worst: Give the worst architectures instead of the best.
        maximize: Whether larger scores are better.

    Returns:
        The entries by rising cost.

    Raises:
        ValueError: The series differ in length, or `width` is not above zero and finite.

    Reference: AttentiveNAS, arXiv:2011.09011; AlphaNet, arXiv:2102.07954.
    """
    _check_lengths(architectures=architectures, scores=scores, costs=costs)
    _check_width(width)
    towards = -1 if worst else 1
    upwards = towards if maximize else -towards
    table: dict[int, ParetoEntry] = {}
    for architecture, score, cost in zip(architectures, scores, costs, strict=True):
        if math.isfinite(score) and math.isfinite(cost):
            entry = ParetoEntry(round(cost / width), architecture, float(score), float(cost))
            kept = table.setdefault(entry.bin, entry)
            if (upwards * entry.score, -towards * entry.cost) > (upwards * kept.score, -towards * kept.cost):
                table[entry.bin] = entry
    return _front(list(table.values()), upwards, towards)


def study_pareto_table(
    study: optuna.Study,
    space: SearchSpace,
    *,
    width: float,
    cost: str = "macs",
    objective: int = 0,
    evaluation: str | None = None,
    worst: bool = False,
) -> tuple[ParetoEntry, ...]:
    """Make the Pareto table of the completed trials of a study, each of which counts as one candidate.

    Args:
        study: Study whose trials have the user attribute `cost`; those without it are left out.
        space: The space whose architectures the trials are.
        width: Width of a bin in the unit of the cost.
        cost: Name of the user attribute, for example ``macs`` or ``parameters``.
        objective: Which value of the trials is the score.
        evaluation: Take only the trials with this user attribute ``evaluation``, for example "shared-weights".
        worst: Give the worst architectures instead of the best.

    Returns:
        The entries by rising cost, as from `pareto_table`.

    Raises:
        ValueError: The study has no such `objective`, or `width` is not above zero and finite.
    """
    if not 0 <= objective < len(study.directions):
        raise ValueError(f"`objective` is {objective}, and the study has {len(study.directions)}. Count from 0.")
    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    asked = [trial for trial in trials if evaluation is None or trial.user_attrs.get(EVALUATION) == evaluation]
    found = [(trial_architecture(trial, space), trial.values[objective], _cost(trial, cost)) for trial in asked]
    known = [(architecture, score, price) for architecture, score, price in found if architecture is not None]
    return pareto_table(
        [architecture for architecture, _, _ in known],
        [score for _, score, _ in known],
        [price for _, _, price in known],
        width=width,
        worst=worst,
        maximize=study.directions[objective] == StudyDirection.MAXIMIZE,
    )


def five_numbers(scores: Iterable[float]) -> FiveNumbers:
    """Sum a sample up by its minimum, quartiles and maximum; what is not finite is left out.

    Raises:
        ValueError: There is no finite number among the scores.
    """
    known = [score for score in map(float, scores) if math.isfinite(score)]
    if not known:
        raise ValueError("`scores` holds no finite number: there is nothing to sum up.")
    return FiveNumbers(*map(float, np.quantile(known, (0.0, 0.25, 0.5, 0.75, 1.0))))


def five_numbers_by_bin(scores: Sequence[float], costs: Sequence[float], *, width: float) -> dict[int, FiveNumbers]:
    """Sum the scores up within each bin `round(cost / width)`, by rising bin; a bin without a finite one has no entry.

    Raises:
        ValueError: The series differ in length, or `width` is not above zero and finite.
    """
    _check_lengths(scores=scores, costs=costs)
    _check_width(width)
    bins: dict[int, list[float]] = {}
    for score, cost in zip(scores, costs, strict=True):
        if math.isfinite(cost) and math.isfinite(score):
            bins.setdefault(round(cost / width), []).append(score)
    return {place: five_numbers(bins[place]) for place in sorted(bins)}


def _front(entries: list[ParetoEntry], upwards: int, towards: int) -> tuple[ParetoEntry, ...]:
    """From the preferred end of cost on, whatever does not improve the score is dominated."""
    front: list[ParetoEntry] = []
    for entry in sorted(entries, key=lambda entry: towards * entry.cost):
        if not front or upwards * entry.score > upwards * front[-1].score:
            front.append(entry)
    return tuple(sorted(front, key=lambda entry: entry.cost))


def _cost(trial: FrozenTrial, name: str) -> float:
    value = trial.user_attrs.get(name)
    return float(value) if isinstance(value, (int, float)) else math.nan


def _check_lengths(**series: Sequence[object]) -> None:
    if len({len(values) for values in series.values()}) > 1:
        sizes = ", ".join(f"{len(values)} of `{name}`" for name, values in series.items())
        raise ValueError(f"The series differ in length: {sizes}. Give one of each for every architecture.")


def _check_width(width: float) -> None:
    if not (math.isfinite(width) and width > 0):
        raise ValueError(f"`width` is {width!r}. Give the width of a bin in the unit of the costs, for example 25e6.")
