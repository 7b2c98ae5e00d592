"""Pages on disk: whole or not at all, with plotly.js inside."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def plotly_source() -> str:
    """Return the source of plotly.js."""
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())


def write_whole(path: Path, text: str) -> Path:
    """Replace a file whole or not at all; missing folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return path


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
