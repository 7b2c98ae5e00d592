"""A study as a frame: every trial has its row, every parameter its column."""

from __future__ import annotations

import subprocess
import sys

import optuna
import pandas
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState, create_trial

from nas_tune.analysis import trials_frame
from nas_tune.analysis.frame import parameter_columns
from nas_tune.space import Categorical, Float, Integer, Repeat, SearchSpace, Switch

SPACE = SearchSpace(
    {
        "op": Switch({"conv": SearchSpace({"kernel": Integer(1, 5, step=2)}), "skip": SearchSpace({})}),
        "deep": Repeat(Categorical("relu", "gelu"), 1, 3),
        "bias": Categorical(True, False),
        "width": Categorical(8, 16),
        "norm": Categorical("batch", None),
        "lr": Float(1e-3, 1e-1, log=True),
    }
)


def study_of(*settings: dict[str, object], space: SearchSpace = SPACE) -> optuna.Study:
    """A study whose trials suggested `settings`, and returned 0, 1, ..."""
    study = optuna.create_study(direction="maximize")
    for setting in settings:
        study.enqueue_trial(setting)

    def objective(trial: optuna.Trial) -> float:
        space.suggest(trial)
        trial.set_user_attr("parameters", 1000 + trial.number)
        trial.set_user_attr("macs", 2000 + trial.number)
        trial.set_user_attr("evaluation", "from-scratch")
        trial.report(0.5, step=1)
        trial.report(0.6, step=4)
        return float(trial.number)

    study.optimize(objective, n_trials=len(settings))
    return study


@pytest.fixture(scope="module")
def two() -> optuna.Study:
    rest = {"bias": True, "width": 16, "lr": 0.01}
    return study_of(
        {"op": "conv", "op.conv.kernel": 3, "deep.length": 1, "deep.0": "relu", "norm": None} | rest,
        {"op": "skip", "deep.length": 2, "deep.0": "gelu", "deep.1": "relu", "norm": "batch"} | rest,
    )


def test_every_parameter_has_a_column_in_the_order_of_the_space(two: optuna.Study) -> None:
    frame = trials_frame(two, SPACE)

    assert tuple(SPACE.parameters()) == parameter_columns(frame)


def test_inactive_parameters_are_missing_and_active_ones_hold_their_value(two: optuna.Study) -> None:
    frame = trials_frame(two, SPACE)

    assert [3, pandas.NA] == frame["op.conv.kernel"].tolist()
    assert [pandas.NA, "relu"] == frame["deep.1"].tolist()
    assert ["conv", "skip"] == frame["op"].tolist()
    assert frame["deep.2"].isna().all()


def test_a_choice_of_none_is_not_a_missing_value(two: optuna.Study) -> None:
    assert [None, "batch"] == trials_frame(two, SPACE)["norm"].tolist()


def test_columns_have_the_types_of_their_parameters(two: optuna.Study) -> None:
    types = trials_frame(two, SPACE).dtypes.astype(str).to_dict()

    expected = {
        "value": "float64",
        "op.conv.kernel": "Int64",
        "deep.length": "Int64",
        "deep.0": "string",
        "bias": "boolean",
        "width": "Int64",
        "norm": "object",
        "lr": "float64",
        "parameters": "Int64",
        "macs": "Int64",
        "fidelity": "Int64",
        "duration": "timedelta64[us]",
        "datetime_start": "datetime64[us]",
    }
    assert expected == {name: types[name] for name in expected}


def test_facts_of_a_trial_stand_beside_its_parameters(two: optuna.Study) -> None:
    frame = trials_frame(two, SPACE)
    first = two.trials[0]

    assert [0.0, 1.0] == frame["value"].tolist()
    assert [1000, 1001] == frame["parameters"].tolist()
    assert [2000, 2001] == frame["macs"].tolist()
    assert [4, 4] == frame["fidelity"].tolist()
    assert {"from-scratch"} == set(frame["evaluation"])
    assert SPACE.canonical_key(SPACE.architecture(first.params)) == frame["key"][0]
    assert first.duration == frame["duration"][0]
    assert first.datetime_start == frame["datetime_start"][0]
    assert "number" == frame.index.name


