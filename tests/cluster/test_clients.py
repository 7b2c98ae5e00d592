"""Several clients of one actor: whose turn it is, how many may wait, and that they train one after the other."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import optuna
import pytest
from ray.exceptions import PendingCallsLimitExceeded

from nas_tune.cluster import Progress, SharedSuperNet, calls, shared_supernet
from nas_tune.cluster.hosted import HostedSuperNet
from nas_tune.errors import ArchitectureError, NasTuneError
from tests.cluster.tiny import RECIPE, SPACE, architectures, equal, job, saved, scores, stripes

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("ray_cluster")]

MOST_PENDING = 2
ENDLESS = 10**6  # epochs


class Enough(Exception):
    """Ends a training from its client."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("crowd")


@pytest.fixture(scope="module")
def crowd(ray_cluster: None, folder: Path) -> Iterator[SharedSuperNet]:
    """A super-net in whose actor two calls of a process may wait."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calls, "MOST_PENDING", MOST_PENDING)
        with SharedSuperNet.start(
            SPACE, stripes(), recipe=RECIPE, num_cpus=0.5, name="crowd", checkpoint_dir=folder
        ) as started:
            yield started


@pytest.fixture(autouse=True)
def short_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_supernet, "SLICE_SECONDS", 0.25)


def here(shared: SharedSuperNet, folder: Path, tmp_path: Path) -> HostedSuperNet:
    """The same super-net in this process."""
    shared.checkpoint()
    shutil.copytree(folder, tmp_path / "here")
    return HostedSuperNet(job(tmp_path / "here"))


def test_clients_that_train_at_once_do_it_one_after_the_other(
    crowd: SharedSuperNet, folder: Path, tmp_path: Path
) -> None:
    (chosen,) = architectures(1)
    hosted = here(crowd, folder, tmp_path)
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda _: SharedSuperNet.connect("crowd").train_on([chosen], steps=5), range(4)))
    hosted.train_on([chosen], 20, seconds=600)
    hosted.checkpoint()
    crowd.checkpoint()

    assert equal(saved(tmp_path / "here"), saved(folder))


def test_trials_train_what_they_propose_and_read_its_score(crowd: SharedSuperNet, folder: Path, tmp_path: Path) -> None:
    hosted, proposed = here(crowd, folder, tmp_path), []

    def objective(trial: optuna.Trial) -> float:
        architecture = SPACE.suggest(trial)
        proposed.append(architecture)
        crowd.train_on([architecture], steps=2)
        return crowd.evaluate([architecture])[0]

    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(objective, n_trials=4)
    expected: list[float] = []
    for architecture in proposed:
        hosted.train_on([architecture], 2, seconds=60)
        expected += scores(hosted, [architecture])

    assert [trial.value for trial in study.trials] == expected


def test_a_score_comes_between_two_slices_of_a_long_training(crowd: SharedSuperNet) -> None:
    events, scored = [], threading.Event()

    def tell(progress: Progress) -> None:
        events.append("slice")
        if scored.is_set():
            raise Enough

    with ThreadPoolExecutor() as pool:
        training = pool.submit(crowd.train, ENDLESS, on_progress=tell)
        for chosen in architectures(3):
            events.append("asked")
            SharedSuperNet.connect("crowd").evaluate([chosen])
            events.append("scored")
        scored.set()
        with pytest.raises(Enough):
            training.result()
    _, *turns = " ".join(events).split("asked")

    assert len(turns) == 3
    assert all(turn.partition("scored")[0].count("slice") <= 4 for turn in turns)  # not a million epochs
    assert events[-1] == "slice"


def test_a_long_list_does_not_keep_others_waiting(crowd: SharedSuperNet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_supernet, "SLICE_SECONDS", 0.05)
    other, answered = SharedSuperNet.connect("crowd"), 0
    with ThreadPoolExecutor() as pool:
        long = pool.submit(crowd.evaluate, architectures(600, seed=1))
        while not long.done():
            other.evaluate(architectures(1))
            answered += 1

    assert len(long.result()) == 600
    assert answered >= 6  # of messages there are three


def test_more_clients_than_may_wait_take_their_turns(crowd: SharedSuperNet) -> None:
    lists = [architectures(3, seed) for seed in range(12)]
    alone = [crowd.evaluate(chosen) for chosen in lists]
    with pytest.raises(PendingCallsLimitExceeded):
        for _ in range(50):
            crowd._actor.evaluate.remote(None, architectures(50), [None] * 50, 1.0)
    with ThreadPoolExecutor(len(lists)) as pool:
        together = list(pool.map(crowd.evaluate, lists))

    assert together == alone


@pytest.mark.parametrize("steps", [0, -1, 1.5, True])
def test_impossible_steps_are_refused(crowd: SharedSuperNet, steps: int) -> None:
    with pytest.raises(NasTuneError, match="`steps` is .*whole number of at least 1"):
        crowd.train_on(architectures(1), steps=steps)


def test_training_on_nothing_or_on_something_foreign_is_refused(crowd: SharedSuperNet) -> None:
    (chosen,) = architectures(1)

    with pytest.raises(ArchitectureError, match="`architectures` is empty"):
        crowd.train_on([])
    with pytest.raises(ArchitectureError, match="give a list"):
        crowd.train_on(chosen)  # type: ignore[arg-type]
    with pytest.raises(ArchitectureError, match="`lr` is foreign"):
        crowd.train_on([{**chosen, "lr": 0.1}])
