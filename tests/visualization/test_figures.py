"""Data of the figures, counted by hand; the figures themselves only carry it."""

from __future__ import annotations

import json
import math

import optuna
import pandas
import pytest
from optuna.trial import TrialState, create_trial

from nas_tune.analysis import trials_frame
from nas_tune.space import SearchSpace
from nas_tune.visualization.figures import (
    architecture_labels,
    cost_data,
    cost_figure,
    final_data,
    history_data,
    history_figure,
    log_ticks,
    short,
)


def frame_of(values: list[float | None], space: SearchSpace) -> pandas.DataFrame:
    study = optuna.create_study()
    for value in values:
        state = TrialState.FAIL if value is None else TrialState.COMPLETE
        study.add_trial(create_trial(value=value, state=state))
    return trials_frame(study, space)


def test_the_history_holds_completed_trials_and_the_running_best(space: SearchSpace) -> None:
    frame = frame_of([0.5, None, 0.7, 0.6, math.inf, 0.8], space)
    up, down = history_data(frame), history_data(frame, maximize=False)

    assert (0, 2, 3, 5) == up.numbers == down.numbers
    assert (0.5, 0.7, 0.6, 0.8) == up.values
    assert (0.5, 0.7, 0.7, 0.8) == up.best
    assert (0.5, 0.5, 0.5, 0.5) == down.best


def test_the_history_of_an_empty_or_failed_study_is_empty(space: SearchSpace) -> None:
    assert () == history_data(frame_of([], space)).numbers
    assert () == history_data(frame_of([None, None], space)).numbers


def test_costs_are_grouped_by_evaluation(study: optuna.Study, space: SearchSpace) -> None:
    data = cost_data(trials_frame(study, space))

    assert {"from-scratch": (0, 2, 6, 8, 10), "shared-weights": (1, 3, 5, 7, 11)} == {
        group.evaluation: group.numbers for group in data.groups
    }
    for group in data.groups:
        expected = tuple(study.trials[number].user_attrs["parameters"] for number in group.numbers)
        assert expected == group.parameters


def test_trials_without_parameters_have_no_place_on_a_logarithmic_axis(space: SearchSpace) -> None:
    study = optuna.create_study()
    study.add_trial(create_trial(value=1.0, user_attrs={"parameters": 0}))
    study.add_trial(create_trial(value=2.0))

    assert () == cost_data(trials_frame(study, space)).groups


def test_finals_are_grouped_by_role_and_incomplete_ones_left_out() -> None:
    finals = pandas.DataFrame(
        {
            "role": ["best", "random", "best"],
            "trial": [3, pandas.NA, 2],
            "parameters": [100, 200, 300],
            "test_accuracy": [0.9, 0.8, math.nan],
        }
    )
    best, random = final_data(finals)

    assert ("best", ("trial 3",), (100,), (0.9,)) == (best.role, best.names, best.parameters, best.accuracies)
    assert "random" == random.role
    assert () == final_data(finals[["role", "trial"]])


def test_a_label_lists_the_active_parameters_escaped(study: optuna.Study, space: SearchSpace) -> None:
    frame = trials_frame(study, space)
    frame.loc[0, "blocks.0"] = "<b>"
    label = architecture_labels(frame)[0].split("<br>")

    assert "blocks.0: &lt;b&gt;" in label
    assert len(study.trials[0].params) == len(label)


def test_a_figure_carries_its_data_as_plain_numbers(study: optuna.Study, space: SearchSpace) -> None:
    frame = trials_frame(study, space)
    history = json.loads(history_figure(history_data(frame)).to_json())
    costs = json.loads(cost_figure(cost_data(frame)).to_json())

    assert [0, 1, 2, 3, 5, 6, 7, 8, 10, 11] == history["data"][0]["x"]
    assert "log" == costs["layout"]["xaxis"]["type"]
    assert ["from-scratch", "shared-weights"] == [trace["name"] for trace in costs["data"]]


def test_a_figure_without_costs_says_what_is_missing(space: SearchSpace) -> None:
    figure = cost_figure(cost_data(frame_of([1.0], space)))

    assert "No trial recorded its number of parameters" in figure.layout.annotations[0].text


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (9_000, 60_000, (10_000, 20_000, 50_000)),
        (100, 1e7, (100, 1e3, 1e4, 1e5, 1e6, 1e7)),
        (41_000, 44_000, (50_000,)),
    ],
)
def test_ticks_are_round_and_few(low: float, high: float, expected: tuple[float, ...]) -> None:
    assert expected == log_ticks(low, high)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1234567, "1,234,567"),
        (0.9, "0.9000"),
        (12.3456, "12.35"),
        (8.03e-5, "8.030e-05"),
        (True, "True"),
        (None, "None"),
    ],
)
def test_values_are_written_for_people(value: object, expected: str) -> None:
    assert expected == short(value)
