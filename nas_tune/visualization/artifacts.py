"""Where the drawings of a study lie, and how one is attached to a running trial."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from optuna.artifacts import FileSystemArtifactStore, get_all_artifact_meta, upload_artifact
from optuna.storages import RDBStorage

if TYPE_CHECKING:
    import optuna
    from optuna.storages import BaseStorage

DRAWING = "architecture.svg"
FALLBACK = "nas-tune-artifacts"
_SQLITE = "sqlite:///"


def sqlite_file(url: str) -> Path | None:
    """The file behind an SQLite URL, `None` for any other storage."""
    path = url.removeprefix(_SQLITE).partition("?")[0]
    return Path(path) if url.startswith(_SQLITE) and path and path != ":memory:" else None


def default_folder(url: str | None) -> Path:
    """Where a storage's drawings lie: `nas.artifacts` beside `sqlite:///nas.db`, else `nas-tune-artifacts` here."""
    file = sqlite_file(url or "")
    return (file.with_suffix(".artifacts") if file is not None else Path(FALLBACK)).absolute()


def storage_url(storage: BaseStorage) -> str | None:
    """URL of a database storage, `None` where there is none."""
    inner = getattr(storage, "_backend", storage)  # Optuna wraps a database in a private cache
    return inner.url if isinstance(inner, RDBStorage) else None


def attach_drawing(trial: optuna.Trial, svg: str, store: FileSystemArtifactStore) -> str:
    """Attach a drawing to a running trial; one that is attached already stays.

    Args:
        trial: A trial that has not been told yet.
        svg: The drawing.
        store: Where it goes.

    Returns:
        The artifact's id.
    """
    attached = next((meta for meta in get_all_artifact_meta(trial) if meta.filename == DRAWING), None)
    if attached is not None:
        return attached.artifact_id
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, DRAWING)
        file.write_text(svg, encoding="utf-8")
        return upload_artifact(
            study_or_trial=trial, file_path=str(file), artifact_store=store, mimetype="image/svg+xml"
        )
