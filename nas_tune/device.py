"""Which device a network runs on."""

from __future__ import annotations

import torch
from torch import nn

from nas_tune.errors import TaskError


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