def test_epochs_are_the_fidelity_of_a_trial_that_reported_nothing() -> None:
    study = optuna.create_study()
    study.add_trial(create_trial(value=1.0, user_attrs={"epochs": 7}))

    assert [7] == trials_frame(study, SPACE)["fidelity"].tolist()


def test_an_empty_study_has_all_columns_and_no_row(two: optuna.Study) -> None:
    empty = trials_frame(optuna.create_study(), SPACE)

    assert (0, list(trials_frame(two, SPACE).columns)) == (len(empty), list(empty.columns))


def test_foreign_parameters_have_columns_of_their_own() -> None:
    study = optuna.create_study()
    study.add_trial(create_trial(value=1.0, params={"batch": 0.5}, distributions={"batch": FloatDistribution(0, 1)}))
    frame = trials_frame(study, SPACE)

    assert [0.5] == frame["foreign.batch"].tolist()
    assert "foreign.batch" not in parameter_columns(frame)


def test_trials_that_form_no_architecture_have_no_key() -> None:
    study = optuna.create_study()
    study.add_trial(create_trial(state=TrialState.FAIL))
    study.add_trial(create_trial(value=1.0, params={"lr": 0.01}, distributions={"lr": FloatDistribution(0, 1)}))
    study.ask()
    frame = trials_frame(study, SPACE)

    assert frame["key"].isna().all()
    assert ["FAIL", "COMPLETE", "RUNNING"] == frame["state"].tolist()
    assert 0.01 == frame["lr"][1]


def test_a_parameter_with_one_value_is_filled_in_though_no_trial_was_asked() -> None:
    space = SearchSpace({"only": Categorical("one"), "op": Categorical("a", "b")})
    study = optuna.create_study()
    study.add_trial(
        create_trial(value=0.0, params={"op": "a"}, distributions={"op": space.parameters()["op"].distribution})
    )

    assert ["one"] == trials_frame(study, space)["only"].tolist()


def test_a_parameter_named_like_a_fact_is_told_apart() -> None:
    space = SearchSpace({"value": Integer(1, 3), "macs": Integer(1, 3)})
    frame = trials_frame(study_of({"value": 2, "macs": 3}, space=space), space)

    assert ([2], [3]) == (frame["parameter.value"].tolist(), frame["parameter.macs"].tolist())
    assert [2000] == frame["macs"].tolist()


def test_several_objectives_are_named_by_their_metric_or_numbered() -> None:
    study = optuna.create_study(directions=["maximize", "minimize"])
    study.add_trial(create_trial(values=[0.9, 5.0]))

    assert ["value_0", "value_1"] == list(trials_frame(study, SPACE).columns[:2])

    with pytest.warns(optuna.exceptions.ExperimentalWarning):
        study.set_metric_names(["accuracy", "megabytes"])
    frame = trials_frame(study, SPACE)

    assert [[0.9], [5.0]] == [frame["accuracy"].tolist(), frame["megabytes"].tolist()]


def test_a_metric_named_like_a_fact_keeps_its_number() -> None:
    study = optuna.create_study(directions=["maximize", "minimize"])
    study.add_trial(create_trial(values=[0.9, 5.0], user_attrs={"macs": 7}))
    with pytest.warns(optuna.exceptions.ExperimentalWarning):
        study.set_metric_names(["accuracy", "macs"])
    frame = trials_frame(study, SPACE)

    assert [[0.9], [5.0], [7]] == [frame[name].tolist() for name in ("accuracy", "value_1", "macs")]


def test_importing_the_package_is_light() -> None:
    code = "import sys, nas_tune.analysis; print([m for m in ('scipy', 'pandas', 'torch') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "[]" == done.stdout.strip()
