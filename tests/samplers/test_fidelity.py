"""What pruned trials say."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from numpy.random import default_rng
from optuna.trial import TrialState
from scipy.stats import norm

from nas_tune.predictors.normal_scores import NormalScores
from nas_tune.samplers.fidelity import CERTAIN, FEW, hints_of_pruned
from nas_tune.samplers.study_history import Evaluation
from nas_tune.samplers.surrogate import Hint
from nas_tune.space import Architecture


def evaluation(number: int, value: float | None, reports: Mapping[int, float]) -> Evaluation:
    """A trial that came to its end, or with no value was pruned."""
    architecture = Architecture({"a": number})
    if value is None:
        return Evaluation(number, architecture, TrialState.PRUNED, reports=reports)
    return Evaluation(number, architecture, TrialState.COMPLETE, (value,), reports)


def study(early: Sequence[float], late: Sequence[float], pruned: Sequence[float], step: int = 1) -> list[Evaluation]:
    complete = [evaluation(i, value, {step: report}) for i, (report, value) in enumerate(zip(early, late, strict=True))]
    return [*complete, *(evaluation(100 + i, None, {step: report}) for i, report in enumerate(pruned))]


def only(hints: Sequence[Hint]) -> Hint:
    (hint,) = hints
    return hint


@pytest.fixture
def values() -> list[float]:
    return [float(value) for value in default_rng(0).standard_normal(40)]


def test_where_reports_are_the_values_a_pruned_trial_has_the_score_of_its_report(values: list[float]) -> None:
    hint = only(hints_of_pruned(study(values, values, [sorted(values)[30] + 1e-9])))

    expected = NormalScores(values)([sorted(values)[30]])[0]
    assert hint.architecture == Architecture({"a": 100})
    assert hint.score == pytest.approx(expected, abs=0.1)
    assert hint.noise == pytest.approx(1 / CERTAIN**2 - 1)


def test_scores_follow_the_regression_of_values_on_reports(values: list[float]) -> None:
    early = np.array(values) + default_rng(1).standard_normal(40)

    high, low = hints_of_pruned(study(early.tolist(), values, [float(early.max()), float(early.min())]))

    scores = NormalScores([*early, early.max(), early.min()]).scores
    late = NormalScores(values).scores
    slope, intercept = np.polyfit(scores[:40], late, 1)
    assert [high.score, low.score] == pytest.approx((intercept + slope * scores[40:]).tolist())
    correlation = np.corrcoef(scores[:40], late)[0, 1]
    assert high.noise == low.noise == pytest.approx(1 / correlation**2 - 1)


@pytest.mark.parametrize("misleading", ["opposite", "unrelated", "constant"])
def test_misleading_reports_are_forgotten(misleading: str, values: list[float]) -> None:
    early = {
        "opposite": [-value for value in values],
        "unrelated": default_rng(5).standard_normal(40).tolist(),
        "constant": [1.0] * 40,
    }[misleading]

    assert hints_of_pruned(study(early, values, [1.0, 0.0])) == []


@pytest.mark.parametrize("count", range(FEW))
def test_before_enough_trials_have_come_through_half_a_correlation_is_assumed(count: int) -> None:
    reports = [float(i) for i in range(count)]

    hint = only(hints_of_pruned(study(reports, reports[::-1], [99.0])))

    assert hint.score == pytest.approx(0.5 * norm.ppf((count + 0.5) / (count + 1)))
    assert hint.noise == pytest.approx(3.0)


def test_a_pruner_that_stops_nearly_everything_does_not_blind() -> None:
    reports = default_rng(2).standard_normal(60).tolist()

    hints = hints_of_pruned(study(reports[:1], [5.0], reports[1:]))

    assert len(hints) == 59
    by_report = np.argsort(reports[1:])
    scores = np.array([hint.score for hint in hints])[by_report]
    assert (np.diff(scores) > 0).all()
    assert scores[-1] - scores[0] > 2.0


def test_the_last_report_counts_and_each_step_for_itself(values: list[float]) -> None:
    complete = [evaluation(i, value, {1: -value, 3: value}) for i, value in enumerate(values)]
    misled, known = evaluation(100, None, {1: 9.0}), evaluation(101, None, {1: -9.0, 3: 9.0})

    hint = only(hints_of_pruned([*complete, misled, known]))

    assert hint.architecture == known.architecture
    assert hint.score > 1.5


def test_trials_that_say_nothing_give_no_hint(values: list[float]) -> None:
    silent = [
        evaluation(50, None, {}),
        evaluation(51, None, {1: math.nan}),
        Evaluation(52, Architecture({"a": 52}), TrialState.FAIL, reports={1: 0.5}),
    ]

    assert hints_of_pruned([*study(values, values, []), *silent]) == []
    assert hints_of_pruned([]) == []


def test_infinite_reports_are_ranked(values: list[float]) -> None:
    best, worst = hints_of_pruned(study(values, values, [math.inf, -math.inf]))

    assert best.score > 1.8
    assert worst.score < -1.8
