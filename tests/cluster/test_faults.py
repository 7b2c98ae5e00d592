"""Processes are really killed here."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import ray
from torch import Tensor

from nas_tune.cluster import Progress, SharedSuperNet
from tests.cluster.tiny import RECIPE, SPACE, STEPS_PER_EPOCH, architectures, equal, saved, stripes, undisturbed

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("ray_cluster")]

EPOCHS = 40  # several seconds of training

DRIVER = """
import sys
from nas_tune.cluster import SharedSuperNet
from tests.cluster.tiny import RECIPE, SPACE, stripes

def tell(progress):
    print(progress.step, flush=True)

shared = SharedSuperNet.start(
    SPACE, stripes(), recipe=RECIPE, num_cpus=0.5, checkpoint_dir=sys.argv[1], checkpoint_seconds=0
)
print("started", flush=True)
shared.train(int(sys.argv[2]), on_progress=tell)
"""


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


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


def test_two_clients_get_their_scores_when_the_actor_is_killed_under_them(mortal: SharedSuperNet) -> None:
    lists = [architectures(60, seed) for seed in (1, 2)]
    before, other = mortal.state(), SharedSuperNet.connect("mortal")
    with ThreadPoolExecutor() as pool:
        asked = [pool.submit(client.evaluate, chosen) for client, chosen in zip((mortal, other), lists, strict=True)]
        threading.Timer(0.3, kill, [before.pid]).start()
        under_fire = [future.result() for future in asked]
    after = mortal.state()

    assert after.pid != before.pid
    assert after.step == before.step
    assert under_fire == [mortal.evaluate(chosen) for chosen in lists]


def test_a_second_driver_goes_on_where_a_killed_one_was(tmp_path: Path, whole: dict[str, Tensor]) -> None:
    with _driver(tmp_path) as first:
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


def _driver(folder: Path) -> subprocess.Popen[str]:
    address = ray.get_runtime_context().gcs_address
    root = str(Path(__file__).resolve().parents[2])
    search_path = os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), root)))
    return subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(folder), str(EPOCHS)],
        env=os.environ | {"RAY_ADDRESS": address, "PYTHONPATH": search_path},
        stdout=subprocess.PIPE,
        text=True,
    )


def saved_step(folder: Path) -> int:
    """The step of the newest checkpoint, 0 without any."""
    return max((int(path.stem.removeprefix("step-")) for path in folder.glob("step-*.safetensors")), default=0)
