"""The folder that a search writes to: its name, and that only one search writes to it at a time."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nas_tune.errors import StudyError


def default_folder(study_name: str) -> Path:
    """Return where a study's checkpoints and weights go by default; what is no plain file name becomes ``_``."""
    return Path("nas-tune") / (re.sub(r"[^\w.-]+", "_", study_name).strip(".") or "_")


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Hold a folder for this process; the hold ends with the process, however it ends.

    Raises:
        StudyError: Another process holds it, or it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise StudyError(f"The folder {folder} cannot be written ({error.strerror}): give another --folder.") from None
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StudyError(
                f"Another search writes its checkpoints to {folder}. Let it end, or give this one another --folder: "
                "several processes may share the study, each with a super-net of its own."
            ) from None
        yield
    finally:
        os.close(file)
