"""Drop-path: paths of a cell are left out at random in training."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from nas_tune.errors import SpaceError


class DropPath(nn.Module):
    """Zeroes whole samples of its input `(N, C, H, W)` in training and scales the others by `1 / (1 - rate)`.

    It stands behind every operation of a cell but the identity. In evaluation, and at rate 0, the input passes.

    Attributes:
        rate: Probability to drop a sample, in [0, 1); `set_drop_path` changes it for a whole network.

    Reference: Larsson et al., FractalNet, arXiv:1605.07648; in cells as of Zoph et al., NASNet, arXiv:1707.07012.
    """

    def __init__(self, rate: float = 0.0) -> None:
        super().__init__()
        self.rate = checked_rate(rate)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.rate == 0.0:
            return x
        keep = 1.0 - self.rate
        mask = torch.empty(len(x), 1, 1, 1, dtype=x.dtype, device=x.device).bernoulli_(keep)
        return x * (mask / keep)

    def extra_repr(self) -> str:
        return f"rate={self.rate:g}"


def set_drop_path(network: nn.Module, rate: float) -> None:
    """Set the rate of every `DropPath` in a network; one without any is left as it is.

    Raises:
        SpaceError: `rate` is not in [0, 1).
    """
    rate = checked_rate(rate)
    for module in network.modules():
        if isinstance(module, DropPath):
            module.rate = rate


def checked_rate(rate: float) -> float:
    """Return a drop-path rate.

    Raises:
        SpaceError: It is not in [0, 1).
    """
    if not isinstance(rate, (int, float)) or isinstance(rate, bool) or not (math.isfinite(rate) and 0 <= rate < 1):
        raise SpaceError(f"The drop-path rate is {rate!r}; give a probability from 0 to below 1.")
    return float(rate)
