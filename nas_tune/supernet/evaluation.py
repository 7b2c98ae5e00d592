"""Scoring architectures with shared weights."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nas_tune.space import Architecture
from nas_tune.supernet.batch_norm import recalibrate_batch_norm
from nas_tune.supernet.supernet import SuperNet


@dataclass(frozen=True)
class Judge:
    """Measures the accuracy of architectures with the shared weights, batch norm recalibrated for each.

    Args:
        calibration: Training inputs for the statistics, shape `(N, ...)`.
        inputs: Validation inputs, shape `(M, ...)`.
        labels: Their classes, shape `(M,)`.
        batch_size: Inputs of one forward pass.
    """

    calibration: Tensor
    inputs: Tensor
    labels: Tensor
    batch_size: int = 512

    def accuracies(self, supernet: SuperNet, architectures: Sequence[Architecture]) -> tuple[float, ...]:
        """Return the accuracy of each architecture, a share in [0, 1]; nan where a logit is not finite."""
        return tuple(self.each(supernet, architectures))

    def each(self, supernet: SuperNet, architectures: Iterable[Architecture]) -> Generator[float]:
        """Yield the accuracies one by one; at the end, or when it is closed, the super-net is as it was before."""
        was_training = supernet.training
        buffers = {name: buffer.clone() for name, buffer in supernet.named_buffers()}
        supernet.eval()
        try:
            for architecture in architectures:
                yield self._accuracy(supernet, architecture)
        finally:
            supernet.train(was_training)
            for name, buffer in supernet.named_buffers():
                buffer.copy_(buffers[name])

    @torch.no_grad()
    def _accuracy(self, supernet: SuperNet, architecture: Architecture) -> float:
        right = torch.zeros((), dtype=torch.long, device=self.labels.device)
        finite = torch.ones((), dtype=torch.bool, device=self.labels.device)
        with supernet.select(architecture):
            parts = -(-len(self.calibration) // self.batch_size)  # of like size, since each counts the same
            recalibrate_batch_norm(supernet, self.calibration.tensor_split(parts))
            batches = zip(
                torch.split(self.inputs, self.batch_size), torch.split(self.labels, self.batch_size), strict=True
            )
            for x, y in batches:
                logits = supernet(x)
                right += (logits.argmax(-1) == y).sum()
                finite &= logits.isfinite().all()
        return float(right) / len(self.labels) if finite else math.nan
