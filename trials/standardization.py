"""Inputs with zero mean and unit variance, by the statistics of the training samples."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Standardization:
    """An affine map of inputs.

    Attributes:
        mean: [1, C, 1, 1] for images, [1, F] for tables.
        std: The same shape; 1 where the training samples are constant.
    """

    mean: Tensor
    std: Tensor

    @classmethod
    def of(cls, inputs: Tensor) -> Standardization:
        """Statistics of each channel ([N, C, H, W]) or each column ([N, F])."""
        axes = [axis for axis in range(inputs.ndim) if axis != 1]
        mean = inputs.mean(axes, keepdim=True)
        std = inputs.std(axes, keepdim=True, correction=0)
        return cls(mean, std.where(std > 1e-6 * mean.abs().clamp(min=1e-30), 1.0))

    def __call__(self, inputs: Tensor) -> Tensor:
        """Map inputs of the shape the statistics came from."""
        return (inputs - self.mean) / self.std
