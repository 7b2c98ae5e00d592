"""The IDX format of MNIST-like data sets, gzip-compressed."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nas_tune.errors import TaskError

_UNSIGNED_BYTES = 0x08


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Read one array of bytes.

    Args:
        path: A ``.gz`` file: two zero bytes, a type byte, the number of axes, the big-endian size
            of each axis, the values.

    Raises:
        TaskError: The file is damaged or holds something other than unsigned bytes.
    """
    try:
        content = gzip.decompress(path.read_bytes())
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise _damaged(path, f"it does not decompress ({error})") from error
    if len(content) < 4 or content[:3] != bytes([0, 0, _UNSIGNED_BYTES]):
        raise _damaged(path, "it does not start like an IDX file of unsigned bytes")
    header = 4 + 4 * content[3]
    sizes = tuple(int(size) for size in np.frombuffer(content[4:header], dtype=">u4"))
    if len(content) - header != math.prod(sizes):
        raise _damaged(path, f"it should hold {sizes} bytes and holds {len(content) - header}")
    return np.frombuffer(content, dtype=np.uint8, offset=header).reshape(sizes)


def _damaged(path: Path, reason: str) -> TaskError:
    return TaskError(f"{path} is damaged: {reason}. Fetch the file again.")
