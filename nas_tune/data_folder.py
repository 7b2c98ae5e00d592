"""Where data sets lie on this machine."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from nas_tune.errors import MissingDataError

VARIABLE = "NAS_TUNE_DATA"
_BESIDE_THE_CHECKOUT = Path(__file__).resolve().parents[2] / "shared" / "data"


def data_folder(name: str, files: Sequence[str], source: str, root: str | Path | None = None) -> Path:
    """Find the folder of one data set.

    Args:
        name: Folder of the data set inside the data folder.
        files: What the folder must hold.
        source: Where the original comes from, for the message.
        root: The folder itself; else ``name`` inside the folder that the environment variable
            ``NAS_TUNE_DATA`` names; else inside ``shared/data`` beside the checkout.

    Raises:
        MissingDataError: The folder or one of the files is missing.
    """
    folder = Path(root) if root is not None else _data_root() / name
    missing = [file for file in files if not (folder / file).is_file()]
    if missing:
        raise MissingDataError(
            f"{folder} lacks {', '.join(missing)}: get them from {source} and give their folder as "
            f"`root`, or put them in a folder {name} and name its parent in {VARIABLE}."
        )
    return folder


def _data_root() -> Path:
    return Path(os.environ.get(VARIABLE) or _BESIDE_THE_CHECKOUT)
