"""Out of memory: which errors say so, and what is said where nothing smaller is left to try."""

from __future__ import annotations

import torch

from nas_tune.errors import InfeasibleError
from nas_tune.space import Architecture

_SIGNS = ("out of memory", "not enough memory", "can't allocate memory", "ALLOC_FAILED")
"""Of devices, of the CPU under Windows and under Linux, and of cuBLAS, whose errors have no class of their own."""


def is_out_of_memory(error: BaseException) -> bool:
    """Say whether an error of a forward pass means that a smaller batch may fit."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in _SIGNS)


def smaller(batch_size: int, least: int, architecture: Architecture, why: str) -> int:
    """Return half a batch size, once what the failed pass held has been given back.

    Args:
        batch_size: What did not fit.
        least: The smallest batch that makes sense.
        architecture: What was run, for the error.
        why: What torch said.

    Raises:
        InfeasibleError: The half is less than `least`.
    """
    if batch_size // 2 < least:
        said = why.partition("\n")[0].rstrip(".") or "no memory is left"
        raise InfeasibleError(
            f"{architecture!r} does not fit into memory, not even {batch_size} input(s) at a time: {said}. Free memory "
            "on the device, use smaller inputs, or keep such architectures out of the space: "
            "`space.where(space.cost(shape).activation_bytes < ...)`."
        )
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return batch_size // 2
