"""Several real processes on one study, and processes that are really killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

import nas_tune
from tests.samplers.roster import distinct, told
from tests.samplers.search_process import SPACE, open_storage, search

SCRIPT = Path(__file__).with_name("search_process.py")
NAMES = ("regularized-evolution", "local-search", "pareto-evolution", "reinforce-tabular", "ppo-lstm", "predictor")


class Searcher:
    """A process that searches what it is told; it imports its libraries once for all searches."""

    def __init__(self) -> None:
        homes = (str(Path(nas_tune.__file__).parent.parent), os.environ.get("PYTHONPATH"), str(SCRIPT.parents[2]))
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, homes))}
        self._process = subprocess.Popen(
            [sys.executable, str(SCRIPT)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def begin(self, kind: str, folder: Path, sampler: str, trials: int | None) -> None:
        assert self._process.stdin is not None
        order = {"kind": kind, "path": str(folder / kind), "sampler": sampler, "trials": trials, "seed": 0}
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()

    def finished(self) -> Iterator[int]:
        """Yield the number of each trial that it finishes, until it is done."""
        assert self._process.stdout is not None
        while (line := self._process.stdout.readline()) != "done\n":
            assert line, "the process has died"
            yield int(line)

    def kill(self) -> None:
        """End it at once, wherever it is."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()


@pytest.fixture(scope="module")
def four() -> Iterator[Sequence[Searcher]]:
    """Four processes for all tests."""
    processes = tuple(Searcher() for _ in range(4))
    yield processes
    for process in processes:
        process.kill()


@pytest.fixture
def victim() -> Iterator[Searcher]:
    """A process to be killed."""
    process = Searcher()
    yield process
    process.kill()


def create_study(kind: str, folder: Path, name: str) -> None:
    """Create the study: Optuna cannot create the tables of one SQLite file from several processes at once."""
    optuna.create_study(study_name=name, storage=open_storage(kind, str(folder / kind)), direction="maximize")


def read_trials(kind: str, folder: Path, name: str) -> list[FrozenTrial]:
    storage = open_storage(kind, str(folder / kind))
    return optuna.load_study(study_name=name, storage=storage).get_trials(deepcopy=False)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "name"),
    [*(("sqlite", name) for name in NAMES), ("journal", "regularized-evolution"), ("journal", "predictor")],
)
def test_four_processes_with_one_seed_do_not_repeat_each_other(
    kind: str, name: str, four: Sequence[Searcher], tmp_path: Path
) -> None:
    create_study(kind, tmp_path, name)
    for process in four:
        process.begin(kind, tmp_path, name, 7)
    for process in four:
        assert len(list(process.finished())) == 7

    trials = read_trials(kind, tmp_path, name)
    assert len(trials) == 28
    assert all(trial.state == TrialState.COMPLETE for trial in trials)
    assert distinct(trials, SPACE) == 28
    assert len({trial.params["dropout"] for trial in trials}) == 28
    assert len({trial.user_attrs["process"] for trial in trials}) == 4


@pytest.mark.slow
def test_killed_searches_continue_as_if_they_had_never_stopped(
    victim: Searcher, four: Sequence[Searcher], tmp_path: Path
) -> None:
    for process, trials in ((victim, 7), (four[0], 5)):
        for name in NAMES:
            process.begin("sqlite", tmp_path, name, trials)
            assert len(list(process.finished())) == trials
        if process is victim:
            victim.kill()

    for name in NAMES:
        uninterrupted = optuna.storages.InMemoryStorage()
        search(uninterrupted, name, 12, 0)
        expected = optuna.load_study(study_name=name, storage=uninterrupted).trials
        assert told(read_trials("sqlite", tmp_path, name)) == told(expected)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["regularized-evolution", "predictor"])
def test_when_one_process_is_killed_the_others_finish(
    name: str, victim: Searcher, four: Sequence[Searcher], tmp_path: Path
) -> None:
    create_study("sqlite", tmp_path, name)
    victim.begin("sqlite", tmp_path, name, None)
    told_by_victim = victim.finished()
    finished = [next(told_by_victim)]
    for process in four[:2]:
        process.begin("sqlite", tmp_path, name, 10)
    finished += [next(told_by_victim) for _ in range(3)]
    victim.kill()
    for process in four[:2]:
        assert len(list(process.finished())) == 10

    trials = read_trials("sqlite", tmp_path, name)
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    assert len(complete) >= 24
    assert set(finished) <= {trial.number for trial in complete}
    assert distinct(complete, SPACE) == len(complete)
