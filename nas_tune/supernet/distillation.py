"""In-place distillation: what a path loses against the logits of its step's first path."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.nn.functional import log_softmax, softmax

from nas_tune.errors import NasTuneError

LEAST_ALPHA = 1e-3  # nearer to 0 the divergence is that of its limit


@runtime_checkable
class Distillation(Protocol):
    """Compares the logits of a student with those of its teacher; the teacher's carry no gradient."""

    def __call__(self, logits: Tensor, teacher: Tensor) -> Tensor:
        """Return the mean loss of a batch; both logits have shape `(N, classes)` and are float32."""
        ...


@dataclass(frozen=True)
class SoftTargets:
    """Cross-entropy with the probabilities of the teacher as the target.

    Args:
        temperature: Divides both logits; the loss is multiplied by its square, so that gradients keep their size.

    Raises:
        NasTuneError: `temperature` is not above 0.

    Reference: Hinton et al., arXiv:1503.02531; in place as of Yu et al., BigNAS, arXiv:2003.11142, section 3.1.
    """

    temperature: float = 1.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.temperature) and self.temperature > 0):
            raise NasTuneError(f"SoftTargets: `temperature` is {self.temperature}; give a number above 0.")

    def __call__(self, logits: Tensor, teacher: Tensor) -> Tensor:
        target = softmax(teacher / self.temperature, dim=-1)
        cross_entropy = -(target * log_softmax(logits / self.temperature, dim=-1)).sum(-1)
        return self.temperature**2 * cross_entropy.mean()


@dataclass(frozen=True)
class AlphaDivergence:
    """The larger of two alpha-divergences for each sample, their importance weights clipped.

    With teacher p and student q, `D_a(p || q) = (E_q[(p / q)^a] - 1) / (a (a - 1))`, whose gradient is
    `-E_q[(p / q)^a grad log q] / a` (eq. 7). At 1 and at 0 it is the Kullback-Leibler divergence of p from q, and of
    q from p. The negative order punishes where the student is too sure, the positive one where it is not sure enough.

    Args:
        lowest: Order of the one.
        highest: Order of the other.
        clip: Largest importance weight `(p / q)^a`.

    Raises:
        NasTuneError: The orders are not finite, or `clip` is below 1.

    Reference: Wang et al., AlphaNet, arXiv:2102.07954, section 3; the defaults are its adaptive KD.
    """

    lowest: float = -1.0
    highest: float = 1.0
    clip: float = 5.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.lowest) and math.isfinite(self.highest) and self.lowest <= self.highest):
            raise NasTuneError(f"AlphaDivergence: the orders are {self.lowest} and {self.highest}; give two in order.")
        if not self.clip >= 1:
            raise NasTuneError(f"AlphaDivergence: `clip` is {self.clip}; give a number of at least 1.")

    def __call__(self, logits: Tensor, teacher: Tensor) -> Tensor:
        student, target = log_softmax(logits, dim=-1), log_softmax(teacher, dim=-1)
        first, second = (self._divergence(student, target, order) for order in (self.lowest, self.highest))
        larger = torch.where(first.value >= second.value, first.surrogate, second.surrogate)
        value = torch.maximum(first.value, second.value)
        return (value + larger - larger.detach()).mean()  # the value of the one, the gradient of the other

    def _divergence(self, student: Tensor, target: Tensor, order: float) -> _Divergence:
        """Return the divergence of each sample, and a term whose gradient is that of the clipped divergence."""
        log_ratio = (target - student).detach()
        q = student.detach().exp()
        if abs(order) < LEAST_ALPHA:  # the reversed Kullback-Leibler divergence, E_q[log q - log p]
            return _Divergence(-(q * log_ratio).sum(-1), -(q * log_ratio * student).sum(-1))
        weight = (order * log_ratio).exp().clamp(max=self.clip)
        if abs(order - 1.0) < LEAST_ALPHA:
            value = (q * weight * log_ratio).sum(-1)
        else:
            value = ((q * weight).sum(-1) - 1.0) / (order * (order - 1.0))
        return _Divergence(value, -(q * weight * student).sum(-1) / order)


@dataclass(frozen=True)
class _Divergence:
    """Value of each sample, shape `(N,)`, without gradient; and a term that has the gradient."""

    value: Tensor
    surrogate: Tensor
