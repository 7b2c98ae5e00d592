"""What a search publishes, and that a real optuna-dashboard shows it."""

from __future__ import annotations

import json
import logging
import os
import pickle
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.etree import ElementTree

import optuna
import pytest
from optuna.artifacts import get_all_artifact_meta

from nas_tune.costs import Cost
from nas_tune.errors import StudyError
from nas_tune.space import Categorical, SearchSpace
from nas_tune.visualization import Dashboard, serve
from nas_tune.visualization.artifacts import default_folder, storage_url
from nas_tune.visualization.dashboard import NOTE
from nas_tune.visualization.serving import AddressError, MissingExtraError

Objective = Callable[[optuna.Trial], float]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the published study and its drawings lie."""
    return tmp_path_factory.mktemp("published")


@pytest.fixture(scope="module")
def published(space: SearchSpace, objective: Objective, folder: Path) -> optuna.Study:
    """Six trials, one of them failed, published beside their database."""
    study = optuna.create_study(
        storage=f"sqlite:///{folder}/nas.db",
        study_name="x<b>",
        direction="maximize",
        sampler=optuna.samplers.RandomSampler(seed=0),
    )
    with Dashboard(space) as board:
        study.optimize(board.watch(objective), n_trials=6, callbacks=[board], catch=(ArithmeticError,))
    return study


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What nas_tune said, without Optuna's own lines."""
    return [record.message for record in caplog.records if record.name.startswith("nas_tune")]


def drawing_of(study: optuna.Study, trial: optuna.trial.FrozenTrial, folder: Path) -> str:
    (meta,) = get_all_artifact_meta(trial, storage=study._storage)
    return (folder / meta.artifact_id).read_text(encoding="utf-8")


def test_every_trial_has_one_drawing_beside_the_database_also_a_failed_one(
    published: optuna.Study, folder: Path
) -> None:
    drawings = [drawing_of(published, trial, folder / "nas.artifacts") for trial in published.trials]

    assert 6 == len(drawings)
    for trial, drawing in zip(published.trials, drawings, strict=True):
        title = ElementTree.fromstring(drawing).findtext("{http://www.w3.org/2000/svg}title")
        assert f"Architecture of trial {trial.number}" == title


def test_the_note_of_a_trial_lists_its_parts_costs_evaluation_and_seed(published: optuna.Study) -> None:
    trial = published.trials[1]
    note = trial.system_attrs[NOTE]

    assert f"| blocks.0 | {trial.params['blocks.0']} |" in note
    assert f"| Parameters | {trial.user_attrs['parameters']:,} |" in note
    assert "| Evaluation | shared-weights |" in note
    assert "| Seed | 3 |" in note


def test_publishing_by_hand_comes_first_and_is_not_repeated(space: SearchSpace, tmp_path: Path) -> None:
    study = optuna.create_study()
    board = Dashboard(space, tmp_path)

    def score(trial: optuna.Trial) -> float:
        architecture = space.suggest(trial)
        trial.suggest_int("batch", 32, 32)
        board.publish(trial, architecture, evaluation="by hand", seed=7, cost=Cost(11, 22, 33))
        board.publish(trial, architecture, evaluation="by hand", seed=8, cost=Cost(11, 22, 33))
        trial.set_user_attr("evaluation", "later")
        return 0.0

    study.optimize(board.watch(score), n_trials=1)
    note = study.trials[0].system_attrs[NOTE]

    assert 1 == len(os.listdir(tmp_path))
    assert all(f"| {row} |" in note for row in ("Parameters | 11", "MACs | 22", "Evaluation | by hand", "Seed | 8"))
    assert "| batch | 32 |" in note


