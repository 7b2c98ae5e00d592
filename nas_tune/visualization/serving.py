"""Running optuna-dashboard with the drawings of a study, on this machine."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from optuna.artifacts import FileSystemArtifactStore
from sqlalchemy.exc import SQLAlchemyError

from nas_tune.errors import NasTuneError, StudyError
from nas_tune.visualization.artifacts import default_folder, sqlite_file

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication


INSTALL = "pip install 'nas-tune[dashboard]'"


class MissingExtraError(NasTuneError, ImportError):
    """A package that an optional extra brings is not installed."""


class AddressError(NasTuneError, OSError):
    """An address cannot be listened on."""


def serve(
    storage_url: str,
    artifact_dir: str | os.PathLike[str] | None = None,
    host: str = "127.0.0.1",
    port: int = 8080,
    *,
    on_ready: Callable[[str], None] = print,
) -> None:
    """Show a storage in optuna-dashboard until interrupted.

    The dashboard has no login: who reaches the address can read and delete studies.

    Args:
        storage_url: For example ``sqlite:///nas.db``, or the path of a journal file.
        artifact_dir: Folder of the drawings; by default where `Dashboard` puts those of this storage.
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one.
        on_ready: Called once with the page's address, when requests are answered.

    Raises:
        MissingExtraError: optuna-dashboard is not installed.
        StudyError: There is no such storage.
        AddressError: The port is taken, or the host is not of this machine.
    """
    app = _application(storage_url, Path(artifact_dir) if artifact_dir is not None else default_folder(storage_url))
    try:
        server = make_server(host, port, app, server_class=_Server, handler_class=_QuietHandler)
    except (OSError, OverflowError) as error:
        raise AddressError(
            f"Cannot listen on {host}:{port} ({error}). Choose another `port`, or 0 for a free one."
        ) from error
    with server:
        on_ready(f"http://{host}:{server.server_port}/dashboard/")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return


def _application(storage_url: str, artifact_dir: Path) -> WSGIApplication:
    try:
        import optuna_dashboard
    except ImportError as error:
        raise MissingExtraError(f"The dashboard is not installed; it comes with the extra: {INSTALL}") from error
    file = sqlite_file(storage_url)
    if "://" not in storage_url:
        file = Path(storage_url)
    if file is not None and not file.is_file():
        raise StudyError(
            f"`storage_url` is '{storage_url}', but there is no file {file}. Start a search with it first."
        )
    artifact_dir.mkdir(parents=True, exist_ok=True)
    try:
        app: WSGIApplication = optuna_dashboard.wsgi(storage_url, FileSystemArtifactStore(artifact_dir))
    except (ValueError, ImportError, SQLAlchemyError) as error:
        raise StudyError(f"`storage_url` '{storage_url}' cannot be opened: {error}") from error
    return app


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the page asks every few seconds."""
