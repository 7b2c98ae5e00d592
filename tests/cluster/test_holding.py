"""A folder of checkpoints has one actor at a time."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from nas_tune.cluster.holding import hold
from nas_tune.errors import CheckpointError

HOLDER = "import sys; from pathlib import Path; from nas_tune.cluster.holding import hold; hold(Path(sys.argv[1])); "


def _holder(folder: Path) -> subprocess.Popen[str]:
    root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), root)))
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER + "print('held', flush=True); sys.stdin.read()", str(folder)],
        env=os.environ | {"PYTHONPATH": path},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert "held\n" == process.stdout.readline()
    return process


@pytest.mark.slow
def test_a_second_holder_is_refused_and_gets_the_folder_once_the_first_is_killed(tmp_path: Path) -> None:
    with _holder(tmp_path) as first:
        with pytest.raises(CheckpointError, match="Another shared super-net trains in .*: `connect` to it"):
            hold(tmp_path, patience=0.1)
        threading.Timer(0.2, first.kill).start()
        file = hold(tmp_path, patience=30)

    os.close(file)
    os.close(hold(tmp_path, patience=0))
