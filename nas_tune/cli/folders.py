"""The folder that a search writes to: its name, and that only one search writes to it at a time."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nas_tune.errors import StudyError
from nas_tune.visualization.artifacts import sqlite_file


def default_folder(storage: str, study_name: str) -> Path:
    """Return where a study's checkpoints and weights go by default: `nas.runs/<study>` beside `sqlite:///nas.db`.

    For a database on a server it lies in the working folder. What is no plain file name becomes ``_``.
    """
    plain = re.sub(r"[^\w.-]+", "_", study_name).strip(".")
    if plain != study_name:
        plain = f"{plain}-{_short(study_name)}"
    file = sqlite_file(storage) or (Path(storage) if "://" not in storage else None)
    return (file.with_suffix(".runs") if file else Path(f"nas-tune-{_short(storage)}.runs")) / plain


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def check_outputs(report: Path, folder: Path) -> None:
    """Refuse before any work what could not be written after it.

    Raises:
        StudyError: `report` is a folder, or `folder` cannot be made or written.
    """
    if report.is_dir():
        raise StudyError(f"--report {report} is a folder: name a file in it, such as {report / 'report.html'}.")
    for place in (report.absolute().parent, folder):
        try:
            place.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StudyError(f"The folder {place} cannot be made ({error.strerror}): choose another.") from None
        if not os.access(place, os.W_OK):
            raise StudyError(f"The folder {place} cannot be written: choose another.")


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
