"""Processes are really killed here."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
import ray
from torch import Tensor

from nas_tune.cluster import Progress, SharedSuperNet, shared_supernet
from nas_tune.cluster.hosted import HostedSuperNet
from tests.cluster.tiny import (
    RECIPE,
    SPACE,
    STEPS_PER_EPOCH,
    architectures,
    equal,
    job,
    saved,
    scores,
    stripes,
    undisturbed,
)

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("ray_cluster")]

EPOCHS = 40  # several seconds of training

DRIVER = """
import sys
from nas_tune.cluster import SharedSuperNet, shared_supernet
from tests.cluster.tiny import RECIPE, SPACE, stripes

def tell(progress):
    print(progress.step, flush=True)

shared_supernet.SLICE_SECONDS = 0.1
shared = SharedSuperNet.start(
    SPACE, stripes(), recipe=RECIPE, num_cpus=0.5, checkpoint_dir=sys.argv[1], checkpoint_seconds=0
)
print("started", flush=True)
shared.train(int(sys.argv[2]), on_progress=tell)
"""

CLIENT = """
import sys
from concurrent.futures import ThreadPoolExecutor
from nas_tune.cluster import SharedSuperNet
from tests.cluster.tiny import architectures

shared, many = SharedSuperNet.connect("mortal"), architectures(3000)
with ThreadPoolExecutor() as pool:
    pool.submit(shared.train, int(sys.argv[1]), on_progress=lambda progress: print(progress.step, flush=True))
    shared.evaluate(many)
"""


def kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


@pytest.fixture(autouse=True)
def short_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_supernet, "SLICE_SECONDS", 0.1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("supernet")


@pytest.fixture(scope="module")
def mortal(ray_cluster: None, folder: Path) -> Iterator[SharedSuperNet]:
    with SharedSuperNet.start(
        SPACE, stripes(), recipe=RECIPE, num_cpus=0.5, name="mortal", checkpoint_dir=folder, checkpoint_seconds=0
    ) as shared:
        yield shared


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tensor]:
    """What a training that nobody disturbs ends with."""
    return undisturbed(tmp_path_factory.mktemp("whole"), EPOCHS)


def test_training_goes_on_when_the_actor_is_killed_and_ends_with_the_same_weights(
    mortal: SharedSuperNet, folder: Path, whole: dict[str, Tensor]
) -> None:
    seen: list[Progress] = []
    pid = mortal.state().pid

    def kill_in_the_next_slice(progress: Progress) -> None:
        if not seen:
            threading.Timer(0.01, kill, [pid]).start()  # a slice takes longer, and the training many of them
        seen.append(progress)

    state = mortal.train(EPOCHS, on_progress=kill_in_the_next_slice)

    assert state.restarted
    assert state.pid != pid
    assert seen[0].step < state.step == EPOCHS * STEPS_PER_EPOCH
    assert equal(whole, saved(folder))


def test_four_clients_wait_and_go_on_when_the_actor_is_killed_under_them(
    mortal: SharedSuperNet, folder: Path, tmp_path: Path
) -> None:
    before, lists = mortal.state(), [architectures(40, seed) for seed in (1, 2)]
    epochs = before.step // STEPS_PER_EPOCH + EPOCHS
    mortal.checkpoint()
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    alone = HostedSuperNet(job(tmp_path))
    alone.train(epochs, seconds=600)
    seen: list[list[int]] = [[], []]

    def train(steps: list[int]) -> None:
        def tell(progress: Progress) -> None:
            if not any(seen):
                kill(before.pid)
            steps.append(progress.step)

        SharedSuperNet.connect("mortal").train(epochs, on_progress=tell)

    with ThreadPoolExecutor() as pool:
        asked = [pool.submit(SharedSuperNet.connect("mortal").evaluate, chosen) for chosen in lists]
        list(pool.map(train, seen))
        under_fire = [score for future in asked for score in future.result()]
    after = mortal.state()

    assert after.pid != before.pid
    assert after.step == epochs * STEPS_PER_EPOCH
    assert all(steps == sorted(steps) for steps in seen)  # each slice ends with a checkpoint: no told step is undone
    assert len(under_fire) == 80
    assert equal(saved(tmp_path), saved(folder))
    for chosen in lists:
        assert mortal.evaluate(chosen) == scores(alone, chosen)


def test_the_others_are_served_when_a_client_is_killed_in_the_middle_of_its_calls(
    mortal: SharedSuperNet,
) -> None:
    before, chosen = mortal.state(), architectures(3)
    with _process(CLIENT, "1000000") as client:
        assert client.stdout is not None
        told = int(client.stdout.readline())
        mortal.evaluate(chosen)
        client.kill()
    mortal.evaluate(chosen)  # behind the last calls of the dead client
    ended = mortal.state()
    mortal.train_on(chosen[:1], steps=3)
    after = mortal.state()

    assert before.step < told <= ended.step
    assert (after.pid, after.step, after.restarted) == (before.pid, ended.step + 3, before.restarted)


def test_a_second_driver_goes_on_where_a_killed_one_was(tmp_path: Path, whole: dict[str, Tensor]) -> None:
    with _process(DRIVER, str(tmp_path), str(EPOCHS)) as first:
        assert first.stdout is not None
        lines = [first.stdout.readline(), first.stdout.readline()]
        first.kill()
    reached = saved_step(tmp_path)
    with SharedSuperNet.start(SPACE, stripes(), recipe=RECIPE, num_cpus=0.5, checkpoint_dir=tmp_path) as second:
        resumed = second.state()
        second.train(EPOCHS)

    assert lines[0] == "started\n"
    assert 0 < int(lines[1]) <= resumed.step < EPOCHS * STEPS_PER_EPOCH
    assert resumed.step >= reached
    assert equal(whole, saved(tmp_path))


def _process(code: str, *arguments: str) -> subprocess.Popen[str]:
    address = ray.get_runtime_context().gcs_address
    root = str(Path(__file__).resolve().parents[2])
    search_path = os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), root)))
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        env=os.environ | {"RAY_ADDRESS": address, "PYTHONPATH": search_path},
        stdout=subprocess.PIPE,
        text=True,
    )


def saved_step(folder: Path) -> int:
    """The step of the newest checkpoint, 0 without any."""
    return max((int(path.stem.removeprefix("step-")) for path in folder.glob("step-*.safetensors")), default=0)
