"""The main job, small: it ends with a report, continues, and survives the death of its processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import optuna
import psutil
import pytest
from optuna.trial import TrialState

from nas_tune.cli.studies import DRIVER

pytestmark = pytest.mark.slow

NAME = "nas-bench-201-digits-shared-weights"
SMALL = ("search", "--channels", "2", "--epochs", "2", "--final-epochs", "1", "--storage", "sqlite:///s.db")
WITH_FINALS = (*SMALL, "--top", "1", "--random", "1")
ONLY_SEARCH = (*SMALL, "--top", "0", "--random", "0")


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start the command in a process group of its own, as a shell would."""
    code = "from nas_tune.cli import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env={**os.environ, "RAY_DISABLE_IMPORT_WARNING": "1"},
    )


def run(folder: Path, *arguments: str) -> str:
    process = start(folder, *arguments)
    try:
        text, _ = process.communicate(timeout=200)
    finally:
        end(process)

    assert process.returncode == 0, text
    return text


def end(process: subprocess.Popen[str]) -> None:
    """End what a test started, with everything below it."""
    if process.poll() is None:
        for child in psutil.Process(process.pid).children(recursive=True):
            child.kill()
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


def trials(folder: Path, state: TrialState = TrialState.COMPLETE) -> list[optuna.trial.FrozenTrial]:
    study = optuna.load_study(study_name=NAME, storage=f"sqlite:///{folder / 's.db'}")
    return study.get_trials(deepcopy=False, states=(state,))


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str], seconds: float = 120) -> None:
    """Poll until something has happened; the process has to be alive until then."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)  # another process is waited for, there is no event to wait on


def some_trials_finished(folder: Path, number: int) -> Callable[[], bool]:
    def condition() -> bool:
        try:
            return len(trials(folder)) >= number
        except (KeyError, optuna.exceptions.StorageInternalError):
            return False

    return condition


def actor_process(process: subprocess.Popen[str]) -> psutil.Process:
    """Find the actor's process below the driver: the title that Ray gives it holds its class."""
    found = [
        child
        for child in psutil.Process(process.pid).children(recursive=True)
        if "SuperNetActor" in " ".join(child.cmdline())
    ]
    return found[0]


def test_the_search_reports_continues_and_adds_trials(tmp_path: Path) -> None:
    first = run(tmp_path, *WITH_FINALS, "--trials", "6")

    assert len(trials(tmp_path)) == 6
    assert "Kendall tau" in first
    assert "<svg" in (tmp_path / "report.html").read_text()
    assert all("network.edge_0_1" in trial.params and "lr" in trial.params for trial in trials(tmp_path))
    assert all(any("artifacts" in name for name in trial.system_attrs) for trial in trials(tmp_path))

    (tmp_path / "s.runs" / NAME / "supernet" / "step-000000099.safetensors").write_bytes(b"damaged")
    said = run(tmp_path, *WITH_FINALS, "--trials", "9", "--json")
    assert "step-000000099.safetensors is damaged; the one before it is used." in said
    again = json.loads(said[said.index("\n{") :])

    assert again["trials"] == 9 == len(trials(tmp_path))
    assert [final["role"] for final in again["finals"]] == ["best", "random"]
    assert all(Path(tmp_path / final["weights"]).is_file() for final in again["finals"])

    weights = {final["weights"]: (tmp_path / final["weights"]).stat().st_mtime for final in again["finals"]}
    started = time.monotonic()
    nothing_to_do = run(tmp_path, *WITH_FINALS, "--trials", "9")

    assert "Starting Ray" not in nothing_to_do
    assert time.monotonic() - started < 60
    assert weights == {name: (tmp_path / name).stat().st_mtime for name in weights}


def test_a_killed_driver_is_continued_without_losing_a_finished_trial(tmp_path: Path) -> None:
    process = start(tmp_path, *ONLY_SEARCH, "--trials", "60", "--batch", "3")
    try:
        wait_for(some_trials_finished(tmp_path, 3), process)
        below = psutil.Process(process.pid).children(recursive=True)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    finally:
        end(process)
    _, agents = psutil.wait_procs(below, timeout=5)  # Ray's own agents outlive it by a minute
    for agent in agents:
        agent.kill()
    finished = {trial.number: trial.values for trial in trials(tmp_path)}
    running = [trial.params.items() for trial in trials(tmp_path, TrialState.RUNNING)]

    target = len(finished) + 6
    run(tmp_path, *ONLY_SEARCH, "--trials", str(target), "--batch", "3")

    after = {trial.number: trial.values for trial in trials(tmp_path)}
    assert len(after) == target
    assert {number: after[number] for number in finished} == finished
    assert not [trial for trial in trials(tmp_path, TrialState.RUNNING) if DRIVER in trial.user_attrs]
    tried = [trial.params.items() for trial in trials(tmp_path)]
    assert all(any(params <= other for other in tried) for params in running)


def test_a_killed_actor_comes_back_and_the_search_goes_on(tmp_path: Path) -> None:
    process = start(tmp_path, *ONLY_SEARCH, "--trials", "12", "--batch", "2")
    try:
        wait_for(some_trials_finished(tmp_path, 2), process)
        actor_process(process).kill()
        text, _ = process.communicate(timeout=200)
    finally:
        end(process)

    assert process.returncode == 0, text
    assert len(trials(tmp_path)) == 12


@pytest.mark.parametrize("interrupt", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_search_ends_cleanly_and_says_how_to_go_on(tmp_path: Path, interrupt: signal.Signals) -> None:
    process = start(tmp_path, *ONLY_SEARCH, "--trials", "200", "--batch", "2")
    try:
        wait_for(some_trials_finished(tmp_path, 2), process)
        os.kill(process.pid, interrupt)
        text, _ = process.communicate(timeout=60)
    finally:
        end(process)

    assert process.returncode == 130, text
    assert "run the same command again" in text
    assert "Traceback" not in text
    assert not trials(tmp_path, TrialState.RUNNING)
    assert list((tmp_path / "s.runs" / NAME / "supernet").glob("step-*.safetensors"))


def test_two_searches_of_one_study_share_the_trials_asked_for(tmp_path: Path) -> None:
    arguments = ("search", "--evaluate", "from-scratch", "--epochs", "1", "--channels", "2", "--trials", "12")
    both = [start(tmp_path, *arguments, "--top", "0", "--random", "0", "--storage", "sqlite:///s.db") for _ in "ab"]
    try:
        texts = [process.communicate(timeout=200)[0] for process in both]
    finally:
        for process in both:
            end(process)

    assert [process.returncode for process in both] == [0, 0], texts
    study = optuna.load_study(
        study_name=NAME.replace("shared-weights", "from-scratch"), storage=f"sqlite:///{tmp_path / 's.db'}"
    )
    states = [trial.state for trial in study.trials]
    assert states.count(TrialState.COMPLETE) + states.count(TrialState.PRUNED) <= 13
    assert TrialState.RUNNING not in states
