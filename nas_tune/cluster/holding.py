"""One actor at a time trains in a folder of checkpoints."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from nas_tune.errors import CheckpointError

PATIENCE = 20.0  # seconds until an actor whose driver was killed has ended too
PAUSE = 0.2


def hold(folder: Path, patience: float = PATIENCE) -> int:
    """Hold a folder for this process; the hold ends with the process, or when the file that is returned is closed.

    Args:
        folder: Of checkpoints; made if missing.
        patience: Seconds to wait for another process that holds it.

    Raises:
        CheckpointError: Another process holds it all that time, or it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = os.open(folder / ".actor", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise CheckpointError(
            f"{folder} cannot be written ({error.strerror}): give another `checkpoint_dir`."
        ) from error
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return file
        except BlockingIOError:
            if time.monotonic() >= deadline:
                os.close(file)
                raise CheckpointError(
                    f"Another shared super-net trains in {folder}: `connect` to it by its name, stop it, or give "
                    "another `checkpoint_dir`."
                ) from None
            time.sleep(PAUSE)