def test_a_trial_of_another_space_runs_on_and_is_told_of_once(
    objective: Objective, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    study = optuna.create_study()
    board = Dashboard(SearchSpace({"other": Categorical(1, 2)}), tmp_path)
    with caplog.at_level(logging.WARNING, "nas_tune"):
        study.optimize(board.watch(objective), n_trials=3)

    (warning,) = warnings_of(caplog)
    assert 3 == len(study.get_trials(states=[optuna.trial.TrialState.COMPLETE]))
    assert warning.startswith("Trial 0 is no architecture of the space")


def test_a_folder_that_cannot_be_written_costs_no_trial(
    space: SearchSpace, objective: Objective, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    study = optuna.create_study()
    with caplog.at_level(logging.WARNING, "nas_tune"):
        study.optimize(Dashboard(space, tmp_path / "file" / "below").watch(objective), n_trials=2)

    assert 2 == len(study.get_trials(states=[optuna.trial.TrialState.COMPLETE]))
    assert "could not be published" in caplog.text


def test_without_the_extra_drawings_are_kept_and_the_hint_comes_once(
    space: SearchSpace,
    objective: Objective,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "optuna_dashboard", None)
    study = optuna.create_study()
    with caplog.at_level(logging.WARNING, "nas_tune"), Dashboard(space, tmp_path) as board:
        study.optimize(board.watch(objective), n_trials=3, callbacks=[board])

    assert 3 == len(os.listdir(tmp_path))
    assert ["nas-tune[dashboard]" in warning for warning in warnings_of(caplog)] == [True]
    with pytest.raises(MissingExtraError, match=r"pip install 'nas-tune\[dashboard\]'"):
        serve(f"sqlite:///{tmp_path}/nas.db")


def test_figures_are_refreshed_at_once_then_rarely_and_at_the_end(
    space: SearchSpace, objective: Objective, tmp_path: Path
) -> None:
    study = optuna.create_study(direction="maximize")
    board = Dashboard(space, tmp_path, refresh_seconds=3600)
    study.optimize(objective, n_trials=1, callbacks=[board])
    first = plots(study)
    study.optimize(objective, n_trials=3, callbacks=[board])
    second = plots(study)
    board.close()
    third = plots(study)

    assert {"nas-tune-history-0", "nas-tune-cost"} == set(first)
    assert [0] == json.loads(first["nas-tune-history-0"])["data"][0]["x"]
    assert first == second
    assert [0, 1, 2, 3] == json.loads(third["nas-tune-history-0"])["data"][0]["x"]


def plots(study: optuna.Study) -> dict[str, str]:
    """Figures of a study as the dashboard puts them together."""
    from optuna_dashboard._custom_plot_data import get_plotly_graph_objects

    found: dict[str, str] = get_plotly_graph_objects(study._storage.get_study_system_attrs(study._study_id))
    return found


def test_a_dashboard_travels_to_another_process(space: SearchSpace, objective: Objective, tmp_path: Path) -> None:
    board = pickle.loads(pickle.dumps(Dashboard(space, tmp_path)))
    study = optuna.create_study(direction="maximize")
    study.optimize(board.watch(objective), n_trials=2, callbacks=[board])

    assert [2, 2] == [len(os.listdir(tmp_path)), len(plots(study))]


def test_trials_in_threads_are_all_published(space: SearchSpace, objective: Objective, tmp_path: Path) -> None:
    study = optuna.create_study(direction="maximize")
    with Dashboard(space, tmp_path) as board:
        study.optimize(board.watch(objective), n_trials=8, n_jobs=4, callbacks=[board], catch=(ArithmeticError,))

    assert 8 == len(os.listdir(tmp_path)) == sum(NOTE in trial.system_attrs for trial in study.trials)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("sqlite:///nas.db", "nas.artifacts"),
        ("sqlite:////data/my.nas.db?timeout=9", "/data/my.nas.artifacts"),
        ("sqlite:///:memory:", "nas-tune-artifacts"),
        ("mysql://host/nas", "nas-tune-artifacts"),
        (None, "nas-tune-artifacts"),
    ],
)
def test_drawings_lie_beside_a_database_file(url: str | None, expected: str) -> None:
    assert Path(expected).absolute() == default_folder(url)


def test_the_url_of_a_storage_is_known_for_databases(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/nas.db"

    assert url == storage_url(optuna.create_study(storage=url)._storage)
    assert storage_url(optuna.storages.InMemoryStorage()) is None


def test_a_missing_database_is_named(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"there is no file .*none\.db\. Start a search with it first"):
        serve(f"sqlite:///{tmp_path}/none.db")
    assert [] == os.listdir(tmp_path)


def test_a_storage_that_is_no_url_is_named(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="cannot be opened"):
        serve("nonsense://somewhere", tmp_path)


SERVER = """
import sys
from nas_tune.visualization import serve
serve(sys.argv[1], port=0, on_ready=lambda url: print(url, flush=True))
"""


@pytest.fixture(scope="module")
def address(published: optuna.Study, folder: Path) -> Iterator[str]:
    """A real server in a process of its own, at a free port of this machine."""
    command = [sys.executable, "-c", SERVER, f"sqlite:///{folder}/nas.db"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert server.stdout is not None
    yield server.stdout.readline().strip()
    server.kill()
    server.wait()
    server.stdout.close()


@pytest.mark.slow
def test_a_real_dashboard_answers_with_notes_drawings_and_figures(address: str, published: optuna.Study) -> None:
    root = address.removesuffix("/dashboard/")
    with urllib.request.urlopen(f"{root}/api/studies") as answer:
        (summary,) = json.load(answer)["study_summaries"]
    with urllib.request.urlopen(f"{root}/api/studies/{summary['study_id']}") as answer:
        detail = json.load(answer)

    assert address.startswith("http://127.0.0.1:")
    assert "x<b>" == detail["name"]
    assert {"nas-tune-history-0", "nas-tune-cost"} == {figure["id"] for figure in detail["plotly_graph_objects"]}
    assert 6 == len(detail["trials"])
    for trial, known in zip(detail["trials"], published.trials, strict=True):
        (artifact,) = trial["artifacts"]
        path = f"/artifacts/{summary['study_id']}/{trial['trial_id']}/{artifact['artifact_id']}"
        with urllib.request.urlopen(root + path) as answer:
            assert "image/svg+xml" == answer.headers["Content-Type"]
            assert f"Architecture of trial {known.number}" in answer.read().decode()
        picture = f"![Architecture of trial {known.number}]({path})\n\n"
        assert picture + known.system_attrs[NOTE] == trial["note"]["body"]


@pytest.mark.slow
def test_a_taken_port_is_named(address: str, folder: Path) -> None:
    port = int(address.split(":")[2].partition("/")[0])

    with pytest.raises(AddressError, match=f"Cannot listen on 127.0.0.1:{port} .*Choose another `port`"):
        serve(f"sqlite:///{folder}/nas.db", port=port)
