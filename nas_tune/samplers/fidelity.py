"""What a trial that was pruned says: its early report, for as much as early reports have said of others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from nas_tune.predictors.normal_scores import NormalScores
from nas_tune.samplers.surrogate import Hint

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nas_tune.samplers.study_history import Evaluation

LEAST_CORRELATION = 0.3  # below which reports of a step say nothing
FEW = 5  # pairs of report and value from which a correlation is estimated
ASSUMED = 0.5  # correlation as long as there are fewer
CERTAIN = 0.95  # no more is believed of any correlation


def hints_of_pruned(evaluations: Sequence[Evaluation]) -> list[Hint]:
    """Return what the pruned trials say, on the scale of the normal scores of the complete ones.

    The last report of a pruned trial is scored among all reports of that step. How the complete trials went on from
    their scores there, by linear regression, tells what is expected of this one; what the regression leaves open is
    its noise. A step whose reports hardly agree with the values says nothing, so that a misleading fidelity is
    forgotten; before five trials have come through, a correlation of a half is assumed.

    Args:
        evaluations: All finished trials of a study of one objective.
    """
    complete = [e for e in evaluations if e.complete]
    steps: dict[int, list[Evaluation]] = {}
    for evaluation in evaluations:
        if not evaluation.complete and evaluation.reports and evaluation.state.name == "PRUNED":
            steps.setdefault(max(evaluation.reports), []).append(evaluation)
    return [hint for step, pruned in steps.items() for hint in _at_step(step, pruned, complete, evaluations)]


def _at_step(
    step: int, pruned: Sequence[Evaluation], complete: Sequence[Evaluation], evaluations: Sequence[Evaluation]
) -> list[Hint]:
    reported = [e for e in evaluations if step in e.reports and not np.isnan(e.reports[step])]
    early = NormalScores([e.reports[step] for e in reported]).scores if reported else np.zeros(0)
    at = {e.number: score for e, score in zip(reported, early.tolist(), strict=True)}
    late = NormalScores([e.value for e in complete]).scores if complete else np.zeros(0)
    pairs = [(at[e.number], score) for e, score in zip(complete, late.tolist(), strict=True) if e.number in at]
    line = _regression(np.array(pairs).reshape(-1, 2))
    if line is None:
        return []
    intercept, slope, noise = line
    return [Hint(e.architecture, intercept + slope * at[e.number], noise) for e in pruned if e.number in at]


def _regression(pairs: NDArray[np.float64]) -> tuple[float, float, float] | None:
    """Return intercept, slope and noise variance of late scores over early ones; `None` where they hardly agree."""
    if len(pairs) < FEW:
        return 0.0, ASSUMED, 1.0 / ASSUMED**2 - 1.0
    early, late = pairs[:, 0], pairs[:, 1]
    if early.std() < 1e-9 or late.std() < 1e-9:
        return None
    correlation = float(np.corrcoef(early, late)[0, 1])
    if correlation < LEAST_CORRELATION:
        return None
    slope = correlation * float(late.std() / early.std())
    certain = min(correlation, CERTAIN)
    return float(late.mean() - slope * early.mean()), slope, 1.0 / certain**2 - 1.0
