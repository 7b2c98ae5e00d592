"""Studies and their storages: opening them, and taking over trials whose process died."""

from __future__ import annotations

import os
import socket
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import optuna
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import IntegrityError, OperationalError, SQLAlchemyError

from nas_tune.errors import StudyError

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

DRIVER = "nas_tune:driver"  # trial user attribute: "<host> <pid> <start of the process>"
UNMARKED_SECONDS = 60.0  # after which a running trial without a mark has lost its process before it could set one
LOCK_SECONDS = 120  # that a process waits for another's write to SQLite


def open_storage(url: str) -> BaseStorage:
    """Open a database by its URL, or a journal file by its path.

    Raises:
        StudyError: It cannot be opened; the message says why.
    """
    try:
        if "://" not in url:
            folder = Path(url).absolute().parent
            if not folder.is_dir():
                raise OSError(f"there is no folder {folder}")
            _check_journal(Path(url))
            return JournalStorage(JournalFileBackend(url))
        return _database(url)
    except (SQLAlchemyError, OSError, ImportError, ValueError, RuntimeError) as error:
        reason = str(getattr(error, "orig", None) or error).splitlines()[0].rstrip(".")
        raise StudyError(
            f"The storage '{url}' cannot be opened: {reason}. Give a database URL such as sqlite:///nas-tune.db, "
            "or the path of a journal file in a folder that exists and can be written."
        ) from None


def _check_journal(path: Path) -> None:
    """Refuse a file that is no journal before anything is appended to it."""
    if path.is_dir():
        raise OSError(f"{path} is a folder")
    if path.is_file():
        with path.open("rb") as file:
            start = file.read(12)
        if start and not start.startswith(b'{"op_code":'):
            raise OSError(f"the file {path} is no journal of Optuna")


def _database(url: str) -> RDBStorage:
    """Open a database; of several processes that set up the same fresh one at once, all but one try again."""
    timeout = {"connect_args": {"timeout": LOCK_SECONDS}} if url.startswith("sqlite") else {}
    for attempt in range(5):
        try:
            return RDBStorage(url, engine_kwargs=timeout)
        except (IntegrityError, OperationalError) as error:
            if attempt == 4 or "already exists" not in str(error) and "UNIQUE" not in str(error):
                raise
            time.sleep(0.2 * 2**attempt)
    raise AssertionError


def open_study(url: str, name: str, sampler: BaseSampler) -> optuna.Study:
    """Create a study that maximises, or continue the one of that name.

    Raises:
        StudyError: The storage cannot be opened.
    """
    storage = open_storage(url)
    return optuna.create_study(
        storage=storage, study_name=name, sampler=sampler, direction="maximize", load_if_exists=True
    )


def load_study(url: str, name: str | None) -> optuna.Study:
    """Load an existing study; without a name, the only one of the storage.

    Raises:
        StudyError: There is no such study, or several and no name.
    """
    file = Path(url.removeprefix("sqlite:///"))
    if (url.startswith("sqlite:///") or "://" not in url) and not file.exists():
        raise StudyError(f"The storage '{url}' cannot be opened: there is no such file.")
    storage = open_storage(url)
    names = optuna.get_all_study_names(storage)
    if name is None and len(names) == 1:
        name = names[0]
    if name not in names:
        wanted = f"no study '{name}'" if name else "no study" if not names else "more than one study: add --study-name"
        raise StudyError(f"The storage '{url}' holds {wanted}. It has: {', '.join(names) or 'none'}.")
    return optuna.load_study(study_name=name, storage=storage)


def this_process() -> str:
    """Return the mark of this process: host, id, and when the id was given out."""
    return f"{socket.gethostname()} {os.getpid()} {_start(os.getpid())}"


def _start(pid: int) -> str:
    """Return when a process started, in the kernel's ticks, so that a re-used id is not taken for it; '' if gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return "" if not _alive(pid) else "unknown"
    return "" if fields[0] == "Z" else fields[19]


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _is_dead(mark: str) -> bool:
    host, pid, start = mark.split(" ")
    return host == socket.gethostname() and _start(int(pid)) != start


def retry_orphans(study: optuna.Study) -> int:
    """Fail the running trials of processes of this machine that are gone, and enqueue their parameters again.

    Returns:
        How many there were.
    """
    running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    orphans = [trial for trial in running if _is_orphan(trial)]
    for trial in orphans:
        give_back(study, trial.number)
    return len(orphans)


def _is_orphan(trial: FrozenTrial) -> bool:
    mark = trial.user_attrs.get(DRIVER)
    if mark is not None:
        return _is_dead(mark)
    started = trial.datetime_start
    return started is not None and (datetime.now() - started).total_seconds() > UNMARKED_SECONDS


def give_back(study: optuna.Study, number: int) -> None:
    """End a trial that will not be finished as failed, and enqueue its parameters for another try."""
    trial = study.get_trials(deepcopy=False)[number]
    if not trial.state.is_finished():
        study.tell(number, state=TrialState.FAIL)
        if trial.params:
            study.enqueue_trial(trial.params, user_attrs={"retries": number})
