"""Actors that judge with copies of the shared weights, on GPUs in name only. Processes are really killed here."""

from __future__ import annotations

import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import pytest
import ray

from nas_tune.cluster import SharedSuperNet, calls, scoring, shared_supernet
from nas_tune.cluster.answers import opened
from nas_tune.cluster.hosted import HostedSuperNet
from nas_tune.cluster.replica import Broadcast, ReplicaActor
from nas_tune.cluster.starting import pickled_reference
from nas_tune.errors import NasTuneError
from nas_tune.supernet import SuperNetRecipe
from nas_tune.trials import Recipe
from tests.cluster.tiny import SPACE, architectures, job, scores, stripes

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("ray_cluster")]

T = TypeVar("T")
RECIPE = SuperNetRecipe(batch_size=16, averaging=0.9)
EPOCHS = 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("copied")


@pytest.fixture(scope="module")
def copied(ray_cluster: None, folder: Path) -> Iterator[SharedSuperNet]:
    """A trained super-net on one GPU, and two replicas that share the other."""
    with SharedSuperNet.start(
        SPACE,
        stripes(),
        recipe=RECIPE,
        num_cpus=0.2,
        num_gpus=1,
        device="cpu",
        replicas=2,
        replica_gpus=0.5,
        name="copied",
        checkpoint_dir=folder,
        checkpoint_seconds=0,
    ) as started:
        started.train(EPOCHS)
        yield started


def here(shared: SharedSuperNet, folder: Path, tmp_path: Path) -> HostedSuperNet:
    """The same super-net in this process."""
    shared.checkpoint()
    shutil.copytree(folder, tmp_path / "here", dirs_exist_ok=True)
    return HostedSuperNet(job(tmp_path / "here", recipe=RECIPE))


@ray.remote(num_cpus=0.1)
def _ask_in_a_task(shared: SharedSuperNet, text: str) -> tuple[int, list[float]]:
    return len(shared._replicas), shared.evaluate([shared.space.from_json(text)])


def held_steps(shared: SharedSuperNet) -> list[int]:
    """The steps whose weights the replicas have."""
    return [inside(replica, lambda actor: int(actor._held.step)) for replica in shared._replicas]


def inside(actor: Any, look: Callable[[Any], T]) -> T:
    """What a function finds in an actor's process."""
    found: T = ray.get(actor.__ray_call__.remote(look))
    return found


def test_the_super_net_and_its_replicas_have_the_gpus_they_asked_for(copied: SharedSuperNet) -> None:
    actors: tuple[Any, ...] = (copied._actor, *copied._replicas)
    trainer, first, second = (inside(actor, lambda _: ray.get_gpu_ids()) for actor in actors)

    assert first == second != trainer
    assert len(trainer) == len(first) == 1


def test_scores_are_those_of_the_super_net_in_this_process(
    copied: SharedSuperNet, folder: Path, tmp_path: Path
) -> None:
    chosen, hosted = architectures(40), here(copied, folder, tmp_path)
    recipes = [Recipe(epochs=1, batch_size=16, lr=lr) for lr in (1e-6, 0.1)]

    assert copied.evaluate([*chosen, *chosen[:3]]) == scores(hosted, [*chosen, *chosen[:3]])
    assert copied.evaluate(chosen[:2], recipes) == scores(hosted, chosen[:2], *recipes)
    assert held_steps(copied) == [copied.state().step] * 2


def test_clients_that_connect_or_are_sent_ask_the_replicas_too(copied: SharedSuperNet) -> None:
    (chosen,) = architectures(1)
    connected = SharedSuperNet.connect("copied")

    assert len(connected._replicas) == 2
    assert connected.evaluate([chosen]) == copied.evaluate([chosen])
    assert ray.get(_ask_in_a_task.remote(copied, chosen.to_json())) == (2, copied.evaluate([chosen]))


def test_a_call_sees_the_weights_that_were_there_when_it_began(
    copied: SharedSuperNet, folder: Path, tmp_path: Path
) -> None:
    chosen = architectures(6)
    scored = []
    for _ in range(3):
        copied.train_on(chosen[:1], steps=2)
        scored.append((copied.evaluate(chosen), scores(here(copied, folder, tmp_path), chosen)))

    assert all(there == hosted for there, hosted in scored)
    assert scored[0] != scored[-1]


def test_all_scores_of_a_call_are_of_one_step_while_another_client_trains(
    copied: SharedSuperNet, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_supernet, "SLICE_SECONDS", 0.1)
    chosen, hosted, ended = architectures(150, seed=1), here(copied, folder, tmp_path), threading.Event()

    def train() -> None:
        while not ended.is_set():
            copied.train_on(chosen[:1])
        copied.train_on(chosen[:1])

    with ThreadPoolExecutor() as pool:
        training = pool.submit(train)
        scored = SharedSuperNet.connect("copied").evaluate(chosen)
        ended.set()
        training.result()
    (step,) = set(held_steps(copied))
    while hosted.state().step < step:
        hosted.train_on(chosen[:1], 1, seconds=60)

    assert copied.state().step > step
    assert scored == scores(hosted, chosen)


def test_a_replica_that_is_killed_comes_back_and_no_score_is_lost(
    copied: SharedSuperNet, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_supernet, "SLICE_SECONDS", 0.2)
    chosen, before = architectures(300, seed=2), inside(copied._replicas[0], lambda _: os.getpid())
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(copied.evaluate, chosen)
        os.kill(before, signal.SIGKILL)
        scored = asked.result()

    assert scored == scores(here(copied, folder, tmp_path), chosen)
    assert inside(copied._replicas[0], lambda _: os.getpid()) != before


def test_other_weights_of_the_same_step_are_taken(tmp_path: Path) -> None:
    chosen, hosted = architectures(6), HostedSuperNet(job(tmp_path))
    replica = ReplicaActor(pickled_reference(job(tmp_path)), 1, "cpu")

    def scored() -> list[float]:
        answered = replica.evaluate(Broadcast(0, (), ray.put(hosted.copied())), chosen, [None] * 6, 600)
        assert isinstance(answered, tuple)
        return [opened(answer) for answer in answered]

    new = scored()
    hosted.train(5, seconds=60)

    assert scored() == scores(hosted, chosen) != new


def test_weights_that_died_with_the_super_net_are_put_anew(
    copied: SharedSuperNet, folder: Path, tmp_path: Path
) -> None:
    chosen, before = architectures(4), copied.state()
    copied.train_on(chosen[:1])
    broadcast: Broadcast = calls.ask(copied._actor, "broadcast")
    os.kill(before.pid, signal.SIGKILL)
    after = copied.state()
    lost = scoring.scores(copied._replicas, [(chosen[0], None)], 1, broadcast)

    assert lost is None
    assert (after.step, after.restarted) == (before.step + 1, True)
    assert copied.evaluate(chosen) == scores(here(copied, folder, tmp_path), chosen)
    assert len(SharedSuperNet.connect("copied")._replicas) == 2


def test_a_stop_ends_the_replicas(copied: SharedSuperNet) -> None:  # and therefore stands last
    SharedSuperNet.connect("copied").stop()

    with pytest.raises(NasTuneError, match="has ended"):
        copied.evaluate(architectures(1))
    for replica in copied._replicas:
        with pytest.raises(NasTuneError, match="has ended"):
            calls.ask(replica, "state")
