"""What the command line says to a wrong call; every message is one line, on standard error."""

from __future__ import annotations

import json
from pathlib import Path

import optuna
import pytest
from typer.testing import CliRunner, Result

from nas_tune.cli.app import app
from nas_tune.search_spaces import NASBench201

CELL = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|none~1|skip_connect~2|"


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, catch_exceptions=False)


def message(result: Result) -> str:
    return " ".join(result.stderr.split())


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_an_unknown_space_is_bad_usage_and_names_the_nearest_and_all() -> None:
    result = call("search", "--space", "nas-bench-301", "--storage", "sqlite:///s.db")

    assert result.exit_code == 2
    assert "There is no search space 'nas-bench-301'. Did you mean 'nas-bench-201'?" in message(result)
    assert not Path("s.db").exists()


def test_an_unknown_task_is_bad_usage_and_names_the_nearest_and_all() -> None:
    result = call("search", "--task", "digit", "--storage", "sqlite:///s.db")

    assert result.exit_code == 2
    assert "There is no task 'digit'. Did you mean 'digits'? Known: digits, fashion-mnist." in message(result)


def test_no_trials_is_bad_usage() -> None:
    result = call("search", "--trials", "0")

    assert result.exit_code == 2
    assert "Invalid value for '--trials': Input should be greater than or equal to 1" in message(result)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("sqlite:////no/such/folder/s.db", "unable to open database file"),
        ("nonsense://x", "nonsense"),
        ("no/such/folder/journal.log", "there is no folder"),
    ],
)
def test_a_storage_that_cannot_be_opened_is_named_with_the_reason(url: str, reason: str) -> None:
    result = call("search", "--storage", url)

    assert result.exit_code == 1
    assert f"The storage '{url}' cannot be opened: " in message(result)
    assert reason in message(result)


def tiny(*more: str) -> Result:
    common = ("search", "--evaluate", "from-scratch", "--epochs", "1", "--trials", "1", "--top", "0", "--random", "0")
    return call(*common, "--storage", "sqlite:///s.db", "--study-name", "one", "--channels", "2", *more)


def test_a_study_of_a_different_search_is_refused_with_the_difference() -> None:
    assert tiny().exit_code == 0

    result = tiny("--channels", "4")

    assert result.exit_code == 1
    assert "is of a different search" in message(result)
    assert "--channels was 2 and is 4" in message(result)


def test_a_study_of_a_different_space_is_refused_with_the_parameters_that_differ() -> None:
    assert tiny().exit_code == 0
    study = optuna.load_study(study_name="one", storage="sqlite:///s.db")
    signature = json.loads(study.user_attrs["nas_tune:space"])
    signature["parameters"]["network.edge_0_1"]["values"].remove("none")
    del signature["parameters"]["lr"]
    study.set_user_attr("nas_tune:space", json.dumps(signature))

    result = tiny()

    assert result.exit_code == 1
    assert "`network.edge_0_1` was one of ['skip_connect'" in message(result)
    assert "`lr` is new" in message(result)


def test_a_study_that_the_command_did_not_make_is_refused() -> None:
    optuna.create_study(study_name="one", storage="sqlite:///s.db", direction="maximize").optimize(lambda _: 1.0, 1)

    result = tiny()

    assert result.exit_code == 1
    assert "holds 1 trials that `nas-tune search` did not make" in message(result)


def test_training_needs_to_be_told_what() -> None:
    result = call("train")

    assert result.exit_code == 2
    assert "Say what to train: either --architecture, or --trial with --storage." in message(result)


def test_a_string_that_is_no_cell_says_how_one_is_written() -> None:
    result = call("train", "--architecture", "|nor_conv_3x3~0|")

    assert result.exit_code == 2
    assert "write it like '|op~0|+|op~0|op~1|+|op~0|op~1|op~2|'" in message(result)


def test_an_impossible_value_is_named_with_its_path() -> None:
    result = call("train", "--architecture", CELL.replace("avg_pool_3x3", "max_pool_3x3"))

    assert result.exit_code == 2
    assert "`edge_0_3` has the impossible value 'max_pool_3x3': choose from 'none'" in message(result)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"edge_0_1": None}, "The architecture has no value for `edge_0_1`"),
        ({"edge_9_9": "none"}, "`edge_9_9` is foreign to this architecture"),
    ],
)
def test_a_missing_or_foreign_value_of_a_file_is_named(change: dict[str, str | None], words: str) -> None:
    content = json.loads(NASBench201().from_string(CELL).to_json())
    content["values"] = {name: value for name, value in {**content["values"], **change}.items() if value is not None}
    Path("cell.json").write_text(json.dumps(content))

    result = call("train", "--architecture", "cell.json")

    assert result.exit_code == 2
    assert words in message(result)


def test_a_missing_study_lists_those_there_are() -> None:
    assert tiny().exit_code == 0

    result = call("report", "--storage", "sqlite:///s.db", "--study-name", "two")

    assert result.exit_code == 1
    assert "The storage 'sqlite:///s.db' holds no study 'two'. It has: one." in message(result)


def test_reading_a_storage_that_is_not_there_makes_no_file() -> None:
    result = call("report", "--storage", "sqlite:///none.db")

    assert result.exit_code == 1
    assert "there is no such file" in message(result)
    assert not Path("none.db").exists()


def test_a_file_that_is_no_journal_is_refused_and_stays_as_it_was() -> None:
    Path("notes.txt").write_text("my notes\n")

    result = call("search", "--storage", "notes.txt")

    assert result.exit_code == 1
    assert "the file notes.txt is no journal of Optuna" in message(result)
    assert Path("notes.txt").read_text() == "my notes\n"


def test_a_trial_that_is_not_there_is_named() -> None:
    assert tiny().exit_code == 0

    result = call("train", "--trial", "7", "--storage", "sqlite:///s.db")

    assert result.exit_code == 1
    assert "has no trial 7" in message(result)


def test_missing_data_is_one_line_that_says_where_it_comes_from(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    result = call("search", "--task", "fashion-mnist", "--data", str(tmp_path), "--storage", "sqlite:///s.db")

    assert result.exit_code == 1
    assert "github.com/zalandoresearch/fashion-mnist" in message(result)
