"""Which device a network runs on, and in which precision."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch
from torch import nn

from nas_tune.errors import TaskError

PrecisionName = Literal["auto", "fp32", "bf16"]


def resolve_device(device: str | torch.device = "auto") -> torch.device:
    """The device of that name; ``"auto"`` is CUDA where there is one, else the CPU.

    Raises:
        TaskError: There is no such device on this machine.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        resolved = torch.device(device)
        torch.empty(0, device=resolved)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise TaskError(
            f"`device` {str(device)!r} cannot be used on this machine: "
            f"{str(error).splitlines()[0].rstrip('.')}. Use 'auto' or 'cpu'."
        ) from error
    return resolved


def device_of(network: nn.Module) -> torch.device:
    """The device of the network's first parameter; the CPU when it has none."""
    return next((parameter.device for parameter in network.parameters()), torch.device("cpu"))


def autocast_dtype(precision: PrecisionName, device: torch.device) -> torch.dtype | None:
    """The type of autocast on a device: ``"auto"`` is bf16 where CUDA supports it; None for full precision."""
    if precision == "bf16":
        return torch.bfloat16
    automatic = device.type == "cuda" and torch.cuda.is_bf16_supported()
    return torch.bfloat16 if precision == "auto" and automatic else None


def autocast(device: torch.device, dtype: torch.dtype | None) -> AbstractContextManager[object]:
    """Run what is inside with autocast to a type; None leaves the precision as it is."""
    return nullcontext() if dtype is None else torch.autocast(device.type, dtype)
