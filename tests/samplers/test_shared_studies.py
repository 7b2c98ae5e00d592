"""Several real processes on one study, and processes that are really killed."""

from __future__ import annotations

import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

import nas_tune
from nas_tune.space import SearchSpace

SCRIPT = Path(__file__).with_name("search_process.py")
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a process of the search on a study in `tmp_path`; those still running at the end are killed."""
    started: list[subprocess.Popen[str]] = []
    package = Path(nas_tune.__file__).parent.parent
    search_path = os.pathsep.join(filter(None, (str(package), os.environ.get("PYTHONPATH"))))

    def one(kind: str, trials: int | str, seed: int = 0) -> subprocess.Popen[str]:
        command = [sys.executable, str(SCRIPT), kind, str(tmp_path / "study"), str(trials), str(seed)]
        environment = {**os.environ, "PYTHONPATH": search_path}
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=tmp_path
        )
        started.append(process)
        return process

    yield one
    for process in started:
        process.kill()
        process.communicate()


def create_study(kind: str, path: Path) -> None:
    """Create the study: Optuna cannot create the tables of one SQLite file from several processes at once."""
    storage = runpy.run_path(str(SCRIPT))["open_storage"](kind, str(path))
    optuna.create_study(study_name="shared", storage=storage, direction="maximize")


def read_trials(kind: str, path: Path) -> list[FrozenTrial]:
    storage = runpy.run_path(str(SCRIPT))["open_storage"](kind, str(path))
    return optuna.load_study(study_name="shared", storage=storage).get_trials(deepcopy=False)


def finish(processes: list[subprocess.Popen[str]]) -> None:
    for process in processes:
        process.communicate(timeout=200)
        assert process.returncode == 0


def duplicates(trials: list[FrozenTrial], space: SearchSpace) -> int:
    finished = [space.canonical_key(space.architecture(t.params)) for t in trials if t.state == TrialState.COMPLETE]
    return len(finished) - len(set(finished))


def history(trials: list[FrozenTrial]) -> list[tuple[object, ...]]:
    return [(trial.number, trial.state, trial.params, trial.values, trial.system_attrs) for trial in trials]


@pytest.mark.slow
def test_a_killed_run_continues_as_if_it_had_never_stopped(start: Start, tmp_path: Path) -> None:
    killed = start("sqlite", "17,")
    assert killed.stdout is not None
    while killed.stdout.readline() != "waiting\n":
        assert killed.poll() is None
    killed.kill()
    killed.wait()
    finish([start("sqlite", 23)])

    search = runpy.run_path(str(SCRIPT))["search"]
    uninterrupted = optuna.storages.InMemoryStorage()
    search(uninterrupted, 40, 0)
    expected = optuna.load_study(study_name="shared", storage=uninterrupted).trials
    assert history(read_trials("sqlite", tmp_path / "study")) == history(expected)
    assert len({trial.params["dropout"] for trial in expected}) == 40


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "each"), [("sqlite", 15), ("journal", 25)])
def test_four_processes_with_one_seed_hardly_ever_repeat_each_other(
    kind: str, each: int, start: Start, tmp_path: Path, cell_space: SearchSpace
) -> None:
    create_study(kind, tmp_path / "study")
    finish([start(kind, each) for _ in range(4)])

    trials = read_trials(kind, tmp_path / "study")
    assert len(trials) == 4 * each
    assert all(trial.state == TrialState.COMPLETE for trial in trials)
    assert duplicates(trials, cell_space) <= 0.02 * len(trials)
    assert len({trial.params["dropout"] for trial in trials}) == len(trials)


@pytest.mark.slow
def test_when_one_process_is_killed_the_others_finish(start: Start, tmp_path: Path, cell_space: SearchSpace) -> None:
    create_study("sqlite", tmp_path / "study")
    victim, others = start("sqlite", "endless"), [start("sqlite", 15) for _ in range(2)]
    assert victim.stdout is not None
    finished = [int(victim.stdout.readline()) for _ in range(5)]
    os.kill(victim.pid, signal.SIGKILL)
    victim.wait()
    finish(others)

    trials = read_trials("sqlite", tmp_path / "study")
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    assert len(complete) >= 35
    assert set(finished) <= {trial.number for trial in complete}
    assert duplicates(trials, cell_space) <= 1
